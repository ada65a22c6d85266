"""What a socket is sent next, whatever is live, missing, or gone from the record."""

import asyncio
import json
from contextlib import suppress
from typing import Any, cast

import pytest

from tasks.events.hub import Hub
from tasks.events.outbox import QUEUE_LIMIT, Outbox
from tasks.events.record import Replay

pytestmark = pytest.mark.asyncio


def event(seq: int) -> str:
    return f"event {seq}"


class Record:
    """A hub with a record in memory, which notes what it was asked for."""

    def __init__(self, newest: int = 0, oldest: int = 1) -> None:
        self.newest, self.oldest = newest, oldest
        self.asked: list[int] = []

    async def replay(self, user_id: str, since: int, limit: int, epoch: str) -> Replay:
        self.asked.append(since)
        if not self.oldest - 1 <= since <= self.newest:
            return Replay([], self.newest, "one", complete=False)
        numbers = range(since + 1, min(since + limit, self.newest) + 1)
        return Replay([event(seq) for seq in numbers], self.newest, "one", complete=True)


def outbox_at(position: int, record: Record, newest: int | None = None) -> Outbox:
    outbox = Outbox("alice", cast("Hub", record))
    outbox.start(position, position if newest is None else newest, "one")
    return outbox


async def everything(outbox: Outbox) -> list[str]:
    taken: list[str] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            while True:
                taken.append(await outbox.take())
    return taken


def texts(first: int, last: int) -> list[str]:
    return [event(seq) for seq in range(first, last + 1)]


async def test_live_events_need_no_record():
    record = Record()
    outbox = outbox_at(0, record)
    for seq in (1, 2, 2, 1, 3):
        outbox.push(seq, event(seq))
    assert await everything(outbox) == texts(1, 3)
    assert record.asked == []


async def test_what_is_missing_before_a_live_event_is_replayed():
    record = Record(newest=5)
    outbox = outbox_at(1, record)
    outbox.push(5, event(5))
    assert await everything(outbox) == texts(2, 5)
    assert record.asked == [1]


async def test_a_long_replay_is_read_in_batches():
    record = Record(newest=450)
    outbox = outbox_at(0, record, newest=450)
    assert await everything(outbox) == texts(1, 450)
    assert record.asked == [0, 200, 400]


async def test_more_live_events_than_are_kept_are_replayed():
    newest = QUEUE_LIMIT + 50
    record = Record(newest)
    outbox = outbox_at(0, record)
    for seq in range(1, newest + 1):
        outbox.push(seq, event(seq))
    assert len(outbox.queue) == QUEUE_LIMIT
    assert await everything(outbox) == texts(1, newest)


@pytest.mark.parametrize("position", [3, 99])
async def test_where_the_record_does_not_reach_a_resync_takes_the_place_of_events(position):
    outbox = outbox_at(position, Record(newest=9, oldest=6), newest=9)
    taken: list[Any] = [json.loads(text) for text in await everything(outbox)]
    assert taken == [{"type": "resync", "seq": 9, "epoch": "one"}]
    outbox.push(10, event(10))
    assert await everything(outbox) == texts(10, 10)


async def test_what_was_sent_already_does_not_wake_the_sender():
    """The channel layer echoes each event, and everybody is compared with the record all the time."""
    outbox = outbox_at(0, Record(newest=1))
    outbox.push(1, event(1))
    assert await outbox.take() == event(1)
    sender = asyncio.create_task(outbox.take())
    await asyncio.sleep(0)
    outbox.push(1, event(1))
    outbox.push(1, None)
    assert not outbox._more.is_set()
    outbox.push(2, event(2))
    assert await sender == event(2)


async def test_a_notice_goes_before_all_events_that_wait():
    outbox = outbox_at(0, Record(newest=3), newest=3)
    assert await outbox.take() == event(1)
    outbox.push_first("soon")
    assert await everything(outbox) == ["soon", *texts(2, 3)]


async def test_events_that_are_told_while_the_record_is_read_come_once():
    """By the bell, and once more by the channel layer, which echoes them."""
    record = Record(newest=2)
    outbox = outbox_at(0, record, newest=2)
    replay = record.replay

    async def meanwhile(user_id: str, since: int, limit: int, epoch: str) -> Replay:
        result = await replay(user_id, since, limit, epoch)
        for seq in range(1, since + 4):
            outbox.push(seq, event(seq))
        record.newest = max(record.newest, since + 3)
        return result

    record.replay = meanwhile  # type: ignore[method-assign]
    taken = []
    while record.newest < 20:
        taken.append(await outbox.take())
    record.replay = replay  # type: ignore[method-assign]
    assert [*taken, *await everything(outbox)] == texts(1, record.newest)
