"""Ready means ready: `/health/ready` of real servers, while what they depend on comes and goes."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection

from accounts.tests.keyserver import SigningKey, serving
from conftest import (
    ROOT,
    Answer,
    Server,
    call,
    connect_as_everyone,
    copied_database,
    environment_for,
    free_port,
    new_database,
    running_server,
    sign,
)
from todolist.tests.freezing import freezing

PATIENCE = 20  # seconds

postgresql_only = pytest.mark.skipif(connection.vendor != "postgresql", reason="of PostgreSQL")


def ready(server: Server) -> Answer:
    return call(server, "", "GET", "/health/ready")


def becomes(running: Server, **expected: Any) -> Answer:
    """What `/health/ready` says once it says what is expected."""
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = ready(running)
        if expected.items() <= {"http": answer.status, **answer.body}.items():
            return answer
        assert time.monotonic() < deadline, answer
        time.sleep(0.1)


def seconds_of_ready(server: Server, times: int) -> float:
    """The longest of so many."""
    longest = 0.0
    for _ in range(times):
        begin = time.monotonic()
        ready(server)
        longest = max(longest, time.monotonic() - begin)
        time.sleep(0.3)
    return longest


def test_a_schema_behind_the_code_is_not_ready_until_it_is_migrated(tmp_path):
    with copied_database(tmp_path, template=None) as url:
        environment = environment_for(url)
        with running_server(tmp_path, environment) as server:
            answer = becomes(server, http=503, database="not_migrated")
            assert answer.body["detail"] == "Not ready: database not_migrated"
            assert call(server, "", "GET", "/health/live").status == 200
            assert server.manage("migrate").returncode == 0
            becomes(server, http=200, status="ok", database="ok")
            assert server.log.read_text().count("not migrated") == 1


def test_migrations_of_a_later_version_are_fine(start_server):
    """While servers are replaced, the tables are those of the new version already."""
    server: Server = start_server()
    with ExitStack() as stack:
        sql = "INSERT INTO django_migrations (app, name, applied) VALUES ('tasks', '9999', now())"
        if connection.vendor == "sqlite":
            import sqlite3

            file = stack.enter_context(
                sqlite3.connect(server.database_url.removeprefix("sqlite:///"))
            )
            file.execute(sql.replace("now()", "CURRENT_TIMESTAMP"))
        else:
            stack.enter_context(psycopg.connect(server.database_url)).execute(sql)
    assert becomes(server, http=200).body["database"] == "ok"


def test_keys_that_were_never_fetched_are_fetched(start_server):
    key = SigningKey()
    with serving(key) as keys:
        keys.mood = "failing"
        server: Server = start_server(BETTER_AUTH_SECRET="", BETTER_AUTH_URL=keys.origin)
        assert ready(server).body["keys"] == "never_fetched"
        answer = becomes(server, http=503, keys="never_fetched")
        assert answer.body["detail"] == "Not ready: keys never_fetched"
        keys.mood = "well"
        becomes(server, http=200, keys="ok")  # by the question alone: nobody has come with a token
        keys.mood = "failing"
        assert ready(server).status == 200
        assert call(server, key.sign(keys.origin), "GET", "/me").status == 200


@postgresql_only
def test_a_database_that_takes_no_writes_is_not_ready(tmp_path):
    with new_database(tmp_path) as url:
        name = url.rpartition("/")[2]
        with running_server(tmp_path, environment_for(url)) as server:
            becomes(server, http=200)
            with psycopg.connect(url, autocommit=True) as database:
                database.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
                answer = becomes(server, http=503, database="read_only")
                assert answer.body["detail"] == "Not ready: database read_only"
                database.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
            becomes(server, http=200)


@postgresql_only
def test_while_postgresql_is_frozen_it_answers_within_a_second(tmp_path):
    with new_database(tmp_path) as url, freezing(url, 5432) as proxy:
        environment = environment_for(proxy.before(url))
        with running_server(tmp_path, environment) as server:
            becomes(server, http=200)
            proxy.freeze()
            becomes(server, http=503, database="unreachable")
            assert seconds_of_ready(server, 8) < 1
            assert call(server, "", "GET", "/health/live").status == 200
            assert call(server, sign(), "GET", "/me").status == 200
            proxy.thaw()
            becomes(server, http=200, database="ok")


def test_while_redis_is_frozen_it_is_ready_within_a_second(start_server):
    with socket.create_server(("127.0.0.1", 0), backlog=128) as silent:
        port = silent.getsockname()[1]
        server: Server = start_server(REDIS_URL=f"redis://127.0.0.1:{port}/0")
        answer = becomes(server, http=200, channel_layer="unreachable")
        assert answer.body["status"] == "ok"
        assert seconds_of_ready(server, 5) < 1
        assert call(server, sign(), "POST", "/tasks", {"text": "x"}).status == 201


# Told to go


@contextmanager
def draining_server(folder: Path, database_url: str, *options: str) -> Iterator[Server]:
    port = free_port()
    log = folder / "draining.log"
    environment = environment_for(database_url)
    with log.open("wb") as sink:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "manage.py", "serve", f"127.0.0.1:{port}", *options],
            cwd=ROOT,
            env=environment,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    server = Server(port, log, process, environment, "uvicorn")
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                if ready(server).status == 200:
                    break
            except OSError:
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
        yield server
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_told_to_go_it_is_not_ready_and_answers_for_a_while(tmp_path, workers):
    with (
        new_database(tmp_path) as url,
        draining_server(tmp_path, url, "--drain", "3", "--workers", workers) as server,
    ):
        server.process.send_signal(signal.SIGTERM)
        server.process.send_signal(signal.SIGTERM)  # as systemd does, to all at once
        answer = becomes(server, http=503, server="stopping")
        assert answer.body["detail"] == "Not ready: server stopping"
        assert call(server, "", "GET", "/health/live").status == 200
        assert call(server, sign(), "POST", "/tasks", {"text": "x"}).status == 201
        begin = time.monotonic()
        server.process.wait(PATIENCE)
        assert time.monotonic() - begin < 10
        assert "Traceback" not in server.log.read_text()


def test_an_interrupt_waits_for_nobody(tmp_path):
    with new_database(tmp_path) as url, draining_server(tmp_path, url, "--drain", "600") as server:
        server.process.send_signal(signal.SIGTERM)
        becomes(server, server="stopping")
        server.process.send_signal(signal.SIGINT)
        server.process.wait(PATIENCE)


@postgresql_only
def test_a_request_in_hand_is_answered(tmp_path):
    """It waits for a lock while the server is told to go."""
    with (
        new_database(tmp_path) as url,
        ThreadPoolExecutor(1) as aside,
        draining_server(tmp_path, url, "--drain", "0") as server,
    ):
        token = sign()
        assert call(server, token, "GET", "/notifications").status == 200
        with connect_as_everyone(url) as database:
            database.execute("LOCK TABLE tasks_notification")
            in_hand = aside.submit(call, server, token, "GET", "/notifications")
            time.sleep(0.5)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(1)
            database.rollback()
        assert in_hand.result().status == 200
        server.process.wait(PATIENCE)
