"""A WebSocket client that sends whatever it is told to, right or wrong (RFC 6455)."""

import json
import os
import socket
import struct
from base64 import b64encode
from contextlib import suppress
from typing import Any, NamedTuple, Self
from urllib.parse import quote

from todolist.tests.frames import see

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
SECONDS = 30  # until a test gives up; generous, as machines may be busy
DROPPED = 1006  # no close frame came


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    masked: bool = True,
    length: int | None = None,
) -> bytes:
    """One frame; `length` is what its header claims."""
    claimed = len(payload) if length is None else length
    first = (0x80 if fin else 0) | reserved << 4 | opcode
    mask_bit = 0x80 if masked else 0
    if claimed < 126:
        header = struct.pack("!BB", first, mask_bit | claimed)
    elif claimed < 2**16:
        header = struct.pack("!BBH", first, mask_bit | 126, claimed)
    else:
        header = struct.pack("!BBQ", first, mask_bit | 127, claimed)
    if not masked:
        return header + payload
    key = os.urandom(4)
    keys = (key * (len(payload) // 4 + 1))[: len(payload)]
    covered = int.from_bytes(payload) ^ int.from_bytes(keys)
    return header + key + covered.to_bytes(len(payload))


class Closed(NamedTuple):
    """How the server ended the connection."""

    code: int


class RawSocket:
    """An open connection. Leave it by `with`; it is cut off then, without a word."""

    def __init__(self, port: int, token: str, *, since: str | None = None) -> None:
        self.tcp = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self.tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        query = f"token={quote(token)}" + ("" if since is None else f"&since={quote(since)}")
        key = b64encode(os.urandom(16)).decode()
        self.tcp.sendall(
            f"GET /ws/notifications?{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        self.stream = self.tcp.makefile("rb")
        self.status = int(self.stream.readline().split()[1])
        while self.stream.readline().strip():
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.cut_off()

    def send(self, data: bytes) -> None:
        """Send bytes as they are; that the server has hung up already, reading will tell."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.tcp.sendall(data)

    def receive(self) -> dict[str, Any] | Closed:
        """The next message, or the end. Raises `TimeoutError` when neither comes."""
        while True:
            try:
                opcode, payload = self._frame()
            except (EOFError, ConnectionResetError):
                return Closed(DROPPED)
            if opcode == CLOSE:
                return Closed(struct.unpack("!H", payload[:2])[0] if payload else 1005)
            if opcode == TEXT:
                see(payload.decode())
                message = json.loads(payload)
                assert isinstance(message, dict)
                return message
            assert opcode in (PING, PONG), opcode

    def _frame(self) -> tuple[int, bytes]:
        first, second = self._exactly(2)
        assert first & 0xF0 == 0x80 and second < 0x80  # whole, unmasked
        length = second
        if second == 126:
            length = struct.unpack("!H", self._exactly(2))[0]
        elif second == 127:
            length = struct.unpack("!Q", self._exactly(8))[0]
        return first & 0x0F, self._exactly(length)

    def _exactly(self, size: int) -> bytes:
        data = self.stream.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def cut_off(self) -> None:
        """End the connection as a broken network would: by a reset."""
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.stream.close()
        self.tcp.close()
