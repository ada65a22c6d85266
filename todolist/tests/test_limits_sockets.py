"""What one client may ask of the server over sockets: heads and frames (docs/servers.md)."""

import json
import os
import socket
import threading
import time
from base64 import b64encode
from contextlib import ExitStack, suppress

import pytest

from conftest import ALICE, BOB, Server, both_servers, call, sign
from todolist.tests.rawsocket import (
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Closed,
    RawSocket,
    frame,
)
from todolist.tests.test_limits_http import SECONDS, head, memory

FLOODER = sign(ALICE, exp=4102444800)  # whose sockets may take a moment to be gone
PING_MESSAGE = frame(TEXT, b'{"type": "ping"}')
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")


def handshake(path: str, *headers: str, token: str | None = None) -> bytes:
    key = f"Sec-WebSocket-Key: {b64encode(os.urandom(16)).decode()}"
    return head(f"GET {path}", *UPGRADE, key, *headers, token=token)


def status(server: Server, request: bytes) -> int:
    """Of the first answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS) as client:
        client.sendall(request)
        return int(client.makefile("rb").readline().split()[1])


def greeted(client: RawSocket) -> None:
    greeting = client.receive()
    assert isinstance(greeting, dict) and greeting["type"] == "ready"


def token_of(length: int) -> str:
    """A good token of so many characters, or as few more as base64 has it."""
    short = len(sign(BOB, name=""))
    token = sign(BOB, name="x" * ((length - short) * 3 // 4))
    assert length - 4 < len(token) <= length
    return token


# One limit for heads, on REST and at the handshake


# daphne answers 400 to what is too long.
TOO_LARGE = {"uvicorn": 431, "daphne": 400}


@both_servers
@pytest.mark.parametrize(("length", "good"), [(8_200, True), (60_000, True), (66_000, False)])
def test_cookies_may_be_as_long_on_a_socket_as_on_rest(server, length, good):
    cookie = f"Cookie: a={'b' * length}"
    refused = TOO_LARGE[server.kind]
    rest = status(server, head("GET /tasks", cookie, token=sign(BOB)))
    opened = status(server, handshake(f"/ws/notifications?token={sign(BOB)}", cookie))
    assert (rest, opened) == ((200, 101) if good else (refused, refused))


@both_servers
@pytest.mark.parametrize(("count", "good"), [(200, True), (450, True), (600, False)])
def test_there_may_be_as_many_headers_on_a_socket_as_on_rest(server, count, good):
    headers = [f"X{number}: a" for number in range(count)]
    refused = TOO_LARGE[server.kind]
    rest = status(server, head("GET /tasks", *headers, token=sign(BOB)))
    opened = status(server, handshake(f"/ws/notifications?token={sign(BOB)}", *headers))
    assert (rest, opened) == ((200, 101) if good else (refused, refused))


@both_servers
@pytest.mark.parametrize("length", [8_300, 16_384])
def test_the_longest_tokens_are_good_wherever_they_stand(server, length):
    token = token_of(length)
    path = "/ws/notifications"
    offer = f"Sec-WebSocket-Protocol: bearer, {token}"
    requests = [
        handshake(f"{path}?token={token}"),
        handshake(path, token=token),
        handshake(path, offer),
    ]
    for request in requests:
        with socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS) as client:
            client.sendall(request)
            received = b""
            while b'"ready"' not in received:
                part = client.recv(4096)
                assert part, received
                received += part
            assert received.startswith(b"HTTP/1.1 101 ")
    assert status(server, head("GET /tasks", token=token)) == 200


def test_frames_that_come_with_the_handshake_wait_for_it(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS) as client:
        client.sendall(handshake(f"/ws/notifications?token={sign(BOB)}") + PING_MESSAGE * 3)
        received = b""
        while received.count(b'"pong"') < 3:
            part = client.recv(4096)
            assert part, received
            received += part
    assert received.startswith(b"HTTP/1.1 101 ")
    assert received.index(b'"ready"') < received.index(b'"pong"')


# Frames


@pytest.mark.parametrize(
    ("token", "opening", "over_and_over"),
    [
        ("bad", b"", frame(PONG)),
        ("bad", b"", frame(TEXT, b"x")),
        (FLOODER, b"", frame(PONG)),
        (FLOODER, b"", frame(PING)),
        (FLOODER, b"", frame(TEXT, b"x")),
        (FLOODER, b"", frame(TEXT, b"")),
        (FLOODER, frame(TEXT, b"x", fin=False), frame(CONTINUATION, b"", fin=False)),
        (FLOODER, frame(CLOSE), frame(PONG)),
        (FLOODER, frame(TEXT, b"\xff"), frame(PONG)),
    ],
    ids=[
        "pongs, refused", "texts, refused", "pongs", "pings", "texts", "empty texts", "fragments",
        "after a close", "after a breach",
    ],
)  # fmt: skip
def test_frames_by_the_thousand_leave_others_their_turn(server, token, opening, over_and_over):
    """Ten sockets send as fast as they can; somebody else is answered meanwhile, and soon."""
    over = threading.Event()
    data = over_and_over * (64 * 1024 // len(over_and_over))

    def flood() -> None:
        while not over.is_set():
            with suppress(OSError, IndexError), RawSocket(server.port, token) as client:
                client.send(opening)
                client.tcp.settimeout(1)
                client.tcp.setblocking(False)
                end = time.monotonic() + 1.5
                while not over.is_set() and time.monotonic() < end:
                    with suppress(BlockingIOError):
                        client.tcp.send(data)
                    with suppress(BlockingIOError):
                        if not client.tcp.recv(65536):
                            break

    floods = [threading.Thread(target=flood) for _ in range(10)]
    for thread in floods:
        thread.start()
    try:
        end = time.monotonic() + 2
        longest = 0.0
        while time.monotonic() < end:
            began = time.monotonic()
            assert call(server, sign(BOB), "GET", "/health/live").status == 200
            longest = max(longest, time.monotonic() - began)
    finally:
        over.set()
        for thread in floods:
            thread.join()
    assert longest < 2
    assert memory(server) < 300


def test_a_refused_socket_is_let_go_whatever_it_sends(server):
    with RawSocket(server.port, "bad") as client:
        assert client.receive() == Closed(4001)
        client.tcp.settimeout(10)
        sent = 0
        with suppress(BrokenPipeError, ConnectionResetError):
            while sent < 256 * 1024 * 1024:
                sent += client.tcp.send(frame(PONG) * 10_000)
        assert sent < 256 * 1024 * 1024


def test_fragments_are_bounded_in_number(server):
    with RawSocket(server.port, sign(BOB)) as client:
        greeted(client)
        client.send(frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"", fin=False) * 5000)
        assert client.receive() == Closed(1009)


def test_a_message_in_many_fragments_is_a_message(server):
    text = json.dumps({"type": "ping", "padding": "x" * 300}).encode()
    with RawSocket(server.port, sign(BOB)) as client:
        greeted(client)
        client.send(frame(TEXT, text[:1], fin=False))
        client.send(b"".join(frame(CONTINUATION, b"%c" % byte, fin=False) for byte in text[1:]))
        client.send(frame(PING, b"between") + frame(CONTINUATION))
        assert client.receive() == {"type": "pong"}


def test_messages_that_come_at_once_are_answered_in_their_order(server):
    with ExitStack() as stack:
        client = stack.enter_context(RawSocket(server.port, sign(BOB)))
        greeted(client)
        client.send((PING_MESSAGE + frame(TEXT, b"nonsense")) * 500)
        for _ in range(500):
            assert client.receive() == {"type": "pong"}
            answer = client.receive()
            assert isinstance(answer, dict) and answer["type"] == "error"


def test_a_whole_message_of_the_greatest_size_is_read(server):
    padding = "x" * (64 * 1024 - len('{"type": "ping", "padding": ""}'))
    with RawSocket(server.port, sign(BOB)) as client:
        greeted(client)
        client.send(frame(TEXT, json.dumps({"type": "ping", "padding": padding}).encode()))
        assert client.receive() == {"type": "pong"}
        client.send(frame(TEXT, json.dumps({"type": "ping", "padding": padding + "x"}).encode()))
        assert client.receive() == Closed(1009)


def test_the_closing_frame_is_answered_by_hanging_up(server):
    """A browser waits for that before it tells its page."""
    with RawSocket(server.port, sign(BOB)) as client:
        greeted(client)
        began = time.monotonic()
        client.send(frame(CLOSE, b"\x03\xe8"))
        assert client.receive() == Closed(1000)
        assert client.stream.read(1) == b""
        assert time.monotonic() - began < 2
    with RawSocket(server.port, "bad") as client:
        began = time.monotonic()
        client.send(PING_MESSAGE * 10)
        assert client.receive() == Closed(4001)
        client.send(frame(CLOSE, b"\x0f\xa1"))
        assert client.stream.read(1) == b""
        assert time.monotonic() - began < 2


def test_what_follows_a_text_that_is_none_is_not_looked_at(server):
    if server.kind == "daphne":
        pytest.skip("daphne reads a message at a time")
    with RawSocket(server.port, sign(BOB)) as client:
        greeted(client)
        client.send(frame(TEXT, b"\xff") * 3 + PING_MESSAGE)
        assert client.receive() == Closed(1007)
    assert b"Traceback" not in server.log.read_bytes()
