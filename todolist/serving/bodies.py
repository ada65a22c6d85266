"""Bodies: of requests read as far as they are wanted, and bounded in memory for each person; of files."""

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from django.http import FileResponse

from todolist.serving.jobs import Receive, Send

# Bytes of one person's bodies at a time; the others wait, unread. A larger one comes alone.
EACH = 4 * 1024 * 1024
DIGITS = 20  # of a length, at most; servers refuse longer ones, and Python takes long over them
FILE_BLOCK = 64 * 1024  # bytes of a file that are read, and kept for a client, at a time
DRAIN_AT_MOST = 32 * 1024 * 1024  # bytes of a body that nobody wants, read so that it is answered


def framing(scope: Mapping[str, Any]) -> tuple[int | None, bool]:
    """What a head says of the body (RFC 9112 section 6): its length in bytes, `None` where only its end
    will tell, and whether the client waits for a word before it sends it (`Expect: 100-continue`).
    """
    # Before HTTP/2 a body is announced; there it may come without a word.
    length: int | None = 0 if scope.get("http_version", "1.1") < "2" else None
    expects = False
    for name, value in scope["headers"]:
        if name == b"content-length":
            length = int(value) if value.isdigit() and len(value) < DIGITS else None
        elif name == b"transfer-encoding":
            length = None
        elif name == b"expect":
            expects = True
    return length, expects


class Rooms:
    """Room in memory for the bodies of each person. Whoever finds it taken waits, in the order of coming.

    Of use to one event loop. What is kept of a person is gone with their last request.
    """

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}
        self._waiting: dict[str, deque[tuple[int, asyncio.Future[None]]]] = {}

    async def enter(self, person: str, size: int) -> None:
        """Wait for room for a body that may become as large as this; to be left again."""
        if not size:
            return
        if person in self._waiting or not _fits(self._taken.get(person, 0), size):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(person, deque()).append((size, turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self.leave(person, size)
                raise
        else:
            self._taken[person] = self._taken.get(person, 0) + size

    def leave(self, person: str, size: int) -> None:
        if not size:
            return
        taken = self._taken.pop(person) - size
        theirs = self._waiting.get(person, ())
        while theirs and (theirs[0][1].done() or _fits(taken, theirs[0][0])):
            size, turn = theirs.popleft()
            if not turn.done():  # else cancelled
                taken += size
                turn.set_result(None)
        if not theirs:
            self._waiting.pop(person, None)
        if taken:
            self._taken[person] = taken


def _fits(taken: int, size: int) -> bool:
    return taken + size <= EACH or not taken


async def read_body(receive: Receive, at_most: int) -> bytes | None:
    """The body of a request, or its beginning where it is larger; `None` where the client leaves."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > at_most or not message.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def drain(receive: Receive) -> None:
    """Drop what is still to come of a body: while sending, nobody reads an answer."""
    size = 0
    while size <= DRAIN_AT_MOST:
        message = await receive()
        size += len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return


async def send_file(response: FileResponse, send: Send) -> bytes:
    """Send a file but for its end, which is what is returned."""
    response.block_size = FILE_BLOCK
    with closing(response):
        block = b""
        for following in response:
            if block:
                await send({"type": "http.response.body", "body": block, "more_body": True})
            block = following
        return block
