"""Many at once: nothing is lost, nothing fails, and no connection stays behind."""

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import (
    DataError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    connection,
    transaction,
)
from django.test.utils import CaptureQueriesContext

from accounts.owned.databases import fetch
from conftest import Server, call, client_with, sign
from tasks.models import Task
from todolist.serving.handler import THREADS_AT_MOST

THREADS = 50
CONNECTIONS = THREADS_AT_MOST + 3  # and those that read for sockets


@pytest.fixture(scope="module")
def busy_server(start_shared_server) -> Any:
    """A server of its own: its tasks and connections are counted."""
    return start_shared_server()


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


def test_who_waits_for_a_writer_of_sqlite_is_not_refused_for_others_that_wait(busy_server):
    url = busy_server.database_url
    if not url.startswith("sqlite"):
        pytest.skip("PostgreSQL writes for many at a time, and locks have a limit of their own")
    tokens = [sign(f"waits-{number}") for number in range(2 * THREADS_AT_MOST)]
    with (
        closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as writer,
        ThreadPoolExecutor(len(tokens)) as pool,
    ):
        writer.execute("BEGIN IMMEDIATE")
        waiting = [
            pool.submit(call, busy_server, token, "POST", "/tasks", {"text": "x"})
            for token in tokens
        ]
        time.sleep(3)  # twice as long as anybody has patience with others that hang
        assert call(busy_server, tokens[0], "GET", "/tasks").status == 200
        assert not any(each.done() for each in waiting)
        writer.execute("ROLLBACK")
        assert [each.result().status for each in waiting] == [201] * len(tokens)


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


# Statements without a cursor

on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has cursors")
committing = pytest.mark.django_db(transaction=True)  # or else all is part of a transaction


def terminate_our_connection() -> None:
    def terminate(pid: int) -> None:
        with connection.cursor() as cursor:  # another thread's, so another one
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
        connection.close()

    connection.ensure_connection()
    with ThreadPoolExecutor(1) as aside:
        aside.submit(terminate, connection.connection.info.backend_pid).result()


def prepared() -> list[str]:
    """The statements that are prepared on our connection."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT statement FROM pg_prepared_statements WHERE name LIKE 'fetch%%' ORDER BY name",
            [],
        )
        return [sql for (sql,) in cursor.fetchall()]


VALUES: list[tuple[str, Any]] = [
    ("text", "naïve ☕ 'x' \"y\" \\ %s %% $1 \n"),
    ("text", ""),
    ("text", None),
    ("integer", -(2**31)),
    ("bigint", 2**62),
    ("boolean", True),
    ("boolean", False),
    ("uuid", UUID(int=7)),
    ("timestamptz", datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)),
    ("timestamptz", datetime(1, 1, 1, tzinfo=UTC)),
]


@on_postgresql
@committing
def test_values_arrive_as_they_were_sent():
    sql = f"SELECT {', '.join(f'%s::{kind}' for kind, _ in VALUES)}, 7 %% 4"
    values = [value for _, value in VALUES]
    expected = [(*values, 3)]
    for _ in range(2):
        assert fetch(sql, values) == expected
    assert len(prepared()) == 1
    with transaction.atomic():
        assert fetch(sql, values) == expected
    with CaptureQueriesContext(connection) as captured:
        assert fetch(sql, values) == expected
    assert len(captured) == 1
    assert len(prepared()) == 1


@on_postgresql
@committing
def test_a_text_is_not_cut_off_where_it_holds_a_nul():
    for _ in range(2):
        with pytest.raises(DataError, match="NUL"):
            fetch("SELECT %s::text", ["before\0after"])


@on_postgresql
@committing
def test_errors_are_those_that_a_cursor_raises():
    for _ in range(2):
        with pytest.raises(DataError, match="division by zero"):
            fetch("SELECT 1 / %s::int", [0])
        with pytest.raises(ProgrammingError, match="no_such_table"):
            fetch("SELECT * FROM no_such_table", [])
        with pytest.raises(IntegrityError, match="tasks_stream"):
            fetch("INSERT INTO tasks_stream (user_id) VALUES (%s) RETURNING 1", [None])
    assert fetch("SELECT %s::int", [1]) == [(1,)]


@on_postgresql
@committing
def test_a_connection_keeps_so_many_statements_and_forgets_the_one_not_asked_for_longest(
    monkeypatch,
):
    monkeypatch.setattr("todolist.serving.postgresql.base.PREPARED_AT_MOST", 3)
    connection.close()
    for number in (1, 2, 3, 1, 4):
        assert fetch(f"SELECT {number}", []) == [(number,)]
    assert sorted(prepared()) == ["SELECT 1", "SELECT 3", "SELECT 4"]


@on_postgresql
@committing
def test_statements_that_the_server_was_made_to_forget_are_prepared_again():
    for statement in ("DISCARD ALL", "DEALLOCATE ALL"):
        assert fetch("SELECT %s::int", [7]) == [(7,)]
        with connection.cursor() as cursor:
            cursor.execute(statement)
        assert fetch("SELECT %s::int", [7]) == [(7,)]
        assert len(prepared()) == 1


def roll_back() -> None:
    with transaction.atomic():
        Task.objects.exists()
        transaction.set_rollback(True)


def roll_back_to_a_savepoint() -> None:
    with transaction.atomic():
        Task.objects.exists()
        roll_back()


@on_postgresql
@committing
@pytest.mark.parametrize("rolling_back", [roll_back, roll_back_to_a_savepoint])
def test_a_rollback_makes_the_server_forget_nothing(monkeypatch, rolling_back):
    """PgBouncer hangs up on whoever asks for a statement that was forgotten."""
    monkeypatch.setattr("todolist.serving.postgresql.base.PREPARE_AGAIN", frozenset())
    for _ in range(10):  # more often than psycopg takes to prepare one by itself
        Task.objects.exists()
    assert fetch("SELECT %s::int", [7]) == [(7,)]
    rolling_back()
    Task.objects.exists()
    assert fetch("SELECT %s::int", [7]) == [(7,)]
    assert len(prepared()) == 1


@on_postgresql
@committing
def test_a_statement_whose_columns_have_changed_is_prepared_again():
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE changing AS SELECT 1 AS one")
    assert fetch("SELECT * FROM changing", []) == [(1,)]
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE changing ADD two integer DEFAULT 2")
    for _ in range(2):
        assert fetch("SELECT * FROM changing", []) == [(1, 2)]
    assert len(prepared()) == 1


@on_postgresql
@committing
def test_a_connection_that_is_lost_is_no_reason_to_write_twice():
    task = Task(user_id="alice", text="x")
    terminate_our_connection()
    with pytest.raises(OperationalError):
        task.save()
    connection.close()
    assert not Task.objects.exists()


@on_postgresql
@committing
def test_a_connection_that_is_closed_under_a_reader_is_replaced():
    task = Task(user_id="alice", text="x")
    task.save()
    terminate_our_connection()
    assert client_with(sign("alice")).get(f"/tasks/{task.pk}").json()["id"] == str(task.pk)
