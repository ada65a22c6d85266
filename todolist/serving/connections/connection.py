"""What stands between a transport and a protocol of uvicorn, and bounds what either may do."""

import asyncio
import math
from typing import Any, Protocol

from accounts.counted import counted
from todolist.logs import request_ids
from todolist.serving.connections.limits import Limits
from todolist.serving.connections.turns import Turns

READ_AT_ONCE = 16 * 1024  # bytes; event loops read 256 KiB by themselves
READ_AHEAD = 16 * 1024  # bytes that wait to be parsed, beyond which nothing more is read
LINGER = 3.0  # seconds in which a client that was refused may read why
PACE = 0.02  # seconds from one to the next `READ_AT_ONCE` bytes of such a client

_buffer = memoryview(bytearray(READ_AT_ONCE))  # for all: what was read is copied at once
_turns = Turns()
limits = Limits()


class Parser(Protocol):
    """A protocol of uvicorn that says when it can take more, and takes a part at a time."""

    @property
    def ready(self) -> bool:
        """Whether more can be parsed."""

    @property
    def expects_more(self) -> bool:
        """Whether the client is still sending, and would not see an answer if it were cut off."""

    def parse(self, data: bytes | bytearray) -> int:
        """Parse a part of what was read; how many bytes that was."""

    def parse_at_once(self, data: bytes) -> int:
        """The same without waiting for a turn, if that is no great work; else none of it."""

    def out_of_time(self) -> None:
        """The client has had all the time it may take."""

    def eof_received(self) -> bool | None: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


class Connection(asyncio.BufferedProtocol):
    """To a transport its protocol, and to a protocol of uvicorn its transport.

    What is read is bounded, and parsed a little at a time (`Turns`), only when the protocol is ready
    for it. Two writes in one turn of the loop are one system call: uvicorn writes the head of an
    answer and its body apart, and the client would wake up for each.
    """

    def __init__(self, transport: Any, protocol: Parser) -> None:
        self.transport = transport
        self.protocol = protocol
        self.deadline = math.inf  # by the loop's clock, for what the client has to do next
        self.kept = 0  # bytes of the last answer, which is kept whole until all of it is taken
        self.unread = 0  # bytes of it that were not taken when `limits` last looked
        self.moved = 0.0  # when that number last changed
        self.write_paused = False
        self.unparsed = bytearray()
        self._in_turn = False
        self.held = False  # the protocol wants nothing now
        self._paused = False  # nothing is read now
        self.refused = False
        self.crowded = False  # beyond what the file descriptors allow
        self.deaf = False
        self._parts: list[bytes] = []
        transport.set_protocol(self)
        transport.set_write_buffer_limits(high=0)  # to be told whenever something is not taken
        limits.add(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    # As a protocol: reading

    def get_buffer(self, sizehint: int) -> memoryview:
        return _buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self.refused:
            self.transport.pause_reading()
            asyncio.get_running_loop().call_later(PACE, self._drop_more)
            return
        parsed = 0
        if not self.unparsed:
            parsed = self.protocol.parse_at_once(bytes(_buffer[:nbytes]))
        if parsed < nbytes and not self.refused:
            self.unparsed += _buffer[parsed:nbytes]
            self._read_on_or_not()
            self.proceed()

    def _drop_more(self) -> None:
        if not (self.deaf or self.transport.is_closing()):
            self.transport.resume_reading()

    def turn_deaf(self) -> None:
        """Read nothing any more."""
        self.deaf = True
        self.unparsed.clear()
        if not self._paused:
            self._paused = True
            self.transport.pause_reading()

    def parse_some(self) -> bool:
        if not self.is_closing() and self._can_parse():
            del self.unparsed[: self.protocol.parse(self.unparsed)]
        if self.is_closing():
            self.unparsed.clear()
        self._read_on_or_not()
        self._in_turn = self._can_parse()
        return self._in_turn

    def proceed(self) -> None:
        """Go on parsing, if the protocol is ready for more."""
        if not self._in_turn and self._can_parse():
            self._in_turn = True
            _turns.add(self)

    def _can_parse(self) -> bool:
        return bool(self.unparsed) and not self.held and self.protocol.ready

    def _read_on_or_not(self) -> None:
        if self.deaf:
            return
        if self._paused and len(self.unparsed) < READ_AHEAD // 2:
            self._paused = False
            if not self.transport.is_closing():
                self.transport.resume_reading()
        elif not self._paused and len(self.unparsed) >= READ_AHEAD:
            self._paused = True
            self.transport.pause_reading()

    def eof_received(self) -> bool | None:
        return self.protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        limits.remove(self)
        self.unparsed.clear()
        self.protocol.connection_lost(exc)
        del self.protocol  # which refers to this

    # As a protocol: writing

    def pause_writing(self) -> None:
        self.write_paused = True
        self.protocol.pause_writing()
        limits.bound_unread(self)

    def resume_writing(self) -> None:
        self.write_paused = False
        self.protocol.resume_writing()

    # As a transport

    def set_protocol(self, protocol: Parser) -> None:
        self.protocol = protocol

    def pause_reading(self) -> None:
        """Parse nothing more. Reading goes on for a while, so that a client that leaves is noticed."""
        self.held = True

    def resume_reading(self) -> None:
        self.held = False
        self.proceed()

    def write(self, data: bytes) -> None:
        self._parts.append(data)
        self.kept = len(data)
        if len(self._parts) > 1:
            self.flush()  # at once, so that no more than one is ever held back
        else:
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        parts, self._parts = self._parts, []
        if parts and not self.transport.is_closing():
            self.transport.writelines(parts)

    def is_closing(self) -> bool:
        return self.refused or self.transport.is_closing()

    def close(self) -> None:
        if self.is_closing():
            return
        if self.protocol.expects_more:
            self.refuse(b"")
        else:
            self.flush()
            self.transport.close()

    def abort(self) -> None:
        self.write_paused = False
        self.transport.abort()

    def refuse(self, response: bytes) -> None:
        """Answer for the last time. What still comes is dropped, or the client could not read it."""
        if self.is_closing():
            return
        self.refused = True
        self.unparsed.clear()
        if response:
            header = f"\r\n{request_ids.HEADER}: {request_ids.made()}\r\n\r\n".encode()
            self.write(response.replace(b"\r\n\r\n", header, 1))
            counted.send("limits", limit=response[9:12].decode())  # its status
        self.flush()
        self.transport.write_eof()
        self._read_on_or_not()
        self.deadline = asyncio.get_running_loop().time() + LINGER
        limits.refuse(self)

    def expire(self) -> None:
        """The deadline has passed."""
        if self.refused:
            self.abort()
        elif not self.transport.is_closing():
            self.protocol.out_of_time()
