"""Kinds of columns that owned models have beside Django's."""

from typing import Any

from django.db import models


class PositionField(models.CharField):  # type: ignore[type-arg]  # generic only to the type checker
    """Text that is compared by code point, on every database."""

    def db_parameters(self, connection: Any) -> Any:
        parameters = super().db_parameters(connection)
        if connection.vendor == "postgresql":  # SQLite compares so by itself
            parameters["collation"] = "C"
        return parameters
