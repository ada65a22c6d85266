"""How long heads may be, how many connections may wait, and how much they may leave unread."""

import asyncio
import logging
import math
import sys
from contextlib import suppress
from fcntl import ioctl
from termios import TIOCOUTQ
from typing import Any

from accounts.counted import counted
from accounts.outages import QUIET, Outage

MAX_HEAD = 64 * 1024  # bytes of a request before its body
MAX_HEADERS = 500

HEAD_TIME = 20.0  # seconds from the connection, or the last answer, to the end of a head

LOOK_EVERY = 1.0  # seconds
MOST_WAITING = 1000  # connections whose client has something to do, sockets that are open apart
DROPPED_AT_ONCE = 50
# File descriptors that are not for connections: those that a process begins with, its connections to the
# database and to Redis, and files that it opens for a moment.
RESERVE = 64
LEAST = 16  # for connections, where the system allows few descriptors altogether
# Connections beyond what the descriptors allow: for those who ask how this process does.
MOST_CROWDED = 8
MOST_REFUSED = 20  # connections that may linger to read why they were refused
STALLED = 30.0  # seconds without any progress in reading an answer
MOST_UNREAD = 16 * 1024 * 1024  # bytes of answers that wait in this process to be read

crowded = Outage(
    logging.getLogger(__name__),
    "New requests are refused: %s",
    f"No request was refused for want of file descriptors for {QUIET:.0f} s",
)


class Limits:
    """All connections of a process, looked at once a second."""

    def __init__(self) -> None:
        self._connections: set[Any] = set()
        self._sockets: set[Any] = set()  # those that are open, and may be silent
        self._refused: dict[Any, None] = {}  # in their order
        self._crowded: dict[Any, None] = {}  # likewise: beyond what the file descriptors allow
        self._descriptors = math.inf  # for connections
        # When to look again for those that may be dropped for want of descriptors.
        self._search_at = 0.0
        self._looking: asyncio.AbstractEventLoop | None = None

    def add(self, connection: Any) -> None:
        loop = asyncio.get_running_loop()
        self._connections.add(connection)
        if self._looking is not loop:
            self._looking = loop
            self._descriptors = descriptors_for_connections()
            loop.call_later(LOOK_EVERY, self._look)
        if len(self._connections) - len(self._sockets) > MOST_WAITING:
            self._drop(self._waiting(connection)[:DROPPED_AT_ONCE])
        if self._used() > self._descriptors and loop.time() >= self._search_at:
            # Not those that have just come, and may be about to say what they want.
            before = loop.time() + HEAD_TIME - LOOK_EVERY
            waiting = self._waiting(connection, before)[:DROPPED_AT_ONCE]
            self._drop(waiting)
            if not waiting:
                self._search_at = loop.time() + LOOK_EVERY
        if self._used() > self._descriptors:
            self._crowd(connection)

    def remove(self, connection: Any) -> None:
        self._crowded.pop(connection, None)
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

    def _used(self) -> int:
        """File descriptors: a socket takes one, a request another one for a file that it may be sent."""
        return 2 * len(self._connections) - len(self._sockets)

    def _waiting(self, new: Any, before: float = math.inf) -> list[Any]:
        """Connections whose client has to do something by then, but the new one; the most urgent first."""
        waiting = [
            other for other in self._connections if other is not new and other.deadline < before
        ]
        return sorted(waiting, key=lambda other: other.deadline)

    def _drop(self, waiting: list[Any]) -> None:
        """Several at once, so that not each new one has to search."""
        for other in waiting:
            self.remove(other)
            other.abort()
            counted.send("limits", limit="connections")

    def _crowd(self, connection: Any) -> None:
        """There is no room for this one: its request is refused, unless it asks how this process does."""
        connection.crowded = True
        self._crowded[connection] = None
        crowded.failed(f"{len(self._connections)} connections are as many as `ulimit -n` allows")
        counted.send("limits", limit="descriptors")
        if len(self._crowded) > MOST_CROWDED:
            first = next(iter(self._crowded))
            self.remove(first)
            first.abort()

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


def descriptors_for_connections() -> float:
    """How many file descriptors connections may take of those that this process may open."""
    with suppress(ImportError):  # other systems have other limits
        import resource

        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if allowed != resource.RLIM_INFINITY:
            return max(allowed - RESERVE, LEAST)
    return math.inf


def in_kernel(connection: Any) -> int:
    """Bytes that the kernel keeps until the client has them (tcp(7)); 0 where it does not tell.

    It takes more of them in large portions only: a slow client is known by these alone.
    """
    answer = bytearray(4)
    with suppress(OSError):
        ioctl(connection.fileno(), TIOCOUTQ, answer)
    return int.from_bytes(answer, sys.byteorder)
