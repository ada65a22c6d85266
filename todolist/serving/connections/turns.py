"""The event loop, shared by all who have a lot to be parsed."""

import asyncio
import logging
import time
from collections import deque
from typing import Protocol

logger = logging.getLogger(__name__)

SLICE = 0.002  # seconds at a time for parsing, whoever it is for
# Seconds between two slices, in which the loop sleeps where there is nothing else to do: the threads that
# answer requests need the interpreter as well, and would wait for it whenever they come back from a database.
PAUSE = 0.002


class Parsing(Protocol):
    def parse_some(self) -> bool:
        """Parse a little; whether there is more that can be parsed now."""

    def abort(self) -> None:
        """Drop the connection."""


class Turns:
    """Everybody in turn, a little at a time, and for no more than `SLICE` before a pause."""

    def __init__(self) -> None:
        self._waiting: deque[Parsing] = deque()
        self._scheduled = False

    def add(self, connection: Parsing) -> None:
        """Give this one, which does not wait yet, a turn soon."""
        self._waiting.append(connection)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        end = time.perf_counter() + SLICE
        try:
            while self._waiting and time.perf_counter() < end:
                connection = self._waiting.popleft()
                try:
                    if connection.parse_some():
                        self._waiting.append(connection)
                except Exception:  # as event loops do: it costs this connection, and nobody else
                    logger.exception("A connection failed and is dropped")
                    connection.abort()
        finally:
            self._scheduled = bool(self._waiting)
            if self._scheduled:
                asyncio.get_running_loop().call_later(PAUSE, self._run)
