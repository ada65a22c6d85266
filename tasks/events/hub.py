"""Where events meet the sockets of this server process.

The hub hears of events from the bell, here and by the channel layer, and compares everybody who has
sockets here with the record every few seconds; all the time while the layer brings nothing.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context
from functools import partial
from itertools import chain
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async

from accounts import erasures
from accounts.counted import counted
from accounts.outages import DATABASE_ERRORS, database
from accounts.owned.acting import act_for_nobody
from accounts.owned.databases import again
from accounts.signout import OVERLAP, sign_outs
from tasks.events.bell import bell, call_soon, shared_layer
from tasks.events.follower import LayerFollower
from tasks.events.record import (
    Position,
    Replay,
    epoch_of_database,
    newest_seqs,
    positions_of,
    replay,
)

logger = logging.getLogger(__name__)

POLL_INTERVAL = 5.0  # seconds after which everybody is compared with the record
POLL_BATCH = 500  # people asked about in one query
LOOK_INTERVAL = 0.5  # seconds between two comparisons at least, as while no layer tells of events
BATCH_INTERVAL = 0.1  # the same for each batch that it takes: a tenth of a core for them all

# Threads of the hub alone: what sockets read takes neither threads nor connections from requests.
_readers = ThreadPoolExecutor(3, thread_name_prefix="hub", initializer=act_for_nobody)

Answer = TypeVar("Answer")


class Socket(Protocol):
    def push(self, seq: int, text: str | None = None) -> None:
        """There is an event of this number, sent perhaps already; without its text, read it."""

    def doubt(self) -> None:
        """The record may be of another history than the one that was sent."""

    def watch_sign_out(self) -> None:
        """Somebody was signed out, and it may be this one's person."""

    def watch_erasures(self, epochs: Mapping[bytes, str]) -> None:
        """These people were erased, and what epochs they have since."""


class Hub:
    """The sockets of one event loop, by the id of their owner. Lives as long as the loop."""

    def __init__(self) -> None:
        self._sockets: dict[str, set[Socket]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._look_requested = asyncio.Event()
        self._layer = LayerFollower(self._hear, self._look_requested.set)
        self._asking = asyncio.Lock()
        self._epoch = ""  # as it was at the last comparison
        # Whom the next query of `position` asks about, and its answer.
        self._next: tuple[list[str], asyncio.Task[dict[str, Position]]] | None = None

    def count(self, user_id: str) -> int:
        """How many sockets somebody has open in this process."""
        return len(self._sockets.get(user_id, ()))

    def join(self, user_id: str, socket: Socket) -> None:
        """Push every event of `user_id` to `socket` from now on."""
        if not self._tasks:
            bell.listen(self._sockets, self.deliver, self._look_requested.set)
            loop = asyncio.get_running_loop()
            sign_outs.on_change = partial(call_soon, loop, self.watch_sign_outs)
            # Each in a context of its own: what they log is not about who came first.
            self._tasks.add(asyncio.create_task(self._compare(), context=Context()))
            if shared_layer() is not None:
                for work in (self._layer.follow(), self._layer.beat()):
                    self._tasks.add(asyncio.create_task(work, context=Context()))
        self._sockets.setdefault(user_id, set()).add(socket)
        counted.send("sockets")

    def leave(self, user_id: str, socket: Socket) -> None:
        """Forget `socket`. Leaving twice, or without having joined, does nothing."""
        theirs = self._sockets.get(user_id, set())
        if socket in theirs:
            counted.send("sockets", amount=-1)
            theirs.discard(socket)
        if not theirs:
            self._sockets.pop(user_id, None)

    def deliver(self, user_id: str, seq: int, text: str | None = None) -> None:
        for socket in list(self._sockets.get(user_id, ())):
            socket.push(seq, text)

    def watch_sign_outs(self) -> None:
        for socket in list(chain.from_iterable(self._sockets.values())):
            socket.watch_sign_out()

    async def stop(self) -> None:
        """End all tasks of the hub, before the event loop ends."""
        await asyncio.to_thread(bell.flush)
        tasks, self._tasks = self._tasks, set()
        while tasks:
            for task in tasks:
                task.cancel()
            # Again and again: the Redis client swallows a cancellation while it connects.
            _, tasks = await asyncio.wait(tasks, timeout=0.1)

    async def _read(self, function: Callable[..., Answer], *args: Any) -> Answer:
        read = database_sync_to_async(again, thread_sensitive=False, executor=_readers)
        return await read(function, *args)

    async def replay(self, user_id: str, since: int, limit: int, epoch: str) -> Replay:
        return await self._read(replay, user_id, since, limit, epoch)

    async def position(self, user_id: str) -> Position:
        """Where somebody's record stands; calls that come while a query runs share the next."""
        if self._next is None:
            people: list[str] = []
            self._next = people, asyncio.create_task(self._ask(people))
        people, answer = self._next
        people.append(user_id)
        # Shielded: whoever leaves does not cancel what others wait for.
        return (await asyncio.shield(answer))[user_id]

    async def _ask(self, people: list[str]) -> dict[str, Position]:
        async with self._asking:
            self._next = None
            positions = await self._read(positions_of, people)
        of_erasure = erasures.part_of(epoch := positions[people[0]].epoch)
        self._epoch = self._epoch or epoch.removesuffix(of_erasure)
        return positions

    async def _compare(self) -> None:
        """Compare everybody with the record every few seconds, and as soon as that is requested."""
        while True:
            deaf = shared_layer() is not None and self._layer.deaf
            with suppress(TimeoutError):  # not `wait_for`, which swallows a cancellation at times
                async with asyncio.timeout(0 if deaf else POLL_INTERVAL):
                    await self._look_requested.wait()
            self._look_requested.clear()
            people = list(self._sockets)
            try:
                await self._see_another_epoch(people)
                await self._see_erasures()
                for start in range(0, len(people), POLL_BATCH):
                    batch = people[start : start + POLL_BATCH]
                    for user_id, seq in (await self._read(newest_seqs, batch)).items():
                        self.deliver(user_id, seq)
            except DATABASE_ERRORS as error:
                database.failed(error)
            except Exception:
                logger.exception("The record of events cannot be read")
            batches = len(people) / POLL_BATCH
            await asyncio.sleep(max(LOOK_INTERVAL, BATCH_INTERVAL * batches))

    async def _see_another_epoch(self, people: list[str]) -> None:
        """Let all sockets look again where the record has become another one, as after a restore."""
        if not people:
            return
        before, self._epoch = self._epoch, await self._read(epoch_of_database)
        if before not in ("", self._epoch):
            for user_id in people:
                for socket in list(self._sockets.get(user_id, ())):
                    socket.doubt()

    async def _see_erasures(self) -> None:
        """Let sockets close whose people were erased: of all of late, as clocks of machines differ."""
        if self._sockets and (
            epochs := await self._read(erasures.epochs_since, time.time() - OVERLAP)
        ):
            for socket in list(chain.from_iterable(self._sockets.values())):
                socket.watch_erasures(epochs)

    def _hear(self, message: dict[str, Any]) -> None:
        """Take what the bell of another process has sent."""
        if message.get("signed_out"):
            sign_outs.look()
        if message.get("lost"):
            self._look_requested.set()
        for event in message["texts"]:
            self.deliver(*event)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def sockets_open(user_id: str) -> int:
    """How many sockets somebody has open at this server process. From any thread."""
    return sum(hub.count(user_id) for hub in list(_hubs.values()))


def current_hub() -> Hub:
    """The hub of the running event loop; a server process has one."""
    return _hubs.setdefault(asyncio.get_running_loop(), Hub())
