"""The record of events: how a change is put on it, and how it is read (docs/api.md section 5).

Whatever writes a recorded model (`tasks.resources.models`) puts the change on record in the same
transaction. The record is the truth; the channel layer only tells that there is something new.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db import connection, transaction

from accounts.owned.acting import acting_as
from accounts.owned.databases import on_postgresql
from accounts.users import CurrentUser
from tasks.events.bell import bell
from tasks.events.models import Event, Stream
from tasks.rules.moments import as_text

KEPT_DAYS = 7
PRUNE_BATCH = 1000

# One encoder for all: `json.dumps` with options makes one for each text.
encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class EventMessage(NamedTuple):
    """An event's number, and the text of the JSON object that is sent of it: what a socket receives.

    Text from the database to the socket, so that nobody on the way parses it.
    """

    seq: int
    text: str


def record(user_id: str, event_type: str, data: dict[str, Any], at: datetime | None = None) -> None:
    """Put a change on its owner's record, as part of the transaction that makes the change.

    From here to the end of the transaction other writers of the same owner wait, so this comes
    after whatever other rows a transaction has to lock. After the commit the owner's sockets are
    told. `data` is the object as REST shows it; it is taken as it is now. `at` is the moment that the
    event bears, by default now.

    Raises `TransactionManagementError` outside a transaction.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("An event is recorded with its change")
    at = at or datetime.now(UTC)
    publish(user_id, _append(user_id, event_type, at, data), event_type, at, encode(data))


def publish(user_id: str, seq: int, event_type: str, at: datetime, data: str) -> None:
    """Tell the owner's sockets of an event on record, after the commit. `data` is JSON."""
    message = _message(seq, event_type, at, data)

    def send() -> None:  # not a `partial`: Django logs a failed callback by its name
        bell.ring(user_id, message)

    # Robust: a bell that fails is logged and must not fail what is already committed.
    transaction.on_commit(send, robust=True)


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


def _append(user_id: str, event_type: str, at: datetime, data: dict[str, Any]) -> int:
    """Write an event under its owner's next number, and return that."""
    if on_postgresql():  # one round trip
        with connection.cursor() as cursor:
            cursor.execute(
                "WITH written AS (SELECT %s AS user_id, %s::timestamptz AS at, %s AS text),"  # noqa: S608  a constant
                f" {APPENDED} SELECT last_seq FROM next",
                [user_id, at, json.dumps(data), event_type],
            )
            return int(cursor.fetchone()[0])
    stream, _ = Stream.objects.select_for_update().get_or_create(
        pk=user_id, defaults={"last_seq": 0}
    )
    stream.last_seq += 1
    stream.save(update_fields=["last_seq"])
    Event.objects.create(user_id=user_id, seq=stream.last_seq, type=event_type, at=at, data=data)
    return stream.last_seq


def newest_seqs(user_ids: list[str]) -> dict[str, int]:
    """The number of the newest event of each of these people who has any."""
    if on_postgresql():  # hundreds of ids as one parameter, which costs little
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT user_id, last_seq FROM tasks_stream WHERE user_id = ANY(%s)", [user_ids]
            )
            return dict(cursor.fetchall())
    return dict(Stream.objects.filter(pk__in=user_ids).values_list("user_id", "last_seq"))


def parse_seq(text: str) -> int | None:
    """The number that a client names; `None` where it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


class Replay(NamedTuple):
    """What the record holds after a number.

    `complete` is false where it no longer reaches back that far, or the number is ahead of it;
    then there are no events. `last_seq` is the newest number there is.
    """

    events: list[EventMessage]
    last_seq: int
    complete: bool


def last_seq(user_id: str) -> int:
    """The number of somebody's newest event; 0 before the first."""
    return Stream.objects.filter(pk=user_id).values_list("last_seq", flat=True).first() or 0


def replay(user_id: str, since: int, limit: int) -> Replay:
    """Up to `limit` of somebody's events after number `since`, oldest first.

    The stream's row is read before the events: whatever is pruned in between leaves a gap, behind
    `since` or further on, and a gap is never passed over in silence.
    """
    with acting_as(CurrentUser(user_id)):
        stream = Stream.objects.filter(pk=user_id).first()
        newest, pruned = (0, 0) if stream is None else (stream.last_seq, stream.pruned_seq)
        rows = list(Event.objects.filter(user_id=user_id, seq__gt=since).order_by("seq")[:limit])
    without_gap = rows[-1].seq == since + len(rows) if rows else since == newest
    if not (pruned <= since <= newest and without_gap):
        return Replay([], newest, complete=False)
    return Replay([message_of(row) for row in rows], newest, complete=True)


def prune(before: datetime) -> Iterator[int]:
    """Drop events older than `before`, in batches; yields how many each one dropped.

    Each batch is one person's. Their stream says first that the events are gone, so whoever
    replays meanwhile is told to fetch the list again; its row, for which writers queue, is held for
    that one statement only.
    """
    while True:
        oldest = Event.objects.filter(at__lt=before).order_by("at").first()
        if oldest is None:
            return
        theirs = Event.objects.filter(user_id=oldest.user_id, at__lt=before)
        upto = max(theirs.order_by("seq").values_list("seq", flat=True)[:PRUNE_BATCH], default=0)
        Stream.objects.filter(pk=oldest.user_id, pruned_seq__lt=upto).update(pruned_seq=upto)
        dropped, _ = theirs.filter(seq__lte=upto).delete()
        yield dropped


def message_of(event: Event) -> EventMessage:
    """An event of the record, as a socket receives it."""
    return _message(event.seq, event.type, event.at, encode(event.data))


def _message(seq: int, event_type: str, at: datetime, data: str) -> EventMessage:
    text = f'{{"seq":{seq},"type":"{event_type}","at":"{as_text(at)}","data":{data}}}'
    return EventMessage(seq, text)
