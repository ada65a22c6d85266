"""Backup and restore, by the commands that are shipped, on the cluster's PostgreSQL."""

import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from cluster import DEPLOY
from parts import wait_until
from websockets.sync.client import connect


@pytest.fixture
def folder():
    with TemporaryDirectory(prefix="todolist-backups-") as name:
        yield Path(name)


def script(cluster, name, *arguments, **changes):
    environment = {**cluster.environment, "DATABASE_URL": cluster.owner_url, **changes}
    return subprocess.run(
        [DEPLOY / "postgresql" / name, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def backup(cluster, folder, **changes):
    done = script(cluster, "backup.sh", folder, **changes)
    assert (done.returncode, done.stderr) == (0, "")
    return Path(done.stdout.strip())


def restore(cluster, file):
    """As docs/operations.md says: servers and workers are stopped meanwhile."""
    ours = [*cluster.servers, cluster.worker]
    for part in ours:
        part.stop()
    done = script(cluster, "restore.sh", file)
    for part in ours:
        part.start()
    wait_until(cluster.all_ready, 30)
    return done


def test_a_restored_backup_is_what_it_was(cluster, folder, person, new_person):
    kept = person.ask("POST", "/tasks", {"text": "Before the backup"})[1]
    file = backup(cluster, folder)
    assert file.stat().st_mode & 0o077 == 0
    person.ask("POST", "/tasks", {"text": "After the backup"})
    person.ask("PATCH", f"/tasks/{kept['id']}", {"text": "Changed"})

    done = restore(cluster, file)

    assert done.returncode == 0, done.stdout + done.stderr
    assert person.ask("GET", "/tasks") == (200, [kept])
    # The server's role has its rights again, of tables, sequences and functions alike.
    status, task = person.ask("POST", "/tasks", {"text": "After it"})
    assert status == 201
    assert person.ask("GET", f"/tasks/{task['id']}") == (200, task)
    assert person.ask("GET", "/tasks/019b0000-0000-7000-8000-000000000000")[0] == 404
    assert new_person().ask("GET", f"/tasks/{task['id']}")[0] == 403
    with psycopg.connect(cluster.owner_url) as database:
        assert database.execute(
            "SELECT count(*) FROM pg_class WHERE relname = 'tasks_task' AND reltuples >= 0 "
            "AND relrowsecurity AND relforcerowsecurity"
        ).fetchone() == (1,)
        # The index of search, with the extension that it needs.
        assert database.execute("SELECT to_regclass('task_search')").fetchone() == ("task_search",)


def test_after_a_restore_clients_are_told_to_fetch_anew(cluster, folder, person):
    """Numbers that they know stand for other events now, however many came since."""

    def come_back(position):
        url = f"ws://127.0.0.1:{cluster.port}/ws/notifications"
        with connect(url + position, subprotocols=["bearer", person.token]) as client:
            ready = json.loads(client.recv(timeout=20))
            client.send('{"type": "ping"}')
            return ready, json.loads(client.recv(timeout=20))["type"]

    person.ask("POST", "/tasks", {"text": "Before the backup"})
    file = backup(cluster, folder)
    person.ask("POST", "/tasks", {"text": "After the backup"})
    known, _ = come_back("")
    position = f"?since={known['seq']}&epoch={known['epoch']}"
    assert come_back(position)[1] == "pong"

    assert restore(cluster, file).returncode == 0
    for number in range(3):
        assert person.ask("POST", "/tasks", {"text": f"Of the new history {number}"})[0] == 201

    assert come_back(position)[1] == "resync"


def test_a_damaged_backup_changes_nothing(cluster, folder, person):
    for number in range(50):
        assert person.ask("POST", "/tasks", {"text": f"Task {number}"})[0] == 201
    file = backup(cluster, folder)
    damaged = folder / "damaged.dump"
    damaged.write_bytes(file.read_bytes()[:-2000])
    before = person.ask("GET", "/tasks")

    done = restore(cluster, damaged)

    assert done.returncode != 0
    assert person.ask("GET", "/tasks") == before


def test_as_many_backups_are_kept_as_one_says(cluster, folder):
    for day in range(1, 5):
        (folder / f"todolist-2026010{day}T020000Z.dump").touch()
    (folder / "something else.dump").touch()
    file = backup(cluster, folder, KEEP="2")
    assert {each.name for each in folder.iterdir()} == {
        file.name,
        "todolist-20260104T020000Z.dump",
        "something else.dump",
    }


def test_a_backup_that_fails_leaves_nothing_behind(cluster, folder):
    done = script(cluster, "backup.sh", folder, DATABASE_URL=cluster.owner_url + "-of-another-name")
    assert done.returncode != 0
    assert list(folder.iterdir()) == []
