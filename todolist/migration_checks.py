"""Refuses new migrations of the kinds that keep requests from a table that is in use.

Those kinds take a lock for as long as they read or write a large table (PostgreSQL's documentation,
"Explicit Locking"). Not asked when a server starts: by then it is too late.

Operations are looked at, and not the SQL that they become: django-migration-linter searches that by patterns, and
finds an index, but no constraint that is validated and no data that is changed beside tables. It also needs
a PostgreSQL to ask for the SQL.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.db import connection
from django.db.migrations import operations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.models import ModelOperation

from todolist.checks import SCHEMA

# Written before this check, for tables that were small.
ACCEPTED = frozenset(
    f"tasks.{name}"
    for name in (
        "0003_notifications",
        "0008_versions",
        "0011_policy_of_streams",
        "0013_in_calendar",
    )
)
HINTS = {
    "AddIndex": "Use AddIndexConcurrently, in a migration of its own with atomic = False.",
    "AddConstraint": "Use AddConstraintNotValid, and ValidateConstraint in the next migration; for a "
    "unique one build its index first, by CREATE UNIQUE INDEX CONCURRENTLY.",
    "AlterField": "Add a new column, fill it in batches, and read that one; for NOT NULL validate a "
    "check constraint first.",
    "RunPython": "Give it a migration of its own, with atomic = False, that works in batches.",
    "RunSQL": "Give it a migration of its own, without other operations.",
}


@register(SCHEMA)
def check_migrations_lock_nobody_out(**kwargs: Any) -> Iterator[CheckMessage]:
    loader = MigrationLoader(None)
    base = Path(settings.BASE_DIR)
    ours = {app.label for app in apps.get_app_configs() if Path(app.path).parent == base}
    for key, migration in sorted(loader.disk_migrations.items()):
        name = ".".join(key)
        if key[0] not in ours or name in ACCEPTED:
            continue
        for kind in _locking(loader, migration):
            yield Error(
                f"The migration {name} keeps requests from a table while it works: {kind}.",
                hint=HINTS[kind],
                id="todolist.E033",
            )


def _locking(loader: Any, migration: Any) -> Iterator[str]:
    """The operations of a migration, by their names, that hold a lock for as long as a table is large."""
    new = {op.name_lower for op in migration.operations if type(op) is operations.CreateModel}
    schema = [
        op
        for op in migration.operations
        if isinstance(op, ModelOperation) or hasattr(op, "model_name")
    ]
    for place, op in enumerate(migration.operations):
        kind = type(op)
        in_use = getattr(op, "model_name", "").lower() not in new
        if kind in (operations.AddIndex, operations.AddConstraint) and in_use:
            yield kind.__name__
        elif kind is operations.AlterField and in_use:
            if _rewrites(*_fields(loader, migration, place)):
                yield kind.__name__
        elif kind in (operations.RunPython, operations.RunSQL) and migration.atomic and schema:
            yield kind.__name__


def _fields(loader: Any, migration: Any, place: int) -> Iterator[Any]:
    """The field that an operation alters, before and after. Slow: models are made for it."""
    altering = migration.operations[place]
    state = loader.project_state((migration.app_label, migration.name), at_end=False)
    for op in migration.operations[:place]:
        op.state_forwards(migration.app_label, state)
    for _ in range(2):
        model = state.clone().apps.get_model(migration.app_label, altering.model_name)
        yield model._meta.get_field(altering.name)
        altering.state_forwards(migration.app_label, state)


def _rewrites(old: Any, new: Any) -> bool:
    """Whether a column becomes another type, or its rows have to be read or indexed."""
    return bool(
        old.db_type(connection) != new.db_type(connection)
        or (old.null and not new.null)
        or (new.unique and not old.unique)
        or (new.db_index and not old.db_index)
    )
