"""Migrations go forward from a database that has been in use."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from conftest import ALICE, BOB
from tasks.models import Task

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
