"""Migrations go forward from a database that has been in use."""

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from accounts.owned.acting import acting_as
from accounts.users import CurrentUser
from conftest import ALICE, BOB, connect_as_everyone, copied_database, environment_for, manage
from tasks.due import send_due
from tasks.models import Task
from tasks.resources.limits import CALENDAR
from tasks.resources.positioned import top_position

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def at() -> Iterator[Any]:
    """Takes the database to a migration, and gives the models of that time."""

    def migrate(name: str) -> Any:
        executor = MigrationExecutor(connection)
        executor.migrate([("tasks", name)])
        return MigrationExecutor(connection).loader.project_state([("tasks", name)]).apps

    yield migrate
    call_command("migrate", verbosity=0)


def test_what_search_compares_is_folded_again(at, monkeypatch):
    monkeypatch.setattr("tasks.migrations.0010_search_by_words.BATCH", 2)
    before = at("0009_base_managers").get_model("tasks", "Task")
    moment = timezone.now()
    common = {"created_at": moment, "updated_at": moment, "description": "Dr. Ğ"}
    texts = ["plain", "İstanbul", "mi\u00adlk", "\u0131sparta", "café"]
    for number, text in enumerate(texts):
        folded = f"{text.casefold()}\x1fdr. ğ"
        owner = (ALICE, BOB)[number % 2]
        before.objects.create(user_id=owner, text=text, search_text=folded, **common)
    rows = dict(before.objects.values_list("pk", "version"))

    at("0010_search_by_words")
    call_command("migrate", verbosity=0)

    for term in ("plain", "istanbul", "MILK", "Isparta", "CAFÉ"):
        assert Task.objects.search(term).get().text in texts
    assert Task.objects.search("dr").count() == len(texts)
    assert dict(Task.objects.values_list("pk", "version")) == rows
    assert set(Task.objects.values_list("updated_at", flat=True)) == {moment}


def test_tasks_of_before_have_places_and_dates_as_new_ones_do(at, monkeypatch):
    monkeypatch.setattr("tasks.migrations.0018_fill_lists.BATCH", 2)
    before = at("0016_push").get_model("tasks", "Task")
    moments = [timezone.now() + timedelta(microseconds=number) for number in range(5)]
    for moment in [*moments, moments[0].replace(microsecond=0)]:
        its = {"created_at": moment, "updated_at": moment, "deadline": moment}
        before.objects.create(user_id=ALICE, text="x", search_text="x", **its)
    versions = dict(before.objects.values_list("pk", "version"))

    call_command("migrate", verbosity=0)

    for task in Task.objects.all():
        assert task.position == top_position(task.created_at)
        assert task.due_at == task.deadline
    assert dict(Task.objects.values_list("pk", "version")) == versions


def test_days_and_preferences_of_before_are_heeded_by_reminders(at):
    """Preferences were kept before anything went by them, and no pass looked at days."""
    before = at("0019_indexes_of_lists")
    now = timezone.now()
    deadline = now + timedelta(days=3)
    stamps = {"created_at": now, "updated_at": now}
    for owner, remind_before in ((ALICE, 2 * 24 * 60), (BOB, 30)):
        wanted = {"user_id": owner, "remind_before": remind_before, **stamps}
        before.get_model("tasks", "Preferences").objects.create(**wanted)
        for its in (
            {"deadline": deadline, "due_at": deadline, "next_reminder_at": deadline},
            {"due_on": deadline.date(), "due_at": deadline + timedelta(days=1)},
        ):
            before.get_model("tasks", "Task").objects.create(
                user_id=owner, text="x", **its, **stamps
            )

    call_command("migrate", verbosity=0)

    assert sum(send_due(deadline - timedelta(days=2))) == 1
    assert sum(send_due(deadline + timedelta(days=2))) == 4


@pytest.mark.skipif(connection.vendor != "postgresql", reason="others are read whatever they hold")
def test_moments_that_nobody_could_read_are_brought_into_the_calendar(at):
    before = at("0012_epoch").get_model("tasks", "Task")
    moment = timezone.now()
    kept = before.objects.create(user_id=ALICE, text="x", created_at=moment, updated_at=moment)
    odd = before.objects.create(user_id=ALICE, text="y", created_at=moment, updated_at=moment)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE tasks_task SET deadline = 'infinity', next_reminder_at = '0044-03-15 BC',"
            " updated_at = '10000-01-01' WHERE text = 'y'"
        )

    at("0013_in_calendar")
    call_command("migrate", verbosity=0)

    first, last = CALENDAR
    mended = Task.objects.get(pk=odd.pk)
    assert (mended.deadline, mended.next_reminder_at, mended.updated_at) == (last, first, last)
    assert mended.created_at == moment
    assert Task.objects.get(pk=kept.pk).updated_at == moment
    with pytest.raises(IntegrityError), connection.cursor() as cursor:
        cursor.execute("UPDATE tasks_task SET deadline = '-infinity'")


def as_superuser(url: str, statement: str) -> None:
    """Execute it there; the test is skipped where those who run it are none."""
    name = url.rpartition("/")[2]
    with closing(psycopg.connect(os.environ["DATABASE_URL"], dbname=name, autocommit=True)) as one:
        asked = one.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        if asked.fetchone() != (True,):
            pytest.skip("nobody here may mark a function LEAKPROOF")
        one.execute(statement)


def is_indexed(url: str) -> bool:
    with connect_as_everyone(url) as there:
        return there.execute("SELECT to_regclass('task_search')").fetchone() != (None,)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="others have no such index")
def test_search_is_indexed_where_row_level_security_lets_an_index_be_used(tmp_path, working_on):
    with copied_database(tmp_path, template=None) as url:
        environment = environment_for(url)
        done = manage("migrate", environment=environment)
        assert done.returncode == 0, done.stderr
        assert "no index" in done.stderr and "LIKE is not marked LEAKPROOF" in done.stderr
        assert not is_indexed(url)

        as_superuser(url, "ALTER FUNCTION textlike(text, text) LEAKPROOF")
        for target in (["tasks", "0013"], []):
            done = manage("migrate", *target, environment=environment)
            assert (done.returncode, "no index" in done.stderr) == (0, False), done.stderr
        assert is_indexed(url)

        with connect_as_everyone(url) as there:
            there.execute(
                "INSERT INTO tasks_task (id, user_id, text, description, completed, "
                '"order", created_at, updated_at, search_text) SELECT gen_random_uuid(), %s, '
                "'x', '', false, 0, now(), now(), 'task ' || repeat(md5(number::text), 9)"
                " FROM generate_series(1, 20000) AS number",
                [ALICE],
            )
            there.commit()
            there.autocommit = True
            there.execute(
                "VACUUM ANALYZE tasks_task"
            )  # what is new in the index is put in its place
        with working_on(url), acting_as(CurrentUser(ALICE)):

            def plan(term: str) -> str:
                found = Task.objects.owned_by(CurrentUser(ALICE)).search(term)
                return str(found.order_by("-created_at", "-pk")[:51].explain())

            assert "task_search" in plan("c4ca4238")
            assert "task_search" in plan("c4ca4238" * 5)  # begins like one that is there
            assert "task_search" not in plan(
                "task"
            )  # they all fit: read in order until there are enough
            assert "task_search" not in plan("-7")  # no three letters that an index could know

        assert manage("migrate", "tasks", "0013", environment=environment).returncode == 0
        assert not is_indexed(url)
