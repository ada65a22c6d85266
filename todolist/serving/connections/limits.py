"""How long heads may be, how many connections may wait, and how much they may leave unread."""

import asyncio
import math
import sys
from contextlib import suppress
from fcntl import ioctl
from termios import TIOCOUTQ
from typing import Any

from accounts.counted import counted

MAX_HEAD = 64 * 1024  # bytes of a request before its body
MAX_HEADERS = 500

LOOK_EVERY = 1.0  # seconds
MOST_WAITING = 1000  # connections whose client has something to do, sockets that are open apart
DROPPED_AT_ONCE = 50
MOST_REFUSED = 20  # connections that may linger to read why they were refused
STALLED = 30.0  # seconds without any progress in reading an answer
MOST_UNREAD = 16 * 1024 * 1024  # bytes of answers that wait in this process to be read


class Limits:
    """All connections of a process, looked at once a second."""

    def __init__(self) -> None:
        self._connections: set[Any] = set()
        self._sockets: set[Any] = set()  # those that are open, and may be silent
        self._refused: dict[Any, None] = {}  # in their order
        self._looking: asyncio.AbstractEventLoop | None = None

    def add(self, connection: Any) -> None:
        loop = asyncio.get_running_loop()
        self._connections.add(connection)
        if self._looking is not loop:
            self._looking = loop
            loop.call_later(LOOK_EVERY, self._look)
        if len(self._connections) - len(self._sockets) > MOST_WAITING:
            self._make_room(connection)

    def remove(self, connection: Any) -> None:
        self._connections.discard(connection)
        self._sockets.discard(connection)
        self._refused.pop(connection, None)

    def refuse(self, connection: Any) -> None:
        """This one lingers until its client has read why; the one that has for longest makes room."""
        self._refused[connection] = None
        if len(self._refused) > MOST_REFUSED:
            first = next(iter(self._refused))
            del self._refused[first]
            first.abort()

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._connections)

    def open_socket(self, connection: Any) -> None:
        """A handshake is complete: the application bounds how many there are."""
        self._sockets.add(connection)

    def close_socket(self, connection: Any) -> None:
        self._sockets.discard(connection)

    def bound_unread(self, connection: Any) -> None:
        """Where too much waits to be read, drop those first that have not read for longest."""
        now = asyncio.get_running_loop().time()
        connection.moved = now
        paused = [other for other in self._connections if other.write_paused]
        kept = sum(other.kept for other in paused)
        if kept > MOST_UNREAD:
            for other in paused:
                self._see_progress(other, now)
            paused.sort(key=lambda other: other.moved)
            for other in paused:
                if kept <= MOST_UNREAD:
                    break
                kept -= other.kept
                other.abort()
                counted.send("limits", limit="unread")

    def _make_room(self, new: Any) -> None:
        """Drop some of those that have waited for longest, so that not each new one has to search."""
        waiting = [
            other for other in self._connections if other is not new and other.deadline < math.inf
        ]
        waiting.sort(key=lambda other: other.deadline)
        for other in waiting[:DROPPED_AT_ONCE]:
            other.abort()
            counted.send("limits", limit="connections")

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in tuple(self._connections):
            self._see_progress(connection, now)
            if connection.unread and not connection.refused:
                if now - connection.moved > STALLED:
                    connection.abort()
                    counted.send("limits", limit="stalled")
            elif connection.held:
                connection.deadline += LOOK_EVERY  # it is we who keep the client waiting
            elif connection.deadline < now:
                connection.expire()
        self._looking = loop if self._connections else None
        if self._connections:
            loop.call_later(LOOK_EVERY, self._look)

    def _see_progress(self, connection: Any, now: float) -> None:
        unread = connection.get_write_buffer_size()
        if unread:
            unread += in_kernel(connection.get_extra_info("socket"))
        if unread != connection.unread:
            connection.unread, connection.moved = unread, now


def in_kernel(connection: Any) -> int:
    """Bytes that the kernel keeps until the client has them (tcp(7)); 0 where it does not tell.

    It takes more of them in large portions only: a slow client is known by these alone.
    """
    answer = bytearray(4)
    with suppress(OSError):
        ioctl(connection.fileno(), TIOCOUTQ, answer)
    return int.from_bytes(answer, sys.byteorder)
