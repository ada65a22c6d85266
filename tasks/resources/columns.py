"""Columns of owned models: a kind that they have beside Django's, and what is stored of a value."""

from datetime import date, datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.db import models

CONVERSIONS = ("pre_save", "get_prep_value", "get_db_prep_value", "get_db_prep_save")
# Of these the driver makes by itself what the field's column takes.
_NATIVE = frozenset({str, int, bool, datetime, date, UUID, type(None)})


class PositionField(models.CharField):  # type: ignore[type-arg]  # generic only to the type checker
    """Text that is compared by code point, on every database."""

    def db_parameters(self, connection: Any) -> Any:
        parameters = super().db_parameters(connection)
        if connection.vendor == "postgresql":  # SQLite compares so by itself
            parameters["collation"] = "C"
        return parameters


@cache
def converts(kind: Any) -> bool:
    """Whether fields of a class convert what is read, or what is stored otherwise than Django's own."""
    own = next(each for each in kind.__mro__ if each.__module__.startswith("django."))
    return hasattr(kind, "from_db_value") or any(
        getattr(kind, name) is not getattr(own, name) for name in CONVERSIONS
    )


def adapted(field: Any, value: Any, database: Any) -> Any:
    """A value as the driver takes it. As the field prepares it, which takes long where that is nothing."""
    kind: Any = type(field)
    if type(value) in _NATIVE and not converts(kind):
        return value
    return field.get_db_prep_save(value, database)
