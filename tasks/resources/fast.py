"""The fast way: whole answers by one statement, on PostgreSQL.

It is the equal of the plain way, and taken only where a class has left every documented hook as it
came: `HOOKS` lists them, `is_plain` decides. Reading statements are compiled by the ORM, out of the
querysets of the plain way, with placeholders for the owner and the key, and kept. Writing ones do what
`RecordedModel.save` does, where nothing but the row itself changes: the row is read, the model decides
in Python, and one statement writes it together with its event, if it still has the version that was
read (compare-and-swap).
"""

import json
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple, cast
from uuid import UUID

from django.db import connection, models
from django.db.models.signals import post_save, pre_save
from django.http import HttpRequest
from rest_framework import serializers, status
from rest_framework.exceptions import PermissionDenied
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.owned.acting import ACTING, condition
from accounts.owned.databases import fetch, fetch_again, on_postgresql
from accounts.owned.ownership import owner_id
from accounts.owned.permissions import IsOwner
from accounts.users import CurrentUser
from tasks.events.record import APPENDED, encode, publish
from tasks.resources.etags import etag, knows, require_match
from tasks.resources.fields import RecordedSerializer
from tasks.resources.filters import StrictFilters, StrictOrdering
from tasks.resources.models import RecordedModel
from tasks.resources.paging import (
    Cursor,
    Key,
    KeysetPagination,
    last_values,
    link_to_next,
    ordering_of,
)
from tasks.resources.query import query_of
from tasks.resources.wire import RowAsJSON, form_of, row_as_json

TRIES = 3  # for a change that others come before; then it waits for them, in the plain way
SHORT = 100  # characters of a query whose statement is kept: it has no cursor and no long words

# Placeholders in statements that are compiled once: no id holds a NUL, no key is this one.
OWNER = CurrentUser("\x00owner")
OWNER_AS_JSON = "\x00owner as JSON"
KEY = UUID(int=(1 << 128) - 1)

VIEW_HOOKS = (
    *("list", "create", "retrieve", "update", "partial_update"),
    *("get_queryset", "get_object", "filter_queryset", "paginate_queryset", "paginator"),
    *("get_paginated_response", "get_serializer", "get_serializer_class", "get_serializer_context"),
    *("perform_create", "perform_update", "get_success_headers", "get_permissions"),
    *("check_object_permissions", "permission_denied", "finalize_response"),
    *("get_renderers", "renderer_classes", "lookup_field", "lookup_url_kwarg", "prepare"),
    *("initial", "dispatch", "perform_content_negotiation", "initialize_request"),
)
# Declarations that may be made in a class and are looked into, but are arguments of `as_view` otherwise.
DECLARATIONS = (
    *("queryset", "serializer_class", "permission_classes", "filter_backends"),
    *("pagination_class", "filterset_class", "filterset_fields", "ordering_fields", "ordering"),
)
PAGING_HOOKS = ("paginate_queryset", "plan", "get_paginated_response", "limit_field")
FORM_HOOKS = (
    *("__init__", "to_internal_value", "to_representation", "run_validation", "validate"),
    *("run_validators", "create", "update", "save", "is_valid", "data", "fields", "get_fields"),
    *("get_initial", "validated_data", "errors"),
)
MODEL_HOOKS = ("save", "save_base", "full_clean", "stamp", "record_event", "from_db")


def _unchanged(changed: type[Any], base: type[Any], names: Sequence[str]) -> bool:
    return all(
        _function(getattr(changed, name)) is _function(getattr(base, name, None))
        for name in names
        if hasattr(changed, name)
    )


def _function(hook: Any) -> Any:
    """A hook as it was written: a class method is bound anew each time it is looked up."""
    return getattr(hook, "__func__", hook)


class Fast(NamedTuple):
    """What the fast way needs to know of a viewset."""

    model: type[RecordedModel]
    json: RowAsJSON
    whole: (
        serializers.BaseSerializer[Any] | None
    )  # validates bodies; `None`: only the plain way can
    part: serializers.BaseSerializer[Any] | None


@cache
def _of_class(view_class: type[Any], base: type[Any]) -> Fast | None:
    """The fast way of a viewset; `None` where it overrides a hook, or only Python can show its rows."""
    queryset, form = view_class.queryset, view_class.serializer_class
    if (
        not _unchanged(view_class, base, VIEW_HOOKS)
        or queryset is None
        or form is None
        or not issubclass(queryset.model, RecordedModel)
        or not all(map(_pure_backend, view_class.filter_backends))
        or not _pure_filters(view_class)
        or not all(map(_asks_no_object, view_class.permission_classes))
        or not issubclass(view_class.pagination_class, KeysetPagination)
        or not _unchanged(view_class.pagination_class, KeysetPagination, PAGING_HOOKS)
        or not issubclass(form, RecordedSerializer)
        or not _unchanged(form, RecordedSerializer, FORM_HOOKS)
        or (as_json := row_as_json(form)) is None
        or not _unchanged(queryset.model, RecordedModel, MODEL_HOOKS)
    ):
        return None
    whole, part = form(), form(partial=True)
    writes = _validates_by_itself(whole) and form_of(queryset.model) is form
    return Fast(queryset.model, as_json, whole if writes else None, part if writes else None)


def _pure_backend(backend: type[Any]) -> bool:
    return backend in (StrictFilters, StrictOrdering)


def _pure_filters(view_class: type[Any]) -> bool:
    filterset_class = getattr(view_class, "filterset_class", None)
    filters = {} if filterset_class is None else filterset_class.base_filters
    return getattr(view_class, "filterset_fields", None) is None and all(
        getattr(one, "pure", False) and one.method is None for one in filters.values()
    )


def _asks_no_object(permission: Any) -> bool:
    asks = getattr(permission, "has_object_permission", None)
    return asks in (BasePermission.has_object_permission, IsOwner.has_object_permission)


def _validates_by_itself(form: Any) -> bool:
    """Whether one serializer can validate everybody's bodies: it looks at nothing but the body."""
    return not (
        any(name.startswith("validate_") for name in dir(type(form)))
        or form.validators
        or any(
            isinstance(field, serializers.RelatedField | serializers.ManyRelatedField)
            or any(getattr(each, "requires_context", False) for each in field.validators)
            for field in form.fields.values()
            if not field.read_only
        )
    )


def way_of(view: Any, base: type[Any]) -> Callable[..., Response | None] | None:
    """The fast way of the action that a view is about to run; `None` where there is none.

    It answers `None` where the plain way has to answer after all.
    """
    action = _ACTIONS.get(getattr(view, "action", None) or "")
    if action is None or not on_postgresql():
        return None
    if not _HOOKS_OF_INSTANCES.isdisjoint(vars(view)):
        return None
    fast = _of_class(type(view), base)
    if fast is None or (action in _WRITES and not _writes(fast)):
        return None

    def answer(request: Request, *args: Any, **kwargs: Any) -> Response | None:
        return action(view, fast, request)

    return answer


_HOOKS_OF_INSTANCES = frozenset((*VIEW_HOOKS, *DECLARATIONS)) - {"finalize_response"}


def _writes(fast: Fast) -> bool:
    return (
        fast.whole is not None
        and not pre_save.has_listeners(fast.model)
        and not post_save.has_listeners(fast.model)
    )


# Reading


class Statement(NamedTuple):
    """SQL that was compiled once, and its values, some of which are placeholders."""

    sql: str
    values: tuple[Any, ...]

    def for_owner(self, owner: str, key: UUID | None = None) -> list[Any]:
        stand_for = {OWNER.id: owner, KEY: key}
        return [
            encode(owner) if value == OWNER_AS_JSON else stand_for.get(value, value)
            for value in self.values
        ]


def _compiled(rows: models.QuerySet[Any]) -> Statement:
    sql, values = rows.query.sql_with_params()
    return Statement(sql, values)


class ListStatement(NamedTuple):
    """Reads a page: its rows as JSON with commas between them, whether more follow, and the last one."""

    statement: Statement
    keys: list[Key]


def _list(view: Any, fast: Fast, request: Request) -> Response | None:
    query = query_of(request)
    kept = _kept_list if len(query) <= SHORT else _list_statement
    found = kept(type(view), query)
    if found is None:
        return None
    values = found.statement.for_owner(owner_id(request.user))
    ((text, more, last),) = fetch_again(found.statement.sql, values)
    response = Response(f"[{text}]".encode())
    if more:
        cursor = Cursor(ordering_of(found.keys), last_values(found.keys, json.loads(last)))
        response["Link"] = link_to_next(request, "cursor", cursor.encode())
    return response


def _list_statement(view_class: type[Any], query: str) -> ListStatement | None:
    """Depends on the class and the query alone; `None` where rows do not show what they are sorted by.

    Raises what filters and paginator raise.
    """
    http = HttpRequest()
    http.META["QUERY_STRING"] = query
    view = view_class()
    view.request, view.args, view.kwargs, view.format_kwarg = Request(http), (), {}, None
    view.action, view.detail = "list", False
    rows = view.filter_queryset(_owned_rows(view))
    limit, keys, parts = view.paginator.plan(rows, view.request)
    fast = row_as_json(view_class.serializer_class)
    shown = view_class.serializer_class().fields
    if fast is None or any(key.name not in shown for key in keys):
        return None
    read: list[Statement] = []
    for part in parts:
        acting = part.filter(condition(OWNER.id))
        as_json = acting.values_list(fast.with_owner(OWNER_AS_JSON), flat=True)
        read.append(_compiled(as_json[: limit + 1]))
    # Without OFFSET the rows would be read once for each column.
    arrays = " || ".join(f"ARRAY({one.sql})" for one in read)
    sql = (
        f"SELECT array_to_string(own.rows[:{limit}], ','), cardinality(own.rows) > {limit},"  # noqa: S608  compiled
        f" own.rows[{limit}] FROM (SELECT {arrays} AS rows OFFSET 0) AS own"
    )
    return ListStatement(Statement(sql, tuple(v for one in read for v in one.values)), keys)


_kept_list = lru_cache(maxsize=256)(_list_statement)


def _owned_rows(view: Any) -> Any:
    """What `get_queryset` of the ownership mixin answers to the placeholder."""
    rows: Any = GenericAPIView.get_queryset(view)
    return rows.owned_by(OWNER)


def _retrieve(view: Any, fast: Fast, request: Request) -> Response | None:
    key = key_of(view)
    if key is None:
        return None
    statement = _row_statement(type(view))
    found = fetch_again(statement.sql, statement.for_owner(owner_id(request.user), key))
    if not found:
        return None  # whether it is another's or nobody's, the plain way says
    ((text, version),) = found
    headers = {"ETag": etag(version)}
    if knows(request, headers["ETag"]):
        return Response(status=status.HTTP_304_NOT_MODIFIED, headers=headers)
    return Response(text.encode(), headers=headers)


@cache
def _row_statement(view_class: type[Any]) -> Statement:
    fast = cast("RowAsJSON", row_as_json(view_class.serializer_class))
    rows = _owned_rows(view_class()).filter(condition(OWNER.id), pk=KEY).order_by()
    return _compiled(rows.values_list(fast.with_owner(OWNER_AS_JSON), "version")[:1])


@cache
def _columns_statement(view_class: type[Any]) -> Statement:
    rows = _owned_rows(view_class()).filter(condition(OWNER.id), pk=KEY).order_by()
    return _compiled(rows.values_list(*_attributes(view_class.queryset.model))[:1])


@cache
def _attributes(model: type[models.Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]


def key_of(view: Any) -> UUID | None:
    """The key that the URL names, if it is a UUID as this server writes it."""
    text = str(view.kwargs[view.lookup_url_kwarg or view.lookup_field])
    try:
        key = UUID(text)
    except ValueError:
        return None
    return key if str(key) == text else None


# Writing


def _create(view: Any, fast: Fast, request: Request) -> Response | None:
    row = fast.model(user_id=owner_id(request.user), **_validated(fast.whole, request.data))
    row.stamp(None)
    row.derive(None)
    if row.follow_up(None):
        return None
    values = [_adapted(field, getattr(row, field.attname)) for field in row._meta.concrete_fields]
    event_type = row.event_type("created")
    written = fetch(_insertion(fast), [*values, row.user_id, event_type])
    return Response(
        _told(row, event_type, written),
        status=status.HTTP_201_CREATED,
        headers={**view.get_success_headers({"id": row.pk}), "ETag": etag(row.version)},
    )


def _update(view: Any, fast: Fast, request: Request) -> Response | None:
    return _change(view, fast, request, fast.whole)


def _partial_update(view: Any, fast: Fast, request: Request) -> Response | None:
    return _change(view, fast, request, fast.part)


def _change(view: Any, fast: Fast, request: Request, form: Any) -> Response | None:
    key, owner = key_of(view), owner_id(request.user)
    if key is None:
        return None
    statement, names = _columns_statement(type(view)), _attributes(fast.model)
    for _ in range(TRIES):
        found = fetch_again(statement.sql, statement.for_owner(owner, key))
        if not found:
            return None  # whether it is another's or nobody's, the plain way says
        before = fast.model.from_db(connection.alias, names, found[0])
        after = fast.model.from_db(connection.alias, names, found[0])
        if before.user_id != owner:
            raise PermissionDenied(IsOwner.message)
        require_match(request, etag(before.version))
        for name, value in _validated(form, request.data).items():
            setattr(after, name, value)
        after.stamp(before)
        after.derive(before)
        if after.follow_up(before):
            return None
        event_type = after.event_type("updated")
        if written := _swapped(fast, before, after, event_type):
            body = _told(after, event_type, written)
            return Response(body, headers={"ETag": etag(after.version)})
    return None


def _validated(form: Any, body: Any) -> dict[str, Any]:
    """The values in a body. Raises `ValidationError` (400), by the names of the fields."""
    if body is None:
        raise serializers.ValidationError({"non_field_errors": ["No data provided"]})
    values: dict[str, Any] = form.run_validation(body)
    return values


def _told(row: RecordedModel, event_type: str | None, written: list[tuple[Any, ...]]) -> bytes:
    """Tell the owner's sockets of what was written; its JSON."""
    ((text, seq),) = written
    publish(row.user_id, seq, str(event_type), row.updated_at, text)
    return cast("bytes", text.encode())


def _swapped(
    fast: Fast, before: RecordedModel, after: RecordedModel, event_type: str | None
) -> list[tuple[Any, ...]]:
    """Write what differs, if the row is still as it was read; nothing where it is not."""
    changed = tuple(
        field
        for field in after._meta.concrete_fields
        if getattr(after, field.attname) != getattr(before, field.attname)
    )
    values = [_adapted(field, getattr(after, field.attname)) for field in changed]
    compared = [getattr(before, name) for name in fast.model.compared]
    return fetch(
        _swap(fast, changed),
        [*values, before.user_id, before.pk, before.user_id, before.version, *compared, event_type],
    )


@cache
def _insertion(fast: Fast) -> str:
    meta = fast.model._meta
    columns = ", ".join(f'"{field.column}"' for field in meta.concrete_fields)
    values = ", ".join("%s" for _ in meta.concrete_fields)
    return _with_event(
        fast,
        f'INSERT INTO "{meta.db_table}" ({columns}) SELECT {values} WHERE {ACTING}',
    )


@lru_cache(maxsize=256)
def _swap(fast: Fast, changed: tuple[Any, ...]) -> str:
    meta = fast.model._meta
    assignments = ", ".join(f'"{field.column}" = %s' for field in changed)
    columns = [meta.get_field(name).column for name in fast.model.compared]  # type: ignore[union-attr]
    compared = "".join(f' AND "{column}" IS NOT DISTINCT FROM %s' for column in columns)
    return _with_event(
        fast,
        f'UPDATE "{meta.db_table}" SET {assignments} WHERE {ACTING}'  # noqa: S608  names of the model
        f' AND "{meta.pk.column}" = %s AND "user_id" = %s AND "version" = %s{compared}',
    )


def _with_event(fast: Fast, writing: str) -> str:
    """A statement that writes a row and its event, and answers with the row's JSON and the number."""
    table = fast.model._meta.db_table
    compiler = models.sql.Query(fast.model).get_compiler(connection=connection)
    text, _ = compiler.compile(fast.json.resolve_expression(compiler.query))
    return (
        f'WITH written AS ({writing} RETURNING "{table}"."user_id", "{table}"."updated_at" AS at,'  # noqa: S608
        f" {text} AS text), {APPENDED} SELECT text, last_seq FROM written, next"
    )


def _adapted(field: Any, value: Any) -> Any:
    return field.get_db_prep_save(value, connection)


_ACTIONS: dict[str, Callable[[Any, Fast, Request], Response | None]] = {
    "list": _list,
    "retrieve": _retrieve,
    "create": _create,
    "update": _update,
    "partial_update": _partial_update,
}
_WRITES = (_create, _update, _partial_update)
