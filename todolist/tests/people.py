"""People with something of every kind that can be owned, and what must not be seen of it."""

from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from django.apps import apps
from django.db import connection, models

from accounts.owned.models import OwnedModel
from conftest import ALICE, BOB
from tasks.api import counts
from tasks.models import Event, Notification, Preferences, Task, TrashedTask
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


def make_trash(owner: str) -> TrashedTask:
    task = make_task(owner)
    key = task.pk
    task.delete()
    return TrashedTask.objects.get(pk=key)


SPECIAL: dict[Any, Any] = {Task: make_task, TrashedTask: make_trash}


def make_notification(owner: str) -> Notification:
    notification: Notification = make(Notification, owner)
    return notification


Rows = dict[type[models.Model], Any]


def make(model: type[OwnedModel], owner: str, rows: Rows | None = None) -> Any:
    """A row of somebody's, with their secret in its texts, and what it refers to.

    `rows` are those that there are already, and it is put among them.
    """
    rows = {} if rows is None else rows
    if model not in rows and model in SPECIAL:
        rows[model] = SPECIAL[model](owner)
    if model not in rows:
        values = {
            field.attname: value
            for field in model._meta.concrete_fields
            if (value := _value(field, owner, rows)) is not None
        }
        if model is Preferences:  # no two alike: those of others would be noticed
            values["remind_before"] = sum(owner.encode()) % 10_000
        rows[model] = model._base_manager.create(**values)
    return rows[model]


def _value(field: Any, owner: str, rows: Rows) -> Any:
    """What a row of somebody's holds in a column; `None` for what comes by itself."""
    if field.name == "user_id":
        return owner
    if field.is_relation and field.related_model is field.model:
        return None
    if field.is_relation:
        return make(field.related_model, owner, rows).pk
    if (
        field.primary_key
        or field.has_default()
        or field.has_db_default()
        or field.name in ("created_at", "updated_at")
    ):
        return None
    if field.choices:
        return field.choices[0][0]
    if isinstance(field, models.CharField | models.TextField):
        return secret_of(owner)[: field.max_length]
    if isinstance(field, models.JSONField):
        return {"secret": secret_of(owner)}
    if isinstance(field, models.DateField):  # or a moment
        return None if field.null else datetime(2030, 5, 1, 12, tzinfo=UTC)
    if isinstance(field, models.IntegerField):
        return 4242
    raise TypeError(f"Say here what to put into {field}, a {type(field).__name__}.")


def owned_models() -> list[type[OwnedModel]]:
    """Every model whose rows belong to somebody, but for what is written with each of them."""
    return [
        model for model in apps.get_models() if issubclass(model, OwnedModel) and model is not Event
    ]


class Belongings(NamedTuple):
    """What one person has, and what of it would be a leak in another's hands."""

    owner: str
    rows: Rows
    marks: frozenset[str]


def furnish(owner: str) -> Belongings:
    """Make somebody a row of everything that can be owned."""
    rows: Rows = {}
    for model in owned_models():
        make(model, owner, rows)
    # Numbers may stand anywhere.
    keys = (str(row.pk) for row in rows.values() if isinstance(row.pk, UUID))
    marks = {secret_of(owner), *keys}
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
    for module, name in (
        (reading, "_kept_list"),
        (reading, "row_statement"),
        (counts, "_statements"),
    ):
        found = getattr(module, name)
        monkeypatch.setattr(module, name, getattr(found, "__wrapped__", found))
