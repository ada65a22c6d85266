"""What a column can hold, whichever database it is in: the narrower of the two decides.

SQLite by itself keeps integers of any size, texts of any length, and NUL characters.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

CALENDAR = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

INTEGER_RANGES = {
    "SmallIntegerField": (-(2**15), 2**15 - 1),
    "IntegerField": (-(2**31), 2**31 - 1),
    "BigIntegerField": (-(2**63), 2**63 - 1),
    "PositiveSmallIntegerField": (0, 2**15 - 1),
    "PositiveIntegerField": (0, 2**31 - 1),
    "PositiveBigIntegerField": (0, 2**63 - 1),
}


def fault(field: Any, value: Any) -> str | None:
    """Why a column cannot hold a value, in a sentence; `None` where it can."""
    if isinstance(field, models.CharField | models.TextField) and isinstance(value, str):
        return _fault_of_text(value, field.max_length)
    if isinstance(value, int) and (range_ := INTEGER_RANGES.get(field.get_internal_type())):
        low, high = range_
        return None if low <= value <= high else f"Has to be from {low} to {high}."
    if isinstance(field, models.DateTimeField) and isinstance(value, datetime) and value.tzinfo:
        try:
            value.astimezone(UTC)
        except OverflowError:
            return "Is in no year from 1 to 9999 in UTC."
    return None


def _fault_of_text(text: str, max_length: int | None) -> str | None:
    if max_length is not None and len(text) > max_length:
        return f"Has more than {max_length} characters."
    if "\0" in text:
        return "Has a NUL character."
    try:
        text.encode()
    except UnicodeEncodeError:
        return "Has half a surrogate pair, which is no character."
    return None


def require_limits(
    row: models.Model, before: models.Model | None = None, saved: Collection[str] | None = None
) -> None:
    """Raise `ValidationError`, by the names of the fields, where a column cannot hold its new value.

    Of those in `saved`, of all for `None`. What was stored `before`, by whomever, does not stand in the
    way of other changes, nor does what the server derives from it; the value of an expression is known
    when it is written.
    """
    said = {}
    for field in row._meta.concrete_fields:
        if not (field.editable or field.name == "user_id"):
            continue
        value = row.__dict__.get(field.attname)
        left_out = saved is not None and not {field.name, field.attname} & {*saved}
        if left_out or value is None or hasattr(value, "resolve_expression"):
            continue
        value = field.to_python(value)
        if before is not None and value == before.__dict__.get(field.attname):
            continue
        if (sentence := fault(field, value)) is not None:
            said[field.name] = [sentence]
    if said:
        raise ValidationError(said)


class InCalendar(models.CheckConstraint):
    """Columns whose moments lie in years 1 to 9999, past which PostgreSQL goes and nobody can read them.

    Nothing on other databases: SQLite is read whatever it holds.
    """

    def __init__(self, *, fields: Sequence[str], name: str) -> None:
        self.fields = tuple(fields)
        within = [models.Q(**{f"{field}__range": CALENDAR}) for field in self.fields]
        super().__init__(condition=models.Q(*within), name=name)

    def deconstruct(self) -> Any:
        path, arguments, _ = super().deconstruct()
        return path, arguments, {"fields": self.fields, "name": self.name}

    def constraint_sql(self, model: Any, schema_editor: Any) -> Any:
        return self._where_kept(super().constraint_sql, model, schema_editor)

    def create_sql(self, model: Any, schema_editor: Any) -> Any:
        return self._where_kept(super().create_sql, model, schema_editor)

    def remove_sql(self, model: Any, schema_editor: Any) -> Any:
        return self._where_kept(super().remove_sql, model, schema_editor)

    def validate(self, *args: Any, **kwargs: Any) -> None:
        """Values are looked at before they are written (`require_limits`)."""

    def _where_kept(self, sql: Any, model: Any, schema_editor: Any) -> Any:
        return (
            sql(model, schema_editor) if schema_editor.connection.vendor == "postgresql" else None
        )
