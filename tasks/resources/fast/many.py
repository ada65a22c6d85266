"""Many rows and their events by few statements: what `RecordedQuerySet` does in more."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, connection, transaction
from django.db.models import AutoField

from accounts.owned.databases import fetch, on_postgresql
from tasks.events.record import publish, record_of_many
from tasks.resources.fast.hooks import MODEL_HOOKS, unchanged
from tasks.resources.models import RecordedModel
from tasks.resources.querysets import links_of, source_of, values_of
from tasks.resources.wire import form_of, row_as_json


def insert_many(model: type[RecordedModel], rows: Sequence[Any]) -> None:
    """Insert new rows of a model, as `bulk_create` does, of which their columns can hold all values.

    Each owner's events are in the order of the rows, and the owners' streams are locked in the order of
    their ids, last of all. Raises `TransactionManagementError` outside a transaction.
    """
    if not rows:
        return
    sql = _insertion(model) if on_postgresql() else None
    if sql is None or any(row.follow_up(None) for row in rows):
        model.objects.bulk_create(rows)
        return
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("An event is recorded with its change")
    _prepare(rows)
    tell(fetch(sql, [values_of(columns(model), rows, connection)]))


def insert_with_relations(
    model: type[RecordedModel],
    rows: Sequence[Any],
    relations: Mapping[str, Mapping[Any, Sequence[Any]]],
) -> None:
    """The same as `bulk_create` with relations, of rows from which nothing else follows.

    By a statement for the rows, one for each relation, and one for the events. Raises `ValidationError`
    as `bulk_create` does.
    """
    if not rows:
        return
    if not on_postgresql() or not _is_plain(model):
        model.objects.bulk_create(rows, relations=relations)
        return
    _prepare(rows)
    insertion, recording = _insertion_alone(model)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(insertion, [values_of(columns(model), rows, connection)])
        for name, keys in relations.items():
            links = links_of(model, name, rows, keys)
            if links:
                between = type(links[0])
                cursor.execute(
                    insertion_of(between), [values_of(columns(between), links, connection)]
                )
        tell(fetch(recording, [",".join(str(row.pk) for row in rows)]))


def record_created(model: type[RecordedModel], keys: Sequence[Any]) -> None:
    """Record that rows were created which are there: to their owner they are new."""
    if on_postgresql() and _is_plain(model):
        _, recording = _insertion_alone(model)
        tell(fetch(recording, [",".join(map(str, keys))]))
        return
    many = [field.name for field in model._meta.many_to_many]
    rows = model._base_manager.filter(pk__in=keys).order_by("created_at", "pk")
    changes: dict[str, list[Any]] = defaultdict(list)
    for row in rows.prefetch_related(*many):
        changes[row.user_id].append(row.change("created"))
    record_of_many(changes)


def _prepare(rows: Sequence[Any]) -> None:
    """Set what is the server's. No two rows share a moment, which tells them apart."""
    last: datetime | None = None
    for row in rows:
        row.require_owner()
        row.stamp(None, after=last)
        last = row.updated_at
        try:
            row.derive(None)
        except ValidationError as error:
            error.row = row  # type: ignore[attr-defined]
            raise
        row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS


def tell(recorded: Sequence[Sequence[Any]]) -> list[str]:
    """Tell the owners' sockets of what a statement of `recording` has recorded; each row's JSON, in order."""
    for owner, seq, event_type, at, text in recorded:
        publish(owner, seq, event_type, at, text)
    return [text for *_, text in recorded]


def columns(model: Any) -> list[Any]:
    """Those that new rows are given a value for: not what the database counts up by itself."""
    return [field for field in model._meta.concrete_fields if not isinstance(field, AutoField)]


@cache
def _insertion(model: type[RecordedModel]) -> str | None:
    """Takes rows as JSON (`values_of`); answers with each event, in order.

    `None` where more follows from a new row than its event, or only Python can show it.
    """
    if model._meta.many_to_many or not _is_plain(model):
        return None
    return recording(f"{insertion_of(model)} RETURNING {told(model, 'created')}")


@cache
def _insertion_alone(model: type[RecordedModel]) -> tuple[str, str]:
    """The same by two statements, for what stands between them: the second takes keys, with commas."""
    table, key = model._meta.db_table, model._meta.pk.column
    chosen = f"\"{key}\" = ANY(string_to_array(%s, ',')::uuid[])"
    recorded = recording(f'SELECT {told(model, "created")} FROM "{table}" WHERE {chosen}')  # noqa: S608
    return insertion_of(model), recorded


@cache
def _is_plain(model: type[RecordedModel]) -> bool:
    """Whether nothing follows from a new row but its event, and the database can write that."""
    form = form_of(model)
    return (
        form is not None
        and row_as_json(form) is not None
        and "created" in model.event_names
        and unchanged(model, RecordedModel, (*MODEL_HOOKS, "settle_unrecorded", "change"))
    )


def insertion_of(model: Any) -> str:
    """Takes rows as JSON (`values_of`), with a value for each of `columns`."""
    fields = columns(model)
    named = ", ".join(f'"{field.column}"' for field in fields)
    return f'INSERT INTO "{model._meta.db_table}" ({named}) {source_of(fields, connection)}'


def told(model: type[RecordedModel], what: str) -> str:
    """What an event is made of, as columns: of what happened ("created", "updated") to a row of this model."""
    table, form = model._meta.db_table, form_of(model)
    as_json: Any = None if form is None else row_as_json(form)
    return (
        f'"{table}"."user_id", \'{model.event_type(what)}\' AS type, "{table}"."updated_at" AS at,'
        f" {as_json.sql} AS text"
    )


def recording(*written: str) -> str:
    """A statement that runs those that write rows and answer with `told` of each, and records the events.

    Each owner's are in the order of their moments, of which no two are the same.
    """
    parts = ", ".join(f"part{place} AS ({one})" for place, one in enumerate(written))
    all_of_them = " UNION ALL ".join(f"TABLE part{place}" for place in range(len(written)))
    return f"""
        WITH {parts}, written AS (
            {all_of_them}
        ), next AS (
            INSERT INTO tasks_stream (user_id, last_seq, pruned_seq)
            SELECT user_id, count(*), 0 FROM written GROUP BY user_id ORDER BY user_id COLLATE "C"
            ON CONFLICT (user_id) DO UPDATE SET last_seq = tasks_stream.last_seq + excluded.last_seq
            RETURNING user_id, last_seq
        ), numbered AS (
            SELECT user_id, type, at, text, last_seq + 1
                - row_number() OVER (PARTITION BY user_id ORDER BY at DESC) AS seq
            FROM written JOIN next USING (user_id)
        ), event AS (
            INSERT INTO tasks_event (user_id, seq, type, at, data)
            SELECT user_id, seq, type, at, text::jsonb FROM numbered
        ) SELECT user_id, seq, type, at, text FROM numbered ORDER BY at
    """  # noqa: S608  names of the model
