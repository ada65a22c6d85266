"""What the code asks the database beside the ORM, and which database it is."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from django.db import connection


@cache
def on_postgresql() -> bool:
    """Whether the database is PostgreSQL. Asked of Django once, who would look it up every time."""
    return bool(connection.vendor == "postgresql")


def fetch(sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The rows of one statement; by the shortest way that there is (`todolist.serving.postgresql`)."""
    if on_postgresql():
        database: Any = connection
        rows: list[tuple[Any, ...]] = database.fetch(sql, values)
        return rows
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())
