"""Which notification a task's date calls for: a pure function of it, its owner's wishes, the clock, and
what was made (docs/api.md section 6).

"Due" is derived, never remembered, so a night without a worker is caught up in one pass: whatever
is due and not yet made is made, and of several kinds that were missed only the latest one.
"""

from collections.abc import Iterator, Set
from contextlib import suppress
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from tasks.rules.days import DAY, FIRST, at_wall_clock, local

MAX_REMIND_BEFORE = 7 * 24 * 60  # minutes
AHEAD = timedelta(minutes=MAX_REMIND_BEFORE)
AFTER = timedelta(hours=1)  # a deadline: then its task is overdue


class Kind(StrEnum):
    """The notifications of one date, in their order."""

    REMINDER = "deadline_reminder"
    REACHED = "deadline_reached"
    OVERDUE = "task_overdue"


_TITLES = {
    Kind.REMINDER: "Due soon",
    Kind.REACHED: "Deadline reached",
    Kind.OVERDUE: "Overdue",
}
_MESSAGES = {
    Kind.REMINDER: "“{text}” is due {when}.",
    Kind.REACHED: "“{text}” was due {when}.",
    Kind.OVERDUE: "“{text}” was due {when} and is not done yet.",
}


class Wishes(NamedTuple):
    """What a person wants of reminders: an IANA zone, `HH:MM`, and minutes (`None`: no such reminder)."""

    time_zone: str = "UTC"
    remind_at: str = "09:00"
    remind_before: int | None = 30


class State(NamedTuple):
    """What the rule looks at: a task, one of whose dates at least is missing, and the kinds made for its
    present date."""

    completed: bool
    deadline: datetime | None
    due_on: date | None = None
    made: Set[Kind] = frozenset()


def _moments(state: State, wishes: Wishes) -> Iterator[tuple[Kind, datetime]]:
    """When each kind becomes due, but for what the calendar has no moment for."""
    if state.completed:
        return
    with suppress(OverflowError):
        if state.deadline is not None:
            if wishes.remind_before is not None:
                before = timedelta(minutes=wishes.remind_before)
                with suppress(OverflowError):
                    yield Kind.REMINDER, state.deadline - before
            yield Kind.REACHED, state.deadline
            yield Kind.OVERDUE, state.deadline + AFTER
        elif state.due_on is not None:
            clock = wishes.remind_at, wishes.time_zone
            yield Kind.REMINDER, at_wall_clock(state.due_on, *clock)
            yield Kind.OVERDUE, at_wall_clock(state.due_on + DAY, *clock)


def upcoming(state: State, wishes: Wishes) -> dict[Kind, datetime]:
    """The kinds after all that were made, in their order, and when each of them becomes due."""
    moments: dict[Kind, datetime] = {}
    for kind, at in _moments(state, wishes):
        if kind in state.made:
            moments.clear()
        else:
            moments[kind] = at
    return moments


def due(moments: dict[Kind, datetime], now: datetime) -> Kind | None:
    """Of what is upcoming, the one to be made now, if any: the latest kind whose moment has come."""
    passed = [kind for kind, at in moments.items() if at <= now]
    return passed[-1] if passed else None


def first_look(due_at: datetime | None) -> datetime | None:
    """A moment by which nothing has to be said yet of what is due at `due_at`, whatever its owner wishes.

    Days end at it, in whichever zone.
    """
    if due_at is None:
        return None
    try:
        return due_at - AHEAD
    except OverflowError:
        return FIRST


def wording(kind: Kind, text: str, state: State, zone: str) -> tuple[str, str]:
    """Title and message of a notification about a task with this text, in its owner's time zone."""
    when = f"on {state.due_on}"
    if state.deadline is not None:
        when = f"at {local(state.deadline, zone):%Y-%m-%d %H:%M} {zone}"
    title = "Due" if kind is Kind.REMINDER and state.deadline is None else _TITLES[kind]
    return title, _MESSAGES[kind].format(text=text, when=when)
