"""People with something of every kind that can be owned, and what must not be seen of it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from django.apps import apps
from django.db import connection

from accounts.owned.models import OwnedModel
from conftest import ALICE, BOB
from tasks.models import Notification, Task
from tasks.resources.fast import reading

CAROL = "carol-Zt09uJhQmN4xWcR7eVbL2sPaKd8iGy6F"
STAFF_PK = 4711
STAFF_TWIN = str(STAFF_PK)  # somebody whose id is the primary key of a staff account
PEOPLE = (ALICE, BOB, CAROL, STAFF_TWIN)


def secret_of(owner: str) -> str:
    """A text that stands in everything of somebody's, and nowhere else."""
    return f"what only <{owner}> may read"


def make_task(owner: str) -> Task:
    text = secret_of(owner)
    task = Task(user_id=owner, text=text, description=text, order=7, completed=True)
    task.save()
    return task


def make_notification(owner: str) -> Notification:
    notification = Notification(
        user_id=owner,
        task=make_task(owner),
        type="deadline_reached",
        title=secret_of(owner),
        message=secret_of(owner),
        deadline=datetime(2030, 5, 1, 12, tzinfo=UTC),
    )
    notification.save()
    return notification


# One for each owned model that a viewset shows: makes a row of somebody's, with their secret in it.
MAKERS: dict[type[OwnedModel], Callable[[str], OwnedModel]] = {
    Task: make_task,
    Notification: make_notification,
}


class Belongings(NamedTuple):
    """What one person has, and what of it would be a leak in another's hands."""

    owner: str
    rows: dict[type[OwnedModel], OwnedModel]
    marks: frozenset[str]


def furnish(owner: str) -> Belongings:
    rows = {model: make(owner) for model, make in MAKERS.items()}
    marks = {secret_of(owner), *(str(row.pk) for row in rows.values())}
    if owner != STAFF_TWIN:  # that is a number, and may stand anywhere
        marks.add(owner)
    return Belongings(owner, rows, frozenset(marks))


Key = tuple[str, Any]
Row = dict[str, Any]


def database() -> dict[Key, Row]:
    """Every row of every table but the sessions of the admin, as the database has it."""
    return {
        (model._meta.label, row[model._meta.pk.attname]): row
        for model in apps.get_models()
        if model._meta.app_label not in ("sessions", "contenttypes")
        for row in model._base_manager.values()
    }


def changes(before: dict[Key, Row], after: dict[Key, Row]) -> list[Row]:
    """The rows that are in only one of two states, or not the same in both."""
    touched = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    return [state[key] for key in touched for state in (before, after) if key in state]


def forget_all_but(owner: str) -> None:
    """Delete what others own, as if it had never been."""
    for model in reversed(apps.get_models()):  # notifications before their tasks
        if any(field.attname == "user_id" for field in model._meta.fields):
            if model._meta.app_label == "admin":
                continue  # its log names Django accounts
            model._base_manager.exclude(user_id=owner)._raw_delete(connection.alias)


def keep_no_statements(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the fast way compile its statements anew each time, out of what a test has changed."""
    for name in ("_kept_list", "_row_statement", "columns_statement"):
        found = getattr(reading, name)
        monkeypatch.setattr(reading, name, getattr(found, "__wrapped__", found))
