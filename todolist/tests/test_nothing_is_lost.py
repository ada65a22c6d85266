"""Every event once and in order, whatever happens in between.

With a database and a Redis that processes can share, over two server processes; else over one.
"""

import json
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.client import HTTPException
from typing import Any

import pytest
from django.conf import settings as django_settings
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import connect

from conftest import (
    Answer,
    Server,
    call,
    environment_for,
    free_port,
    new_database,
    running_server,
    sign,
)

SHARED = bool(django_settings.REDIS_URL)
THREADS = 8
CHANGES = 1000 if SHARED else 200
CUTS = 50 if SHARED else 15
PATIENCE = 60  # seconds


def try_to_call(*request: Any) -> Answer | None:
    """What `call` answers; `None` where no answer came."""
    try:
        return call(*request)
    except (OSError, HTTPException):
        return None


class Follower(threading.Thread):
    """A client that resumes with `since` whenever it is cut off, and cuts itself off `cuts` times."""

    def __init__(self, servers: list[Server], token: str, cuts: int, seed: int) -> None:
        super().__init__(daemon=True)
        self.servers, self.token, self.cuts = servers, token, cuts
        self.random = random.Random(seed)  # noqa: S311
        self.events: list[dict[str, Any]] = []
        self.resyncs = 0
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.is_set():
            server = self.random.choice(self.servers)
            url = f"{server.socket_url}?token={self.token}&since={self.seq}"
            try:
                with connect(url, open_timeout=5, close_timeout=0) as socket:
                    self.follow(socket)
            except (OSError, WebSocketException, TimeoutError):
                time.sleep(0.05)

    @property
    def seq(self) -> int:
        return int(self.events[-1]["seq"]) if self.events else 0

    def follow(self, socket: Any) -> None:
        until = self.random.randint(1, max(2, 2 * CHANGES // CUTS)) if self.cuts else 10**9
        for _ in range(until):
            while not self.stop.is_set():
                try:
                    message = json.loads(socket.recv(timeout=0.2))
                    break
                except TimeoutError:
                    continue
                except ConnectionClosed:
                    return
            else:
                return
            if message["type"] == "resync":
                self.resyncs += 1
            elif "data" in message:
                self.events.append(message)
        self.cuts -= 1
        socket.socket.close()  # no closing handshake: the line is cut

    def wait_for(self, seq: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while self.seq < seq and time.monotonic() < deadline:
            time.sleep(0.05)


def make_changes(
    servers: Callable[[], list[Server]], token: str, seed: int
) -> list[tuple[str, Any]]:
    """Create, change and delete in `THREADS` threads; what was acknowledged, as (type, data)."""

    def work(thread: int) -> list[tuple[str, Any]]:
        chance = random.Random(seed + thread)  # noqa: S311
        done: list[tuple[str, Any]] = []
        mine: list[str] = []
        for number in range(CHANGES // THREADS):
            server = chance.choice(servers())
            kind = chance.choice(["create", "create", "patch", "delete"]) if mine else "create"
            if kind == "create":
                answer = try_to_call(
                    server, token, "POST", "/tasks", {"text": f"{thread}-{number}"}
                )
                if answer is not None:
                    assert answer.status == 201, answer
                    mine.append(answer.body["id"])
                    done.append(("task.created", answer.body))
            elif kind == "patch":
                path = f"/tasks/{chance.choice(mine)}"
                answer = try_to_call(server, token, "PATCH", path, {"order": number})
                if answer is not None:
                    assert answer.status == 200, answer
                    done.append(("task.updated", answer.body))
            else:
                id = mine.pop()
                answer = try_to_call(server, token, "DELETE", f"/tasks/{id}")
                if answer is not None:
                    assert answer.status in (204, 404), answer
                    done.append(("task.deleted", {"id": id}))
        return done

    with ThreadPoolExecutor(THREADS) as pool:
        return [change for batch in pool.map(work, range(THREADS)) for change in batch]


@contextmanager
def cluster(folder: Any, redis_url: str) -> Iterator[list[Server]]:
    """Two servers over one database where they can share one, else one server."""
    with ExitStack() as stack:
        url = stack.enter_context(new_database(folder))
        environment = environment_for(url, REDIS_URL=redis_url)
        count = 2 if SHARED else 1
        yield [stack.enter_context(running_server(folder, environment)) for _ in range(count)]


def as_text(changes: list[tuple[str, Any]]) -> list[str]:
    return sorted(json.dumps(change, sort_keys=True) for change in changes)


def assert_complete(follower: Follower, acknowledged: list[tuple[str, Any]]) -> None:
    """Each acknowledged change came once; numbers have no gap; nothing came twice."""
    follower.stop.set()
    follower.join(10)
    assert follower.resyncs == 0
    numbers = [event["seq"] for event in follower.events]
    assert numbers == list(range(1, len(numbers) + 1))
    seen = as_text([(event["type"], event["data"]) for event in follower.events])
    missing = set(as_text(acknowledged)) - set(seen)
    assert not missing, missing


@pytest.fixture
def two_servers(tmp_path) -> Iterator[list[Server]]:
    with cluster(tmp_path, django_settings.REDIS_URL) as servers:
        yield servers


def test_a_client_that_is_cut_off_at_random_sees_every_event_once_and_in_order(two_servers):
    token = sign("cut-off", exp=4102444800)
    cut_off = Follower(two_servers, token, CUTS, seed=1)
    steady = Follower(two_servers, token, 0, seed=2)
    cut_off.start()
    steady.start()
    acknowledged = make_changes(lambda: two_servers, token, seed=3)
    assert len(acknowledged) == CHANGES // THREADS * THREADS
    for follower in (cut_off, steady):
        follower.wait_for(len(acknowledged))
        assert_complete(follower, acknowledged)
        assert len(follower.events) == len(acknowledged)
    assert cut_off.cuts < CUTS


@pytest.mark.skipif(not SHARED, reason="There is no Redis to lose in this run")
def test_redis_is_killed_and_restarted_in_the_middle(tmp_path):
    port = free_port()
    redis = shutil.which("redis-server")
    assert redis is not None, "Install redis-server."

    def start_redis() -> subprocess.Popen[bytes]:
        quiet = subprocess.DEVNULL
        command = [redis, "--port", str(port), "--save", "", "--appendonly", "no"]
        return subprocess.Popen(command, stdout=quiet, stderr=quiet)  # noqa: S603

    running = start_redis()
    try:
        with cluster(tmp_path, f"redis://127.0.0.1:{port}/0") as servers:
            token = sign("redis-dies", exp=4102444800)
            followers = [Follower(servers, token, cuts, seed=4) for cuts in (CUTS // 5, 0)]
            for follower in followers:
                follower.start()

            def kill_and_restart() -> None:
                nonlocal running
                time.sleep(1)
                running.kill()
                running.wait()
                time.sleep(1.5)
                running = start_redis()

            trouble = threading.Thread(target=kill_and_restart)
            trouble.start()
            acknowledged = make_changes(lambda: servers, token, seed=5)
            trouble.join()
            assert len(acknowledged) == CHANGES // THREADS * THREADS  # every write succeeded
            for follower in followers:
                follower.wait_for(len(acknowledged))
                assert_complete(follower, acknowledged)
                assert len(follower.events) == len(acknowledged)
    finally:
        running.kill()
        running.wait()


@pytest.mark.skipif(not SHARED, reason="With one server there is none left to ask")
def test_a_server_is_killed_in_the_middle(two_servers):
    token = sign("server-dies", exp=4102444800)
    alive = list(two_servers)
    follower = Follower(alive, token, CUTS // 5, seed=6)
    follower.start()

    def kill() -> None:
        time.sleep(1.5)
        victim = alive.pop()
        victim.process.send_signal(signal.SIGKILL)

    trouble = threading.Thread(target=kill)
    trouble.start()
    acknowledged = make_changes(lambda: list(alive), token, seed=7)
    trouble.join()
    survivor = alive[0]
    code = "from tasks.models import Stream; print(Stream.objects.get(pk='server-dies').last_seq)"
    newest = int(survivor.manage("shell", "-v0", "-c", code).stdout)
    follower.wait_for(newest)
    # A change whose answer never came was made or was not; record and tasks agree on which.
    assert_complete(follower, [(kind, data) for kind, data in acknowledged])
    assert len(follower.events) == newest >= len(acknowledged)
    living: set[str] = set()
    for event in follower.events:
        if event["type"] == "task.deleted":
            living.discard(event["data"]["id"])
        else:
            living.add(event["data"]["id"])
    answer = call(survivor, token, "GET", "/tasks")
    assert answer.status == 200 and {task["id"] for task in answer.body} == living
