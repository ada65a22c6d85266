"""uvicorn's HTTP, with the limits that it lacks (docs/servers.md)."""

import logging
import math
import socket
import time
from collections import deque
from collections.abc import Iterable
from multiprocessing import parent_process
from types import SimpleNamespace
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from todolist.serving.connections import CROWDED
from todolist.serving.connections.connection import Connection
from todolist.serving.connections.limits import HEAD_TIME, MAX_HEAD, MAX_HEADERS
from todolist.serving.connections.processors import claimed_processor

YIELD = 0.0001  # seconds after each new connection, for another worker to take the next
FEW = 200  # connections, beyond which there are enough for all workers

MAX_FRAMING = 16 * 1024  # bytes of a chunked body without any data: sizes, extensions, trailers
PART = 4096  # bytes that are parsed at once

BODY_TIME = 30.0  # seconds for a body, and one more for each `BODY_RATE` bytes of it
BODY_RATE = 4096
BODY_TIME_AT_MOST = 300.0
REST_TIME = 10.0  # seconds for what is left of a body when its request is answered already

HEAD_END = b"\r\n\r\n"
END = b"Content-Length: 0\r\nConnection: close\r\n\r\n"
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\n" + END
TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\n" + END
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\n" + END
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n" + END

_dropped: Any = deque(maxlen=0)


class LimitedHTTP(HttpToolsProtocol):
    """Bounds heads, framing and time, reads one request after the other, and shares processors.

    A request is parsed when the one before is answered, so that no more than one is ever kept. Each
    part that is parsed ends where a head or a body ends, which makes counting exact.
    """

    processor: ClassVar[socket.socket | None] = None
    transport: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # By itself it makes up each line before the logger turns it away.
        self.access_log = self.access_log and self.access_logger.isEnabledFor(logging.INFO)
        self.parser_of_head: Any = None
        self.in_body = False
        self.refusal = BAD_REQUEST
        self.head_size = 0  # bytes parsed of a head that has not ended
        self.before = b""  # the last bytes parsed, where a head may be about to end
        self.left: float = 0  # bytes of the body; infinite where it comes in chunks
        self.framing = 0
        self.body_ends = 0.0  # by when a body must have come

    def connection_made(self, transport: Any) -> None:
        connection: Any = Connection(transport, self)
        super().connection_made(connection)
        connection.deadline = self.loop.time() + HEAD_TIME
        if parent_process() is not None and len(self.connections) < FEW:
            LimitedHTTP.processor = LimitedHTTP.processor or claimed_processor(self.config.workers)
            # Workers listen on one socket, and the first to wake would take all who come at once.
            time.sleep(YIELD)

    @property
    def ready(self) -> bool:
        """Not while a request that has come in whole is being answered."""
        return self.in_body or self.cycle is None or self.cycle.response_complete

    def parse_at_once(self, data: bytes) -> int:
        """Heads are; bodies take their turn, for chunks of one byte are a lot of work."""
        cycle = self.cycle
        if self.in_body or (cycle is not None and not cycle.response_complete):
            return 0
        end = data.find(HEAD_END, 0, PART) + len(HEAD_END)
        if self.head_size or end != len(data) or end < len(HEAD_END):
            return self.parse(data)
        self._feed(data)  # a whole head and nothing else, as most requests are
        return end

    def parse(self, data: bytes | bytearray) -> int:
        size = self._part(data)
        if self.in_body:
            self.left -= size
            self.framing += size
        else:
            self.head_size += size
            if self.head_size > MAX_HEAD or len(self.headers or ()) > MAX_HEADERS:
                self._refuse(TOO_LARGE)
                return len(data)
        self._feed(bytes(data[:size]))
        return size

    def _feed(self, part: bytes) -> None:
        in_body = self.in_body
        super().data_received(part)
        if self.transport.refused:  # by what the parser found
            return
        if self.in_body:
            self._expect_body(len(part), begins=not in_body)
        elif not self.head_size and self.cycle is not None and self.transport.protocol is self:
            # Now it is our turn, unless the answer was sent before all of the body had come.
            answered = self.cycle.response_complete
            self.transport.deadline = self.loop.time() + HEAD_TIME if answered else math.inf

    def _expect_body(self, size: int, *, begins: bool) -> None:
        if begins:
            now = self.loop.time()
            self.left, self.framing = body_size(self.scope["headers"]), 0
            self.transport.deadline = now + BODY_TIME
            self.body_ends = now + BODY_TIME_AT_MOST
        elif self.framing > MAX_FRAMING:
            self._refuse(BAD_REQUEST)
        elif not self.cycle.response_complete:
            later = self.transport.deadline + size / BODY_RATE
            self.transport.deadline = min(later, self.body_ends)

    def _part(self, data: bytes | bytearray) -> int:
        """How many bytes to parse: no more than to the end of a head, a body, or trailers."""
        if self.in_body and self.left < math.inf:
            return min(len(data), PART, int(self.left))
        window = self.before + data[:PART] if self.before else data
        found = window.find(HEAD_END, 0, PART)
        if found >= 0:
            size = found + len(HEAD_END) - len(self.before)
            self.before = b""
            return size
        size = min(len(data), PART)
        self.before = bytes(window[: size + len(self.before)][-3:])
        return size

    # What the parser finds

    def on_headers_complete(self) -> None:
        self.in_body, self.head_size = True, 0
        if len(self.headers) > MAX_HEADERS:
            self.refusal = TOO_LARGE
            raise ValueError("too many headers")
        upgrade = self.parser.should_upgrade()
        ignored = upgrade and not self._should_upgrade()
        size = body_size(self.headers) if ignored else 0
        super().on_headers_complete()
        if size:
            self._read_body_of_upgrade(size)
        if self.transport.crowded and (ignored or not upgrade):
            self.scope[CROWDED] = True  # type: ignore[literal-required]
            self.cycle.keep_alive = False
        if ignored or not upgrade:
            self.headers = _dropped  # trailers are nobody's, and no part of the head

    def _read_body_of_upgrade(self, size: float) -> None:
        """To another protocol than HTTP, which is ignored (RFC 9110 section 7.8).

        The parser takes what follows such a head for that protocol, whatever length the head names.
        """
        framing = "Transfer-Encoding: chunked" if size == math.inf else f"Content-Length: {size}"
        ends = {"on_body": self.on_body, "on_message_complete": self.on_message_complete}
        parser = httptools.HttpRequestParser(SimpleNamespace(**ends))
        parser.feed_data(f"POST / HTTP/1.1\r\n{framing}\r\n\r\n".encode())
        self.parser, self.parser_of_head = parser, self.parser
        self.cycle.keep_alive = False

    def handle_websocket_upgrade(self) -> None:
        if self.transport.crowded:
            self._refuse(UNAVAILABLE)
        else:
            super().handle_websocket_upgrade()

    def on_body(self, body: bytes) -> None:
        self.framing = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser_of_head is not None:
            self.parser_of_head = None  # which finds no body, and is done
            return
        self.in_body = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(self.refusal)

    # The end of an answer, and of patience

    def on_response_complete(self) -> None:
        super().on_response_complete()
        connection = self.transport
        patience = REST_TIME if self.in_body else HEAD_TIME
        connection.deadline = self.loop.time() + patience
        if connection.unparsed:
            connection.proceed()

    def out_of_time(self) -> None:
        if self.in_body or self.head_size:
            self._refuse(TIMED_OUT)
        else:
            self.transport.close()

    @property
    def expects_more(self) -> bool:
        return self.in_body

    def _refuse(self, response: bytes) -> None:
        if self.in_body and self.cycle is not None:
            if self.cycle.response_started:
                response = b""
            self.cycle.disconnected = True  # as when the client hangs up
            self.cycle.message_event.set()
        self.transport.refuse(response)
        self.parser = self.headers = self.scope = None  # type: ignore[assignment]  # nor kept


def body_size(headers: Iterable[tuple[bytes, bytes]]) -> float:
    """Bytes of the body that these headers announce; infinite where it comes in chunks."""
    for name, value in headers:
        if name == b"content-length":
            return int(value)
        if name == b"transfer-encoding":
            return math.inf
    return 0
