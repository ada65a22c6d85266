"""Why somebody was refused stands in the log, on one line, and never what they were refused with."""

import json
import socket
import time
from contextlib import closing, suppress
from http.client import HTTPConnection

import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from accounts.tests.forging import forge
from conftest import ALICE, PAGE_ORIGIN, Server, both_servers, sign

EVIL = "https://evil.example.com"
GONE = "http://127.0.0.1:9"  # where no key server is


class Log:
    """What a server has logged since the last look."""

    def __init__(self, server: Server) -> None:
        self.path, self.seen = server.log, server.log.stat().st_size

    def new(self, *, until: str = "Refused") -> str:
        deadline = time.monotonic() + 10
        while True:
            text = self.path.read_bytes()[self.seen :].decode()
            if until in text or time.monotonic() > deadline:
                time.sleep(0.05)  # for what is logged after it, and should not be
                text = self.path.read_bytes()[self.seen :].decode()
                self.seen += len(text.encode())
                return "\n".join(line for line in text.splitlines() if "refusals" in line)
            time.sleep(0.02)


def ask(server: Server, path: str, **headers: str) -> int:
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        connection.request("GET", path, headers=headers)
        with connection.getresponse() as response:
            return response.status


def open_and_lose(url: str, origin: str | None = None) -> None:
    headers = {"Origin": origin} if origin else {}
    with suppress(WebSocketException), connect(url, additional_headers=headers) as client:
        client.recv(timeout=30)


@both_servers
@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (None, "Authentication required"),
        (sign(exp=1), "Token has expired"),
        (sign(""), "Invalid token: missing user ID"),
        ("opaque-0123456789", "Invalid token: not a JWT"),
        (
            sign(key="another-secret-0123456789-0123456789"),
            "Invalid token: signature does not match",
        ),
    ],
)
def test_a_401_and_a_4001_say_why(server, token, reason):
    log = Log(server)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    assert ask(server, "/tasks?completed=true", Origin=PAGE_ORIGIN, **headers) == 401
    (line,) = log.new().splitlines()
    assert line.endswith(f"Refused GET /tasks: {reason} (origin {PAGE_ORIGIN}, client 127.0.0.1)")
    open_and_lose(f"{server.socket_url}?token={token}" if token else server.socket_url)
    (line,) = log.new().splitlines()
    reason = reason if token else "Invalid token: not exactly one token"
    assert line.endswith(
        f"Refused WebSocket /ws/notifications: {reason} (origin -, client 127.0.0.1)"
    )
    assert token is None or token not in server.log.read_text()
    assert "Unauthorized: " not in server.log.read_text()


@both_servers
def test_a_foreign_origin_is_named(server):
    log = Log(server)
    because = f"its origin is not among CORS_ORIGINS (origin {EVIL}, client 127.0.0.1)"
    open_and_lose(f"{server.socket_url}?token={sign()}", origin=EVIL)
    (line,) = log.new().splitlines()
    assert line.endswith(f"Refused WebSocket /ws/notifications: {because}")
    assert ask(server, "/me", Origin=EVIL, Authorization=f"Bearer {sign()}") == 200
    (line,) = log.new().splitlines()
    assert line.endswith(f"Refused GET /me: {because}")
    # One line, for one reason
    assert ask(server, "/me", Origin=EVIL) == 401
    (line,) = log.new().splitlines()
    assert "Authentication required" in line and EVIL in line


def test_who_is_not_refused_is_not_logged(server):
    log = Log(server)
    token = f"Bearer {sign()}"
    for origin in (PAGE_ORIGIN, server.url):
        assert ask(server, "/me", Origin=origin, Authorization=token) == 200
    assert ask(server, "/admin/login/", Origin=EVIL) == 200
    assert ask(server, "/tasks/x", Authorization=token) == 404
    assert log.new(until="Not Found: /tasks/x") == ""


def test_a_socket_that_is_open_says_why_it_is_closed(server):
    log = Log(server)
    for token, reason in (
        ("nonsense", "Invalid token: not a JWT"),
        (sign("somebody-else"), "Invalid token: another user"),
    ):
        with connect(f"{server.socket_url}?token={sign(ALICE)}") as client:
            client.recv(timeout=30)
            client.send(json.dumps({"type": "auth", "token": token}))
            with suppress(WebSocketException):
                client.recv(timeout=30)
        (line,) = log.new().splitlines()
        assert f"Refused WebSocket /ws/notifications: {reason} (" in line
    short = sign(ALICE, exp=int(time.time()) + 2)
    with suppress(WebSocketException), connect(f"{server.socket_url}?token={short}") as client:
        while client.recv(timeout=30):
            pass
    (line,) = log.new().splitlines()
    assert "Refused WebSocket /ws/notifications: Token has expired (" in line


@pytest.fixture(scope="module")
def without_keys(start_shared_server) -> Server:
    started: Server = start_shared_server(BETTER_AUTH_URL=GONE, LOG_FORMAT="json")
    return started


def test_keys_that_cannot_be_had_are_named_in_json_too(without_keys):
    log, token = Log(without_keys), forge(header={"alg": "EdDSA", "kid": "x"})
    assert ask(without_keys, "/me", Authorization=f"Bearer {token}", Origin=PAGE_ORIGIN) == 503
    (line,) = map(json.loads, log.new().splitlines())
    assert (
        line.items()
        >= {
            "level": "INFO",
            "reason": "The keys to check tokens with cannot be had at the moment",
            "method": "GET",
            "path": "/me",
            "origin": PAGE_ORIGIN,
            "client": "127.0.0.1",
        }.items()
    )
    assert "Service Unavailable" not in without_keys.log.read_text()
    open_and_lose(f"{without_keys.socket_url}?token={token}")
    (line,) = map(json.loads, log.new().splitlines())
    assert (line["method"], line["path"]) == ("WebSocket", "/ws/notifications")


@both_servers
def test_nobody_writes_lines_of_their_own_into_the_log(server):
    log = Log(server)
    request = (
        "GET /tasks/a%0A2030-01-01%20FORGED%0d%1b%5b31m%e2%80%ae%c2%85 HTTP/1.1\r\n"
        f"Host: 127.0.0.1\r\nOrigin: https://x\x1b[31m{'y' * 5000}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        client.sendall(request.encode("latin-1"))
        while client.recv(4096):
            pass
    text = log.new()
    for line in text.splitlines():
        assert "FORGED" not in line or "Refused GET" in line
        assert line.isprintable() and len(line) < 1000
    written = server.log.read_text()
    assert "\x1b" not in written and "\n2030-01-01 FORGED" not in written


def test_another_host_is_one_line(server):
    before = server.log.stat().st_size
    assert ask(server, "/tasks", Host="10.0.0.5:8000") == 400
    time.sleep(0.2)
    (line,) = server.log.read_bytes()[before:].decode().splitlines()
    assert "10.0.0.5" in line and "ALLOWED_HOSTS" in line
