"""Keeping the writers of a running server waiting, from outside, so that requests overlap."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from email.message import Message
from http.client import HTTPConnection
from typing import Any, NamedTuple

import psycopg
from django.db import connection

from conftest import ALICE, Server, connect_as_everyone, sign

PATIENCE = 60  # seconds; only a test that fails waits as long


def until_somebody_waits(number: int = 1) -> None:
    """Return once so many other connections wait for a lock."""
    end = time.monotonic() + 30
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with connection.cursor() as cursor:
        while time.monotonic() < end:
            cursor.execute("SELECT pg_stat_clear_snapshot()")  # else it shows what it showed before
            cursor.execute(waiting)
            if cursor.fetchone()[0] >= number:
                return
            time.sleep(0.02)
    raise AssertionError("nobody waits")


class Answer(NamedTuple):
    """What a server said, byte for byte."""

    status: int
    headers: Message
    content: bytes

    def json(self) -> Any:
        return json.loads(self.content)


def ask(server: Server, method: str, path: str, body: object = None, **headers: str) -> Answer:
    """One request of Alice's; underscores in names of headers are hyphens."""
    client = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    sent = {"Authorization": f"Bearer {sign(ALICE)}", "Content-Type": "application/json"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(client):
        client.request(method, path, None if body is None else json.dumps(body), sent)
        response = client.getresponse()
        return Answer(response.status, response.headers, response.read())


@contextmanager
def writers_waiting(server: Server, owner: str = ALICE) -> Iterator[Callable[[int], None]]:
    """While this lasts, no change of this owner's gets done; they all go on afterwards.

    Yields a function that returns once so many requests wait, as far as the database can tell.
    The owner must have an event already.
    """
    url = server.database_url
    if url.startswith("sqlite"):
        file = url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(file, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            yield lambda number: time.sleep(0.5)
            writer.execute("ROLLBACK")
        return

    def wait_for(number: int) -> None:
        deadline = time.monotonic() + PATIENCE
        with psycopg.connect(url, autocommit=True) as watch:
            while time.monotonic() < deadline:
                row = watch.execute(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
                ).fetchone()
                if row is not None and row[0] >= number:
                    return
                time.sleep(0.02)
        raise AssertionError(f"never {number} requests waiting")

    with connect_as_everyone(url) as database:
        found = database.execute(
            "SELECT 1 FROM tasks_stream WHERE user_id = %s FOR UPDATE", [owner]
        ).fetchone()
        assert found is not None, "without an event there is no row to hold"
        yield wait_for
