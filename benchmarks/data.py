"""The databases of a run: one for each server, the same people and tasks in all of them.

Our own is made by our own migrations, and its first tasks are created over HTTP. Those rows are then
multiplied inside the database, whatever columns they have, so nothing here knows our derived columns.
An earlier revision gets a database in the same way, by its own migrations and server, with the same
tasks under the same ids. The peers' tables get the same tasks.
"""

import hashlib
import http.client
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import jwt
import psycopg
from psycopg import sql

from benchmarks.processes import Running, Undo
from benchmarks.servers import OURS, PEERS, POSTGRES, ROLE, SECRET, Server

USERS = 1000
TASKS = 200
TOKENS = 500  # people whose tokens are in rotation
IDS = 20  # tasks of each of them that are asked for
PATTERNS = 40  # different tasks that the data is made of
LOCK = 7_206_050  # any number, for one run at a time
BEGAN = int(time.time())  # what the times of tasks, and so their ids, count back from

WIRE = (
    "id", "user_id", "text", "description", "completed", "completed_at", "deadline", "order",
    "created_at", "updated_at",
)  # fmt: skip


def user_id(number: int) -> str:
    """An id as Better Auth makes them, of 32 characters."""
    return hashlib.md5(f"user-{number}".encode()).hexdigest()  # noqa: S324


def token(user: str) -> str:
    now = int(time.time())
    claims = {"sub": user, "email": f"{user[:8]}@example.com", "name": f"User {user[:4]}"}
    return jwt.encode({**claims, "iat": now, "exp": now + 24 * 3600}, SECRET, algorithm="HS256")


def administrator(database: str = "postgres") -> psycopg.Connection[Any]:
    url = f"postgresql://postgres@{POSTGRES}/{database}"
    return psycopg.connect(url, autocommit=True, connect_timeout=5)


def claim_the_machine(undo: Undo, connections: int) -> dict[str, str]:
    """One run at a time, with as many connections as it needs; what PostgreSQL this is."""
    lock = administrator()
    undo.later(lock.close)
    if not lock.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone()[0]:  # type: ignore[index]
        raise SystemExit("Another benchmark is running on this PostgreSQL.")
    free = lock.execute(
        "SELECT current_setting('max_connections')::int - count(*) FROM pg_stat_activity"
        " WHERE backend_type = 'client backend'"
    ).fetchone()[0]  # type: ignore[index]
    needed = connections + 3
    if needed > free:
        raise SystemExit(
            f"PostgreSQL has {free} connections to give and these servers may take {needed}."
            " Raise max_connections, or measure fewer at a time with --servers."
        )
    names = ("server_version", "shared_buffers", "fsync", "synchronous_commit", "max_connections")
    return {name: lock.execute(f"SHOW {name}").fetchone()[0] for name in names}  # type: ignore[index]


def create_databases(undo: Undo, servers: list[Server], logs: Path) -> None:
    peers = [server for server in servers if not server.ours]
    undo.later(drop_everything)
    drop_everything()  # what a killed run may have left
    with administrator() as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(ROLE)))
        for server in [OURS[0], *(server for server in servers if server.revision)]:
            _create(connection, server.database)
            _fill(server, logs)
        template = "todolist_bench_template"
        _create(connection, template)
        _fill_template(template)
        for server in peers:
            _create(connection, server.database, template)


def drop_everything() -> None:
    with administrator() as connection:
        names = connection.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE 'todolist\\_bench\\_%'"
        ).fetchall()
        for (name,) in names:
            statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            connection.execute(statement.format(sql.Identifier(name)))
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(ROLE)))


def _create(connection: psycopg.Connection[Any], name: str, template: str = "template1") -> None:
    statement = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}")
    connection.execute(statement.format(*map(sql.Identifier, (name, ROLE, template))))


def _fill(server: Server, logs: Path) -> None:
    migrate(server)
    running = Running(server, logs)
    try:
        running.wait_until_it_answers()
        _create_patterns(server)
    finally:
        running.stop()
    with administrator(server.database) as connection:
        multiply(connection, [(user_id(number), TASKS) for number in range(USERS)])


def migrate(server: Server) -> None:
    command = [f"{server.folder}/.venv/bin/python", "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(command, cwd=server.folder, env=server.full_environment(), check=True)  # noqa: S603


def _create_patterns(server: Server) -> None:
    """The tasks that all others are copies of, through the front door."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    headers = {
        "Authorization": f"Bearer {token(user_id(-1))}",
        "Content-Type": "application/json",
    }
    for number in range(PATTERNS):
        task: dict[str, Any] = {
            "text": f"Water the plants on the balcony, row {number}",
            "description": "" if number % 2 else "A can for each of them; the basil wants two.",
            "completed": number % 3 == 0,
            "order": number,
        }
        if number % 4 == 0:
            task["deadline"] = f"2099-01-{number % 28 + 1:02}T09:00:00Z"
        connection.request("POST", "/tasks", json.dumps(task), headers)
        response = connection.getresponse()
        body = response.read()
        if response.status != 201:
            raise SystemExit(f"Could not create tasks: {response.status} {body[:300]!r}")


# Ids are UUIDs of version 7, as ours are, made of the time of the task.
_COPY = """
    WITH pattern AS (
        SELECT row_number() OVER (ORDER BY "order") - 1 AS number, source.*
        FROM tasks_task AS source WHERE user_id = %(pattern)s
    ), task AS (
        SELECT owner.user_id AS owner, number %% %(patterns)s AS pattern,
               md5(owner.user_id || number) AS random,
               to_timestamp(%(began)s) - (owner.tasks - number) * interval '53 seconds'
               - interval '30 days' + owner.place * interval '1 millisecond' AS moment
        FROM unnest(%(users)s::text[], %(counts)s::int[]) WITH ORDINALITY
             AS owner (user_id, tasks, place)
        CROSS JOIN LATERAL generate_series(0, owner.tasks - 1) AS number
    )
    INSERT INTO tasks_task ({columns})
    SELECT {values} FROM task JOIN pattern ON pattern.number = task.pattern
"""
_VALUES = {
    "id": "(lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '7'"
    " || substr(random, 1, 3) || '8' || substr(random, 4, 15))::uuid",
    "user_id": "owner",
    "completed_at": "CASE WHEN pattern.completed THEN moment END",
    "created_at": "moment",
    "updated_at": "moment",
}
_STREAM_VALUES = {"user_id": "owner", "last_seq": "tasks", "pruned_seq": "tasks"}


def multiply(connection: psycopg.Connection[Any], owners: list[tuple[str, int]]) -> None:
    """Give each of these people that many tasks. Their events are older than events are kept."""
    users, counts = [owner for owner, _ in owners], [tasks for _, tasks in owners]
    parameters = {
        "users": users, "counts": counts, "pattern": user_id(-1), "patterns": PATTERNS,
        "began": BEGAN,
    }  # fmt: skip
    names = _columns(connection, "tasks_task")
    statement = _COPY.format(columns=_quoted(names), values=_selected(names, _VALUES, "pattern"))
    connection.execute(statement, parameters)  # type: ignore[arg-type]
    names = _columns(connection, "tasks_stream")
    connection.execute(
        f"INSERT INTO tasks_stream ({_quoted(names)})"  # type: ignore[arg-type]  # noqa: S608
        f" SELECT {_selected(names, _STREAM_VALUES, 'pattern')}"
        " FROM unnest(%(users)s::text[], %(counts)s::int[]) AS owner (owner, tasks)"
        " CROSS JOIN (SELECT * FROM tasks_stream WHERE user_id = %(pattern)s) AS pattern",
        parameters,
    )
    connection.execute("VACUUM ANALYZE")


def _columns(connection: psycopg.Connection[Any], table: str) -> list[str]:
    """The columns of a table that one may write to."""
    rows = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
        " AND NOT attisdropped AND attgenerated = '' AND attidentity = '' ORDER BY attnum",
        [table],
    )
    return [name for (name,) in rows]


def _quoted(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _selected(names: list[str], values: dict[str, str], source: str) -> str:
    return ", ".join(values.get(name, f'{source}."{name}"') for name in names)


def _fill_template(template: str) -> None:
    with administrator(template) as connection:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(ROLE)))
        connection.execute((PEERS / "schema.sql").read_text())  # type: ignore[arg-type]
    copy_tasks(template, [user_id(number) for number in range(USERS)])


def copy_tasks(database: str, users: list[str]) -> None:
    """Give a peer the tasks that these people have in our own database."""
    columns = _quoted(list(WIRE))
    query = f"COPY (SELECT {columns} FROM tasks_task WHERE user_id = ANY(%s)) TO STDOUT"  # noqa: S608
    with administrator(OURS[0].database) as ours, administrator(database) as theirs:
        with (
            ours.cursor().copy(query, [users]) as source,  # type: ignore[arg-type]
            theirs.cursor().copy(f"COPY task ({columns}) FROM STDIN") as target,  # type: ignore[arg-type]
        ):
            for block in source:
                target.write(block)
        theirs.execute("VACUUM ANALYZE task")


def write_rotation(path: Path) -> None:
    """A file for wrk: a token and one of its owner's tasks in each line, the owners taking turns."""
    users = [user_id(number) for number in range(TOKENS)]
    with administrator(OURS[0].database) as connection:
        rows = connection.execute(
            "SELECT user_id, id FROM tasks_task WHERE user_id = ANY(%s) ORDER BY user_id, id",
            [users],
        ).fetchall()
    theirs: dict[str, list[str]] = {user: [] for user in users}
    for user, task in rows:
        theirs[user].append(str(task))
    tokens = {user: token(user) for user in users}
    step = TASKS // IDS
    with path.open("w") as file:
        for turn in range(IDS):
            for user in users:
                file.write(f"{tokens[user]} {theirs[user][turn * step]}\n")


def settle(databases: list[str]) -> None:
    """Write out what is pending, so that no server pays for another's writes."""
    for database in databases:
        with administrator(database) as connection:
            connection.execute("VACUUM ANALYZE")
    with administrator() as connection:
        connection.execute("CHECKPOINT")
