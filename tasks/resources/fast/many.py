"""Many new rows and their events by one statement: what `RecordedQuerySet.bulk_create` does in several."""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, transaction

from accounts.owned.databases import fetch, on_postgresql
from tasks.events.record import publish
from tasks.resources.fast.hooks import MODEL_HOOKS, unchanged
from tasks.resources.models import RecordedModel
from tasks.resources.wire import form_of, row_as_json
from tasks.rules.moments import now


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
    last: datetime | None = None
    for row in rows:
        row.require_owner()
        row.stamp(None)
        if last is not None and row.created_at <= last:  # which they are told apart by
            row.created_at = row.updated_at = now(after=last)
        last = row.created_at
        row.derive(None)
        row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS
    names = [field.attname for field in model._meta.concrete_fields]
    values = [[getattr(row, name) for name in names] for row in rows]
    event_type = rows[0].event_type("created")
    for owner, seq, at, text in fetch(sql, [json.dumps(values, default=str), event_type]):
        publish(owner, seq, event_type, at, text)


@cache
def _insertion(model: type[RecordedModel]) -> str | None:
    """Takes an array of arrays as JSON, and the type of the events; answers with each event, in order.

    `None` where more follows from a new row than its event, or only Python can show it.
    """
    form = form_of(model)
    as_json = None if form is None else row_as_json(form)
    if (
        as_json is None
        or "created" not in model.event_names
        or model._meta.many_to_many
        or not unchanged(model, RecordedModel, (*MODEL_HOOKS, "settle_unrecorded", "change"))
    ):
        return None
    table, fields = model._meta.db_table, model._meta.concrete_fields
    columns = ", ".join(f'"{field.column}"' for field in fields)
    values = ", ".join(
        f"(row ->> {place})::{field.db_type(connection)}" for place, field in enumerate(fields)
    )
    return f"""
        WITH written AS (
            INSERT INTO "{table}" ({columns}) SELECT {values} FROM json_array_elements(%s::json) AS row
            RETURNING "{table}"."user_id", "{table}"."created_at" AS at, {as_json.sql} AS text
        ), next AS (
            INSERT INTO tasks_stream (user_id, last_seq, pruned_seq)
            SELECT user_id, count(*), 0 FROM written GROUP BY user_id ORDER BY user_id COLLATE "C"
            ON CONFLICT (user_id) DO UPDATE SET last_seq = tasks_stream.last_seq + excluded.last_seq
            RETURNING user_id, last_seq
        ), numbered AS (
            SELECT user_id, at, text, last_seq + 1
                - row_number() OVER (PARTITION BY user_id ORDER BY at DESC) AS seq
            FROM written JOIN next USING (user_id)
        ), event AS (
            INSERT INTO tasks_event (user_id, seq, type, at, data)
            SELECT user_id, seq, %s, at, text::jsonb FROM numbered
        ) SELECT user_id, seq, at, text FROM numbered ORDER BY at
    """  # noqa: S608  names of the model
