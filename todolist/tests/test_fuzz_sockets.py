"""Made-up frames, right and wrong, in any order, against a real server; and who sits beside it.

Short, and always the same, in the suite; `make fuzz` goes on for minutes, each time elsewhere.
"""

import json
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from websockets.sync.client import ClientConnection, connect

from conftest import ALICE, BOB, OTHER_SECRET, Server, sign
from todolist.tests.rawsocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    DROPPED,
    PING,
    PONG,
    TEXT,
    Closed,
    RawSocket,
    frame,
)

# It finds the frames of a failed test long; so they are.
pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")

MAX_FRAME = 64 * 1024
FAR = 4102444800
UNAUTHORIZED = {4001}
TOO_BIG = {1009, 4009}
# What RFC 6455 section 7.4.1 has for breaches of the protocol; a server may also just hang up.
BREACH = {1002, 1003, 1007, *TOO_BIG, DROPPED}

PING_MESSAGE = b'{"type": "ping"}'


@dataclass(frozen=True)
class Move:
    """What a client sends, and what must come of it.

    `answers` are the types of the messages it is answered with. `ends` are the codes the socket may
    then be closed with; where there are none, it stays open.
    """

    name: str
    data: bytes
    answers: tuple[str, ...] = ()
    ends: frozenset[int] = frozenset()

    def __repr__(self) -> str:
        return f"{self.name}({self.data[:60]!r}{'…' if len(self.data) > 60 else ''})"


def message(payload: bytes, opcode: int = TEXT) -> Move:
    """One message and the answer that docs/api.md section 5 has for it."""
    name = "text" if opcode == TEXT else "binary"
    if len(payload) > MAX_FRAME:
        return Move(name, frame(opcode, payload), ends=frozenset(TOO_BIG))
    return Move(name, frame(opcode, payload), *expected(payload, opcode))


def expected(payload: bytes, opcode: int) -> tuple[tuple[str, ...], frozenset[int]]:
    try:
        content = json.loads(payload) if opcode == TEXT else None
    except (ValueError, RecursionError):
        content = None
    kind = content.get("type") if isinstance(content, dict) else None
    if kind == "ping":
        return ("pong",), frozenset()
    if kind == "auth":
        return (), frozenset(UNAUTHORIZED)  # for the tokens made up here
    return ("error",), frozenset()


def fragmented(payload: bytes, cuts: list[int], between: bytes) -> Move:
    """A message in several frames, with control frames in between."""
    places = sorted({cut % (len(payload) + 1) for cut in cuts})
    parts = [payload[a:b] for a, b in zip([0, *places], [*places, len(payload)], strict=True)]
    frames = [
        frame(CONTINUATION if number else TEXT, part, fin=number == len(parts) - 1)
        for number, part in enumerate(parts)
    ]
    return Move("fragments", between.join(frames), *expected(payload, TEXT))


def breach(name: str, data: bytes) -> Move:
    return Move(name, data, ends=frozenset(BREACH))


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "token", "seq", "data", ""]) | st.text(max_size=5),
            inner | st.sampled_from(["ping", "auth", "ready", "task.created"]),
            max_size=4,
        )
    ),
    max_leaves=15,
)
small_bytes = st.binary(max_size=125)


def auth(token: str) -> bytes:
    return json.dumps({"type": "auth", "token": token}).encode()


# What any client may send, sensible or not.
SPECIAL = [
    message(b""),
    message(b"", BINARY),
    message(PING_MESSAGE),
    message(PING_MESSAGE, BINARY),
    message(PING_MESSAGE[:-1]),
    message(b"[" * 30_000),
    message(b"1" * 20_000),
    message(b"x" * MAX_FRAME),
    message(b"x" * MAX_FRAME, BINARY),
    Move("renew", frame(TEXT, auth(sign(ALICE, exp=FAR))), ("auth.ok",)),
    Move("flood", frame(TEXT, PING_MESSAGE) * 500, ("pong",) * 500),
    Move("pings", frame(PING, b"x" * 125) * 300),
]
# The same, and the socket is closed for it.
CLOSING = [
    message(b"x" * (MAX_FRAME + 1)),
    message(b"x" * 200_000),
    message(b"x" * 200_000, BINARY),
    message(b'{"type": "auth"}'),
    message(b'{"type": "auth", "token": ["a"]}'),
    message(b'{"type": "auth", "token": "' + b"x" * 5000 + b'"}'),
    message(b'{"type": "auth", "token": "\\ud83e.\\ud83e.\\ud83e"}'),
    message(auth(sign(BOB, exp=FAR))),
    message(auth(sign(ALICE, exp=1))),
    message(auth(sign(ALICE, key=OTHER_SECRET))),
]
texts = st.text(st.characters(codec="utf-8"), max_size=300)
good_moves = st.one_of(
    json_values.map(lambda value: message(json.dumps(value).encode())),
    texts.map(lambda text: message(text.encode())),
    st.binary(max_size=300).map(lambda data: message(data, BINARY)),
    st.sampled_from(SPECIAL),
    st.sampled_from(CLOSING),
    st.builds(
        fragmented,
        json_values.map(lambda value: json.dumps(value, ensure_ascii=False).encode()),
        st.lists(st.integers(0, 1000), max_size=5),
        st.sampled_from([b"", frame(PING, b"hi"), frame(PONG)]),
    ),
    small_bytes.map(lambda data: Move("ping", frame(PING, data))),
    small_bytes.map(lambda data: Move("pong", frame(PONG, data))),
)

BREACHES = [
    breach("invalid UTF-8", frame(TEXT, b'{"type": "\xff\xfe"}')),
    breach("surrogate in UTF-8", frame(TEXT, b"\xed\xa0\xbe")),
    breach("UTF-8 cut off", frame(TEXT, "é".encode()[:1])),
    breach("invalid UTF-8 in fragments", frame(TEXT, b"\xc3", fin=False) + frame(0, b"\x28")),
    *(breach(f"opcode {n}", frame(n, b"x")) for n in (3, 7, 11, 15)),
    *(breach(f"reserved bit {n}", frame(TEXT, PING_MESSAGE, reserved=n)) for n in (1, 2, 4)),
    breach("no mask", frame(TEXT, PING_MESSAGE, masked=False)),
    breach("continuation of nothing", frame(CONTINUATION, b"x")),
    breach("message in a message", frame(TEXT, b"x", fin=False) + frame(TEXT, b"y")),
    breach("ping in fragments", frame(PING, b"x", fin=False)),
    breach("long ping", frame(PING, b"x" * 126)),
    breach("close of one byte", frame(CLOSE, b"\x03")),
    *(
        breach(f"close with {code}", frame(CLOSE, struct.pack("!H", code)))
        for code in (0, 999, 1004, 1005, 1006, 1015, 2999)
    ),
    breach("close with invalid UTF-8", frame(CLOSE, struct.pack("!H", 1000) + b"\xff")),
    breach("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
]

# After these nothing is awaited: the client is gone in the middle of a word.
CUT_OFFS = [
    Move("half a header", b"\x81"),
    Move("half a mask", frame(TEXT, b"x")[:4]),
    Move("half a frame", frame(TEXT, b"x" * 1000)[:500]),
    Move("half a message", frame(TEXT, b'{"type":', fin=False)),
    Move("a frame without end", frame(TEXT, b"x" * 1000, length=2**62)),
    Move("flood and away", frame(TEXT, PING_MESSAGE) * 2000),
    Move("nothing", b""),
]
closings = st.sampled_from([1000, 1001, 3000, 4001, 4999]).map(
    lambda code: Move("close", frame(CLOSE, struct.pack("!H", code)), ends=frozenset({code, 1000}))
)


@dataclass(frozen=True)
class Scenario:
    since: str | None
    moves: list[Move]
    finale: Move


scenarios = st.builds(
    Scenario,
    since=st.none()
    | st.integers(-1, 2**64).map(str)
    | st.text(st.characters(codec="utf-8"), max_size=20),
    moves=st.lists(good_moves, max_size=6),
    finale=st.sampled_from(BREACHES) | st.sampled_from(CUT_OFFS) | closings,
)


def play(server: Server, scenario: Scenario) -> None:
    """Send it all, and check every answer up to the end."""
    with RawSocket(server.port, sign(ALICE, exp=FAR), since=scenario.since) as socket:
        assert socket.status == 101
        greeting = socket.receive()
        assert isinstance(greeting, dict) and greeting["type"] == "ready"
        for move in scenario.moves:
            socket.send(move.data)
            for answer in move.answers:
                assert answer_of(socket) == answer, move
            if move.ends:
                assert_closed(socket, move)
                return
        # Whatever needed no answer did no harm.
        socket.send(frame(TEXT, PING_MESSAGE))
        assert answer_of(socket) == "pong"
        socket.send(scenario.finale.data)
        if scenario.finale.ends:
            assert_closed(socket, scenario.finale)


def answer_of(socket: RawSocket) -> str | Closed:
    """The type of the next answer, or how the socket is closed; events are passed over."""
    while True:
        received = socket.receive()
        if isinstance(received, Closed):
            return received
        if received["type"] != "resync" and "seq" not in received:
            return str(received["type"])


def assert_closed(socket: RawSocket, move: Move) -> None:
    end = answer_of(socket)
    assert isinstance(end, Closed), (move, end)
    assert end.code in move.ends, (move, end)


# Who sits beside it


@pytest.fixture(scope="module")
def fuzzed(start_shared_server):
    return start_shared_server()


class Witness:
    """A well-behaved client, with a socket of its own, that misses nothing."""

    def __init__(self, server: Server, sub: str, socket: ClientConnection) -> None:
        self.server, self.socket = server, socket
        self.headers = {
            "Authorization": f"Bearer {sign(sub, exp=FAR)}",
            "Content-Type": "application/json",
        }
        self.seq: int = json.loads(socket.recv(timeout=60))["seq"]

    def sees_its_next_change(self) -> None:
        http = HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        http.request("POST", "/tasks", b'{"text": "seen"}', self.headers)
        response = http.getresponse()
        task = json.loads(response.read())
        http.close()
        assert response.status == 201, task
        event: dict[str, Any] = json.loads(self.socket.recv(timeout=60))
        self.seq += 1
        assert event["seq"] == self.seq
        assert event["data"] == task


@contextmanager
def witness(server: Server, sub: str) -> Iterator[Witness]:
    with connect(f"{server.socket_url}?token={sign(sub, exp=FAR)}") as socket:
        yield Witness(server, sub, socket)


def rounds(pytestconfig: pytest.Config) -> Iterator[Callable[[Any], Any]]:
    """Settings for each round: one in the suite; for `--fuzz` as many as there is time for."""
    common = settings(
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],  # shrinking would wait for every time-out again
    )
    seconds = pytestconfig.getoption("fuzz")
    if not seconds:
        yield settings(common, max_examples=30, derandomize=True)
        return
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        number = time.time_ns()
        more = settings(common, max_examples=100, print_blob=True)

        def decorate(test: Any, number: int = number, more: settings = more) -> Any:
            return seed(number)(more(test))

        yield decorate


def assert_unharmed(server: Server) -> None:
    assert server.process.poll() is None
    log = server.log.read_text()
    assert "Traceback" not in log, log
    assert " ERROR " not in log, log


GOODBYE = Move("close", frame(CLOSE, struct.pack("!H", 1000)), ends=frozenset({1000}))


def test_each_kind_of_frame_is_answered_as_promised(fuzzed):
    with witness(fuzzed, ALICE) as same_person:
        for move in [*SPECIAL, *CLOSING]:
            play(fuzzed, Scenario(None, [move], GOODBYE))
        for finale in [*BREACHES, *CUT_OFFS]:
            play(fuzzed, Scenario(None, [], finale))
        same_person.sees_its_next_change()

    assert_unharmed(fuzzed)


def test_no_frames_break_the_server_or_what_others_receive(fuzzed, pytestconfig):
    played = 0
    with witness(fuzzed, ALICE) as same_person, witness(fuzzed, BOB) as another:
        for decorate in rounds(pytestconfig):

            @decorate
            @given(scenarios)
            def fuzz(scenario: Scenario) -> None:
                nonlocal played
                play(fuzzed, scenario)
                same_person.sees_its_next_change()
                another.sees_its_next_change()
                played += 1

            fuzz()

    assert played >= 30
    assert_unharmed(fuzzed)
