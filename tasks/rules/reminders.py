"""Which notification a task's deadline calls for: a pure function of state, clock and what was made.

"Due" is derived, never remembered, so a night without a worker is caught up in one pass: whatever
is due and not yet made is made, and of several kinds that were missed only the most telling one.
"""

from collections.abc import Set
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
_ORDER = tuple(Kind)


class State(NamedTuple):
    """What the rule looks at: a task, and the kinds made for its present deadline."""

    completed: bool
    deadline: datetime | None
    made: Set[Kind] = frozenset()


def moment(kind: Kind, deadline: datetime) -> datetime | None:
    """When `kind` becomes due; nothing where the calendar has no such moment."""
    try:
        return deadline + OFFSETS[kind]
    except OverflowError:
        return None


def due(state: State, now: datetime) -> Kind | None:
    """The one notification to be made now, if any: the latest kind whose moment has come.

    Not if that kind was made for this deadline, nor if a later one was.
    """
    found = None
    for kind in _remaining(state):
        assert state.deadline is not None  # noqa: S101  else nothing remains
        at = moment(kind, state.deadline)
        if at is not None and at <= now:
            found = kind
    return found


def upcoming(state: State) -> Kind | None:
    """The next kind that can become due: the first one after all that were made."""
    for kind in _remaining(state):
        assert state.deadline is not None  # noqa: S101  else nothing remains
        if moment(kind, state.deadline) is not None:
            return kind
    return None


def _remaining(state: State) -> tuple[Kind, ...]:
    if state.completed or state.deadline is None:
        return ()
    passed = max((_ORDER.index(kind) + 1 for kind in state.made), default=0)
    return _ORDER[passed:]


def next_moment(state: State) -> datetime | None:
    """From when on the task wants to be looked at again; never, once all is said."""
    kind = upcoming(state)
    return None if kind is None or state.deadline is None else moment(kind, state.deadline)


_TITLES = {
    Kind.REMINDER: "Due soon",
    Kind.REACHED: "Deadline reached",
    Kind.OVERDUE: "Overdue",
}
_MESSAGES = {
    Kind.REMINDER: "“{text}” is due at {deadline}.",
    Kind.REACHED: "“{text}” was due at {deadline}.",
    Kind.OVERDUE: "“{text}” was due at {deadline} and is not done yet.",
}


def wording(kind: Kind, text: str, deadline: datetime) -> tuple[str, str]:
    """Title and message of a notification about a task with this text."""
    written = f"{deadline:%Y-%m-%d %H:%M} UTC"
    return _TITLES[kind], _MESSAGES[kind].format(text=text, deadline=written)
