"""Where events meet the sockets of this server process.

What this process writes is heard directly. What others write comes through the channel layer: one
subscription serves all sockets, and one task keeps it in line with who is here, so that joining and
leaving never wait. The layer only rings a bell, and may lose a ring: every few seconds everybody is
compared with the record. So events also arrive while the layer is down, and from processes that
share no layer with this one.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

from django.db import close_old_connections

from accounts.acting import act_for_nobody
from accounts.ownership import owner_group
from tasks.bell import EVERYBODY, LAYER_TIMEOUT, bell, reason, shared_layer
from tasks.events import EventMessage, Replay, newest_seqs, replay

logger = logging.getLogger(__name__)

POLL_INTERVAL = 5.0  # seconds between two looks at somebody's record
POLL_BATCH = 500  # people asked about in one query
LOOK_INTERVAL = 1.0  # seconds between two looks at everybody's, however often they are called for
MOVE_INTERVAL = 0.05  # seconds from telling the channel layer who is here to the next time
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
        # Whose coming or going the channel layer has not been told of yet.
        self._moved: set[str] = set()
        self._somebody_moved = asyncio.Event()
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
        theirs = self._sockets.setdefault(user_id, set())
        if not theirs:
            self._note_move(user_id)
        theirs.add(socket)

    def leave(self, user_id: str, socket: Socket) -> None:
        """Stop ringing `socket`. Leaving twice, or without having joined, does nothing."""
        theirs = self._sockets.get(user_id, set())
        theirs.discard(socket)
        if not theirs and self._sockets.pop(user_id, None) is not None:
            self._note_move(user_id)

    def wants(self, user_id: str) -> bool:
        return user_id in self._sockets

    def hear(self, user_id: str, events: list[EventMessage]) -> None:
        for socket in list(self._sockets.get(user_id, ())):
            for event in events:
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

    def _note_move(self, user_id: str) -> None:
        self._moved.add(user_id)
        self._somebody_moved.set()

    async def _follow_layer(self) -> None:
        """Hear what other processes ring: on one channel, which is in the groups of who is here."""
        layer, channel = shared_layer(), ""
        # Groups that this channel is in for sure, and those that it may be in.
        joined: set[str] = set()
        entered: set[str] = set()
        hearing: asyncio.Task[None] | None = None
        failing = False
        try:
            while True:
                try:
                    if hearing is None or hearing.done():
                        async with asyncio.timeout(LAYER_TIMEOUT):
                            channel = channel or await layer.new_channel()
                            await layer.group_add(EVERYBODY, channel)
                        hearing = asyncio.create_task(self._hear_layer(layer, channel))
                        hearing.add_done_callback(lambda _: self._somebody_moved.set())
                    await self._bring_in_line(layer, channel, joined, entered)
                    if failing:
                        logger.warning("The channel layer answers again")
                    failing = False
                    # Whoever comes meanwhile is looked up together with the others.
                    await asyncio.sleep(MOVE_INTERVAL)
                    give_way_to_cancellation()  # else it would wait for somebody who never comes
                    await self._somebody_moved.wait()
                except Exception as error:  # noqa: BLE001  every layer fails in its own way
                    if not failing:  # once, not every second
                        logger.warning("The channel layer does not answer: %s", reason(error))
                    failing = True
                    await asyncio.sleep(RETRY_INTERVAL)
                give_way_to_cancellation()
        finally:
            if hearing is not None:
                hearing.cancel()

    async def _hear_layer(self, layer: Any, channel: str) -> None:
        while True:
            message = await layer.receive(channel)
            if message["type"] == "bell.look":
                self._called_to_look.set()
            else:
                self.hear(message["user_id"], message["events"])

    async def _bring_in_line(
        self, layer: Any, channel: str, joined: set[str], entered: set[str]
    ) -> None:
        """Be in the groups of those who are here, and in no others."""
        self._somebody_moved.clear()
        new = []
        while self._moved:
            user_id = next(iter(self._moved))
            group = owner_group(user_id)
            async with asyncio.timeout(LAYER_TIMEOUT):
                if user_id in self._sockets and user_id not in joined:
                    entered.add(user_id)
                    await layer.group_add(group, channel)
                    joined.add(user_id)
                    new.append(user_id)
                elif user_id not in self._sockets and user_id in entered:
                    joined.discard(user_id)
                    await layer.group_discard(group, channel)
                    entered.discard(user_id)
            if (user_id in self._sockets) == (user_id in entered):  # else moved on meanwhile
                self._moved.discard(user_id)
            if len(new) == POLL_BATCH or not self._moved:
                # What others wrote between the greeting and here did not ring.
                if new:
                    await self._look(new)
                new = []


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
