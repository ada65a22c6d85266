"""Where events meet the sockets of this server process.

What this process writes is heard directly. What others write comes through the channel layer: one
subscription serves all sockets, so joining and leaving cost nothing there. The layer only rings a
bell, and may lose a ring: every few seconds everybody is compared with the record. So events also
arrive while the layer is down, and from processes that share no layer with this one.
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

POLL_INTERVAL = 5.0  # seconds between two looks at somebody's record
POLL_BATCH = 500  # people asked about in one query
LOOK_INTERVAL = 1.0  # seconds between two looks at everybody's, however often they are called for
RETRY_INTERVAL = 1.0  # seconds before a channel layer that failed is tried again

# A few threads of their own: what sockets read takes neither threads nor connections from requests.
_readers = ThreadPoolExecutor(3, thread_name_prefix="hub", initializer=act_for_nobody)

Answer = TypeVar("Answer")


def _read_now(function: Callable[..., Answer], *args: Any) -> Answer:
    """`channels.db.database_sync_to_async` at half its cost: nothing here needs a context."""
    close_old_connections()
    try:
        return function(*args)
    finally:
        close_old_connections()


class Socket(Protocol):
    """What the hub knows of a socket."""

    position: int | None  # number of the last event sent; `None` before the socket is greeted

    def ring(self, event: EventMessage | None) -> None:
        """There is something to send: this event, or what the record holds."""


class Hub:
    """The sockets of one event loop, by the id of their owner. Lives as long as the loop."""

    def __init__(self) -> None:
        self._sockets: dict[str, set[Socket]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._called_to_look = asyncio.Event()
        # Who waits to hear where their record stands, while one query asks for all before them.
        self._asking: dict[str, list[asyncio.Future[int]]] = {}
        self._asker: asyncio.Task[None] | None = None

    # Sockets

    def count(self, user_id: str) -> int:
        """How many sockets somebody has open in this process."""
        return len(self._sockets.get(user_id, ()))

    def join(self, user_id: str, socket: Socket) -> None:
        """Ring `socket` for every event of `user_id` from now on."""
        self._start()
        self._sockets.setdefault(user_id, set()).add(socket)

    def leave(self, user_id: str, socket: Socket) -> None:
        """Stop ringing `socket`. Leaving twice, or without having joined, does nothing."""
        theirs = self._sockets.get(user_id, set())
        theirs.discard(socket)
        if not theirs:
            self._sockets.pop(user_id, None)

    def wants(self, user_id: str) -> bool:
        return user_id in self._sockets

    def hear(self, user_id: str, event: EventMessage) -> None:
        for socket in list(self._sockets.get(user_id, ())):
            socket.ring(event)

    def _start(self) -> None:
        """Listen, from the first socket on."""
        if not self._tasks:
            bell.listen(self)
            work = [self._poll(), self._look_when_called()]
            if shared_layer() is not None:
                work.append(self._follow_layer())
            self._tasks = [asyncio.create_task(each) for each in work]

    async def stop(self) -> None:
        """Come to an end, before the event loop does."""
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
        """The number of somebody's newest event, asked for together with whoever else asks."""
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
            except Exception as error:  # noqa: BLE001  those who asked say so
                for _, answer in answers:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for user_id, answer in answers:
                if not answer.done():  # cancelled: the socket is gone
                    answer.set_result(newest.get(user_id, 0))

    async def _look(self, people: list[str]) -> None:
        """Wake the sockets of these people that are behind the record, whatever the reason."""
        try:
            newest = await self._read(newest_seqs, people)
        except Exception:
            logger.exception("The record of events cannot be read")
            return
        for user_id, seq in newest.items():
            for socket in list(self._sockets.get(user_id, ())):
                if socket.position is not None and socket.position < seq:
                    socket.ring(None)

    async def _look_at_all(self, *, seconds: float) -> None:
        """Look at everybody's record once, spread over that time."""
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

    async def _look_when_called(self) -> None:
        while True:
            await self._called_to_look.wait()
            self._called_to_look.clear()
            await self._look_at_all(seconds=0)
            await asyncio.sleep(LOOK_INTERVAL)

    # The channel layer

    async def _follow_layer(self) -> None:
        """Hear what other processes ring."""
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
                give_way_to_cancellation()  # else it would wait for a message that never comes
                self._called_to_look.set()  # what others wrote before this did not ring here
                while True:
                    message = await layer.receive(channel)
                    if message["type"] == "bell.look":
                        self._called_to_look.set()
                    for user_id, seq, text in message.get("texts", ()):
                        self.hear(user_id, EventMessage(seq, text))
            except Exception as error:  # noqa: BLE001  every layer fails in its own way
                if not failing:  # once, not every second
                    logger.warning("The channel layer does not answer: %s", reason(error))
                failing = True
                await asyncio.sleep(RETRY_INTERVAL)
            give_way_to_cancellation()


def give_way_to_cancellation() -> None:
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
