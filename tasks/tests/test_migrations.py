"""Migrations go forward from a database that has been in use."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from conftest import ALICE, BOB
from tasks.models import Task
from tasks.resources.limits import CALENDAR

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

    for term in ("plain", "istanbul", "MILK", "Isparta", "CAFÉ"):
        assert Task.objects.search(term).get().text in texts
    assert Task.objects.search("dr").count() == len(texts)
    assert dict(Task.objects.values_list("pk", "version")) == rows
    assert set(Task.objects.values_list("updated_at", flat=True)) == {moment}


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

    first, last = CALENDAR
    mended = Task.objects.get(pk=odd.pk)
    assert (mended.deadline, mended.next_reminder_at, mended.updated_at) == (last, first, last)
    assert mended.created_at == moment
    assert Task.objects.get(pk=kept.pk).updated_at == moment
    with pytest.raises(IntegrityError), connection.cursor() as cursor:
        cursor.execute("UPDATE tasks_task SET deadline = '-infinity'")
