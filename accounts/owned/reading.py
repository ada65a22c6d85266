"""Reads somebody's own rows by one statement, mostly as JSON text: the fast face of isolation.

The database writes the JSON, so that no Python object stands for a row or a field. Every statement
is narrowed down to its owner here, by no choice of the caller's. What a row looks like is said
elsewhere, by a serializer; `Wire` only translates it.
"""

from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple, cast

from django.db import InterfaceError, OperationalError, connection, models

from accounts.owned.acting import ACTING_SOURCE
from accounts.owned.databases import fetch, on_postgresql
from accounts.owned.ownership import Owned, OwnedModel, owner_id


class Wire(NamedTuple):
    """The JSON form of a model's rows: these of its fields, in this order."""

    model: type[OwnedModel]
    names: tuple[str, ...]


class Condition(NamedTuple):
    """What rows must fulfil besides being their owner's: SQL over `t`, and its values."""

    sql: str
    values: tuple[Any, ...]


def compare(model: type[OwnedModel], name: str, operator: str, value: Any) -> Condition:
    """That a field stands in this relation to a value."""
    field = _field(model, name)
    return Condition(f"{_column(field)} {operator} %s", (_adapted(field, value),))


def compare_rows(
    model: type[OwnedModel], names: Sequence[str], operator: str, values: Sequence[Any]
) -> Condition:
    """That several fields, taken together as a sort key, stand in this relation to values.

    An index answers that by jumping to the place, however many rows share the first of the keys.
    """
    fields = [_field(model, name) for name in names]
    columns = ", ".join(map(_column, fields))
    places = ", ".join("%s" for _ in fields)
    adapted = tuple(_adapted(field, value) for field, value in zip(fields, values, strict=True))
    return Condition(f"({columns}) {operator} ({places})", adapted)


def contains(model: type[OwnedModel], name: str, text: str) -> Condition:
    """That a field contains a text, every character of which is meant as it is."""
    function = "strpos" if on_postgresql() else "instr"
    return Condition(f"{function}({_column(_field(model, name))}, %s) > 0", (text,))


def is_null(model: type[OwnedModel], name: str, *, null: bool) -> Condition:
    """That a field has no value, or that it has one."""
    return Condition(f"{_column(_field(model, name))} IS {'' if null else 'NOT '}NULL", ())


class Page(NamedTuple):
    """Rows as the text of JSON objects, with commas between them."""

    text: str
    number: int
    last: str | None  # the last of them
    more: bool  # whether others follow


def own_page(
    user: object,
    wire: Wire,
    conditions: Iterable[Condition],
    *,
    order_by: Sequence[str],
    descending: bool,
    limit: int,
) -> Page:
    """Up to `limit` rows of `user` that fulfil the conditions, in this order.

    Nothing at all for whoever is no `CurrentUser`.
    """
    owner = owner_id(user)
    if not owner:
        return Page("", 0, None, more=False)
    values: list[Any] = [owner]
    narrowed = []
    for condition in conditions:
        narrowed.append(condition.sql)
        values += condition.values
    sql = _page(wire, tuple(narrowed), tuple(order_by), descending, limit)
    found = _fetched(sql, values)
    if on_postgresql():
        ((text, number, last),) = found
    else:
        rows = [row for (row,) in found]
        text, number = ",".join(rows[:limit]), len(rows)
        last = rows[:limit][-1] if rows[:limit] else None
    return Page(text, min(number, limit), last, more=number > limit)


def own_row(user: object, wire: Wire, pk: Any) -> str | None:
    """The row of `user` with this key as the text of a JSON object; `None` if there is none."""
    owner = owner_id(user)
    if not owner:
        return None
    by_key = compare(wire.model, "pk", "=", pk)
    found = _fetched(_one(wire, by_key.sql), [owner, *by_key.values])
    return found[0][0] if found else None


def own_object(user: object, model: type[Owned], pk: Any) -> Owned | None:
    """The row of `user` with this key as an object, as it is now; `None` if there is none."""
    owner = owner_id(user)
    if not owner or not on_postgresql():
        return cast("Owned | None", model.objects.owned_by(user).filter(pk=pk).first())
    found = _fetched(_one_object(model), [owner, pk])
    if not found:
        return None
    return model.from_db(connection.alias, _attributes(model), found[0])


@cache
def _one_object(model: type[OwnedModel]) -> str:
    key, columns = _column(_field(model, "pk")), map(_column, model._meta.concrete_fields)
    table = model._meta.db_table
    return _whole(
        f'SELECT {", ".join(columns)} FROM "{table}" AS t'  # noqa: S608  names of the models
        f' WHERE t."user_id" = me.id AND {key} = %s LIMIT 1'
    )


@cache
def _attributes(model: type[OwnedModel]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]


def _fetched(sql: str, values: list[Any]) -> list[tuple[Any, ...]]:
    """The rows of a statement that only reads.

    Where the server closed the connection at this very moment, which nobody can see beforehand, it
    is asked once more over a new one.
    """
    try:
        return fetch(sql, values)
    except (InterfaceError, OperationalError):
        if connection.in_atomic_block or connection.connection is None or connection.is_usable():
            raise
        connection.close()
        return fetch(sql, values)


def _whole(select: str, columns: str = "own.*") -> str:
    """A complete statement around the rows of an owner.

    On PostgreSQL the same statement first says who is acting, for the policies of row-level
    security. A lateral subquery with a LIMIT or an OFFSET is not merged with what it refers to, so
    it is never read before that.
    """
    if not on_postgresql():
        return select
    return f"SELECT {columns} FROM {ACTING_SOURCE} CROSS JOIN LATERAL ({select}) AS own"  # noqa: S608  ours


@lru_cache(maxsize=1000)
def _page(
    wire: Wire,
    conditions: tuple[str, ...],
    order_by: tuple[str, ...],
    descending: bool,
    limit: int,
) -> str:
    """A statement that reads up to `limit` of an owner's rows, and sees whether others follow.

    PostgreSQL puts them together by itself: one row is sent, and no object made for each of them.
    """
    direction = " DESC" if descending else ""
    keys = ", ".join(_column(_field(wire.model, name)) + direction for name in order_by)
    narrowed = "".join(f" AND {condition}" for condition in conditions)
    # The limit is no parameter, so that it counts when a statement is planned, once for all.
    rows = f"{_select(wire)}{narrowed} ORDER BY {keys} LIMIT {limit + 1}"
    if not on_postgresql():
        return rows
    number = "cardinality(own.rows)"
    columns = (
        f"array_to_string(own.rows[:{limit}], ','), {number}, own.rows[least({number}, {limit})]"
    )
    # Without OFFSET the rows would be read three times over, once for each column.
    return _whole(f"SELECT ARRAY({rows}) AS rows OFFSET 0", columns)


@lru_cache
def _one(wire: Wire, condition: str) -> str:
    return _whole(f"{_select(wire)} AND {condition} LIMIT 1")


@lru_cache
def _select(wire: Wire) -> str:
    """The beginning of a statement that reads an owner's rows as JSON text."""
    table = wire.model._meta.db_table
    owner, text = ("me.id", json_of(wire, "me.json")) if on_postgresql() else ("%s", json_of(wire))
    return f'SELECT {text} AS row FROM "{table}" AS t WHERE t."user_id" = {owner}'  # noqa: S608  names of the models


@lru_cache
def json_of(wire: Wire, owner: str = "") -> str:
    """The SQL expression that writes a row, called `t`, as the text of a JSON object.

    `owner` is SQL too: the owner's id as JSON, where it is the same for all rows.
    """
    parts: list[str] = []
    text = ""  # what comes before the next value, whatever the row
    for name in wire.names:
        field = _field(wire.model, name)
        before, value, after = _writers()[_kind(field)]
        value = owner if owner and name == "user_id" else value.format(_column(field))
        text += f'{"," if parts else "{"}"{name}":'
        if field.null:
            value = " || ".join(filter(None, (_quoted(before), value, _quoted(after))))
            before, value, after = "", f"coalesce({value}, 'null')", ""
        parts += [_quoted(text + before), value]
        text = after
    parts.append(_quoted(text + "}"))
    # Each `||` copies all that came before it.
    return f"concat({', '.join(parts)})" if on_postgresql() else " || ".join(parts)


def _quoted(text: str) -> str:
    return f"'{text}'" if text else ""


def _writers() -> dict[str, tuple[str, str, str]]:
    """How each kind of value becomes JSON: what comes before it, SQL, and what comes after it.

    A moment has no zeros at the end of its fraction.
    """
    if on_postgresql():
        moment = "replace(({} AT TIME ZONE INTERVAL '0')::text, ' ', 'T')"
        return {
            "uuid": ('"', "{}", '"'),
            "text": ("", "to_json({})", ""),
            "number": ("", "{}", ""),
            "flag": ("", "{}::text", ""),
            "moment": ('"', moment, 'Z"'),
        }
    moment = "replace(CASE WHEN instr({0}, '.') THEN rtrim({0}, '0') ELSE {0} END, ' ', 'T')"
    uuid = " || '-' || ".join(
        f"substr({{0}}, {start}, {length})"
        for start, length in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    )
    return {
        "uuid": ('"', uuid, '"'),
        "text": ("", "json_quote({})", ""),
        "number": ("", "{}", ""),
        "flag": ("", "CASE WHEN {} THEN 'true' ELSE 'false' END", ""),
        "moment": ('"', moment, 'Z"'),
    }


_KINDS: dict[type[Any], str] = {
    models.UUIDField: "uuid",
    models.CharField: "text",
    models.TextField: "text",
    models.IntegerField: "number",
    models.BooleanField: "flag",
    models.DateTimeField: "moment",
}


def _kind(field: Any) -> str:
    """Raises `LookupError` for a kind of field of which nobody has said how it becomes JSON."""
    column = field.target_field if field.is_relation else field
    for kind in type(column).__mro__:
        if kind in _KINDS:
            return _KINDS[kind]
    raise LookupError(f"{field} is of no kind that can be written as JSON")


@cache
def _field(model: type[OwnedModel], name: str) -> Any:
    for field in model._meta.concrete_fields:
        if name in (field.name, field.attname) or (name == "pk" and field.primary_key):
            return field
    raise LookupError(f"{model.__name__} has no field {name}")


def _column(field: Any) -> str:
    return f't."{field.column}"'


def _adapted(field: Any, value: Any) -> Any:
    """A value as the database's driver takes it."""
    return field.get_db_prep_value(value, connection)


def exists(model: type[OwnedModel], pk: Any) -> bool:
    """Whether anybody owns a row with this key, and nothing else of it."""
    if on_postgresql():
        # Row-level security hides the row; this function, made by a migration, tells only this.
        return bool(_fetched(f'SELECT "{model._meta.db_table}_exists"(%s)', [pk])[0][0])
    return model.objects.filter(pk=pk).exists()
