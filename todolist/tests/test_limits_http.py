"""What one client may ask of the HTTP server: heads, framing, pipelining, time (docs/servers.md)."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from conftest import ALICE, BOB, Server, call, sign

MAX_HEAD = 64 * 1024
SECONDS = 60  # until a test gives up; generous, as machines may be busy
LIVE = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
CHUNKED = "Transfer-Encoding: chunked"
JSON = "Content-Type: application/json"


def head(line: str, *headers: str, token: str | None = None) -> bytes:
    """A head of HTTP/1.1, with its end."""
    signed = [f"Authorization: Bearer {token}"] if token else []
    return "\r\n".join([f"{line} HTTP/1.1", "Host: 127.0.0.1", *signed, *headers, "", ""]).encode()


def padded(size: int) -> bytes:
    """A head of so many bytes."""
    rest = size - len(head("GET /health/live", "Padding: "))
    return head("GET /health/live", "Padding: " + "x" * rest)


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS) as client:
        yield client


def pour(client: socket.socket, data: bytes, at_most: int) -> None:
    """Send over and over, until so many bytes are sent or the server has had enough."""
    client.settimeout(5)
    sent = 0
    with suppress(OSError):
        while sent < at_most:
            sent += client.send(data)
    client.settimeout(SECONDS)


def received(client: socket.socket) -> bytes:
    """Everything until the server ends the connection."""
    parts = []
    with suppress(ConnectionResetError):
        while part := client.recv(64 * 1024):
            parts.append(part)
    return b"".join(parts)


def answers(client: socket.socket) -> list[int]:
    """The statuses of all answers until the server ends the connection."""
    return [int(part[:3]) for part in received(client).split(b"HTTP/1.1 ")[1:]]


def wait_until_idle(server: Server) -> None:
    """Until it has done all that it can: its processor time stands still."""
    deadline, before = time.monotonic() + SECONDS, -10
    while time.monotonic() < deadline:
        fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
        spent = int(fields[11]) + int(fields[12])
        if spent - before < 3:
            return
        before = spent
        time.sleep(1)


def statuses(server: Server, data: bytes, *, at_a_time: int = 0) -> list[int]:
    """Of all that is answered to these bytes; the last request must close the connection."""
    with connected(server) as client:
        step = at_a_time or len(data)
        with suppress(BrokenPipeError, ConnectionResetError):
            for start in range(0, len(data), step):
                client.sendall(data[start : start + step])
        return answers(client)


def memory(server: Server) -> int:
    """MiB that the process has taken at most."""
    status = Path(f"/proc/{server.process.pid}/status")
    if not status.exists():
        pytest.skip("the system does not tell what a process takes")
    return int(status.read_text().split("VmHWM:")[1].split()[0]) // 1024


LAST = head("GET /health/live", "Connection: close")


# Trailers, and the framing of chunks


def post(body: bytes, *headers: str, token: str | None = None, close: bool = True) -> bytes:
    ends = ["Connection: close"] if close else []
    return head("POST /tasks", JSON, *headers, *ends, token=token) + body


CHUNKS = b"10\r\n" + b'{"text": "milk"}' + b"\r\n0\r\n"


def test_a_trailer_signs_nobody_in(server):
    trailer = f"Authorization: Bearer {sign(ALICE)}\r\n\r\n".encode()
    assert statuses(server, post(CHUNKS + trailer, CHUNKED)) == [401]


def test_trailers_are_dropped_and_the_next_request_is_read(server):
    request = post(CHUNKS + b"Digest: a\r\nb: c\r\n\r\n", CHUNKED, token=sign(), close=False)
    assert statuses(server, request * 2 + LAST) == [201, 201, 200]


@pytest.mark.parametrize(
    ("beginning", "endless"),
    [
        (b"0\r\n", b"a:b\r\n"),
        (b"0\r\na:", b"b" * 1000),
        (b"0\r\n", b"a" * 1000),
        (b"1;", b"a=b;" * 100),
        (b"1;a=", b"b" * 1000),
        (b"", b"0" * 1000),
        (b"1\r\na\r\n", b"0" * 1000),
    ],
    ids=[
        "trailers", "value", "name", "extensions", "extension", "size", "second size",
    ],
)  # fmt: skip
@pytest.mark.parametrize("token", [None, sign(exp=4102444800)], ids=["stranger", "signed in"])
def test_framing_without_data_ends_at_a_limit(server, beginning, endless, token):
    before = memory(server)
    with connected(server) as client:
        client.sendall(post(beginning, CHUNKED, token=token, close=False))
        pour(client, endless * (64 * 1024 // len(endless)), 64 * 1024 * 1024)
        # A stranger may have been told before the end of the body, and is told nothing else then.
        assert answers(client) in ([400], [401])
    assert memory(server) - before < 30


def test_chunks_of_one_byte_are_a_body_as_any(server):
    text = json.dumps({"text": "x" * 400}).encode()
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in text) + b"0\r\n\r\n"
    assert statuses(server, post(chunks, CHUNKED, token=sign())) == [201]


# Heads


@pytest.mark.parametrize(
    "before",
    [
        b"",
        b"\r\n\r\n",
        LIVE,
        LIVE * 20,
        post(CHUNKS + b"\r\n", CHUNKED, token=sign(exp=4102444800), close=False),
        post(CHUNKS + b"a:b\r\n\r\n", CHUNKED, token=sign(exp=4102444800), close=False),
        post(b'{"text": "\\r"}', "Content-Length: 14", token=sign(exp=4102444800), close=False),
        post(b" " * 70_000 + b"{}", "Content-Length: 70002", token=sign(exp=4102444800), close=False),
    ],
    ids=["first", "blank", "second", "last of many", "chunks", "trailers", "body", "long body"],
)  # fmt: skip
@pytest.mark.parametrize("at_a_time", [0, 100, 4099], ids=["one write", "drops", "parts"])
def test_a_head_is_counted_by_its_own_bytes(server, before, at_a_time):
    blank = len(before) if before == b"\r\n\r\n" else 0  # which belongs to what follows
    for size, status in ((MAX_HEAD - blank, 200), (MAX_HEAD + 1, 431), (120_000, 431)):
        data = before + padded(size)
        if status == 200:
            data += LAST
        expected = [status, 200] if status == 200 else [status]
        assert statuses(server, data, at_a_time=at_a_time)[-len(expected) :] == expected, size


def test_a_head_is_counted_byte_by_byte(server):
    with connected(server) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = head("GET /health/live", "Padding: " + "x" * 3000, "Connection: close")
        for byte in data:
            client.send(bytes([byte]))
        assert answers(client) == [200]


@pytest.mark.parametrize(
    "endless",
    [b"GET /" + b"a" * 1000, b"GET / HTTP/1.1\r\n" + b"a" * 1000, b"GET / HTTP/1.1\r\na:" + b"b" * 1000],
    ids=["request line", "name", "value"],
)  # fmt: skip
def test_a_head_that_never_ends_is_431(server, endless):
    before = memory(server)
    with connected(server) as client:
        client.sendall(endless)
        pour(client, endless[-1:] * 64 * 1024, 16 * 1024 * 1024)
        assert answers(client) == [431]
    assert memory(server) - before < 30


def test_blank_lines_for_ever_are_431(server):
    with connected(server) as client:
        pour(client, b"\r\n" * 1000, 1024 * 1024)
        assert answers(client) == [431]


@pytest.mark.parametrize(("count", "status"), [(400, 200), (600, 431), (10_000, 431)])
def test_there_may_be_so_many_headers(server, count, status):
    headers = [f"X{number}:" for number in range(count)]
    assert statuses(server, head("GET /health/live", "Connection: close", *headers)) == [status]


@pytest.mark.parametrize(
    "garbage",
    [b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\nHost: x\n\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ids=["TLS", "no carriage return", "HTTP/2"],
)  # fmt: skip
def test_what_is_no_request_is_400_at_once_and_in_its_order(server, garbage):
    assert statuses(server, LIVE + garbage) == [200, 400]


def test_a_client_that_is_refused_while_it_sends_reads_why(server):
    """Most send all they have before they read; were they cut off meanwhile, they would see no answer."""
    with connected(server) as client:
        client.sendall(padded(1024 * 1024))
        answer = b""
        while part := client.recv(4096):  # to the end, and no reset before it
            answer += part
    assert answer.startswith(b"HTTP/1.1 431 ")


# One request after the other


def test_requests_by_the_thousand_in_one_write_are_all_answered(server):
    with connected(server) as client:
        client.sendall(LIVE * 5000 + LAST)
        assert answers(client) == [200] * 5001


def test_requests_whose_answers_are_not_read_cost_little(server):
    before = memory(server)
    request = head("GET /me", token=sign(BOB))
    clients = []
    for _ in range(30):
        client = socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS)
        clients.append(client)
        client.setblocking(False)
        with suppress(BlockingIOError):
            for _ in range(100):
                client.sendall(request * 200)
    assert call(server, sign(), "GET", "/me").status == 200
    assert memory(server) - before < 60
    for client in clients:
        client.close()


def test_a_small_body_and_a_request_right_behind_it(server):
    body = b'{"text": "milk"}'
    request = post(body, f"Content-Length: {len(body)}", token=sign(), close=False)
    assert statuses(server, request * 3 + LAST) == [201, 201, 201, 200]


def test_the_answer_to_a_body_that_is_refused_can_be_read(server):
    headers = {"Connection": "close", "Authorization": "Bearer bad"}
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=SECONDS)) as connection:
        connection.request("POST", "/tasks", b" " * 1024 * 1024, headers)
        assert connection.getresponse().status == 401


# Upgrades


UPGRADE = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQ")


def test_an_upgrade_to_another_protocol_is_ignored(server):
    assert statuses(server, head("GET /health/live", *UPGRADE) + LAST) == [200, 200]


@pytest.mark.parametrize(
    ("framing", "body"),
    [("Content-Length: 16", b'{"text": "milk"}'), (CHUNKED, CHUNKS + b"\r\n")],
    ids=["length", "chunks"],
)
def test_a_body_beside_such_an_upgrade_is_read(server, framing, body):
    data = post(body, framing, *UPGRADE, token=sign(), close=False)
    assert statuses(server, data) == [201]


def test_a_handshake_of_a_socket_has_no_body(server):
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    for framing in ("Content-Length: 3", CHUNKED):
        assert statuses(server, head("GET /ws/notifications", *upgrade, key, framing)) == [400]


# Time


def test_whoever_lets_the_server_wait_is_let_go_in_time(start_server):
    """Idle, in a head, in a body, and while there is an answer to read."""
    server = start_server()
    token = sign(ALICE)
    long = {"text": "x" * 500, "description": "\N{GRINNING FACE}" * 2000}
    for _ in range(100):
        assert call(server, token, "POST", "/tasks", long).status == 201
    beginnings: dict[str, bytes] = {
        "idle": b"",
        "after an answer": LIVE,
        "in a head": b"GET / HTTP/1.1\r\nX: ",
        "in a body": head("POST /tasks", JSON, "Content-Length: 1000000", token=token) + b"{",
        "in a chunk": head("POST /tasks", JSON, CHUNKED, token=token) + b"ffff\r\n{",
    }
    slow = {"in a head", "in a body"}  # a byte every second
    clients = {name: socket.create_connection(("127.0.0.1", server.port)) for name in beginnings}
    for name, client in clients.items():
        client.sendall(beginnings[name])
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(("127.0.0.1", server.port))
    deaf.sendall(head("GET /tasks", token=token) * 20)
    open_ones, said = dict(clients), dict.fromkeys(clients, b"")
    deadline = time.monotonic() + 70
    while open_ones and time.monotonic() < deadline:
        time.sleep(1)
        for name, client in list(open_ones.items()):
            client.setblocking(False)
            try:
                if name in slow:
                    client.send(b"x")
                part = client.recv(65536)
                said[name] += part
                if not part:
                    del open_ones[name]
            except BlockingIOError:
                pass
            except OSError:
                del open_ones[name]
    assert not open_ones, "still open"
    assert said["idle"] == b""
    assert b" 408 " in said["in a head"] and b" 408 " in said["in a body"]
    assert b" 200 " in said["after an answer"]
    # What is left of the many answers is what the kernel had taken already.
    left = 0
    deaf.settimeout(SECONDS)
    with suppress(ConnectionResetError):
        while part := deaf.recv(1024 * 1024):
            left += len(part)
    assert left < 20 * 900_000
    for client in (deaf, *clients.values()):
        client.close()


def test_a_slow_client_that_keeps_sending_is_served(server):
    body = json.dumps({"text": "milk", "description": "x" * 1000}).encode()
    with connected(server) as client:
        client.sendall(
            head(
                "POST /tasks",
                JSON,
                f"Content-Length: {len(body)}",
                "Connection: close",
                token=sign(),
            )
        )
        for start in range(0, len(body), 100):
            client.sendall(body[start : start + 100])
            time.sleep(0.1)
        assert answers(client) == [201]


def test_answers_that_are_not_read_are_bounded_all_together(start_server):
    """Far more than the kernel takes of each, so that the rest waits in the process."""
    server = start_server()
    token = sign(ALICE)
    long = {"text": "x" * 500, "description": "\N{GRINNING FACE}" * 2000}
    for _ in range(100):
        assert call(server, token, "POST", "/tasks", long).status == 201
    path = "/tasks?limit=100"
    size = len(json.dumps(call(server, token, "GET", path).body, ensure_ascii=False).encode())
    assert size > 800_000
    requests = head(f"GET {path}", token=token) * 4
    requests += head(f"GET {path}", "Connection: close", token=token)
    with ExitStack() as stack:
        clients = []
        for _ in range(50):
            client = stack.enter_context(closing(socket.socket()))
            client.settimeout(SECONDS)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", server.port))
            client.sendall(requests)
            clients.append(client)
        # Somebody who reads is served meanwhile, in whole.
        assert call(server, sign(BOB), "GET", "/tasks").body == []
        wait_until_idle(server)
        whole = sum(len(received(client)) > 4.5 * size for client in clients)
    assert 0 < whole < 50
    assert memory(server) < 400  # beside what is kept: two pages at a time while they are made


def test_connections_that_wait_are_bounded_in_number(start_server):
    server = start_server()
    clients: list[Any] = []
    for _ in range(1300):
        clients.append(socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS))
    connection = HTTPConnection("127.0.0.1", server.port, timeout=SECONDS)
    connection.request("GET", "/health/live")
    assert connection.getresponse().status == 200
    connection.close()
    # Those that have waited for longest are gone, and long before their time; the last ones are not.
    clients[0].settimeout(10)
    assert clients[0].recv(1) == b""
    clients[-1].sendall(LAST)
    assert answers(clients[-1]) == [200]
    for client in clients:
        client.close()


@pytest.mark.parametrize(
    "headers",
    [
        ("Upgrade: websocket", "Connection: Upgrade", "Content-Length: 5"),
        tuple(f"X-{number}: x" for number in range(501)),
    ],
)
def test_a_head_that_is_refused_at_its_end_leaves_no_traceback(server, headers):
    before = server.log.stat().st_size
    with closing(socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS)) as client:
        client.sendall(head("GET /me", *headers))
        assert received(client).split()[1] in (b"400", b"431")
    assert b"Traceback" not in server.log.read_bytes()[before:]
