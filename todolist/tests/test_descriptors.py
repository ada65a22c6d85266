"""A server that runs out of file descriptors (`ulimit -n`)."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from conftest import Server, call, environment_for, new_database, running_server, sign
from todolist.tests.test_limits_http import LIVE, connected, received
from todolist.tests.test_seen_from_outside import total

DESCRIPTORS = 64
BEGUN, ENDED = "New requests are refused: ", "for want of file descriptors"
PATIENCE = 30  # seconds


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("narrow")
    with new_database(folder) as url:
        environment = environment_for(url, METRICS="True", SOCKETS_PER_USER="100")
        with running_server(folder, environment, descriptors=DESCRIPTORS) as server:
            yield server


def status(server: Server, path: str) -> int:
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)) as connection:
        connection.request("GET", path)
        return connection.getresponse().status


def assert_healthy(server: Server) -> None:
    assert [status(server, f"/health/{probe}") for probe in ("live", "ready")] == [200, 200]
    assert "Too many open files" not in server.log.read_text()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def lines(server: Server, begin: int, words: str) -> list[str]:
    """Of the log from this character on, those with these words."""
    return [line for line in server.log.read_text()[begin:].splitlines() if words in line]


def assert_said_once(server: Server, begin: int) -> None:
    """A line when it began, and one with a number when it was over; nothing for each connection."""
    until(lambda: lines(server, begin, ENDED))
    (begun,), (ended,) = lines(server, begin, BEGUN), lines(server, begin, ENDED)
    assert re.search(r"\d+ connections are as many as `ulimit -n` allows", begun)
    assert re.search(r"It failed (once|\d+ times)", ended)


def open_descriptors(server: Server) -> int:
    return len([*Path(f"/proc/{server.process.pid}/fd").iterdir()])


def test_connections_that_say_nothing_make_room(narrow):
    begin = len(narrow.log.read_text())
    with ExitStack() as silent:
        for _ in range(3 * DESCRIPTORS):
            silent.enter_context(connected(narrow))
            assert open_descriptors(narrow) < DESCRIPTORS
        assert_healthy(narrow)
        # Those that were there first have had their time.
        until(lambda: call(narrow, sign(), "GET", "/tasks").status == 200)
        assert_healthy(narrow)
    assert call(narrow, sign(), "GET", "/tasks").status == 200
    assert_said_once(narrow, begin)


def test_as_many_sockets_as_there_is_room_for(narrow):
    token, begin = sign(), len(narrow.log.read_text())
    until(lambda: call(narrow, token, "POST", "/tasks", {"text": "x"}).status == 201)

    def one_more() -> ClientConnection:
        return connect(f"{narrow.socket_url}?token={token}", open_timeout=PATIENCE)

    def one_more_or_none() -> ClientConnection | None:
        try:
            return one_more()
        except InvalidStatus as refused:
            answer = refused.response
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
            return None

    with ExitStack() as sockets:
        while (socket := one_more_or_none()) is not None:
            assert (
                json.loads(sockets.enter_context(socket).recv(timeout=PATIENCE))["type"] == "ready"
            )
        for _ in range(20):
            answered = call(narrow, token, "GET", "/tasks")
            assert (answered.status, answered.body["code"]) == (503, "busy")
            assert answered.headers["Connection"] == "close"
            assert call(narrow, token, "POST", "/tasks", {"text": "y"}).status == 503
            assert_healthy(narrow)
        with connected(narrow) as client:
            client.sendall(LIVE * 2)  # there is no room to stay
            assert received(client).count(b"HTTP/1.1 200 OK") == 1
        assert open_descriptors(narrow) < DESCRIPTORS
    until(lambda: call(narrow, token, "GET", "/tasks").status == 200)
    with one_more() as socket:
        assert json.loads(socket.recv(timeout=PATIENCE))["type"] == "ready"
    assert total(narrow, "limits_total", limit="descriptors") > 40
    assert_said_once(narrow, begin)
