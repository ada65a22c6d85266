"""Many at once: nothing is lost, nothing fails, and no connection stays behind."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import psycopg
import pytest
from django.db import connection

from accounts.reading import own_row
from accounts.users import CurrentUser
from conftest import Server, call, sign
from tasks.models import Task
from tasks.serializers import TASK
from todolist.handler import THREADS as REQUEST_THREADS

THREADS = 50
CONNECTIONS = REQUEST_THREADS + 3  # and those that read for sockets


@pytest.fixture(scope="module")
def busy_server(start_server) -> Any:
    """A server of its own: its tasks and connections are counted."""
    return start_server()


def test_200_creates_at_once_by_20_people_make_200_tasks(busy_server):
    tokens = [sign(f"person-{number}") for number in range(20)]
    start = Barrier(THREADS)

    def create_four(thread: int) -> list[int]:
        start.wait()
        return [
            call(
                busy_server, tokens[(thread * 4 + n) % 20], "POST", "/tasks", {"text": f"{n}"}
            ).status
            for n in range(4)
        ]

    with ThreadPoolExecutor(THREADS) as pool:
        statuses = [status for batch in pool.map(create_four, range(THREADS)) for status in batch]
    assert statuses == [201] * 200
    found = [call(busy_server, token, "GET", "/tasks").body for token in tokens]
    assert [len(tasks) for tasks in found] == [10] * 20
    assert len({task["id"] for tasks in found for task in tasks}) == 200


def list_at_once(server: Server) -> set[int]:
    """The statuses of twice as many lists as there are threads that ask for one."""
    token = sign()
    with ThreadPoolExecutor(THREADS) as pool:
        answers = pool.map(lambda _: call(server, token, "GET", "/tasks"), range(2 * THREADS))
        return {answer.status for answer in answers}


def connections(server: Server) -> int:
    """How many connections the server process holds to its database."""
    url = server.database_url
    if url.startswith("sqlite"):
        name = url.removeprefix("sqlite:///")
        files = Path(f"/proc/{server.process.pid}/fd").iterdir()
        return sum(1 for file in files if file.is_symlink() and str(file.readlink()) == name)
    with psycopg.connect(url) as database:
        row = database.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_connections_do_not_leak(busy_server):
    for _ in range(4):
        assert list_at_once(busy_server) == {200}
    assert 0 < connections(busy_server) <= CONNECTIONS


def test_a_database_that_dropped_its_connections_costs_nobody_a_request(busy_server):
    url = busy_server.database_url
    if url.startswith("sqlite"):
        pytest.skip("SQLite has no connections to drop")
    list_at_once(busy_server)  # so that it holds as many connections as it ever will
    with psycopg.connect(url) as database:
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert call(busy_server, sign(), "GET", "/tasks").status == 200
    assert list_at_once(busy_server) == {200}


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_is_closed_under_a_reader_is_replaced():
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no connections to drop")
    task = Task(user_id="alice", text="x")
    task.save()

    def terminate(pid: int) -> None:
        with connection.cursor() as cursor:  # another thread's, so another one
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
        connection.close()

    with ThreadPoolExecutor(1) as aside:
        aside.submit(terminate, connection.connection.info.backend_pid).result()
    assert own_row(CurrentUser("alice"), TASK, task.pk) == task.written
