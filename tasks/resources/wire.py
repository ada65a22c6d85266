"""How a model's rows are shown: by one serializer, in REST and events alike.

The serializer is the declaration. Where its fields are plain columns, PostgreSQL can write the same
JSON by itself, byte for byte, so that no Python object stands for a row or a field (`RowAsJSON`).
"""

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

from django.db import models
from rest_framework import serializers

from tasks.resources.fields import OwnedKeyField, TimestampField

Form = TypeVar("Form", bound=type[serializers.BaseSerializer[Any]])

_forms: dict[type[models.Model], type[serializers.BaseSerializer[Any]]] = {}


def wire_form(model: type[models.Model]) -> Any:
    """Class decorator: declare that a serializer is how the rows of `model` are shown in events."""

    def declare(form: Form) -> Form:
        _forms[model] = form
        return form

    return declare


def form_of(model: type[models.Model]) -> type[serializers.BaseSerializer[Any]]:
    """The serializer that was declared for a model. Raises `LookupError` where none was."""
    try:
        return _forms[model]
    except KeyError:
        raise LookupError(
            f"No serializer is declared for {model.__name__}: decorate one with "
            f"@wire_form({model.__name__}), in a module that is imported at start."
        ) from None


def has_form(model: type[models.Model]) -> bool:
    return model in _forms


def shown(row: models.Model) -> dict[str, Any]:
    """A row as REST shows it."""
    return dict(form_of(type(row))(row).data)


class _Writing(NamedTuple):
    """How a value becomes JSON: what comes before it, SQL of it, and what comes after it."""

    before: str
    sql: str
    after: str


_TEXT = _Writing("", "to_json({}::text)", "")
_PLAIN = _Writing('"', "{}::text", '"')
_GIVEN = _Writing("", "{}::text", "")
_NUMBER = _Writing("", "{}::text", "")
# A moment has no zeros at the end of its fraction.
_MOMENT = _Writing('"', "replace(({} AT TIME ZONE INTERVAL '0')::text, ' ', 'T')", 'Z"')

# By the function that shows a field's value, and the kind of column: a subclass that shows it in another
# way is in no row of this table, and then Python writes the JSON.
_WRITINGS: tuple[tuple[Any, Any, _Writing], ...] = (
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


class RowAsJSON(models.Expression):
    """The row as the text of a JSON object, in PostgreSQL: the fields of a serializer, in its order."""

    output_field: Any = models.TextField()

    def __init__(self, columns: Iterable[tuple[str, Any, _Writing]]) -> None:
        super().__init__(output_field=models.TextField())
        self._columns: list[tuple[str, bool, _Writing, Any]] = [
            (name, field.null, writing, models.F(field.attname)) for name, field, writing in columns
        ]

    def with_owner(self, as_json: str) -> "RowAsJSON":
        """The same for rows of one owner, whose id as JSON is a value of the statement."""
        other = self.copy()
        other._columns = [
            (name, null, _GIVEN, models.Value(as_json)) if name == "user_id" else column
            for column in self._columns
            for name, null, *_ in [column]
        ]
        return other

    def get_source_expressions(self) -> list[Any]:
        return [expression for *_, expression in self._columns]

    def set_source_expressions(self, exprs: Any) -> None:
        self._columns = [
            (name, null, writing, expression)
            for (name, null, writing, _), expression in zip(self._columns, exprs, strict=True)
        ]

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        parts: list[str] = []
        values: list[Any] = []
        text = ""  # constants before the next value
        for name, null, (before, sql, after), expression in self._columns:
            compiled, given = compiler.compile(expression)
            value = sql.format(compiled)
            values += given
            text += f'{"," if parts else "{"}"{name}":'
            if null:
                value = " || ".join(filter(None, (_quoted(before), value, _quoted(after))))
                before, value, after = "", f"coalesce({value}, 'null')", ""
            parts += [_quoted(text + before), value]
            text = after
        # One call: each `||` would copy all that came before it.
        return f"concat({', '.join(parts)}, {_quoted(text + '}')})", values


def _quoted(text: str) -> str:
    return f"'{text}'" if text else ""


def row_as_json(form: type[serializers.BaseSerializer[Any]]) -> RowAsJSON | None:
    """The expression for what a serializer shows; `None` where only Python can write that."""
    model = getattr(getattr(form, "Meta", None), "model", None)
    own: Any = form
    if model is None or own.to_representation is not serializers.Serializer.to_representation:
        return None
    columns = []
    for name, shown_as in own().fields.items():
        column = _column(model, shown_as)
        writing = None if column is None else _writing(shown_as, column)
        if shown_as.write_only or writing is None:
            return None
        columns.append((name, column, writing))
    return RowAsJSON(columns)


def _column(model: type[models.Model], field: Any) -> Any:
    """The model's field whose column a serializer's field shows; `None` where it shows no column."""
    for column in model._meta.concrete_fields:
        if field.source in (column.name, column.attname):
            return column
    return None


def _writing(field: Any, column: Any) -> _Writing | None:
    stored = column.target_field if column.is_relation else column
    for shows, kind, writing in _WRITINGS:
        if type(field).to_representation is shows and isinstance(stored, kind):
            return writing
    return None
