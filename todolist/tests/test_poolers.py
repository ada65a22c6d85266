"""Two servers and the worker behind PgBouncer in transaction mode: whatever it does with connections."""

import json
import os
import pwd
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import settings as django_settings
from django.db import connection, connections
from websockets.sync.client import connect

from accounts.owned.databases import fetch
from conftest import (
    ALICE,
    BOB,
    ROLE,
    Server,
    call,
    connect_as_everyone,
    environment_for,
    free_port,
    manage,
    new_database,
    sign,
)

pytestmark = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no poolers")

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@pytest.fixture(scope="module")
def version() -> tuple[int, ...]:
    if PGBOUNCER is None:
        if os.environ.get("CI"):
            pytest.fail("CI is to install pgbouncer")
        pytest.skip("pgbouncer is not installed")
    said = subprocess.run([PGBOUNCER, "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    found = re.search(r"PgBouncer (\d+)\.(\d+)", said.stdout)
    assert found
    return int(found[1]), int(found[2])


class Pooled(NamedTuple):
    """A migrated database, and its address through a pooler."""

    direct: str
    url: str

    def environment(self, **changes: str) -> dict[str, str]:
        return environment_for(self.url, **changes)


@contextmanager
def pooler(folder: Path, direct: str, **parameters: str) -> Iterator[Pooled]:
    """PgBouncer in transaction mode, with few connections, in front of the database at `direct`."""
    configured: Any = django_settings.DATABASES["default"]
    port = free_port()
    server = {"host": configured["HOST"], "port": configured["PORT"] or 5432, "user": ROLE}
    if configured["PASSWORD"]:
        server["password"] = configured["PASSWORD"]
    values = {
        **{"listen_addr": "127.0.0.1", "listen_port": port, "unix_socket_dir": ""},
        **{"auth_type": "any", "pool_mode": "transaction", "default_pool_size": 3},
        **{"max_client_conn": 200, "ignore_startup_parameters": "extra_float_digits"},
        **parameters,
    }
    ini = folder / f"pgbouncer-{port}.ini"
    ini.write_text(
        "[databases]\n* = "
        + " ".join(f"{name}={value}" for name, value in server.items())
        + "\n[pgbouncer]\n"
        + "".join(f"{name} = {value}\n" for name, value in values.items())
    )
    assert PGBOUNCER is not None
    # It refuses to be root, and reads its configuration before it is somebody else.
    user = ["-u", pwd.getpwnam("nobody").pw_name] if os.geteuid() == 0 else []
    log = folder / f"pgbouncer-{port}.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(  # noqa: S603
            [PGBOUNCER, *user, str(ini)], stdout=sink, stderr=sink
        )
    address = re.sub(r"//.*@?[^/@]*/", f"//{ROLE}@127.0.0.1:{port}/", direct)
    try:
        deadline = time.monotonic() + 30
        while True:
            with suppress(psycopg.OperationalError), psycopg.connect(address, connect_timeout=5):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PgBouncer did not start:\n{log.read_text()}")
            time.sleep(0.05)
        yield Pooled(direct, address)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def start_pooler(
    version: tuple[int, ...], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Any]:
    """Start a pooler in front of a database of its own, for a `with`."""

    @contextmanager
    def start(**parameters: str) -> Iterator[Pooled]:
        folder = tmp_path_factory.mktemp("pooler")
        if version >= (1, 21):
            parameters.setdefault("max_prepared_statements", "0")
        with new_database(folder) as direct, pooler(folder, direct, **parameters) as pooled:
            yield pooled

    return start


@pytest.fixture(scope="module")
def untracked(start_pooler: Callable[..., Any]) -> Iterator[Pooled]:
    """One that forgets who prepared what, and drops what commands say at start."""
    with start_pooler(ignore_startup_parameters="extra_float_digits, options") as pooled:
        yield pooled


@pytest.fixture(scope="module")
def tracked(start_pooler: Callable[..., Any], version: tuple[int, ...]) -> Iterator[Pooled]:
    if version < (1, 22):
        pytest.skip("this PgBouncer does not track prepared statements")
    with start_pooler(max_prepared_statements="50") as pooled:
        yield pooled


def everything(server: Server, person: str) -> None:
    """Ask for each thing in turn, and find that the answer is of that thing, and theirs."""
    token = sign(person)

    def ask(method: str, path: str, body: object = None, status: int = 200) -> Any:
        answer = call(server, token, method, path, body)
        assert answer.status == status, (method, path, answer)
        return answer.body

    made = ask("POST", "/tasks", {"text": person, "deadline": "2030-01-01T00:00:00Z"}, 201)
    for number in range(5):
        assert ask("GET", "/me")["id"] == person
        assert {task["text"] for task in ask("GET", "/tasks")} == {person}
        assert ask("GET", f"/tasks/{made['id']}")["text"] == person
        assert ask("GET", "/notifications") == []
        events = ask("GET", "/events?since=0")
        assert {event["type"].partition(".")[0] for event in events} == {"task"}
        with connect(f"{server.socket_url}?token={token}&since=0") as socket:
            ready, first = (json.loads(socket.recv(timeout=30)) for _ in range(2))
            assert (ready["type"], first["type"]) == ("ready", "task.created")
            assert first["data"]["text"] == person
        changed = ask("PATCH", f"/tasks/{made['id']}", {"description": f"{number}"})
        assert (changed["text"], changed["description"]) == (person, f"{number}")
        assert {task["text"] for task in ask("GET", "/tasks?search=" + person[:5])} == {person}
    assert call(server, sign("somebody else"), "GET", f"/tasks/{made['id']}").status == 403
    ask("DELETE", f"/tasks/{made['id']}", None, 204)
    ask("GET", f"/tasks/{made['id']}", None, 404)


def try_everything(pooled: Pooled, start_server: Callable[..., Server], **changes: str) -> Server:
    """Two servers, asked for different things first, then for all of them at once."""
    servers = [start_server(DATABASE_URL=pooled.url, **changes) for _ in range(2)]
    for server, path in zip(servers, ("/notifications", "/tasks"), strict=True):
        assert call(server, sign("nobody"), "GET", path).body == []
    with ThreadPoolExecutor(8) as pool:
        tries = [
            pool.submit(everything, servers[number % 2], f"person {number}") for number in range(16)
        ]
        for one in tries:
            one.result()
    return servers[0]


@pytest.mark.parametrize("said", ["none", "transaction"])
def test_no_answer_is_anothers_behind_a_pooler_that_forgets(untracked, start_server, said):
    server = try_everything(untracked, start_server, DATABASE_POOLER=said)
    log = server.log.read_text()
    assert "Traceback" not in log and "ERROR" not in log
    assert ("todolist.W031" in log) == (said == "none")


@pytest.mark.parametrize("said", ["transaction", "tracking"])
def test_nor_behind_one_that_keeps_track(tracked, start_server, said):
    log = try_everything(tracked, start_server, DATABASE_POOLER=said).log.read_text()
    assert "Traceback" not in log and "ERROR" not in log and "todolist.W031" not in log


def due_tasks(pooled: Pooled) -> None:
    """Four of two people, past their deadlines."""
    with connect_as_everyone(pooled.direct) as direct:
        direct.execute("TRUNCATE tasks_task CASCADE")
        direct.execute(
            "INSERT INTO tasks_task (id, user_id, text, description, completed, deadline,"
            ' next_reminder_at, "order", created_at, updated_at, search_text, version)'
            " SELECT gen_random_uuid(), owner, 'x', '', false, now() - interval '1 hour',"
            " now() - interval '1 hour', 0, now(), now(), 'x', 1"
            " FROM unnest(%s::text[]) AS owner, generate_series(1, 2)",
            [[ALICE, BOB]],
        )


def test_commands_act_for_everyone_behind_it(untracked):
    due_tasks(untracked)
    environment = untracked.environment(DATABASE_POOLER="transaction")
    ran = manage("send_reminders", environment=environment)
    assert (ran.returncode, ran.stdout.strip()) == (0, "4 notifications made"), ran.stderr
    counting = "from tasks.models import Task; print(Task.objects.count())"
    told = manage("shell", "--no-imports", "-c", counting, environment=environment)
    assert told.stdout.split() == ["4"], told.stderr
    with psycopg.connect(untracked.url) as other:  # nothing of it is left on the connection
        assert other.execute("SELECT count(*) FROM tasks_task").fetchone() == (0,)


def test_commands_that_would_act_for_nobody_say_so_and_do_nothing(untracked):
    due_tasks(untracked)
    ran = manage("send_reminders", environment=untracked.environment())
    assert ran.returncode != 0 and "made" not in ran.stdout
    assert "DATABASE_POOLER" in ran.stderr and "would see no rows" in ran.stderr


@pytest.fixture
def refusing(start_pooler: Callable[..., Any]) -> Iterator[Pooled]:
    with start_pooler() as pooled:
        yield pooled


def test_a_pooler_that_refuses_what_commands_say_at_start_is_explained(refusing):
    ran = manage("doctor", environment=refusing.environment())
    assert ran.returncode == 1
    assert "startup parameter" in ran.stdout and "set DATABASE_POOLER" in ran.stdout
    ran = manage("check", "--database", "default", environment=refusing.environment())
    assert "todolist.W031" in ran.stderr and "todolist.W024" not in ran.stderr


def test_what_is_in_front_is_found_and_limits_are_missed(untracked):
    told = manage("doctor", environment=untracked.environment()).stdout
    assert "does not keep track of prepared statements" in told
    assert "Set DATABASE_POOLER=transaction" in told
    environment = untracked.environment(DATABASE_POOLER="transaction")
    told = manage("doctor", environment=environment).stdout
    assert "keep track" not in told
    assert f"ALTER ROLE {ROLE} SET statement_timeout = '4s'" in told
    wrong = manage("doctor", environment=untracked.environment(DATABASE_POOLER="tracking")).stdout
    assert "does not keep track of prepared statements" in wrong


def test_without_a_pooler_nothing_is_said_of_it(untracked):
    told = manage("doctor", environment=environment_for(untracked.direct)).stdout
    assert "pooler" not in told and "database" in told


# Names of statements


@pytest.mark.django_db(transaction=True)
def test_a_statement_that_another_process_has_prepared_is_taken_as_it_is():
    connection.close()
    for number in (1, 2):
        assert fetch(f"SELECT {number}, %s::int", [7]) == [(number, 7)]
    other: Any = connection.copy()
    other.ensure_connection()
    theirs, ours = other.connection, connection.connection
    try:
        connection.connection = theirs  # what a pooler does
        for number in (2, 1):
            assert fetch(f"SELECT {number}, %s::int", [7]) == [(number, 7)]
        connection.connection = ours
        other.connection = ours
        for number in (2, 1, 3):
            assert other.fetch(f"SELECT {number}, %s::int", [7]) == [(number, 7)]
    finally:
        connection.connection, other.connection = ours, theirs
        other.close()


@pytest.mark.django_db
def test_who_waits_for_the_pooler_leaves_others_their_turn(start_pooler, settings, monkeypatch):
    """Where one connection is all there is, and another thread has to give it back first."""
    settings.DATABASE_RLS = False  # nothing to say at the start, which is dropped
    monkeypatch.setattr("todolist.serving.postgresql.base.PREPARED_AT_MOST", 1)
    with start_pooler(
        ignore_startup_parameters="extra_float_digits, options",
        default_pool_size="1",
        query_wait_timeout="10",  # then PgBouncer gives up
    ) as pooled:
        address = urlsplit(pooled.url)
        where = {"HOST": address.hostname, "PORT": address.port, "NAME": address.path[1:]}
        here: Any = connections["default"]
        ours = type(here)({**here.settings_dict, **where}, "default")
        with closing(ours), psycopg.connect(pooled.url) as other, ThreadPoolExecutor(1) as aside:
            assert ours.fetch("SELECT 1, %s::int", [7]) == [(1, 7)]
            other.execute("SELECT 1")  # has the only connection, until it commits

            def give_back() -> None:
                time.sleep(0.5)  # by then the others wait
                other.commit()

            giving_back = aside.submit(give_back)
            # Forgets the first statement before it prepares the second one.
            assert ours.fetch("SELECT 2, %s::int", [7]) == [(2, 7)]
            giving_back.result()
