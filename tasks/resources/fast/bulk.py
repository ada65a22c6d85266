"""Many rows and their events by one statement: what `tasks/resources/bulk.py` does one after another.

Only for new rows and changes that need no look at other rows, no two of the same row, and where all
are deletions, for those; the rest, and whatever is to be refused, is left to the plain way.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request

from accounts.owned.databases import fetch
from accounts.owned.viewsets import UUID_TEXT
from accounts.users import owner_id
from tasks.resources.fast.hooks import Fast
from tasks.resources.fast.many import columns, insertion_of, recording, tell, told
from tasks.resources.fast.reading import answer
from tasks.resources.fast.writing import refers, twin, validated
from tasks.resources.models import RecordedModel
from tasks.resources.querysets import update_of, values_of

DELETED = '{"status":204,"body":null}'

# A row as it will be, and as it was; `None` where it is new.
Written = tuple[RecordedModel, RecordedModel | None]


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
            texts = _write(fast.model, written)
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
        else:
            before = stored[UUID(operation["id"])]
            if operation.get("if_version", before.version) != before.version:
                raise _NotQuick
            row = twin(before)
            for name, value in validated(fast.part, operation["body"]).items():
                setattr(row, name, value)
        row.stamp(before, after=last)
        last = row.updated_at
        if row.follow_up(before):
            raise _NotQuick
        row.derive(before)
        yield row, before


def _write(model: Any, written: Sequence[Written]) -> list[str]:
    """Write rows and events, and tell their owner's sockets of them; each row's JSON, in order."""
    new = [row for row, before in written if before is None]
    changed = [(row, before) for row, before in written if before is not None]
    parts: list[str] = []
    values: list[str] = []
    if new:
        parts.append(f"{insertion_of(model)} RETURNING {told(model, 'created')}")
        values.append(values_of(columns(model), new, connection))
    if changed:
        differing = [
            field
            for field in columns(model)
            if any(
                getattr(row, field.attname) != getattr(was, field.attname) for row, was in changed
            )
        ]
        sql, given = update_of(model, differing, [row for row, _ in changed], connection)
        parts.append(f"{sql} RETURNING {told(model, 'updated')}")
        values.append(given)
    return tell(fetch(recording(*parts), values))
