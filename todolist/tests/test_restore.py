"""A backup is restored under clients that know more than it holds."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from django.db import connection
from websockets.sync.client import ClientConnection, connect

from conftest import Server, call, new_database, sign

PATIENCE = 30  # seconds


def backed_up(url: str, folder: Path) -> Callable[[], None]:
    """Take a backup of the database at this URL; what is returned puts it in place again."""
    if url.startswith("sqlite"):
        file, copy = url.removeprefix("sqlite:///"), folder / "backup.sqlite3"
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)

        def restore_file() -> None:
            with closing(sqlite3.connect(copy)) as source, closing(sqlite3.connect(file)) as target:
                source.backup(target)

        return restore_file
    server, _, name = url.rpartition("/")

    def replace(old: str, new: str) -> None:
        with psycopg.connect(f"{server}/postgres", autocommit=True) as database:
            database.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [old]
            )
            database.execute(f'DROP DATABASE IF EXISTS "{new}" WITH (FORCE)')
            database.execute(f'CREATE DATABASE "{new}" TEMPLATE "{old}"')

    replace(name, f"{name}_backup")

    def restore_database() -> None:
        replace(f"{name}_backup", name)
        with psycopg.connect(f"{server}/postgres", autocommit=True) as database:
            database.execute(f'DROP DATABASE "{name}_backup"')

    return restore_database


def received(client: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(client.recv(timeout=PATIENCE))
    return message


def add_task(server: Server, token: str, text: str) -> None:
    assert call(server, token, "POST", "/tasks", {"text": text}).status == 201


def test_who_knows_more_than_the_backup_is_told(start_server, tmp_path):
    with new_database(tmp_path) as url:
        server: Server = start_server(DATABASE_URL=url)
        token = sign()
        socket_url = f"{server.socket_url}?token={token}"
        for text in ("one", "two"):
            add_task(server, token, text)
        restore = backed_up(url, tmp_path)
        for text in ("lost", "lost as well"):
            add_task(server, token, text)
        with connect(socket_url) as alive:
            ready = received(alive)
            assert ready["seq"] == 4
            known = ready["epoch"]

            restore()
            done = server.manage("new_epoch")
            assert done.returncode == 0, done.stderr
            told = received(alive)
            while told["epoch"] == known:  # from when the tables were empty, on their way back
                told = received(alive)
            assert (told["type"], told["seq"]) == ("resync", 2)
            epoch = told["epoch"]
            assert epoch in done.stdout

            for text in ("three", "four", "five"):  # past the number that clients know
                add_task(server, token, text)
            assert [received(alive)["seq"] for _ in range(3)] == [3, 4, 5]

        with connect(f"{socket_url}&since=4&epoch={known}") as back:
            received(back)
            told = received(back)
            assert told == {"type": "resync", "seq": 5, "epoch": epoch}
        with connect(f"{socket_url}&since=4&epoch={epoch}") as fine:
            received(fine)
            assert received(fine)["data"]["text"] == "five"
        gone = call(server, token, "GET", f"/events?since=4&epoch={known}")
        assert (gone.status, gone.body["seq"], gone.body["epoch"]) == (410, 5, epoch)
        assert call(server, token, "GET", f"/events?since=4&epoch={epoch}").status == 200


def test_statistics_are_renewed(start_server):
    server: Server = start_server()
    if connection.vendor == "sqlite":
        file = server.database_url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(file)) as database:
            tables = "SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_stat1'"
            assert database.execute(tables).fetchone() == (0,)
            assert server.manage("new_epoch").returncode == 0
            assert database.execute(tables).fetchone() == (1,)
        return
    add_task(server, sign(), "x")
    with psycopg.connect(server.database_url, autocommit=True) as database:
        counted = "SELECT reltuples FROM pg_class WHERE relname = 'tasks_task'"
        assert database.execute(counted).fetchone() != (1.0,)
        assert server.manage("new_epoch").returncode == 0
        assert database.execute(counted).fetchone() == (1.0,)
