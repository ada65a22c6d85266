"""Migrations of a database that is in use: they wait for no lock for long, and keep nobody out."""

import time
from typing import Any

import psycopg
import pytest
from django.db import connection, migrations, models
from django.db.migrations.loader import MigrationLoader

from conftest import copied_database, environment_for, manage
from todolist import migration_checks
from todolist.migration_checks import check_migrations_lock_nobody_out

postgresql_only = pytest.mark.skipif(connection.vendor != "postgresql", reason="of PostgreSQL")


@postgresql_only
def test_a_lock_that_is_held_is_waited_for_five_seconds_and_said(tmp_path):
    with copied_database(tmp_path, template=None) as url:
        environment = environment_for(url)
        assert manage("migrate", "tasks", "0012", environment=environment).returncode == 0
        with psycopg.connect(url, application_name="a report") as holder:
            holder.execute("SELECT count(*) FROM tasks_task")
            pid = holder.info.backend_pid
            time.sleep(1)
            begin = time.monotonic()
            done = manage("migrate", environment=environment)
            assert 4 < time.monotonic() - begin < 30
            assert done.returncode == 1
            assert "Traceback" not in done.stderr
            assert "can be run again" in done.stderr
            assert f"session {pid} of PostgreSQL (application a report, idle in tr" in done.stderr
        assert manage("migrate", environment=environment).returncode == 0
        assert manage("migrate", "--check", environment=environment).returncode == 0


@postgresql_only
@pytest.mark.django_db(transaction=True)
def test_only_migrations_have_this_limit():
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout')")
        assert cursor.fetchone() == ("0",)


def test_the_migrations_there_are_pass():
    assert list(check_migrations_lock_nobody_out()) == []


def nothing(apps: Any, schema_editor: Any) -> None:
    pass


CONSTRAINT = models.CheckConstraint(condition=models.Q(order__gte=0), name="order_not_negative")
COLUMN = migrations.AddField("task", "extra", models.CharField(max_length=5, default=""))
TABLE = migrations.CreateModel("Extra", [("id", models.BigAutoField(primary_key=True))])
REFUSED: dict[str, list[Any]] = {
    "AddIndex": [migrations.AddIndex("task", models.Index(fields=["order"], name="by_order"))],
    "AddConstraint": [migrations.AddConstraint("task", CONSTRAINT)],
    "AlterField": [migrations.AlterField("task", "order", models.BigIntegerField(default=0))],
    "RunPython": [COLUMN, migrations.RunPython(nothing)],
    "RunSQL": [COLUMN, migrations.RunSQL("SELECT 1")],
}
FINE: list[list[Any]] = [
    [COLUMN],
    [migrations.RunPython(nothing)],
    [migrations.AlterField("task", "order", models.IntegerField(default=1))],
    [TABLE, migrations.AddIndex("extra", models.Index(fields=["id"], name="extra_by_id"))],
]


def found(operations: list[Any], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the check says where the newest migration of tasks has these operations."""
    loader = MigrationLoader(None)
    (newest,) = loader.graph.leaf_nodes("tasks")
    monkeypatch.setattr(loader.get_migration(*newest), "operations", operations)
    monkeypatch.setattr(loader.get_migration(*newest), "atomic", True)
    monkeypatch.setattr(migration_checks, "MigrationLoader", lambda _: loader)
    messages = list(check_migrations_lock_nobody_out())
    assert {message.id for message in messages} <= {"todolist.E033"}
    return [message.msg.rpartition(": ")[2] for message in messages]


@pytest.mark.parametrize("kind", REFUSED)
def test_what_locks_a_table_is_refused(kind, monkeypatch):
    assert found(REFUSED[kind], monkeypatch) == [f"{kind}."]


@pytest.mark.parametrize("operations", FINE)
def test_what_does_not_is_fine(operations, monkeypatch):
    assert found(operations, monkeypatch) == []
