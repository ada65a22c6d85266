"""The parameters of a list, and keyset paging: every page costs what the first one costs.

A cursor says where the last page ended, as the sort key and id of its last row. Rows that are added
or removed meanwhile neither shift what follows nor make it repeat.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple, cast
from uuid import UUID

from django.core.handlers.wsgi import WSGIRequest
from django.http import QueryDict
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.request import Request

from accounts.owned.reading import (
    Condition,
    Wire,
    compare,
    compare_rows,
    contains,
    is_null,
    own_page,
)
from tasks.api.serializers import TimestampField
from tasks.models import Task
from tasks.rules.search import fold

MAX_LIMIT = 1000
SORT_KEYS = ("created_at", "deadline", "order", "updated_at")
NEWEST_FIRST = "-created_at"


class Cursor(NamedTuple):
    """The place after one row of a list with this ordering."""

    ordering: str
    value: datetime | int | None
    id: UUID

    def encode(self) -> str:
        value = f'"{self.value.isoformat()}"' if isinstance(self.value, datetime) else self.value
        text = f'["{self.ordering}",{"null" if value is None else value},"{self.id.hex}"]'
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        """Raises `ValueError` for anything that `encode` did not make."""
        try:
            padded = text + "=" * (-len(text) % 4)
            ordering, value, id_hex = json.loads(
                base64.b64decode(padded, altchars=b"-_", validate=True)
            )
            value = _value_of(ordering.lstrip("-"), value)
            cursor = cls(ordering, value, UUID(hex=id_hex))
        except (
            ValueError,
            TypeError,
            AttributeError,
            OverflowError,
            RecursionError,
            binascii.Error,
        ) as error:
            raise ValueError("not a cursor") from error
        if cursor.encode() != text:
            raise ValueError("not a cursor")
        return cursor


def _value_of(key: str, value: Any) -> datetime | int | None:
    """The value of a sort key, out of the JSON of a cursor. Raises `ValueError` or `TypeError`."""
    if key not in SORT_KEYS:
        raise ValueError("ordering")
    if key == "order":
        if type(value) is not int or not -(2**31) <= value < 2**31:
            raise ValueError("order")
        return value
    if key == "deadline" and value is None:
        return None
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("no offset")
    return moment.astimezone(UTC)


class TrueOrFalseField(serializers.BooleanField):
    """`true` or `false`, as a query string writes them, and nothing else."""

    TRUE_VALUES = {"true", "True"}
    FALSE_VALUES = {"false", "False"}
    NULL_VALUES = set()


class CursorField(serializers.CharField):
    """A cursor out of a `Link` header."""

    def to_internal_value(self, data: Any) -> Any:
        try:
            return Cursor.decode(super().to_internal_value(data))
        except ValueError:
            raise serializers.ValidationError(
                "Not a cursor of this list; take it from the Link header."
            ) from None


class WholeNumberField(serializers.IntegerField):
    """A number in plain digits; Python alone would also take 1_0, 1.0 and digits of other scripts."""

    def to_internal_value(self, data: Any) -> int:
        if not re.fullmatch(r"-?[0-9]{1,20}", str(data)):
            self.fail("invalid")
        return super().to_internal_value(data)


class PageParameters(serializers.Serializer[Any]):
    """What a client may ask of every list."""

    limit = WholeNumberField(min_value=1, max_value=MAX_LIMIT, default=MAX_LIMIT)
    cursor = CursorField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs.setdefault("ordering", NEWEST_FIRST)
        cursor = attrs.get("cursor")
        if cursor is not None and cursor.ordering != attrs["ordering"]:
            raise serializers.ValidationError(
                {"cursor": "Belongs to a list with another ordering."}
            )
        return attrs


class EventParameters(serializers.Serializer[Any]):
    """What a client may ask of `GET /events` (contract section 3)."""

    since = WholeNumberField(min_value=0, max_value=2**63 - 2, default=0)
    limit = WholeNumberField(min_value=1, max_value=MAX_LIMIT, default=MAX_LIMIT)


class NotificationParameters(PageParameters):
    """What a client may ask of `GET /notifications` (contract section 3)."""

    status = serializers.ChoiceField(["unread"], required=False)


class TaskParameters(PageParameters):
    """What a client may ask of `GET /tasks` (contract section 3)."""

    completed = TrueOrFalseField(required=False)
    search = serializers.CharField(
        required=False, allow_blank=True, trim_whitespace=False, max_length=2000
    )
    deadline_before = TimestampField(required=False)
    deadline_after = TimestampField(required=False)
    ordering = serializers.ChoiceField(
        [sign + key for key in SORT_KEYS for sign in ("", "-")], default=NEWEST_FIRST
    )


def list_parameters(request: Request, kind: type[serializers.Serializer[Any]]) -> Mapping[str, Any]:
    """The validated parameters of a request.

    Raises `ParseError` (400), naming the parameter, for a bad value or one given twice.
    """
    query = query_of(request)
    return _common(kind, query) if len(query) <= SHORT else _parameters(kind, query)


def query_of(request: Request) -> str:
    """The query of a request as the client wrote it.

    Not `request.query_params`: that is decoded by the charset of the body.
    """
    query: str = request.META.get("QUERY_STRING", "")
    if not query.isascii() and isinstance(request._request, WSGIRequest):
        query = query.encode("latin-1").decode(errors="replace")  # a character a byte (PEP 3333)
    return query


SHORT = 100  # characters; what many ask for again and again has no cursor and no long words


@lru_cache(maxsize=256)
def _common(kind: type[serializers.Serializer[Any]], query: str) -> Mapping[str, Any]:
    """Understood once: the same question has the same parameters. Mistakes are not kept."""
    return _parameters(kind, query)


def _parameters(kind: type[serializers.Serializer[Any]], query: str) -> Mapping[str, Any]:
    parameters = _reader(kind)
    lists = QueryDict(query, encoding="utf-8").lists()
    known = {name: values for name, values in lists if name in parameters.fields}
    for name, values in known.items():
        if len(values) > 1:
            raise ParseError(f"{name}: Give it once.")
    try:
        values = parameters.run_validation({name: values[0] for name, values in known.items()})
    except serializers.ValidationError as error:
        said = cast("dict[str, list[str]]", error.detail)
        faults = (f"{name}: {' '.join(map(str, faults))}" for name, faults in said.items())
        raise ParseError(" ".join(faults)) from None
    return MappingProxyType(dict(values))


@cache
def _reader(kind: type[serializers.Serializer[Any]]) -> serializers.Serializer[Any]:
    """One for all requests: validation keeps nothing on it, and building one takes longer."""
    return kind()


def matching(parameters: Mapping[str, Any]) -> list[Condition]:
    """What tasks must fulfil for the filters to let them through."""
    conditions = []
    if "completed" in parameters:
        conditions.append(compare(Task, "completed", "=", parameters["completed"]))
    if parameters.get("search"):
        conditions.append(contains(Task, "search_text", fold(parameters["search"])))
    if "deadline_before" in parameters:
        conditions.append(compare(Task, "deadline", "<", parameters["deadline_before"]))
    if "deadline_after" in parameters:
        conditions.append(compare(Task, "deadline", ">", parameters["deadline_after"]))
    return conditions


def page(
    user: object, wire: Wire, conditions: list[Condition], parameters: Mapping[str, Any]
) -> tuple[str, Cursor | None]:
    """Up to `limit` of somebody's rows after the cursor, as the text of JSON objects with commas
    between them, and the cursor of the next page if any.
    """
    ordering, limit = parameters["ordering"], parameters["limit"]
    cursor: Cursor | None = parameters.get("cursor")
    key, descending = ordering.lstrip("-"), ordering.startswith("-")
    texts: list[str] = []
    last = None
    for names, segment in _segments(wire, key, "<" if descending else ">", cursor):
        part = own_page(
            user,
            wire,
            [*conditions, *segment],
            order_by=names,
            descending=descending,
            limit=limit,
        )
        if part.number:
            texts.append(part.text)
            last = part.last
        if part.more:
            row = json.loads(cast("str", last))
            return ",".join(texts), Cursor(ordering, _value_of(key, row[key]), UUID(row["id"]))
        limit -= part.number
    return ",".join(texts), None


def _segments(
    wire: Wire, key: str, behind: str, cursor: Cursor | None
) -> list[tuple[tuple[str, ...], list[Condition]]]:
    """The list from `cursor` on, in parts to be read one after the other: sort key and conditions.

    There is one, but for the deadline: tasks without one come last both ways, in a part of their
    own, as no index can be read in such an order backwards.
    """
    model, names = wire.model, (key, "id")
    if key != "deadline":
        if cursor is None:
            return [(names, [])]
        return [(names, [compare_rows(model, names, behind, (cursor.value, cursor.id))])]
    with_deadline = [is_null(model, key, null=False)]
    without = [is_null(model, key, null=True)]
    if cursor is None:
        return [(names, with_deadline), (("id",), without)]
    if cursor.value is None:
        return [(("id",), [*without, compare(model, "id", behind, cursor.id)])]
    after = compare_rows(model, names, behind, (cursor.value, cursor.id))
    return [(names, [*with_deadline, after]), (("id",), without)]
