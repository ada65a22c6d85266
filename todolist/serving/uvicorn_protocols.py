"""uvicorn's two protocols, with the limits and the manners that they lack (docs/servers.md)."""

import asyncio
import logging
import os
import socket
import time
from contextlib import suppress
from multiprocessing import parent_process
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

YIELD = 0.0001  # seconds after each new connection, for another worker to take the next
MAX_HEAD = 64 * 1024  # bytes of a request before its body
CLOSE_GOING_AWAY = 1001
CLOSE_NO_TEXT = 1007
PARSED_AT_ONCE = 4096  # bytes of a socket
FAREWELL = 3.0  # seconds that a client has to answer a closing frame

socket_logger = logging.getLogger("uvicorn.error.websockets")

TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
)
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class JoinedWrites:
    """A transport that sends two writes by one system call, where they come in one turn of the loop.

    uvicorn writes the head of an answer and its body apart, and the client would wake up for each.
    """

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self._parts: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    def write(self, data: bytes) -> None:
        self._parts.append(data)
        if len(self._parts) > 1:
            self.flush()  # at once, so that no more than one is ever held back
        else:
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        parts, self._parts = self._parts, []
        if parts and not self.transport.is_closing():
            self.transport.writelines(parts)

    def close(self) -> None:
        self.flush()
        self.transport.close()


def claimed_processor(workers: int) -> socket.socket | None:
    """Where there are as many workers as processors, keep this one to its own, while this is open.

    Python runs one thread at a time: on two processors each would wake the next one from afar. The
    kernel frees the claimed name when a worker ends. Threads that are started later keep to it too.
    """
    processors = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    for processor in processors if len(processors) == workers else ():
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with suppress(OSError):  # another worker has it
            claim.bind(f"\0todolist-{os.getppid()}-{processor}")
            os.sched_setaffinity(0, {processor})
            return claim
    return None


class LimitedHTTP(HttpToolsProtocol):
    """Bounds the head of a request, and takes its share of connections and processors."""

    processor: ClassVar[socket.socket | None] = None
    in_head = False
    head_size = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # By itself it makes up each line before the logger turns it away.
        self.access_log = self.access_log and self.access_logger.isEnabledFor(logging.INFO)

    def connection_made(self, transport: Any) -> None:
        joined: Any = JoinedWrites(transport)
        super().connection_made(joined)
        if parent_process() is not None:
            LimitedHTTP.processor = LimitedHTTP.processor or claimed_processor(self.config.workers)
            # Workers listen on one socket, and the first to wake would take all who come at once.
            time.sleep(YIELD)

    def handle_websocket_upgrade(self) -> None:
        joined: Any = self.transport
        self.transport = joined.transport
        super().handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        self.in_head, self.head_size = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self.in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self.in_head:
            self.head_size += len(data)
            if self.head_size > MAX_HEAD:
                self.transport.write(TOO_LARGE)
                self.transport.close()


class PoliteSocket(WebSocketsSansIOProtocol):
    """Says why it closes, waits for nobody who does not read, and keeps little for them."""

    going_away = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = self.conn.logger = socket_logger
        self.unparsed = b""

    def data_received(self, data: bytes) -> None:
        """Parse a little at a time, for the smallest messages grow a hundredfold when parsed."""
        self.unparsed += data
        self._parse()

    async def receive(self) -> Any:
        message = await super().receive()
        self._parse()
        return message

    def _parse(self) -> None:
        while self.unparsed and not self.read_paused:
            data, self.unparsed = self.unparsed[:PARSED_AT_ONCE], self.unparsed[PARSED_AT_ONCE:]
            super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self._refuse(TOO_LARGE)  # by itself it would leave the client waiting

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
        with suppress(ClientDisconnected):  # of which the application is told as well
            await super().send(message)
        if self.going_away and self.handshake_complete:
            self._close(CLOSE_GOING_AWAY, "")

    def shutdown(self) -> None:
        """Close with 1001 (uvicorn: 1012), once a handshake is complete: else nobody reads the code."""
        self.going_away = True
        if self.handshake_complete:
            self._close(CLOSE_GOING_AWAY, "")

    def send_receive_event_to_app(self) -> None:
        """Take no text that is none (RFC 6455 section 8.1), and make no traceback of it."""
        try:
            if self.curr_msg_data_type == "text":
                b"".join(self.frames).decode()
        except UnicodeDecodeError:
            self.frames = []
            self.conn.send_close(CLOSE_NO_TEXT)
            self.handle_parser_exception()
        else:
            super().send_receive_event_to_app()

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
        self.transport.write(response)
        self.transport.close()

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
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
            self.loop.call_soon(self._parse)
        # Not `close`, which would wait for the client to read what was written before.
        self.close_timer = self.loop.call_later(FAREWELL, self.transport.abort)
