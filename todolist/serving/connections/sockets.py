"""uvicorn's sockets, with the limits and the manners that they lack (docs/servers.md)."""

import logging
import math
import os
from contextlib import suppress
from typing import Any

from todolist.serving.connections.connection import limits
from todolist.serving.connections.http import BAD_REQUEST
from todolist.serving.connections.limits import MAX_HEAD, MAX_HEADERS

# HTTP has bounded the head; by itself the library takes lines of 8 KiB and 128 headers at most.
os.environ.setdefault("WEBSOCKETS_MAX_LINE_LENGTH", str(2 * MAX_HEAD))
os.environ.setdefault("WEBSOCKETS_MAX_NUM_HEADERS", str(MAX_HEADERS))

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import (
    WebSocketsSansIOProtocol,
)

CLOSE_GOING_AWAY = 1001
CLOSE_NO_TEXT = 1007
CLOSE_TOO_BIG = 1009
PART = 512  # bytes that are parsed at once: the smallest messages grow a hundredfold
MAX_FRAGMENTS = 1000  # of a message; they may be empty
LAST_WORDS = 4 * 1024  # bytes that are looked through for the answer to a closing frame
FAREWELL = 3.0  # seconds that a client has to answer it

socket_logger = logging.getLogger("uvicorn.error.websockets")


class PoliteSocket(WebSocketsSansIOProtocol):
    """Says why it closes, waits for nobody who does not read, and keeps little for them."""

    transport: Any
    going_away = False
    expects_more = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = self.conn.logger = socket_logger
        self.last_words = LAST_WORDS

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.deadline = math.inf

    @property
    def ready(self) -> bool:
        """Not before the handshake is complete."""
        return self.handshake_complete

    def parse(self, data: bytes | bytearray) -> int:
        if self.close_sent:
            self.last_words -= PART
            if self.last_words < 0:
                self.transport.turn_deaf()
                return len(data)
        self.data_received(bytes(data[:PART]))
        return min(len(data), PART)

    def parse_at_once(self, data: bytes) -> int:
        return 0

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self._refuse(BAD_REQUEST)  # by itself it would leave the client waiting

    def out_of_time(self) -> None:
        self.transport.abort()

    def handle_connect(self, event: Any) -> None:
        if event.path.isascii():
            super().handle_connect(event)
        else:
            self._refuse(BAD_REQUEST)

    async def send(self, message: Any) -> None:
        """As it is, except that closing waits for nobody, and that after it nothing is a mistake."""
        if message["type"] == "websocket.close" and self.handshake_complete:
            self._close(message.get("code", 1000), message.get("reason") or "")
            return
        if self.handshake_complete and self.close_sent:
            return  # closing crossed what the application had to say; nobody hears it any more
        opening = not self.handshake_complete
        with suppress(ClientDisconnected):  # of which the application is told as well
            if opening and message["type"] == "websocket.close":
                await self._forbid(message)
            else:
                await super().send(message)
        if opening and self.handshake_complete and not self.close_sent:
            limits.open_socket(self.transport)
            self.transport.proceed()
        if self.going_away and self.handshake_complete:
            self._close(CLOSE_GOING_AWAY, "")

    async def _forbid(self, message: Any) -> None:
        """Answer 403 with the headers of a message, which uvicorn does for other messages only."""
        start = {"status": 403, "headers": message.get("headers", ())}
        await super().send({"type": "websocket.http.response.start", **start})  # type: ignore[arg-type]
        await super().send({"type": "websocket.http.response.body", "body": b""})
        self.handshake_complete = True  # or uvicorn complains that nothing was answered

    def shutdown(self) -> None:
        """Close with 1001 (uvicorn: 1012), once a handshake is complete: else nobody reads the code."""
        self.going_away = True
        if self.handshake_complete:
            self._close(CLOSE_GOING_AWAY, "")

    def send_receive_event_to_app(self) -> None:
        """Take no text that is none (RFC 6455 section 8.1), and make no traceback of it."""
        if self.close_sent:  # by a message before this one, of the same part
            self.frames = []
            return
        try:
            if self.curr_msg_data_type == "text":
                b"".join(self.frames).decode()
        except UnicodeDecodeError:
            self.frames = []
            self.conn.send_close(CLOSE_NO_TEXT)
            self.handle_parser_exception()
        else:
            super().send_receive_event_to_app()

    def handle_cont(self, event: Any) -> None:
        if self.close_sent:
            return
        if len(self.frames) < MAX_FRAGMENTS:
            super().handle_cont(event)
            return
        self.frames = []
        self.conn.fail(CLOSE_TOO_BIG, "too many fragments")
        self.handle_parser_exception()

    def handle_ping(self) -> None:
        """Answer, unless the client has not even read what went before."""
        pong = b"".join(self.conn.data_to_send())
        if self.writable.is_set():
            self.transport.write(pong)

    def handle_parser_exception(self) -> None:
        """Say what was wrong; what the client goes on sending is read, or it would not see the code."""
        if not self.close_sent:
            assert self.conn.close_sent is not None  # noqa: S101  the library has failed it
            self._say_goodbye(self.conn.close_sent.code, self.conn.close_sent.reason)

    def _refuse(self, response: bytes) -> None:
        self.handshake_initiated = self.handshake_complete = self.close_sent = True
        self.transport.refuse(response)

    def _close(self, code: int, reason: str) -> None:
        if not (self.close_sent or self.disconnected or self.transport.is_closing()):
            self.conn.send_close(code, reason)
            self._say_goodbye(code, reason)

    def _say_goodbye(self, code: int, reason: str) -> None:
        """Send the closing frame, and drop a client that does not answer it."""
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        limits.close_socket(self.transport)
        self.transport.deadline = self.loop.time() + FAREWELL
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        # Not `close`, which would wait for the client to read what was written before.
        self.close_timer = self.loop.call_later(FAREWELL, self.transport.abort)
