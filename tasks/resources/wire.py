"""How a model's rows are shown: by one serializer, in REST and events alike.

Where its fields are plain columns, PostgreSQL can write the same JSON, byte for byte.
"""

from functools import cache
from typing import Any, TypeVar

from django.db import models
from django.db.models.expressions import RawSQL
from rest_framework import serializers

from tasks.resources.columns import converts
from tasks.resources.fields import OwnedKeyField, OwnedKeysField, TimestampField

Form = TypeVar("Form", bound=type[serializers.BaseSerializer[Any]])

_forms: dict[type[models.Model], type[serializers.BaseSerializer[Any]]] = {}


def wire_form(model: type[models.Model]) -> Any:
    """Class decorator: declare that a serializer is how the rows of `model` are shown in events."""

    def declare(form: Form) -> Form:
        _forms[model] = form
        return form

    return declare


def form_of(model: type[models.Model]) -> type[serializers.BaseSerializer[Any]] | None:
    """The serializer that was declared for a model; tasks.E001 finds those without."""
    return _forms.get(model)


def shown(row: models.Model) -> dict[str, Any]:
    """A row as REST shows it."""
    form: Any = _forms[type(row)]
    shared = _shared(form)
    return dict(form(row).data if shared is None else shared.to_representation(row))


@cache
def _shared(form: Any) -> Any:
    """A serializer for all rows, as making one takes longer than showing a row; `None` where it may look at
    more than the row that it shows."""
    if row_as_json(form) is None or form.data is not serializers.Serializer.data:
        return None
    shared = form()
    return shared if shared.fields else None  # made here, as threads share them


_TEXT = ("", "to_json({}::text)", "")
_PLAIN = ('"', "{}::text", '"')
_NUMBER = ("", "{}::text", "")
# A moment has no zeros at the end of its fraction.
_MOMENT = ('"', "replace(({} AT TIME ZONE INTERVAL '0')::text, ' ', 'T')", 'Z"')

# How a value becomes JSON: what comes before it, SQL of it, and what comes after it. By the function that
# shows a field's value, and the kind of column: a subclass that shows it in another way is in no row of
# this table, and then Python writes the JSON.
_WRITINGS: tuple[tuple[Any, Any, tuple[str, str, str]], ...] = (
    (serializers.CharField.to_representation, models.CharField, _TEXT),
    (serializers.CharField.to_representation, models.TextField, _TEXT),
    (serializers.ChoiceField.to_representation, models.CharField, _TEXT),
    (serializers.IntegerField.to_representation, models.IntegerField, _NUMBER),
    (serializers.BooleanField.to_representation, models.BooleanField, _NUMBER),
    (serializers.UUIDField.to_representation, models.UUIDField, _PLAIN),
    (OwnedKeyField.to_representation, models.UUIDField, _PLAIN),
    (TimestampField.to_representation, models.DateTimeField, _MOMENT),
    (serializers.DateField.to_representation, models.DateField, _PLAIN),
)


def row_as_json(form: type[serializers.BaseSerializer[Any]]) -> RawSQL | None:
    """A row as the text of a JSON object, in PostgreSQL: the fields of a serializer, in its order.

    `None` where only Python can write what the serializer shows, or can say what a column holds.
    """
    model = getattr(getattr(form, "Meta", None), "model", None)
    own: Any = form
    if model is None or own.to_representation is not serializers.Serializer.to_representation:
        return None
    kinds: list[Any] = [type(column) for column in model._meta.concrete_fields]
    if any(map(converts, kinds)):
        return None
    parts: list[str] = []
    text = "{"  # constants before the next value
    for name, field in own().fields.items():
        writing = None if field.write_only else _writing(model, field)
        if writing is None:
            return None
        before, value, after = writing
        parts += [_quoted(f'{text}"{name}":{before}'), value]
        text = f"{after},"
    # One call: each `||` would copy all that came before it.
    end = _quoted(text.removesuffix(",") + "}")
    return RawSQL(f"concat({', '.join(parts)}, {end})", (), models.TextField())  # noqa: S611


def _quoted(text: str) -> str:
    return f"'{text}'" if text else ""


def _column(model: type[models.Model], field: Any) -> Any:
    """The model's field whose column a serializer's field shows; `None` where it shows no column."""
    for column in model._meta.concrete_fields:
        if field.source in (column.name, column.attname):
            return column
    return None


def _writing(model: Any, field: Any) -> tuple[str, str, str] | None:
    """What comes before a field's value, SQL of it, and what comes after it; `None` where only Python can."""
    table = f'"{model._meta.db_table}"'
    if type(field).to_representation is OwnedKeysField.to_representation:
        relation: Any = model._meta.get_field(field.source)
        own, other = relation.m2m_column_name(), relation.m2m_reverse_name()
        ids = (
            f'SELECT "{other}" FROM "{relation.m2m_db_table()}"'  # noqa: S608  names of the model
            f' WHERE "{own}" = {table}."{model._meta.pk.column}" ORDER BY "{other}"'
        )
        return "", f"to_json(ARRAY({ids}))::text", ""
    column = _column(model, field)
    if column is None:
        return None
    stored = column.target_field if column.is_relation else column
    for shows, kind, (before, sql, after) in _WRITINGS:
        if type(field).to_representation is shows and isinstance(stored, kind):
            value = sql.format(f'{table}."{column.column}"')
            if not column.null:
                return before, value, after
            value = " || ".join(filter(None, (_quoted(before), value, _quoted(after))))
            return "", f"coalesce({value}, 'null')", ""
    return None
