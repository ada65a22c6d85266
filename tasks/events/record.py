"""The record of events: how a change is put on it, and how it is read (docs/api.md section 5).

The record is the truth; the bell only tells that there is something new.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.http import HttpResponse

from accounts import erasures
from accounts.owned.acting import ACTING, acting_as, acting_as_everyone
from accounts.owned.databases import fetch, on_postgresql
from accounts.users import CurrentUser
from tasks.events.bell import bell
from tasks.events.models import Event, Stream
from tasks.events.protocol import LiveEvent, encode

KEPT_DAYS = 7
PRUNE_BATCH = 1000
REPLAY_BATCH = 250  # events read by one statement


class Change(NamedTuple):
    """What happened to one thing: the type of its event, when, and the object as REST shows it."""

    type: str
    at: datetime
    data: dict[str, Any]


def record(user_id: str, event_type: str, data: dict[str, Any], at: datetime | None = None) -> None:
    """Put a change on its owner's record, and tell their sockets after the commit (`record_all`)."""
    record_all(user_id, [Change(event_type, at or datetime.now(UTC), data)])


def record_all(user_id: str, given: Iterable[Change | None]) -> None:
    """Put changes on their owner's record, in this order, and tell their sockets after the commit.

    `None` stands for one that nobody is told of. From here to the end of the transaction other writers
    of the same owner wait, so this comes after whatever other rows have to be locked. Raises
    `TransactionManagementError` outside a transaction.
    """
    record_of_many({user_id: given})


def record_of_many(given: Mapping[str, Iterable[Change | None]]) -> None:
    """The same for several owners at once, whose other writers all wait: in the order of their ids."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("An event is recorded with its change")
    by_owner = {
        owner: changes
        for owner in sorted(given)
        if (changes := [change for change in given[owner] if change is not None])
    }
    if (together := _together.get()) is not None:
        for owner, changes in by_owner.items():
            together.setdefault(owner, []).extend(changes)
        return
    if not by_owner:
        return
    lasts = _append(by_owner)
    for owner, changes in by_owner.items():
        first = lasts[owner] - len(changes) + 1
        for seq, (event_type, at, data) in enumerate(changes, start=first):
            publish(owner, seq, event_type, at, encode(data))


# What `recorded_together` collects, by owner.
_together: ContextVar[dict[str, list[Change]] | None] = ContextVar("together", default=None)


@contextmanager
def recorded_together() -> Iterator[None]:
    """Put the changes of this part of a transaction on record at its end, all by one statement.

    Until then other rows may be locked. Nothing is recorded where it raises.
    """
    token = _together.set({})
    try:
        yield
        changes = _together.get() or {}
    finally:
        _together.reset(token)
    record_of_many(changes)


def publish(user_id: str, seq: int, event_type: str, at: datetime, data: str) -> None:
    """Tell the owner's sockets of an event on record, after the commit. `data` is JSON."""
    text = LiveEvent(seq, event_type, at, data).text
    # Robust: a bell that fails is logged and must not fail what is already committed.
    transaction.on_commit(lambda: bell.ring(user_id, seq, text), robust=True)


# Appends the row of a source named `written`, with the columns user_id, at and text (its JSON), under
# its owner's next number. Part of a statement that begins with `WITH written AS (…)`; from here to the
# commit other writers of the same owner wait. Takes one value: the type of the event.
APPENDED = """
    next AS (
        INSERT INTO tasks_stream (user_id, last_seq, pruned_seq)
        SELECT user_id, 1, 0 FROM written
        ON CONFLICT (user_id) DO UPDATE SET last_seq = tasks_stream.last_seq + 1
        RETURNING last_seq
    ), event AS (
        INSERT INTO tasks_event (user_id, seq, type, at, data)
        SELECT user_id, last_seq, %s, at, text::jsonb FROM written, next
    )
"""


def _append(by_owner: Mapping[str, Sequence[Change]]) -> dict[str, int]:
    """Write events under their owners' next numbers, and return each owner's last."""
    if not on_postgresql():  # SQLite has one writer at a time
        return {owner: _append_to(owner, changes) for owner, changes in by_owner.items()}
    # How many of the owner's events follow, beside each of them.
    rows = [
        (owner, len(changes) - place, change.type, change.at, json.dumps(change.data))
        for owner, changes in by_owner.items()
        for place, change in enumerate(changes, start=1)
    ]
    counts = [len(changes) for changes in by_owner.values()]
    with connection.cursor() as cursor:  # one round trip
        cursor.execute(
            "WITH next AS (INSERT INTO tasks_stream (user_id, last_seq, pruned_seq)"
            " SELECT user_id, count, 0 FROM unnest(%s::text[], %s::int[]) AS given (user_id, count)"
            " ON CONFLICT (user_id)"
            " DO UPDATE SET last_seq = tasks_stream.last_seq + excluded.last_seq"
            " RETURNING user_id, last_seq"
            "), event AS (INSERT INTO tasks_event (user_id, seq, type, at, data)"
            " SELECT user_id, last_seq - following, type, at, data::jsonb FROM next JOIN"
            " unnest(%s::text[], %s::int[], %s::text[], %s::timestamptz[], %s::text[])"
            " AS change (user_id, following, type, at, data) USING (user_id)"
            ") SELECT user_id, last_seq FROM next",
            [[*by_owner], counts, *map(list, zip(*rows, strict=True))],
        )
        return dict(cursor.fetchall())


def _append_to(user_id: str, changes: Sequence[Change]) -> int:
    stream, _ = Stream.objects.get_or_create(pk=user_id, defaults={"last_seq": 0})
    first = stream.last_seq + 1
    stream.last_seq += len(changes)
    stream.save(update_fields=["last_seq"])
    Event.objects.bulk_create(
        Event(user_id=user_id, seq=seq, type=event_type, at=at, data=data)
        for seq, (event_type, at, data) in enumerate(changes, start=first)
    )
    return int(stream.last_seq)


# The epoch of a person's numbers, in SQL: that of the database, and that of their own where they were
# erased. Takes `erasures.names_of` them.
_EPOCH = "coalesce((SELECT value FROM tasks_epoch), '')"
EPOCH = f"{_EPOCH} || coalesce({erasures.EPOCH}, '')"

# Newest number and epoch of a person, as columns of a statement of PostgreSQL's that acts for them.
# Takes the person's id twice, and `erasures.names_of` them.
_SEQ = "coalesce((SELECT last_seq FROM tasks_stream WHERE {} AND user_id = %s), 0)"
POSITION = f"{_SEQ.format(ACTING)}, {EPOCH}"


class Position(NamedTuple):
    """How far somebody's record of events reaches: the newest number, 0 before the first, and its epoch."""

    seq: int
    epoch: str

    def tell(self, response: HttpResponse) -> None:
        """Say in the headers of an answer that it was read as of this position, or of a later one."""
        response["X-Events-Seq"] = str(self.seq)
        response["X-Events-Epoch"] = self.epoch


def epoch_of(user_id: str) -> str:
    """The epoch of somebody's numbers: whoever comes with another one knows another history."""
    return str(fetch(f"SELECT {EPOCH}", [erasures.names_of(user_id)])[0][0])


def epoch_of_database() -> str:
    """What everybody's epoch begins with."""
    return str(fetch(f"SELECT {_EPOCH}", [])[0][0])


def position_of(user_id: str) -> Position:
    """Where somebody's record of events stands."""
    with acting_as(CurrentUser(user_id)):
        values = [user_id, erasures.names_of(user_id)]
        return Position(*fetch(f"SELECT {_SEQ.format('true')}, {EPOCH}", values)[0])


def positions_of(user_ids: list[str]) -> dict[str, Position]:
    """Where the records of these people stand, asked at once."""
    seqs = newest_seqs(user_ids)
    epoch, erased = epoch_of_database(), erasures.epochs_of(user_ids)
    return {
        user_id: Position(seqs.get(user_id, 0), epoch + erased.get(user_id, ""))
        for user_id in user_ids
    }


def newest_seqs(user_ids: list[str]) -> dict[str, int]:
    """The number of the newest event of each of these people who has any.

    The one question about many people at once: sockets are compared with the record in batches.
    """
    with acting_as_everyone():
        return dict(Stream.objects.filter(pk__in=user_ids).values_list("user_id", "last_seq"))


class Replay(NamedTuple):
    """What the record holds after a number: events without a gap, each as the text that is sent of it.

    `complete` is false, and there are no events, where it does not reach back that far, or not yet, or
    is of another epoch. `last_seq` is the newest number.
    """

    events: list[str]
    last_seq: int
    epoch: str
    complete: bool


def replay(user_id: str, since: int, limit: int, epoch: str | None = None) -> Replay:
    """Up to `limit` of somebody's events after number `since`, oldest first; fewer where they are long.

    `epoch` is the one that `since` belongs to, where it is known.

    The stream's row is read before the events: whatever is pruned in between leaves a gap, behind
    `since` or further on, and a gap is never passed over in silence.
    """
    with acting_as(CurrentUser(user_id)):
        present = epoch_of(user_id)
        stream = Stream.objects.filter(pk=user_id).first() or Stream(last_seq=0)
        texts, last = _texts_after(user_id, since, limit)
    without_gap = last == since + len(texts) if texts else since == stream.last_seq
    on_record = stream.pruned_seq <= since <= stream.last_seq and without_gap
    if not on_record or (epoch is not None and epoch != present):
        return Replay([], stream.last_seq, present, complete=False)
    return Replay(texts, max(stream.last_seq, last), present, complete=True)


def _texts_after(user_id: str, since: int, limit: int) -> tuple[list[str], int]:
    """What `replay` reads, as many as a page holds, and the number of the last one."""
    texts: list[str] = []
    last, size = since, 0
    while (left := min(limit - len(texts), REPLAY_BATCH)) > 0:
        rows = Event.objects.filter(user_id=user_id, seq__gt=last).order_by("seq")[:left]
        read = list(rows)
        for row in read:
            text = LiveEvent(row.seq, row.type, row.at, encode(row.data)).text
            size += len(text.encode()) + 1
            if texts and size >= settings.MAX_PAGE_SIZE:
                return texts, last
            texts.append(text)
            last = row.seq
        if len(read) < left:
            break
    return texts, last


def prune(before: datetime) -> Iterator[int]:
    """Drop events older than `before`, in batches; yields how many each one dropped.

    Each is of one person, whose stream first tells those who replay meanwhile to fetch again.
    """
    old = Event.objects.filter(at__lt=before)
    while oldest := old.order_by("at").first():
        theirs = old.filter(user_id=oldest.user_id)
        upto = max(theirs.order_by("seq").values_list("seq", flat=True)[:PRUNE_BATCH], default=0)
        Stream.objects.filter(pk=oldest.user_id, pruned_seq__lt=upto).update(pruned_seq=upto)
        dropped, _ = theirs.filter(seq__lte=upto).delete()
        yield dropped
