"""Keys that come, change and go while the server runs, and whoever sends tokens of none (docs/api.md section 2)."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from accounts.tests.keyserver import KeyServer, SigningKey, serving
from conftest import Answer, Server, both_kinds, call, sign

COOLDOWN = 4  # seconds
IN_TIME = 5  # seconds from the first use of a key to its acceptance

Start = Callable[..., Server]


@pytest.fixture
def key() -> SigningKey:
    """As of a Better Auth server with `generateId: "serial"`."""
    return SigningKey("EdDSA", kid="1")


@pytest.fixture
def key_server(key) -> Iterator[KeyServer]:
    with serving(key) as server:
        yield server


def timed(server: Server, token: str) -> tuple[Answer, float]:
    """What `GET /me` answers, and after how many seconds."""
    before = time.monotonic()
    answer = call(server, token, "GET", "/me")
    return answer, time.monotonic() - before


def greeting(server: Server, token: str) -> dict[str, Any]:
    """What a new socket hears first; raises `ConnectionClosed` where it is closed instead."""
    with connect(f"{server.socket_url}?token={token}", open_timeout=30) as client:
        said: dict[str, Any] = json.loads(client.recv(timeout=30))
        return said


def close_code(client: ClientConnection) -> int | None:
    """How the server closes a socket, once it has said whatever it still says."""
    with suppress(ConnectionClosed):
        while True:
            client.recv(timeout=30)
    return client.close_code


def made_up(origin: str) -> str:
    return SigningKey("EdDSA", kid=uuid4().hex).sign(origin)


@contextmanager
def flood(server: Server, token: Callable[[], str], clients: int) -> Iterator[None]:
    """So many clients that each send one request after the other."""
    over = threading.Event()

    def send() -> None:
        while not over.is_set():
            assert call(server, token(), "GET", "/me").status in (401, 503)

    with ThreadPoolExecutor(clients) as pool:
        sending = [pool.submit(send) for _ in range(clients)]
        try:
            yield
        finally:
            over.set()
    for each in sending:
        each.result()


@both_kinds
def test_a_key_replaced_under_its_old_name(start_server: Start, key_server, key, kind):
    """The database of the Better Auth server was made anew: the same `kid`, another key."""
    server = start_server(kind, BETTER_AUTH_URL=key_server.origin)
    old = key.sign(key_server.origin, "alice")
    with connect(f"{server.socket_url}?token={old}") as client:
        assert json.loads(client.recv(timeout=30))["type"] == "ready"
        key_server.keys[:] = [replacement := SigningKey("EdDSA", kid="1")]
        new = replacement.sign(key_server.origin, "alice")
        with ThreadPoolExecutor(2) as pool:
            on_rest, on_socket = pool.submit(timed, server, new), pool.submit(greeting, server, new)
            answer, seconds = on_rest.result()
            assert answer.body["id"] == "alice" and seconds < IN_TIME
            assert on_socket.result()["type"] == "ready"
        assert key_server.fetches == 2
        # The key that is gone is good for nothing any more.
        client.send(json.dumps({"type": "auth", "token": new}))
        assert json.loads(client.recv(timeout=30))["type"] == "auth.ok"
        client.send(json.dumps({"type": "auth", "token": old}))
        assert close_code(client) == 4001
    assert call(server, old, "GET", "/me").status == 401
    with pytest.raises(ConnectionClosed):
        greeting(server, old)


def test_a_token_without_kid_that_no_key_verifies_is_worth_a_fetch(
    start_server: Start, key_server, key
):
    server = start_server(BETTER_AUTH_URL=key_server.origin)
    assert call(server, key.sign(key_server.origin), "GET", "/me").status == 200
    key_server.keys[:] = [other := SigningKey("EdDSA", kid="2")]
    answer, seconds = timed(server, other.sign(key_server.origin, headers={"kid": None}))
    assert answer.status == 200 and seconds < IN_TIME


@pytest.mark.parametrize("kind_of_token", ["made-up kid", "bad signature", "without kid"])
def test_a_flood_of_tokens_of_no_key(start_server: Start, key_server, key, kind_of_token):
    server = start_server(BETTER_AUTH_URL=key_server.origin)
    known = key.sign(key_server.origin, "alice")
    assert call(server, known, "GET", "/me").status == 200
    bad = SigningKey("EdDSA", kid=None if kind_of_token == "made-up kid" else "1")
    headers: dict[str, Any] = {"kid": None} if kind_of_token == "without kid" else {}

    def token() -> str:
        if kind_of_token == "made-up kid":
            headers["kid"] = uuid4().hex
        return bad.sign(key_server.origin, uuid4().hex, headers=headers)

    before = time.monotonic()
    with flood(server, token, clients=60):
        time.sleep(1)
        key_server.keys.append(rotated := SigningKey("EdDSA", kid="2"))
        new = rotated.sign(key_server.origin, "bob")
        with ThreadPoolExecutor(2) as pool:
            on_rest, on_socket = pool.submit(timed, server, new), pool.submit(greeting, server, new)
            while not (on_rest.done() and on_socket.done()):
                answer, seconds = timed(server, known)  # which never waits
                assert answer.status == 200 and seconds < 1
            answer, seconds = on_rest.result()
            assert answer.body["id"] == "bob" and seconds < IN_TIME
            assert on_socket.result()["type"] == "ready"
    took = time.monotonic() - before
    assert key_server.fetches <= 2 + took / COOLDOWN


@pytest.mark.parametrize("mood", ["failing", "hanging"])
def test_a_flood_while_the_key_server_is_away(start_server: Start, key_server, key, mood):
    server = start_server(BETTER_AUTH_URL=key_server.origin)
    known = key.sign(key_server.origin, "alice")
    assert call(server, known, "GET", "/me").status == 200
    if mood == "failing":
        key_server.mood = mood
    else:
        key_server.may_answer.clear()
    before = time.monotonic()
    with flood(server, lambda: made_up(key_server.origin), clients=20):
        while time.monotonic() - before < 2 * COOLDOWN:
            answer, seconds = timed(server, known)
            assert answer.status == 200 and seconds < 1
            time.sleep(0.05)
        key_server.may_answer.set()
    assert key_server.fetches <= 2 + (time.monotonic() - before) / COOLDOWN


def test_without_any_key_the_answer_is_try_again(start_server: Start, key_server, key):
    key_server.mood = "failing"
    server = start_server(BETTER_AUTH_URL=key_server.origin)
    token = key.sign(key_server.origin)
    answer = call(server, token, "GET", "/me")
    assert answer.status == 503 and 1 <= int(answer.headers["Retry-After"]) <= IN_TIME
    with connect(f"{server.socket_url}?token={token}") as client:
        assert close_code(client) == 4503
    assert call(server, sign("alice"), "GET", "/me").status == 200  # by the shared secret
    key_server.mood = "well"
    time.sleep(int(answer.headers["Retry-After"]))
    assert call(server, token, "GET", "/me").status == 200
