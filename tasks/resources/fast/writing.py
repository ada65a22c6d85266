"""A row and its event by one statement: what `RecordedModel.save` does where nothing else changes."""

from collections.abc import Mapping
from contextlib import nullcontext
from functools import cache, lru_cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection
from django.http import HttpResponse
from rest_framework import serializers, status
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from accounts.owned.acting import ACTING, fetch_acting
from accounts.owned.databases import fetch_again
from accounts.owned.permissions import IsOwner
from accounts.users import owner_id
from tasks.events.record import APPENDED, publish
from tasks.resources.columns import adapted
from tasks.resources.etags import etag, require_match
from tasks.resources.fast.hooks import Fast
from tasks.resources.fast.reading import answer, attributes, key_of, row_statement
from tasks.resources.fields import unless_taken
from tasks.resources.models import RecordedModel

TRIES = 3  # for a change that others come before; then it waits for them, in the plain way


def create(view: Any, fast: Fast, request: Request) -> HttpResponse | None:
    if refers(fast, request.data, new=True):
        return None
    given = validated(fast.new, request.data)
    row = fast.model(user_id=owner_id(request.user), **given)
    row.stamp(None)
    if row.follow_up(None):
        return None
    row.derive(None)
    values = [
        adapted(field, getattr(row, field.attname), connection)
        for field in row._meta.concrete_fields
    ]
    event_type = row.event_type("created")
    with unless_taken(fast.model, row.pk) if "id" in given else nullcontext():
        written = fetch_acting(row.user_id, _insertion(fast), [*values, row.user_id, event_type])
    headers = view.get_success_headers({"id": row.pk})
    return _told(row, event_type, written, status.HTTP_201_CREATED, **headers)


def change(view: Any, fast: Fast, request: Request, *, whole: bool) -> HttpResponse | None:
    key, owner = key_of(view), owner_id(request.user)
    if key is None or refers(fast, request.data, whole=whole):
        return None
    view_class: Any = type(view)
    statement = row_statement(view_class, as_json=False)
    names = attributes(fast.model)
    for _ in range(TRIES):
        found = fetch_acting(owner, statement.sql, statement.for_owner(owner, key), fetch_again)
        if not found:
            return None  # whether it is another's or nobody's, the plain way says
        before = fast.model.from_db(DEFAULT_DB_ALIAS, names, found[0])
        after = twin(before)
        if before.user_id != owner:
            raise PermissionDenied(IsOwner.message, IsOwner.code)
        require_match(request, etag(before.version))
        form = fast.whole if whole else fast.part
        for name, value in validated(form, request.data).items():
            setattr(after, name, value)
        after.stamp(before)
        if after.follow_up(before):
            return None
        after.derive(before)
        event_type = after.event_type("updated")
        if written := _swapped(fast, before, after, event_type):
            return _told(after, event_type, written)
    return None


def twin(row: Any) -> Any:
    """A row with the same values: a second `from_db` would take ten times as long, and so would `copy`."""
    kind: Any = type(row)
    same = kind.__new__(kind)
    same.__dict__.update(row.__dict__)
    return same


def refers(fast: Fast, body: Any, *, new: bool = False, whole: bool = False) -> bool:
    """Whether a body refers to other rows, which are looked for, and locked, in the plain way.

    It does so too where it takes such references off: by an empty list, or by leaving them out of PUT.
    """
    if not isinstance(body, Mapping):
        return False
    if new:
        many = any(body.get(name, []) != [] for name in fast.many)
    else:
        many = any(whole or name in body for name in fast.many)
    return many or any(body.get(name) for name in fast.references)


def validated(form: Any, body: Any) -> dict[str, Any]:
    """The values in a body. Raises `ValidationError` (400), by the names of the fields."""
    if body is None:
        raise serializers.ValidationError({"non_field_errors": ["No data provided"]})
    values: dict[str, Any] = form.run_validation(body)
    return values


def _told(
    row: RecordedModel, event_type: str, written: Any, status: int = 200, **headers: str
) -> HttpResponse:
    """Tell the owner's sockets of what was written, and answer with it."""
    ((text, seq),) = written
    publish(row.user_id, seq, event_type, row.updated_at, text)
    return answer(text, status, ETag=etag(row.version), **headers)


def _swapped(
    fast: Fast, before: RecordedModel, after: RecordedModel, event_type: str
) -> list[tuple[Any, ...]]:
    """Write what differs, if the row is still as it was read; nothing where it is not."""
    was, is_now = before.__dict__, after.__dict__
    fields = [
        field
        for field in fast.model._meta.concrete_fields
        if is_now[field.attname] != was[field.attname]
    ]
    values = [adapted(field, is_now[field.attname], connection) for field in fields]
    compared = [was[name] for name in fast.model.compared]
    sql = _swap(fast, tuple([field.column for field in fields]))
    version = [before.pk, before.user_id, before.version, *compared]
    return fetch_acting(before.user_id, sql, [*values, before.user_id, *version, event_type])


@cache
def _insertion(fast: Fast) -> str:
    """Takes a value for each column, the owner once more, for whom it acts, and the type of the event."""
    meta = fast.model._meta
    columns = ", ".join(f'"{field.column}"' for field in meta.concrete_fields)
    values = ", ".join("%s" for _ in meta.concrete_fields)
    return _with_event(
        fast, f'INSERT INTO "{meta.db_table}" ({columns}) SELECT {values} WHERE {ACTING}'
    )


@lru_cache(maxsize=256)
def _swap(fast: Fast, columns: tuple[str, ...]) -> str:
    meta: Any = fast.model._meta
    assignments = ", ".join(f'"{column}" = %s' for column in columns)
    compared = "".join(
        f' AND "{meta.get_field(name).column}" IS NOT DISTINCT FROM %s'
        for name in fast.model.compared
    )
    return _with_event(
        fast,
        f'UPDATE "{meta.db_table}" SET {assignments} WHERE {ACTING}'  # noqa: S608  names of the model
        f' AND "{meta.pk.column}" = %s AND "user_id" = %s AND "version" = %s{compared}',
    )


def _with_event(fast: Fast, writing: str) -> str:
    """A statement that writes a row and its event, and answers with the row's JSON and the number."""
    table = fast.model._meta.db_table
    return (
        f'WITH written AS ({writing} RETURNING "{table}"."user_id", "{table}"."updated_at" AS at,'  # noqa: S608
        f" {fast.json.sql} AS text), {APPENDED} SELECT text, last_seq FROM written, next"
    )
