"""What happens to PostgreSQL, seen from a real server: nothing waits without end, nothing stays ill."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

import psycopg
import pytest
from django.db import connection
from websockets.sync.client import connect

from conftest import (
    Server,
    call,
    connect_as_everyone,
    environment_for,
    new_database,
    running_server,
    sign,
)
from todolist.tests.freezing import FreezingProxy, freezing

pytestmark = pytest.mark.skipif(connection.vendor != "postgresql", reason="of PostgreSQL")

PATIENCE = 20  # seconds
AT_MOST = 5  # seconds for any answer


class Asked(NamedTuple):
    at: float
    status: int
    code: str
    seconds: float


def ask(server: Server, token: str, method: str, path: str, body: object = None) -> Asked:
    begin = time.monotonic()
    answer = call(server, token, method, path, body)
    code = answer.body.get("code", "") if isinstance(answer.body, dict) else ""
    return Asked(begin, answer.status, code, time.monotonic() - begin)


@contextmanager
def steadily(
    server: Server, people: int, method: str, path: str, pause: float
) -> Iterator[list[Asked]]:
    """So many people ask the same again and again, each as soon as they have an answer."""
    found: list[Asked] = []
    done = threading.Event()

    def go_on(number: int) -> None:
        token = sign(f"person-{number}")
        while not done.wait(pause):
            body = {"text": "x"} if method == "POST" else None
            found.append(ask(server, token, method, path, body))

    with ThreadPoolExecutor(people) as pool:
        asking = [pool.submit(go_on, number) for number in range(people)]
        try:
            yield found
        finally:
            done.set()
            for each in asking:
                each.result()


@pytest.fixture
def behind_proxy(tmp_path) -> Iterator[tuple[Server, FreezingProxy]]:
    with new_database(tmp_path) as url, freezing(url, 5432) as proxy:
        environment = environment_for(proxy.before(url))
        with running_server(tmp_path, environment) as server:
            yield server, proxy


def test_a_frozen_database_keeps_nobody_and_heals(behind_proxy):
    server, proxy = behind_proxy
    reads = steadily(server, 12, "GET", "/tasks", 0.1)
    writes = steadily(server, 4, "POST", "/tasks", 0.1)
    others = steadily(server, 2, "GET", "/me", 0.2)
    with reads as read, writes as written, others as me:
        time.sleep(2)
        frozen = time.monotonic()
        proxy.freeze()
        time.sleep(10)
        proxy.thaw()
        thawed = time.monotonic()
        time.sleep(6)
    slowest = max(each.seconds for each in (*read, *written))
    assert slowest < AT_MOST + 1  # of a machine that is busy
    assert {each.status for each in (*read, *written)} <= {200, 201, 503}
    during = [each for each in (*read, *written) if frozen + 0.5 < each.at < thawed - 5]
    assert during and {each.status for each in during} == {503}
    assert {each.code for each in during} <= {"busy", "database_unavailable"}
    assert {each.status for each in me} == {200} and max(each.seconds for each in me) < 2
    after = [each for each in (*read, *written) if each.at > thawed + 4]
    assert after and {each.status for each in after} <= {200, 201}
    log = server.log.read_text()
    assert log.count("a statement was given up") == 1
    assert "Traceback" not in log


def test_a_table_that_is_locked_holds_up_only_who_wants_it(start_server):
    server: Server = start_server()
    for number in range(20):
        ask(server, sign(f"person-{number}"), "GET", "/notifications")
    with connect_as_everyone(server.database_url) as holder:
        pid = holder.info.backend_pid
        concerned = steadily(server, 16, "GET", "/notifications", 0.1)
        others = steadily(server, 4, "GET", "/tasks", 0.05)
        with others as read:
            holder.execute("LOCK TABLE tasks_notification")
            with concerned as waited:
                time.sleep(7)
        holder.rollback()
    assert waited and {each.status for each in waited} == {503}
    assert {each.code for each in waited} == {"busy"}
    assert max(each.seconds for each in waited) < AT_MOST
    assert {each.status for each in read} == {200}
    times = sorted(each.seconds for each in read)
    assert times[len(times) * 9 // 10] < 1 and times[-1] < 3
    log = server.log.read_text()
    assert log.count("Requests wait for a lock on tasks_notification") == 1
    assert f"session {pid} of PostgreSQL holds" in log
    assert log.count("Requests are refused: others hang") == 1
    assert "of one person wait" not in log
    assert ask(server, sign("person-1"), "GET", "/notifications").status == 200


def test_one_person_who_waits_for_a_lock_reads_other_tables_meanwhile(start_server):
    server: Server = start_server()
    token = sign()
    ask(server, token, "GET", "/notifications")
    with connect_as_everyone(server.database_url) as holder, ThreadPoolExecutor(4) as pool:
        holder.execute("LOCK TABLE tasks_notification")
        waiting = [pool.submit(ask, server, token, "GET", "/notifications") for _ in range(4)]
        time.sleep(0.6)
        other = ask(server, token, "GET", "/tasks")
        assert (other.status, other.seconds < 1) == (200, True)
        assert {each.result().code for each in waiting} == {"busy"}
        holder.rollback()


def test_of_two_that_wait_for_each_other_a_request_is_done_anew(start_server):
    server: Server = start_server()
    token = sign()
    made = {
        path: call(server, token, "POST", path, {name: "x"}).body["id"]
        for path, name in (("/projects", "name"), ("/tasks", "text"))
    }
    one, change = f"/tasks/{made['/tasks']}", {"project_id": made["/projects"]}
    with connect_as_everyone(server.database_url) as holder, ThreadPoolExecutor(1) as pool:
        holder.execute("SELECT FROM tasks_project FOR UPDATE")
        changing = pool.submit(ask, server, token, "PATCH", one, change)
        time.sleep(0.5)  # it has the task by now, and waits for the project
        holder.execute("SELECT FROM tasks_task FOR UPDATE")
        holder.rollback()
        assert changing.result().status == 200
    assert call(server, token, "GET", one).body["project_id"] == change["project_id"]


def test_a_socket_is_answered_over_another_connection_where_the_server_ends_one(tmp_path):
    patient = "options=-c%20lock_timeout%3D30s%20-c%20statement_timeout%3D30s"
    with (
        new_database(tmp_path) as url,
        # Without Redis the record is compared after seconds only: until then the socket alone asks.
        running_server(tmp_path, environment_for(f"{url}?{patient}", REDIS_URL="")) as server,
        connect_as_everyone(url) as holder,
        psycopg.connect(url, autocommit=True) as database,
    ):

        def waiting(but: set[int]) -> set[int]:
            """The sessions that wait for the lock, as soon as there is one beside these."""
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                found = database.execute(
                    "SELECT pid FROM pg_locks"
                    " WHERE relation = 'tasks_stream'::regclass AND NOT granted"
                ).fetchall()
                if pids := {pid for (pid,) in found} - but:
                    return pids
                time.sleep(0.02)
            pytest.fail("Nobody asks")

        holder.execute("LOCK TABLE tasks_stream")
        with connect(f"{server.socket_url}?token={sign()}") as client:
            ended = waiting(but=set())
            database.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s) AS pid", [[*ended]])
            waiting(but=ended)
            holder.rollback()
            assert json.loads(client.recv(timeout=PATIENCE))["type"] == "ready"


@contextmanager
def refusing(url: str, *, ending: bool = True) -> Iterator[None]:
    """New connections are refused and those of before ended, as while PostgreSQL restarts."""
    server, _, name = url.rpartition("/")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as database:
        database.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        if ending:
            # Until they have ended: what is sent to one that is about to end is not known to be undone.
            database.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
                [name],
            )
        try:
            yield
        finally:
            database.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


def test_a_database_that_is_soon_back_costs_nobody_a_request(tmp_path):
    with new_database(tmp_path) as url, running_server(tmp_path, environment_for(url)) as server:
        people = [sign(f"person-{number}") for number in range(4)]
        for token in people:
            ask(server, token, "GET", "/tasks")
        with ThreadPoolExecutor(4) as pool:
            with refusing(url):
                asked = [
                    pool.submit(ask, server, token, method, "/tasks", body)
                    for token, (method, body) in zip(
                        people, [("GET", None), ("POST", {"text": "x"})] * 2, strict=True
                    )
                ]
                time.sleep(0.5)
                ready = call(server, sign(), "GET", "/health/ready").body
            assert [each.result().status for each in asked] == [200, 201, 200, 201]
        assert ready["database"] == "unreachable"


def test_who_waits_for_a_database_takes_no_threads_from_others(tmp_path):
    with new_database(tmp_path) as url, running_server(tmp_path, environment_for(url)) as server:
        with refusing(url), steadily(server, 16, "GET", "/tasks", 0.05) as read:
            time.sleep(1)
            assert ask(server, sign(), "GET", "/me").status == 200
            time.sleep(4)
        assert {(each.status, each.code) for each in read} == {(503, "database_unavailable")}
        assert server.log.read_text().count("The database does not answer") == 1


def test_where_there_may_be_no_more_connections_those_that_are_there_serve(tmp_path):
    with new_database(tmp_path) as url, running_server(tmp_path, environment_for(url)) as server:
        for number in range(4):
            ask(server, sign(f"person-{number}"), "GET", "/tasks")
        with (
            refusing(url, ending=False),
            steadily(server, 16, "GET", "/tasks", 0.05) as read,
        ):
            time.sleep(4)
        served = [each for each in read if each.status == 200]
        assert len(served) > 50  # were they to wait for others, each person had two answers


def test_writes_heal_after_a_time_without(tmp_path):
    with new_database(tmp_path) as url:
        name = url.rpartition("/")[2]
        with running_server(tmp_path, environment_for(url)) as server:
            token = sign()
            assert ask(server, token, "POST", "/tasks", {"text": "x"}).status == 201
            with psycopg.connect(url, autocommit=True) as database:
                read_only = f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'
                database.execute(read_only)
                database.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                people = [sign(f"person-{number}") for number in range(8)]

                def write(token: str) -> Asked:
                    return ask(server, token, "POST", "/tasks", {"text": "x"})

                with ThreadPoolExecutor(8) as pool:
                    refused = list(pool.map(write, people * 2))
                    assert {each.code for each in refused} == {"database_unavailable"}
                    assert ask(server, token, "GET", "/tasks").status == 200
                    database.execute("SET default_transaction_read_only = off")
                    database.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
                    time.sleep(2)
                    assert {each.status for each in pool.map(write, people * 4)} == {201}


@pytest.mark.django_db(transaction=True)
def test_connections_end_at_different_times():
    ends = []
    for _ in range(5):
        connection.close()
        connection.ensure_connection()
        assert connection.close_at is not None
        ends.append(connection.close_at - time.monotonic())
    assert all(299 < end <= 600 for end in ends) and len({round(end) for end in ends}) > 1
