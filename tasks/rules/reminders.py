"""Which notification a task's deadline calls for: a pure function of state, clock and what was made.

"Due" is derived, never remembered, so a night without a worker is caught up in one pass: whatever
is due and not yet made is made, and of several kinds that were missed only the latest one.
"""

from collections.abc import Set
from contextlib import suppress
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """The notifications of one deadline, in their order."""

    REMINDER = "deadline_reminder"
    REACHED = "deadline_reached"
    OVERDUE = "task_overdue"


OFFSETS = {
    Kind.REMINDER: timedelta(minutes=-30),
    Kind.REACHED: timedelta(0),
    Kind.OVERDUE: timedelta(hours=1),
}
_WORDING = {
    Kind.REMINDER: ("Due soon", "“{text}” is due at {deadline}."),
    Kind.REACHED: ("Deadline reached", "“{text}” was due at {deadline}."),
    Kind.OVERDUE: ("Overdue", "“{text}” was due at {deadline} and is not done yet."),
}


class State(NamedTuple):
    """What the rule looks at: a task, and the kinds made for its present deadline."""

    completed: bool
    deadline: datetime | None
    made: Set[Kind] = frozenset()


def upcoming(state: State) -> dict[Kind, datetime]:
    """The kinds after all that were made, in their order, and when each of them becomes due."""
    moments: dict[Kind, datetime] = {}
    if state.completed or state.deadline is None:
        return moments
    for kind, offset in OFFSETS.items():
        if kind in state.made:
            moments.clear()
        else:
            with suppress(OverflowError):  # the calendar has no such moment
                moments[kind] = state.deadline + offset
    return moments


def due(state: State, now: datetime) -> Kind | None:
    """The one notification to be made now, if any: the latest kind whose moment has come."""
    passed = [kind for kind, at in upcoming(state).items() if at <= now]
    return passed[-1] if passed else None


def next_moment(state: State) -> datetime | None:
    """From when on the task wants to be looked at again; never, once all is said."""
    return next(iter(upcoming(state).values()), None)


def wording(kind: Kind, text: str, deadline: datetime) -> tuple[str, str]:
    """Title and message of a notification about a task with this text."""
    title, message = _WORDING[kind]
    return title, message.format(text=text, deadline=f"{deadline:%Y-%m-%d %H:%M} UTC")
