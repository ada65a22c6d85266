"""Servers under strain: clients that do not read, and an orderly shutdown (docs/api.md section 5)."""

import asyncio
import base64
import os
import resource
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as sync_connect

from conftest import Server, both_kinds, call, sign
from tasks.models import Task

IMPATIENT = "todolist.tests.impatient:application"
DEAF = 20  # sockets that do not read
BACKLOG = 2500  # events that each of them asks for: 5.8 MB, which kept for all would be 116 MB
ENOUGH = 16 * 1024 * 1024  # bytes of messages: kept, a server would have grown by half as many
SOCKETS = 500
PEOPLE = 50  # at most 20 sockets each


def deaf_socket(server: Server, token: str) -> socket.socket:
    """A socket that shakes hands and then reads nothing any more."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", server.port))
    key = base64.b64encode(os.urandom(16)).decode()
    client.sendall(
        f"GET /ws/notifications?token={token} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    assert b"101" in client.recv(64)
    return client


def open_sockets(server: Server) -> int:
    """How many connections the server holds to clients of its own (proc(5), /proc/net/tcp)."""
    established, port = "01", f":{server.port:04X}"
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(1 for row in rows if row[1].endswith(port) and row[3] == established)


def memory(server: Server) -> int:
    """Resident memory of the server process, in bytes."""
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


@both_kinds
def test_a_client_that_does_not_read_is_let_go(start_server, kind, working_on):
    server = start_server(kind, application=IMPATIENT)
    token = sign("deaf")
    with working_on(server.database_url), transaction.atomic():
        task = Task.objects.create(user_id="deaf", text="x", description="x" * 1900)
        for _ in range(BACKLOG - 1):
            task.record_event("updated")
    # Whoever reads gets everything; after that, the server has grown as far as it has to.
    assert asyncio.run(count_events(server, token)) == BACKLOG
    before = most = memory(server)
    while open_sockets(server):  # those of before are being closed
        time.sleep(0.05)
    with ExitStack() as stack:
        for _ in range(DEAF):
            stack.enter_context(closing(deaf_socket(server, f"{token}&since=0")))
        assert open_sockets(server) == DEAF
        deadline = time.monotonic() + 40
        while open_sockets(server) and time.monotonic() < deadline:
            most = max(most, memory(server))
            time.sleep(0.05)
        assert open_sockets(server) == 0
    # 1 MiB each, and as much again for what Python and the C library keep of what they freed.
    assert most - before < DEAF * 2 * 1024 * 1024
    assert asyncio.run(count_events(server, token)) == BACKLOG


def frame(opcode: int, payload: bytes) -> bytes:
    """A client's frame of the shortest form, masked with zeros (RFC 6455 section 5.2)."""
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(frame(0x9, b"x" * 125), id="pings of the protocol"),
        pytest.param(frame(0x1, b'{"type": "ping"}'), id="pings of ours"),
        pytest.param(frame(0x1, b"x" * 125), id="nonsense"),
    ],
)
def test_a_client_that_asks_and_does_not_read_costs_little(server, message):
    """Not under daphne, which queues what clients send without limit (docs/servers.md)."""
    with sync_connect(f"{server.socket_url}?token={sign('reading')}") as reader:
        for _ in range(2000):  # after these the server has grown as far as it has to
            reader.send('{"type": "ping"}')
        for _ in range(2000):
            reader.recv(timeout=30)
    with closing(deaf_socket(server, sign("asking"))) as client:
        client.settimeout(1)
        before = most = memory(server)
        deadline = time.monotonic() + 4
        sent = 0
        try:
            while sent < ENOUGH and time.monotonic() < deadline:
                client.sendall(message * 1000)
                sent += 1000 * len(message)
                most = max(most, memory(server))
        except OSError:
            pass  # it takes no more, or has let the client go
        # Ours take a way through the application, which in that time allocates some MiB of its own.
        limit = 8 if b"type" in message else 4
        assert most - before < limit * 1024 * 1024


@both_kinds
def test_a_socket_that_opens_during_the_goodbye_is_told_as_well(start_server, kind):
    """Its handshake begins before the signal and ends after it."""
    server = start_server(kind)
    with ExitStack() as stack:
        # Somebody who does not answer the closing frame: the goodbye takes as long as it may.
        stack.enter_context(closing(deaf_socket(server, sign("deaf"))))
        late = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 10))
        request = (
            f"GET /ws/notifications?token={sign('late')} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ).encode()
        late.sendall(request[:-2])
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        answer = b""
        try:
            late.sendall(request[-2:])
            while chunk := late.recv(4096):
                answer += chunk
        except ConnectionError:
            pass
        # Told in a way that it can read, or never let in.
        assert not answer or answer.startswith(b"HTTP/1.1 5") or b"\x88\x02\x03\xe9" in answer
    assert server.process.wait(15) is not None


async def count_events(server: Server, token: str) -> int:
    async with connect(f"{server.socket_url}?token={token}&since=0", compression=None) as client:
        await client.recv()
        for _ in range(BACKLOG):
            await asyncio.wait_for(client.recv(), 30)
    return BACKLOG


@pytest.fixture
def many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 4 * SOCKETS:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4 * SOCKETS, hard), hard))


@both_kinds
def test_at_shutdown_all_sockets_are_told_and_no_acknowledged_write_is_lost(
    start_server, kind, many_files, working_on
):
    server = start_server(kind)
    acknowledged: list[str] = []
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            try:
                answer = call(server, sign("writer"), "POST", "/tasks", {"text": "x"})
            except (OSError, HTTPException):
                return
            if answer.status == 201:
                acknowledged.append(answer.body["id"])

    writers = [threading.Thread(target=write) for _ in range(4)]
    codes, seconds = asyncio.run(open_then_terminate(server, writers))
    stop.set()
    for writer in writers:
        writer.join(10)
    assert codes == [1001] * SOCKETS
    assert seconds < 5
    assert server.process.wait(10) is not None
    with working_on(server.database_url):
        saved = {str(pk) for pk in Task.objects.values_list("pk", flat=True)}
    assert acknowledged and set(acknowledged) <= saved


async def open_then_terminate(
    server: Server, writers: list[threading.Thread]
) -> tuple[list[int], float]:
    """Open the sockets, send SIGTERM while writes go on; the close codes, and how long it took."""

    async def open_one(number: int) -> Any:
        token = sign(f"person-{number % PEOPLE}")
        client = await connect(f"{server.socket_url}?token={token}", open_timeout=30)
        await client.recv()
        return client

    clients = []
    for start in range(0, SOCKETS, 50):
        clients += await asyncio.gather(*(open_one(start + n) for n in range(50)))
    for writer in writers:
        writer.start()
    await asyncio.sleep(0.5)
    server.process.send_signal(signal.SIGTERM)
    begin = time.monotonic()

    async def close_code(client: Any) -> int:
        try:
            while True:
                await client.recv()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006

    codes = await asyncio.gather(*map(close_code, clients))
    return list(codes), time.monotonic() - begin


@pytest.fixture
def two_processors() -> Iterator[set[int]]:
    """Whatever is started meanwhile may run on two processors."""
    every = os.sched_getaffinity(0)
    if len(every) < 2:
        pytest.skip("on one processor there is nothing to share out")
    chosen = set(sorted(every)[:2])
    os.sched_setaffinity(0, chosen)
    yield chosen
    os.sched_setaffinity(0, every)


def processors_of_workers(server: Server) -> dict[int, set[int]]:
    """Where most threads of each worker may run, after each worker has probably answered.

    Not all: uvicorn has one that only says that the process is there.
    """
    with ThreadPoolExecutor(8) as people:
        for status in people.map(
            lambda _: call(server, sign("a"), "GET", "/tasks").status, range(24)
        ):
            assert status == 200
    pid = server.process.pid
    found = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
            threads = [int(thread.name) for thread in Path(f"/proc/{child}/task").iterdir()]
            kept_to = Counter(frozenset(os.sched_getaffinity(thread)) for thread in threads)
            found[int(child)] = set(kept_to.most_common(1)[0][0])
    return found


def test_as_many_workers_as_processors_keep_to_one_each(start_server, two_processors):
    server = start_server(workers=2)

    def all_settled(without: int = 0) -> dict[int, set[int]]:
        found: dict[int, set[int]] = {}
        deadline = time.monotonic() + 30
        while True:
            with suppress(OSError, HTTPException):  # of a worker that was killed
                found = processors_of_workers(server)
                if without not in found and sorted(map(list, found.values())) == [
                    [processor] for processor in sorted(two_processors)
                ]:
                    return found
            assert time.monotonic() < deadline, found

    killed = min(all_settled())
    os.kill(killed, signal.SIGKILL)
    all_settled(without=killed)  # the one in its place has the processor that it has left


def test_other_numbers_of_workers_run_wherever_there_is_room(start_server, two_processors):
    found = processors_of_workers(start_server(workers=3))
    assert list(found.values()) == [two_processors] * 3


def test_whoever_can_still_connect_at_shutdown_is_answered(start_server):
    """A proxy may not send a POST again that it has sent on a connection which was then reset."""
    server = start_server("uvicorn")
    request = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    ends = Counter[str]()

    def knock() -> None:
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", server.port), 10)
            except OSError:
                return  # refused: a proxy asks the next server
            with connection:
                answer = b""
                with suppress(OSError):
                    connection.sendall(request)
                    while chunk := connection.recv(4096):
                        answer += chunk
                ends[answer[:12].decode() or "lost"] += 1

    clients = [threading.Thread(target=knock) for _ in range(40)]
    for client in clients:
        client.start()
    time.sleep(0.5)
    server.process.send_signal(signal.SIGTERM)
    for client in clients:
        client.join(20)
    assert ends["lost"] == 0, ends
    assert ends.keys() <= {"HTTP/1.1 200", "lost"}
