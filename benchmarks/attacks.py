"""What one client can do at its worst, for a few seconds: the table to add to.

    python -m benchmarks.attacks NAME PORT SECONDS     (tokens come on standard input, as JSON)

`siege.py` runs each in a process of its own, against a server on this machine and nowhere else.
"""

import json
import os
import selectors
import socket
import struct
import sys
import time
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import quote

TEXT, CONTINUATION, PING, PONG = 0x1, 0x0, 0x9, 0xA
ENDLESS = 64 * 1024  # bytes that are written at a time
END = b"\r\n\r\n"


class Target(NamedTuple):
    port: int
    seconds: float
    token: str  # of somebody with a thousand long tasks
    others: list[str]  # tokens with long names, of as many people

    def head(self, line: str, *headers: str, token: str | None = None) -> bytes:
        lines = [f"{line} HTTP/1.1", "Host: 127.0.0.1", *headers]
        if token:
            lines.append(f"Authorization: Bearer {token}")
        return "\r\n".join(lines).encode() + END

    def get(self, path: str, *headers: str, token: str | None = None) -> bytes:
        return self.head(f"GET {path}", *headers, token=token)

    def handshake(self, token: str) -> bytes:
        key = b64encode(os.urandom(16)).decode()
        upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
        path = f"/ws/notifications?token={quote(token)}"
        return self.get(path, *upgrade, f"Sec-WebSocket-Key: {key}")


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """One short frame, masked with zeros."""
    return (
        struct.pack("!BB", (0x80 if fin else 0) | opcode, 0x80 | len(payload)) + bytes(4) + payload
    )


def storm(
    target: Target,
    connections: int,
    opening: bytes,
    over_and_over: bytes = b"",
    *,
    reads: bool = True,
    returns: bool = True,
    wait_for_answer: bool = False,
    hangs_up: bool = False,
) -> None:
    """Open connections, write `opening` and then the other bytes for ever, until time is up.

    Whoever is thrown out comes back, where it `returns`. Without more to say, one that
    `waits for an answer` says `opening` again after each.
    """
    end = time.monotonic() + target.seconds
    selector = selectors.DefaultSelector()
    more = over_and_over * max(1, ENDLESS // max(1, len(over_and_over)))

    def open_one() -> None:
        connection = socket.socket()
        connection.setblocking(False)
        if not reads:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with suppress(BlockingIOError):
            connection.connect(("127.0.0.1", target.port))
        events = selectors.EVENT_WRITE | (selectors.EVENT_READ if reads else 0)
        selector.register(connection, events, bytearray(opening))

    def lose(connection: socket.socket) -> None:
        selector.unregister(connection)
        connection.close()
        if returns:
            open_one()

    for _ in range(connections):
        open_one()
    while time.monotonic() < end:
        for key, mask in selector.select(0.1):
            connection, pending = key.fileobj, key.data
            assert isinstance(connection, socket.socket)  # noqa: S101
            try:
                if mask & selectors.EVENT_READ:
                    if not connection.recv(256 * 1024):
                        lose(connection)
                        continue
                    if wait_for_answer and not pending:
                        pending += opening
                        selector.modify(
                            connection, selectors.EVENT_READ | selectors.EVENT_WRITE, pending
                        )
                if mask & selectors.EVENT_WRITE:
                    if not pending and more:
                        pending += more
                    if pending:
                        del pending[: connection.send(pending)]
                    if not pending and hangs_up:
                        lose(connection)
                    elif not pending and not more:
                        events = selectors.EVENT_READ if reads else 0
                        if events:
                            selector.modify(connection, events, pending)
                        else:
                            selector.unregister(connection)  # kept open by the list below
                            silent.append(connection)
            except BlockingIOError:
                pass
            except OSError:
                lose(connection)
        if not selector.get_map():
            time.sleep(0.05)


silent: list[socket.socket] = []


def chunked(target: Target, token: str | None = None) -> bytes:
    return target.head(
        "POST /tasks", "Transfer-Encoding: chunked", "Content-Type: application/json", token=token
    )


def trailers(target: Target) -> None:
    storm(target, 4, chunked(target) + b"0\r\n", b"a:b\r\n")


def endless_trailer(target: Target) -> None:
    storm(target, 4, chunked(target) + b"0\r\na:", b"b" * 100)


def chunk_extension(target: Target) -> None:
    storm(target, 4, chunked(target, target.token) + b"1;", b"a=b;" * 20)


def tiny_chunks(target: Target) -> None:
    storm(target, 50, chunked(target, target.token), b"1\r\na\r\n")


def endless_heads(target: Target) -> None:
    storm(target, 50, b"GET / HTTP/1.1\r\nX: ", b"y" * 100)


def many_headers(target: Target) -> None:
    storm(target, 50, b"GET / HTTP/1.1\r\n", b"a:\r\n")


def pipelined(target: Target) -> None:
    storm(target, 4, b"", target.get("/me", token=target.token))


def pipelined_unread(target: Target) -> None:
    storm(target, 50, b"", target.get("/me", token=target.token), reads=False)


def pongs(target: Target) -> None:
    storm(target, 1, target.handshake("bad"), frame(PONG))


def many_pongs(target: Target) -> None:
    storm(target, 100, target.handshake("bad"), frame(PONG))


def pings(target: Target) -> None:
    storm(target, 20, target.handshake(target.token), frame(PING))


def tiny_messages(target: Target) -> None:
    storm(target, 20, target.handshake(target.token), frame(TEXT, b"x"))


def empty_fragments(target: Target) -> None:
    opening = target.handshake(target.token) + frame(TEXT, b"x", fin=False)
    storm(target, 20, opening, frame(CONTINUATION, fin=False))


def handshakes(target: Target) -> None:
    storm(target, 50, target.handshake("bad"))


def redaction(target: Target) -> None:
    storm(target, 2, target.get("/%22token%22:" + "%20" * 20_000), wait_for_answer=True)


def content_type(target: Target) -> None:
    header = 'Content-Type: a/b;a="' + ";" * 60_000
    opening = target.head("POST /tasks", header, "Content-Length: 2", token=target.token) + b"{}"
    storm(target, 2, opening, wait_for_answer=True)


def costly_searches(target: Target) -> None:
    opening = target.get("/tasks?search=" + "%C3%9F" * 1000, token=target.token)
    storm(target, 12, opening, hangs_up=True, reads=False, returns=False)


def readiness(target: Target) -> None:
    storm(target, 50, target.get("/health/ready"), wait_for_answer=True)


def staff_sign_ins(target: Target) -> None:
    form = b"username=root&password=" + b"x" * 100
    kind = "Content-Type: application/x-www-form-urlencoded"
    cookie = "Cookie: csrftoken=" + "a" * 32
    form += b"&csrfmiddlewaretoken=" + b"a" * 32
    opening = target.head("POST /admin/login/", kind, cookie, f"Content-Length: {len(form)}")
    storm(target, 50, opening + form, wait_for_answer=True)


def unfinished_bodies(target: Target) -> None:
    opening = target.head("POST /tasks", "Content-Length: 1048576", token=target.token)
    storm(target, 300, opening + b" " * 1_048_000)


def unfinished_bodies_of_strangers(target: Target) -> None:
    opening = target.head("POST /tasks", "Content-Length: 1048576")
    storm(target, 300, opening + b" " * 1_048_000)


def unread_lists(target: Target) -> None:
    storm(target, 100, target.get("/tasks", token=target.token), reads=False)


def idle(target: Target) -> None:
    storm(target, 500, b"")


def slow_heads(target: Target) -> None:
    storm(target, 1000, b"GET / HTTP/1.1\r\nX: " + b"y" * 60_000)


def long_names(target: Target) -> None:
    end = time.monotonic() + target.seconds
    for token in target.others:
        if time.monotonic() > end:
            break
        with socket.create_connection(("127.0.0.1", target.port)) as connection:
            connection.sendall(target.get("/me", token=token))
            connection.recv(64 * 1024)


# name: what it does, the row it belongs to in the table, how
ATTACKS: dict[str, Callable[[Target], None]] = {
    "trailers for ever": trailers,
    "one trailer for ever": endless_trailer,
    "an endless chunk extension": chunk_extension,
    "chunks of one byte": tiny_chunks,
    "heads that never end": endless_heads,
    "headers for ever": many_headers,
    "requests in one write": pipelined,
    "requests in one write, answers unread": pipelined_unread,
    "pongs after a bad token": pongs,
    "pongs on 100 sockets": many_pongs,
    "pings": pings,
    "messages of one byte": tiny_messages,
    "empty fragments": empty_fragments,
    "handshakes with a bad token": handshakes,
    "a path to redact, 60 KB": redaction,
    "a Content-Type of 60 KB": content_type,
    "twelve costly searches, hung up": costly_searches,
    "/health/ready over and over": readiness,
    "sign-ins to the admin": staff_sign_ins,
    "300 bodies of 1 MiB, unfinished": unfinished_bodies,
    "the same without a token": unfinished_bodies_of_strangers,
    "100 long lists, unread": unread_lists,
    "500 idle connections": idle,
    "1,000 unfinished heads of 60 KB": slow_heads,
    "tokens with long names": long_names,
}

if __name__ == "__main__":
    name, port, seconds = sys.argv[1:]
    ATTACKS[name](Target(int(port), float(seconds), *json.load(sys.stdin)))
