"""`GET /tasks/counts`: how many tasks somebody has of each kind (docs/api.md section 4).

On PostgreSQL by two statements, which the ORM compiles once: the caller's time zone, and all counts.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from typing import Any

from django.db.models import Case, Count, Q, SmallIntegerField, Value, When
from django.db.models.functions import Cast
from django.utils import timezone

from accounts.owned.acting import acting_as, fetch_acting
from accounts.owned.databases import fetch_again
from accounts.users import owner_id
from tasks.models import Preferences, TaskLabel
from tasks.models.agenda import DUE, Day
from tasks.resources import fast
from tasks.resources.fast.reading import OWNER, Statement, for_its_owner, owned_rows
from tasks.resources.viewsets import RecordedViewSet

# Placeholders of the statement that is compiled once: moments that no clock shows.
DAY = Day(now=datetime(1, 1, 1, tzinfo=UTC), ends=datetime(1, 1, 2, tzinfo=UTC))
KINDS = ("completed", *DUE)
NAMES = ("open", *KINDS)


def counts(view: Any) -> dict[str, Any]:
    """The body of the answer: names and numbers, and numbers of open tasks by ids of projects and labels.

    Of the tasks of a viewset's `get_queryset`; at once where that class has left all hooks as they came.
    """
    user = view.request.user
    if fast.of(view, RecordedViewSet, writes=False):
        return _counts(*_asked_at_once(type(view), owner_id(user)))
    with acting_as(user):
        tasks: Any = view.get_queryset()
        day = Day.of(owner_id(user))
        return _counts(_by_project(tasks, user, day), _by_label(tasks, user))


def _counts(by_project: Iterable[Any], by_label: Iterable[Any]) -> dict[str, Any]:
    totals = Counter(dict.fromkeys(NAMES, 0))
    open_ones: Counter[str] = Counter()
    for project, place, number in by_project:
        kind = KINDS[place]
        totals[kind] += number
        if kind != "completed":
            totals["open"] += number
            open_ones[str(project)] += number
    del open_ones["None"]
    numbers = {"no_date" if name == "none" else name: totals[name] for name in NAMES}
    labels = {str(label): number for label, number in by_label}
    return numbers | {"by_project": dict(open_ones), "by_label": labels}


def _by_project(tasks: Any, user: object, day: Day) -> Any:
    """Rows of a project, or `None`; a place in `KINDS`; and the number of such tasks."""
    conditions = [Q(completed=True), *(due(day) for due in DUE.values())]
    kinds = [
        When(condition, then=Cast(Value(place), SmallIntegerField()))
        for place, condition in enumerate(conditions)
    ]
    rows = tasks.in_sight(user).order_by().annotate(kind=Case(*kinds))
    return rows.values_list("project_id", "kind").annotate(n=Count("*"))


def _by_label(tasks: Any, user: object) -> Any:
    """Rows of a label and the number of open tasks that have it."""
    labelled: Any = TaskLabel.objects.owned_by(user)
    open_ones = tasks.in_sight(user).filter(completed=False).order_by().values("pk")
    rows = labelled.filter(task__in=open_ones).order_by()
    return rows.values_list("label_id").annotate(n=Count("*"))


def _asked_at_once(view_class: Any, owner: str) -> tuple[list[Any], list[Any]]:
    zone, counting = _statements(view_class)
    said = fetch_acting(owner, zone.sql, zone.for_owner(owner), fetch_again)
    preferences = Preferences(time_zone=said[0][0]) if said else Preferences()
    day = Day.at(timezone.now(), preferences.zone)
    stand_for = {DAY.now: day.now, DAY.ends: day.ends}
    values = [stand_for.get(value, value) for value in counting.for_owner(owner)]
    ((by_project, by_label),) = fetch_acting(owner, counting.sql, values, fetch_again)
    return by_project, by_label


@cache
def _statements(view_class: Any) -> tuple[Statement, Statement]:
    """The time zone, and two arrays of arrays: what `_by_project` and `_by_label` find."""
    zone = Preferences.objects.owned_by(OWNER).order_by().values_list("time_zone")
    tasks = owned_rows(view_class())
    parts = [
        for_its_owner(rows) for rows in (_by_project(tasks, OWNER, DAY), _by_label(tasks, OWNER))
    ]
    arrays = ", ".join(
        f"(SELECT coalesce(json_agg(json_build_array({columns})), '[]')"  # noqa: S608  compiled
        f" FROM ({part.sql}) AS found ({columns}))"
        for part, columns in zip(parts, ("a, b, c", "a, b"), strict=True)
    )
    values = tuple(value for part in parts for value in part.values)
    return for_its_owner(zone), Statement(f"SELECT {arrays}", values)
