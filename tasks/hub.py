"""Where events meet the sockets of this server process.

One subscription to the channel layer serves all sockets of the process, so that the cost of an
event does not grow with the number of them. The layer only rings a bell, and may lose a ring: every
few seconds one query asks the record whether anybody is behind. So events also arrive while the
layer is down, and from processes that share no layer with this one.
"""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from channels import DEFAULT_CHANNEL_LAYER
from channels.db import database_sync_to_async
from channels.layers import channel_layers

from accounts.ownership import owner_group
from tasks.events import EventMessage, newest_seqs

logger = logging.getLogger(__name__)

POLL_INTERVAL = 5.0  # seconds between two looks at the record
RETRY_INTERVAL = 1.0  # seconds before a channel layer that failed is tried again
POLL_BATCH = 1000  # people asked about in one query


class Socket(Protocol):
    """What the hub knows of a socket."""

    position: int | None  # number of the last event sent; `None` before the socket is greeted

    def ring(self, event: EventMessage | None) -> None:
        """There is something to send: this event, or what the record holds."""


class Hub:
    """The sockets of one event loop, by the id of their owner."""

    def __init__(self) -> None:
        self._sockets: dict[str, set[Socket]] = {}
        self._channel: str | None = None  # ours on the layer; `None` while it does not answer
        self._subscribed: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []

    def count(self, user_id: str) -> int:
        """How many sockets somebody has open in this process."""
        return len(self._sockets.get(user_id, ()))

    async def join(self, user_id: str, socket: Socket) -> None:
        """Ring `socket` for every event of `user_id` from now on."""
        self._sockets.setdefault(user_id, set()).add(socket)
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._poll())]
        await self._subscribe([user_id])

    async def leave(self, user_id: str, socket: Socket) -> None:
        """Stop ringing `socket`. Leaving twice, or without having joined, does nothing."""
        sockets = self._sockets.get(user_id, set())
        sockets.discard(socket)
        if sockets or self._sockets.pop(user_id, None) is None:
            return
        if user_id in self._subscribed:
            self._subscribed.discard(user_id)
            with suppress(Exception):  # whoever is not there hears nothing either way
                await self._layer.group_discard(owner_group(user_id), self._channel)
        if not self._sockets:
            tasks, self._tasks = self._tasks, []
            for task in tasks:
                task.cancel()

    @property
    def _layer(self) -> Any:
        return channel_layers[DEFAULT_CHANNEL_LAYER]

    async def _subscribe(self, user_ids: Iterable[str]) -> None:
        """Join the groups of these people, as far as the layer lets us; `_poll` tries again."""
        for user_id in user_ids:
            if self._channel is None or user_id in self._subscribed:
                continue
            try:
                await self._layer.group_add(owner_group(user_id), self._channel)
            except Exception as error:  # noqa: BLE001  every layer fails in its own way
                logger.warning("The channel layer does not answer: %s", error)
                return
            self._subscribed.add(user_id)

    async def _listen(self) -> None:
        """Pass on what the channel layer brings, for as long as there are sockets."""
        while True:
            try:
                self._channel = await self._layer.new_channel()
                await self._subscribe(list(self._sockets))
                give_way_to_cancellation()
                while True:
                    self._deliver(await self._layer.receive(self._channel))
            except asyncio.CancelledError:
                self._channel = None
                self._subscribed.clear()
                raise
            except Exception as error:  # noqa: BLE001
                self._channel = None
                self._subscribed.clear()
                logger.warning("The channel layer does not answer: %s", error)
            await asyncio.sleep(RETRY_INTERVAL)

    def _deliver(self, message: dict[str, Any]) -> None:
        for socket in list(self._sockets.get(message["user_id"], ())):
            socket.ring(message["event"])

    async def _poll(self) -> None:
        """Wake the sockets that are behind the record, whatever the reason."""
        while True:
            await asyncio.sleep(POLL_INTERVAL)
            await self._subscribe(list(self._sockets))
            people = list(self._sockets)
            try:
                for start in range(0, len(people), POLL_BATCH):
                    batch = people[start : start + POLL_BATCH]
                    newest = await database_sync_to_async(newest_seqs)(batch)
                    for user_id, seq in newest.items():
                        self._wake_those_before(seq, user_id)
            except Exception:
                logger.exception("The record of events cannot be read")

    def _wake_those_before(self, seq: int, user_id: str) -> None:
        for socket in list(self._sockets.get(user_id, ())):
            if socket.position is not None and socket.position < seq:
                socket.ring(None)


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
    return _hubs.setdefault(asyncio.get_running_loop(), Hub())
