"""Sort keys, the cursors that name a place in their order, and the querysets behind such a place."""

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import connection, models
from django.db.models import F, Q, QuerySet
from django.db.models.fields.tuple_lookups import TupleGreaterThan, TupleLessThan

from tasks.resources.limits import INTEGER_RANGES
from tasks.resources.lists.query import BadParameter
from tasks.rules.moments import as_text


def _as_text(value: Any) -> str:
    """A value that is text in JSON, as the API shows it."""
    return as_text(value) if isinstance(value, datetime) else str(value)


_encode = json.JSONEncoder(separators=(",", ":"), default=_as_text).encode


class Key(NamedTuple):
    """A sort key: a column, and which way."""

    field: Any
    descending: bool
    nullable: bool

    @property
    def name(self) -> str:
        return str(self.field.attname)

    def __str__(self) -> str:
        return f"{'-' if self.descending else ''}{self.field.name}"


def ordering_of(keys: Sequence[Key]) -> str:
    return ",".join(map(str, keys[:-1])) or str(keys[0])


def cursor_of(ordering: str, values: Iterable[Any]) -> str:
    """The cursor of the place after the row with these sort keys, as columns or JSON have them."""
    return base64.urlsafe_b64encode(_encode([ordering, *values]).encode()).decode().rstrip("=")


def values_of(cursor: str, keys: Sequence[Key]) -> tuple[Any, ...]:
    """The sort keys in a cursor. Raises `BadParameter` where it is not one of a list in this order."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        ordering, *shown = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if ordering != ordering_of(keys) and isinstance(ordering, str):
            raise BadParameter("cursor: Belongs to a list with another ordering.")
        read = (_value_of(key.field, each) for key, each in zip(keys, shown, strict=True))
        values = tuple(read)
        if cursor_of(ordering, values) == cursor:
            return values
    except (ValueError, TypeError, OverflowError, RecursionError, ValidationError):
        pass
    raise BadParameter("cursor: Not a cursor of this list; take it from the Link header.")


def _value_of(field: Any, shown: Any) -> Any:
    """A value of a column, out of JSON. Raises what Django and Python raise where it is none."""
    if shown is None:
        if field.null:
            return None
        raise ValueError("null")
    if field.is_relation:  # a place among keys, whether or not there still is a row with that key
        field = field.target_field
    if isinstance(field, models.DateTimeField):
        moment = datetime.fromisoformat(shown)
        if moment.tzinfo is None:
            raise ValueError("no offset")
        return moment.astimezone(UTC)
    if isinstance(shown, str) and "\0" in shown.encode().decode():  # no lone surrogates either
        raise ValueError("NUL")
    value = field.clean(shown, None)
    if isinstance(field, models.IntegerField):
        low, high = INTEGER_RANGES[field.get_internal_type()]
        if not low <= value <= high and not _is_stored(field, value):
            raise ValueError("out of range")
    return value


def _is_stored(field: Any, value: int) -> bool:
    """Whether a number beyond what the column should hold is there all the same, as it may be on SQLite."""
    low, high = connection.ops.integer_field_range(field.get_internal_type())
    beyond = {f"{field.name}__{'gte' if value > 0 else 'lte'}": value}
    return low <= value <= high and field.model._base_manager.filter(**beyond).exists()


def keys_of(rows: QuerySet[Any], default: Sequence[str]) -> list[Key]:
    """The sort keys of a queryset, the primary key last, so that no two rows share a place.

    Raises `ValueError` for an order by something that is no column.
    """
    model = rows.model
    names: Sequence[Any] = rows.query.order_by or default
    keys: list[Key] = []
    for name in names:
        if hasattr(name, "resolve_expression"):
            column = getattr(getattr(name, "expression", name), "name", "?")
            name = f"-{column}" if getattr(name, "descending", False) else column
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
        keys.append(Key(field, name.startswith("-"), field.null))
    primary = cast("Any", model._meta.pk)
    if all(key.field != primary for key in keys):
        keys.append(Key(primary, keys[-1].descending, nullable=False))
    return keys


def segments(
    rows: QuerySet[Any], keys: Sequence[Key], after: Sequence[Any] | None
) -> Iterator[QuerySet[Any]]:
    """The list from a place on, in parts to be read one after the other.

    Rows without a value come last both ways. Where only the first key may lack one, they are a part of
    their own, as no index can be read in such an order in both directions.
    """
    first, *others = keys
    nullable = [key for key in keys if key.nullable]
    uniform = len({key.descending for key in keys}) == 1
    if not nullable and uniform:
        yield _ordered(rows if after is None else rows.filter(_behind(keys, after)), keys)
    elif nullable == [first] and others and uniform:
        lacking = rows.filter(**{f"{first.name}__isnull": True})
        if after is None or after[0] is not None:
            having = rows.filter(**{f"{first.name}__isnull": False})
            yield from segments(having, [first._replace(nullable=False), *others], after)
            yield _ordered(lacking, others)
        else:
            yield from segments(lacking, others, after[1:])
    else:
        yield _ordered(rows if after is None else rows.filter(_behind_mixed(keys, after)), keys)


def _ordered(rows: QuerySet[Any], keys: Sequence[Key]) -> QuerySet[Any]:
    last = [{"nulls_last": True} if key.nullable else {} for key in keys]
    ways = [F(key.name).desc if key.descending else F(key.name).asc for key in keys]
    return rows.order_by(*(way(**nulls) for way, nulls in zip(ways, last, strict=True)))


def _behind(keys: Sequence[Key], values: Sequence[Any]) -> Any:
    """Behind a place, by comparing all keys as one: an index jumps there."""
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
            if key.nullable:
                further |= Q(**{f"{key.name}__isnull": True})
            behind |= same & further
            same &= Q(**{key.name: value})
        else:
            same &= Q(**{f"{key.name}__isnull": True})
    return behind
