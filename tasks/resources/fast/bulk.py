"""Many rows and their events by one statement: what `tasks/resources/bulk.py` does one after another.

Only for new rows and changes that need no look at other rows, no two of the same row; the rest, and
whatever is to be refused, is left to the plain way.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request

from accounts.owned.viewsets import UUID_TEXT
from accounts.users import owner_id
from tasks.events.record import publish
from tasks.resources.fast.hooks import Fast
from tasks.resources.fast.reading import answer
from tasks.resources.fast.writing import refers, validated
from tasks.resources.models import RecordedModel
from tasks.resources.querysets import as_source
from tasks.rules.moments import now

DELETED = '{"status":204,"body":null}'

# A row as it will be, and as it was; `None` where it is new.
Written = tuple[RecordedModel, RecordedModel | None]

EVENTS = """
    told AS (
        SELECT written.*, given.type, given.place
        FROM unnest(%s::uuid[], %s::text[]) WITH ORDINALITY AS given (id, type, place) JOIN written USING (id)
    ), next AS (
        INSERT INTO tasks_stream (user_id, last_seq, pruned_seq) SELECT %s, count(*), 0 FROM told
        ON CONFLICT (user_id) DO UPDATE SET last_seq = tasks_stream.last_seq + excluded.last_seq
        RETURNING user_id, last_seq
    ), event AS (
        INSERT INTO tasks_event (user_id, seq, type, at, data)
        SELECT user_id, last_seq - (SELECT count(*) FROM told) + place, type, at, text::jsonb FROM told, next
    ) SELECT text, last_seq FROM told, next ORDER BY place
"""


def write_all(
    fast: Fast, request: Request, operations: Sequence[Mapping[str, Any]]
) -> HttpResponse | None:
    """The answer to operations that were done; `None` where nothing was. Part of a transaction."""
    if not {"HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH"}.isdisjoint(request.META):
        return None
    owner = owner_id(request.user)
    try:
        if all(operation["op"] == "delete" for operation in operations):
            _delete(fast, owner, operations)
            return answer(f'{{"results":[{",".join(len(operations) * [DELETED])}]}}')
        with transaction.atomic():
            written = list(_as_written(fast, owner, operations))
            texts = _write(fast, owner, written)
    except (_NotQuick, serializers.ValidationError, IntegrityError):
        return None
    statuses = (200 if before else 201 for _, before in written)
    results = (
        f'{{"status":{status},"body":{text}}}' for status, text in zip(statuses, texts, strict=True)
    )
    return answer(f'{{"results":[{",".join(results)}]}}')


class _NotQuick(Exception):
    """Something that the plain way has to do, or to refuse."""


def _delete(fast: Fast, owner: str, operations: Sequence[Mapping[str, Any]]) -> None:
    """Delete rows as their queryset does. Raises `_NotQuick` before anything is deleted."""
    if not fast.deletes or not all(UUID_TEXT.fullmatch(each["id"]) for each in operations):
        raise _NotQuick
    versions = {UUID(each["id"]): each.get("if_version") for each in operations}
    everyones: Any = fast.model._default_manager
    rows = everyones.filter(user_id=owner, pk__in=versions)
    stored = rows.locked()
    if len(stored) < len(operations):  # one is not there, is another's, or is named twice
        raise _NotQuick
    own = [field.attname for field in fast.model._meta.fields if field.related_model is fast.model]
    for row in stored:
        goes_with_another = any(getattr(row, name) in versions for name in own)
        if goes_with_another or versions[row.pk] not in (None, row.version):
            raise _NotQuick
    rows.delete()


def _as_written(
    fast: Fast, owner: str, operations: Sequence[Mapping[str, Any]]
) -> Iterator[Written]:
    """What the operations make of the rows, which are locked. Raises `_NotQuick` or `ValidationError`."""
    keys: list[UUID] = []
    for operation in operations:
        new = operation["op"] == "create"
        if operation["op"] not in ("create", "update") or refers(fast, operation["body"], new=new):
            raise _NotQuick
        if not new and not UUID_TEXT.fullmatch(operation["id"]):
            raise _NotQuick
        if not new:
            keys.append(UUID(operation["id"]))
    everyones: Any = fast.model._default_manager
    stored = {row.pk: row for row in everyones.filter(user_id=owner, pk__in=keys).locked()}
    if len(stored) < len(keys):  # one is not there, is another's, or is named twice
        raise _NotQuick
    last: datetime | None = None
    for operation in operations:
        if operation["op"] == "create":
            row: Any = fast.model(user_id=owner, **validated(fast.new, operation["body"]))
            before = None
            row.stamp(None)
            if last is not None and row.created_at <= last:  # in this order they are listed
                row.created_at = row.updated_at = now(after=last)
            last = row.created_at
        else:
            before = stored[UUID(operation["id"])]
            if operation.get("if_version", before.version) != before.version:
                raise _NotQuick
            row = copy(before)
            for name, value in validated(fast.part, operation["body"]).items():
                setattr(row, name, value)
            row.stamp(before)
        if row.follow_up(before):
            raise _NotQuick
        row.derive(before)
        yield row, before


def _write(fast: Fast, owner: str, written: Sequence[Written]) -> list[str]:
    """Write rows and events, and tell the owner's sockets of them; each row's JSON, in order."""
    new = [row for row, before in written if before is None]
    changed = [(row, before) for row, before in written if before is not None]
    columns = fast.model._meta.concrete_fields
    key: Any = fast.model._meta.pk
    differing = [
        field
        for field in columns
        if any(getattr(row, field.attname) != getattr(was, field.attname) for row, was in changed)
    ]
    table = f'"{fast.model._meta.db_table}"'
    shown = f'RETURNING {table}."{key.column}" AS id, {table}."updated_at" AS at, {fast.json.sql} AS text'
    parts: list[str] = []
    values: list[Any] = []
    if new:
        source, rows = as_source(columns, new, connection)
        names = ", ".join(f'"{field.column}"' for field in columns)
        parts.append(f"INSERT INTO {table} ({names}) SELECT * FROM {source} {shown}")  # noqa: S608
        values.append(rows)
    if changed:
        source, rows = as_source([key, *differing], [row for row, _ in changed], connection)
        assigned = ", ".join(
            f'"{field.column}" = given.c{place}' for place, field in enumerate(differing, start=1)
        )
        condition = f'{table}."{key.column}" = given.c0'
        parts.append(f"UPDATE {table} SET {assigned} FROM {source} WHERE {condition} {shown}")  # noqa: S608
        values.append(rows)
    types = [row.event_type("updated" if before else "created") for row, before in written]
    named = [f"part{place} AS ({part})" for place, part in enumerate(parts)]
    all_of_them = " UNION ALL ".join(f"TABLE part{place}" for place in range(len(parts)))
    sql = f"WITH {', '.join(named)}, written AS ({all_of_them}), {EVENTS}"
    with connection.cursor() as cursor:
        cursor.execute(sql, [*values, [row.pk for row, _ in written], types, owner])
        found = cursor.fetchall()
    first = found[0][1] - len(found) + 1
    for seq, ((row, _), event_type, (text, _)) in enumerate(
        zip(written, types, found, strict=True), start=first
    ):
        publish(owner, seq, event_type, row.updated_at, text)
    return [text for text, _ in found]
