"""Somebody's tasks as a calendar that others can subscribe to, by RFC 5545 (docs/api.md section 8)."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Q
from icalendar import Alarm, Calendar, Component, Event, Todo
from icalendar.prop import vRecur

from accounts.users import CurrentUser
from tasks.models import Preferences, Task
from tasks.models.tasks import Priority
from tasks.rules.days import wall_clock
from tasks.rules.moments import now
from tasks.rules.reminders import Wishes

DONE_FOR = timedelta(days=30)  # after that, completed tasks are left out
REFRESHED = "PT1H"  # how often clients are asked to come
ZONE_RULES = timedelta(
    days=20 * 365
)  # from now on, for how long clients are told of changes of clocks
PRIORITIES = {Priority.LOW: 9, Priority.MEDIUM: 5, Priority.HIGH: 3, Priority.URGENT: 1}
UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")  # no text of a calendar may hold these


def feed(user: CurrentUser, *, as_todos: bool = False) -> bytes:
    """The tasks with a date that are open, or were completed in the last 30 days, as a calendar.

    As VEVENTs, or as VTODOs, which calendars do not show of a subscription. Acts for nobody by itself.
    """
    calendar = Calendar()
    calendar.add("prodid", "-//todolist//tasks//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", "Tasks")
    calendar.add("x-published-ttl", REFRESHED)
    wishes = Preferences.read(user.id).wishes()
    for task in _tasks(user):
        calendar.add_component(_component(task, wishes, as_todos))
    calendar.add_missing_timezones(last_date=(now() + ZONE_RULES).date())
    return bytes(calendar.to_ical())


def _tasks(user: CurrentUser) -> Iterable[Task]:
    recent = Q(completed=False) | Q(completed_at__gte=now() - DONE_FOR)
    tasks: Any = Task.objects
    dated = tasks.owned_by(user).filter(recent, due_at__isnull=False)
    return dated.order_by("due_at", "pk").prefetch_related("labels")  # type: ignore[no-any-return]


def _component(task: Task, wishes: Wishes, as_todo: bool) -> Component:
    part: Any = Todo() if as_todo else Event()
    part.add("uid", str(task.pk))
    part.add("dtstamp", _seconds(task.updated_at))
    part.add("created", _seconds(task.created_at))
    part.add("last-modified", _seconds(task.updated_at))
    part.add("sequence", task.version - 1)
    done = "✓ " if task.completed and not as_todo else ""
    part.add("summary", done + _fit(task.text))
    if task.description:
        part.add("description", _fit(task.description))
    if task.priority in PRIORITIES:
        part.add("priority", PRIORITIES[Priority(task.priority)])
    if labels := [_fit(label.name) for label in task.labels.all()]:
        part.add("categories", sorted(labels))
    when = _when(task, wishes)
    if not as_todo or task.recurrence:  # what repeats has to begin
        part.add("dtstart", when)
    if as_todo:
        part.add("due", when)
        part.add("status", "COMPLETED" if task.completed else "NEEDS-ACTION")
        if task.completed_at is not None:
            part.add("completed", _seconds(task.completed_at))
    else:
        part.add("transp", "TRANSPARENT")  # nobody is busy for it
    if task.recurrence:
        part.add("rrule", vRecur.from_ical(task.recurrence.upper()))
    if (trigger := _trigger(task, wishes)) is not None:
        alarm = Alarm()
        alarm.add("action", "DISPLAY")
        alarm.add("description", _fit(task.text))
        related = {"related": "END"} if as_todo else {}
        alarm.add("trigger", trigger, parameters=related)
        part.add_component(alarm)
    return part  # type: ignore[no-any-return]


def _when(task: Task, wishes: Wishes) -> date | datetime:
    """A day, or a moment: by the clock on the wall where it repeats, which may be put forward or back."""
    if task.deadline is None:
        return task.due_on or date.max
    if not task.recurrence or wishes.time_zone == "UTC":
        return _seconds(task.deadline)
    return _seconds(task.deadline).astimezone(ZoneInfo(wishes.time_zone))


def _trigger(task: Task, wishes: Wishes) -> timedelta | None:
    """When its owner wants to be reminded, from its deadline or the beginning of its day on."""
    if task.completed:
        return None
    if task.deadline is None:
        at = wall_clock(wishes.remind_at)
        return timedelta(hours=at.hour, minutes=at.minute)
    return None if wishes.remind_before is None else -timedelta(minutes=wishes.remind_before)


def _seconds(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def _fit(text: str) -> str:
    return UNFIT.sub("", text.replace("\r\n", "\n"))
