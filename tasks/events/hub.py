"""Where events meet the sockets of this server process.

The hub is told of events by `bell`: directly of what this process writes, and by the channel layer
of what others write. It subscribes to the layer once for all sockets, so that a socket that comes
or goes costs nothing there. As wake-ups may be lost, the hub also compares everybody who has sockets
here with the record every few seconds: events arrive even while the layer is down, and from
processes that share no layer with this one.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

from django.db import close_old_connections

from accounts.owned.acting import act_for_nobody
from tasks.events.bell import LAYER_TIMEOUT, PROCESSES, bell, reason, shared_layer
from tasks.events.record import EventMessage, Replay, newest_seqs, replay

logger = logging.getLogger(__name__)

POLL_INTERVAL = 5.0  # seconds in which everybody is compared with the record once
POLL_BATCH = 500  # people asked about in one query
LOOK_INTERVAL = 1.0  # seconds between two extra comparisons, however often they are requested
RETRY_INTERVAL = 1.0  # seconds before a channel layer that failed is tried again

# Threads of the hub alone: what sockets read takes neither threads nor connections from requests.
_readers = ThreadPoolExecutor(3, thread_name_prefix="hub", initializer=act_for_nobody)

Answer = TypeVar("Answer")


def _read_now(function: Callable[..., Answer], *args: Any) -> Answer:
    """What `channels.db.database_sync_to_async` does in its thread, without copying a context."""
    close_old_connections()
    try:
        return function(*args)
    finally:
        close_old_connections()


class Socket(Protocol):
    """What the hub knows of a socket."""

    def push(self, event: EventMessage) -> None:
        """Send this event, unless it was sent already."""

    def catch_up(self, newest: int) -> None:
        """Send what the record holds up to the event of this number, unless it was sent already."""


class Hub:
    """The sockets of one event loop, by the id of their owner. Lives as long as the loop."""

    def __init__(self) -> None:
        self._sockets: dict[str, set[Socket]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._look_requested = asyncio.Event()
        # Callers of `last_seq` that the next query answers.
        self._asking: dict[str, list[asyncio.Future[int]]] = {}
        self._asker: asyncio.Task[None] | None = None

    # Sockets

    def count(self, user_id: str) -> int:
        """How many sockets somebody has open in this process."""
        return len(self._sockets.get(user_id, ()))

    def join(self, user_id: str, socket: Socket) -> None:
        """Push every event of `user_id` to `socket` from now on."""
        self._start()
        self._sockets.setdefault(user_id, set()).add(socket)

    def leave(self, user_id: str, socket: Socket) -> None:
        """Forget `socket`. Leaving twice, or without having joined, does nothing."""
        theirs = self._sockets.get(user_id, set())
        theirs.discard(socket)
        if not theirs:
            self._sockets.pop(user_id, None)

    def wants(self, user_id: str) -> bool:
        return user_id in self._sockets

    def deliver(self, user_id: str, event: tuple[int, str]) -> None:
        message = EventMessage(*event)
        for socket in list(self._sockets.get(user_id, ())):
            socket.push(message)

    def _start(self) -> None:
        """Start to listen, with the first socket."""
        if not self._tasks:
            bell.listen(self)
            work = [self._poll(), self._look_on_request()]
            if shared_layer() is not None:
                work.append(self._follow_layer())
            self._tasks = [asyncio.create_task(each) for each in work]

    async def stop(self) -> None:
        """End all tasks of the hub, before the event loop ends."""
        await asyncio.to_thread(bell.flush)
        tasks, self._tasks = self._tasks, []
        while tasks:
            for task in tasks:
                task.cancel()
            # Again and again: a library may swallow a cancellation.
            _, left = await asyncio.wait(tasks, timeout=0.1)
            tasks = list(left)

    # The record

    async def _read(self, function: Callable[..., Answer], *args: Any) -> Answer:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(_readers, _read_now, function, *args)

    async def replay(self, user_id: str, since: int, limit: int) -> Replay:
        return await self._read(replay, user_id, since, limit)

    async def last_seq(self, user_id: str) -> int:
        """The number of somebody's newest event; calls at the same time share a query."""
        answer = asyncio.get_running_loop().create_future()
        self._asking.setdefault(user_id, []).append(answer)
        if self._asker is None or self._asker.done():
            self._asker = asyncio.create_task(self._ask())
        seq: int = await answer
        return seq

    async def _ask(self) -> None:
        while self._asking:
            asking, self._asking = self._asking, {}
            answers = [(user_id, each) for user_id, waiting in asking.items() for each in waiting]
            try:
                newest = await self._read(newest_seqs, list(asking))
            except Exception as error:  # noqa: BLE001  raised by `last_seq`
                for _, answer in answers:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for user_id, answer in answers:
                if not answer.done():  # cancelled: the socket is gone
                    answer.set_result(newest.get(user_id, 0))

    async def _look(self, people: list[str]) -> None:
        """Compare the sockets of these people with the record, and let them catch up."""
        try:
            newest = await self._read(newest_seqs, people)
        except Exception:
            logger.exception("The record of events cannot be read")
            return
        for user_id, seq in newest.items():
            for socket in list(self._sockets.get(user_id, ())):
                socket.catch_up(seq)

    async def _look_at_all(self, *, seconds: float) -> None:
        """Compare everybody with the record once, in batches spread over that time."""
        people = list(self._sockets)
        batches = [
            people[start : start + POLL_BATCH] for start in range(0, len(people), POLL_BATCH)
        ]
        for batch in batches or [[]]:
            await asyncio.sleep(seconds / max(1, len(batches)))
            if batch:
                await self._look(batch)

    async def _poll(self) -> None:
        while True:
            await self._look_at_all(seconds=POLL_INTERVAL)

    async def _look_on_request(self) -> None:
        while True:
            await self._look_requested.wait()
            self._look_requested.clear()
            await self._look_at_all(seconds=0)
            await asyncio.sleep(LOOK_INTERVAL)

    # The channel layer

    async def _follow_layer(self) -> None:
        """Deliver the events that other processes tell of."""
        layer, channel = shared_layer(), ""
        failing = False
        while True:
            try:
                async with asyncio.timeout(LAYER_TIMEOUT):
                    channel = channel or await layer.new_channel()
                    await layer.group_add(PROCESSES, channel)
                if failing:
                    logger.warning("The channel layer answers again")
                failing = False
                raise_if_cancelled()  # else it would wait for a message that never comes
                self._look_requested.set()  # of what others wrote before, nothing was received
                while True:
                    message = await layer.receive(channel)
                    if message["type"] == "bell.look":
                        self._look_requested.set()
                    for user_id, seq, text in message.get("texts", ()):
                        self.deliver(user_id, (seq, text))
            except Exception as error:  # noqa: BLE001  every layer fails in its own way
                if not failing:  # once, not every second
                    logger.warning("The channel layer does not answer: %s", reason(error))
                failing = True
                await asyncio.sleep(RETRY_INTERVAL)
            raise_if_cancelled()


def raise_if_cancelled() -> None:
    """Raise `CancelledError` where the current task was cancelled and a library swallowed that.

    The Redis client does, while it connects.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def current_hub() -> Hub:
    """The hub of the running event loop; a server process has one."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub()
    return _hubs[loop]
