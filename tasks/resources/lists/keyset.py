"""Sort keys, the cursors that name a place in their order, and the querysets behind such a place."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple, cast
from uuid import UUID

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q, QuerySet
from django.db.models.fields.tuple_lookups import TupleGreaterThan, TupleLessThan
from rest_framework.exceptions import ParseError

from tasks.resources.fields import INTEGER_RANGES


class Key(NamedTuple):
    """A sort key: a column, and which way."""

    field: Any
    descending: bool

    @property
    def name(self) -> str:
        return str(self.field.attname)

    def __str__(self) -> str:
        return f"{'-' if self.descending else ''}{self.field.name}"


class Cursor(NamedTuple):
    """The place after one row of a list in this order."""

    ordering: str
    values: tuple[Any, ...]

    def encode(self) -> str:
        text = _encode([self.ordering, *self.values])
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str, keys: Sequence[Key]) -> "Cursor":
        """Raises `ParseError` for anything that `encode` did not make of a list in this order."""
        try:
            padded = text + "=" * (-len(text) % 4)
            ordering, *values = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            if ordering != ordering_of(keys) and isinstance(ordering, str):
                raise ParseError("cursor: Belongs to a list with another ordering.")
            read = (_value_of(key.field, each) for key, each in zip(keys, values, strict=True))
            cursor = cls(ordering, tuple(read))
            if cursor.encode() == text:
                return cursor
        except (ValueError, TypeError, OverflowError, RecursionError, ValidationError):
            pass
        raise ParseError("cursor: Not a cursor of this list; take it from the Link header.")


def _value_of(field: Any, value: Any) -> Any:
    """A value of a column, out of JSON. Raises what Django and Python raise where it is none."""
    if value is None:
        if field.null:
            return None
        raise ValueError("null")
    if field.is_relation:  # a place among keys, whether or not there still is a row with that key
        field = field.target_field
    if isinstance(field, models.DateTimeField):
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError("no offset")
        return moment.astimezone(UTC)
    if isinstance(value, str) and "\0" in value.encode().decode():  # no lone surrogates either
        raise ValueError("NUL")
    cleaned = field.clean(value, None)
    if isinstance(field, models.IntegerField):
        low, high = INTEGER_RANGES[field.get_internal_type()]
        if not low <= cleaned <= high:
            raise ValueError("out of range")
    return cleaned


class _Encoder(DjangoJSONEncoder):
    def default(self, o: Any) -> Any:
        if isinstance(o, UUID):
            return o.hex
        # Django's own cuts moments to milliseconds.
        return o.isoformat() if isinstance(o, date) else super().default(o)


_encode = _Encoder(separators=(",", ":")).encode


def ordering_of(keys: Sequence[Key]) -> str:
    return ",".join(map(str, keys[:-1])) or str(keys[0])


def keys_of(rows: QuerySet[Any], default: Sequence[str]) -> list[Key]:
    """The sort keys of a queryset, the primary key last, so that no two rows share a place.

    Raises `ValueError` for an order by something that is no column: a cursor cannot say where in it
    a page has ended.
    """
    model = rows.model
    names: Sequence[Any] = rows.query.order_by or default
    keys: list[Key] = []
    for name in names:
        if hasattr(name, "resolve_expression"):
            expression = getattr(name, "expression", name)
            descending = getattr(name, "descending", False)
            name = ("-" if descending else "") + getattr(expression, "name", "?")
        bare = name.removeprefix("-")
        try:
            field = model._meta.pk if bare == "pk" else model._meta.get_field(bare)
            if not field.concrete:
                raise FieldDoesNotExist
        except FieldDoesNotExist:
            raise ValueError(
                f"Keyset paging cannot order {model._meta.verbose_name_plural} by {bare}: it is no "
                "column. Set another pagination_class, or order by columns."
            ) from None
        keys.append(Key(field, name.startswith("-")))
    primary = cast("Any", model._meta.pk)
    if all(key.field != primary for key in keys):
        keys.append(Key(primary, keys[-1].descending))
    return keys


def segments(
    rows: QuerySet[Any], keys: Sequence[Key], after: Cursor | None
) -> Iterator[QuerySet[Any]]:
    """The list from a cursor on, in parts to be read one after the other.

    Rows without a value come last both ways. Where only the first key may lack one, they are a part of
    their own, as no index can be read in such an order in both directions.
    """
    first, *others = keys
    values = None if after is None else after.values
    nullable = [key for key in keys if key.field.null]
    uniform = len({key.descending for key in keys}) == 1
    if not nullable and uniform:
        yield _ordered(rows if values is None else rows.filter(_behind(keys, values)), keys)
    elif nullable == [first] and others and uniform:
        lacking, having = (
            Q(**{f"{first.name}__isnull": True}),
            Q(**{f"{first.name}__isnull": False}),
        )
        if values is None or values[0] is not None:
            yield from segments(rows.filter(having), _as_filled(keys), after)
            yield _ordered(rows.filter(lacking), others)
        else:
            yield from segments(rows.filter(lacking), others, Cursor("", values[1:]))
    else:
        behind = Q() if values is None else _behind_mixed(keys, values)
        yield _ordered(rows.filter(behind), keys)


def _as_filled(keys: Sequence[Key]) -> list[Key]:
    """The same keys, where the first is known to have a value."""
    first, *others = keys
    filled = first.field.clone()
    filled.set_attributes_from_name(first.field.name)
    filled.null = False
    return [Key(filled, first.descending), *others]


def _ordered(rows: QuerySet[Any], keys: Sequence[Key]) -> QuerySet[Any]:
    return rows.order_by(
        *(
            (F(key.name).desc if key.descending else F(key.name).asc)(
                nulls_last=True if key.field.null else None
            )
            for key in keys
        )
    )


def _behind(keys: Sequence[Key], values: Sequence[Any]) -> Any:
    """Behind a place, by comparing all keys as one: an index answers that by jumping to the place."""
    compare = TupleLessThan if keys[0].descending else TupleGreaterThan
    if len(keys) == 1:
        return Q(**{f"{keys[0].name}__{'lt' if keys[0].descending else 'gt'}": values[0]})
    return compare(tuple(F(key.name) for key in keys), tuple(values))


def _behind_mixed(keys: Sequence[Key], values: Sequence[Any]) -> Q:
    """The same for keys in different directions, or with values that may be missing."""
    behind, same = Q(), Q()
    for key, value in zip(keys, values, strict=True):
        if value is not None:
            further = Q(**{f"{key.name}__{'lt' if key.descending else 'gt'}": value})
            if key.field.null:
                further |= Q(**{f"{key.name}__isnull": True})
            behind |= same & further
            same &= Q(**{key.name: value})
        else:
            same &= Q(**{f"{key.name}__isnull": True})
    return behind


def last_values(keys: Sequence[Key], row: Mapping[str, Any]) -> tuple[Any, ...]:
    """The sort keys of a row, out of its JSON form. Raises `KeyError` where one is not shown."""
    return tuple(key.field.to_python(row[key.name]) for key in keys)
