"""What the code asks the database beside the ORM, and which database it is."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError, connection

Answer = TypeVar("Answer")
DEADLOCK = "40P01"  # PostgreSQL, appendix A
TRIES = 3  # of writes; each deadlock takes a second to be noticed


@cache
def on_postgresql() -> bool:
    """Whether the database is PostgreSQL. Asked of Django once: the settings do not change."""
    return bool(connection.vendor == "postgresql")


def fetch(sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The rows of one statement, by `connection.fetch` where the database backend has that."""
    shorter: Callable[..., list[tuple[Any, ...]]] | None = getattr(connection, "fetch", None)
    if shorter is not None:
        return shorter(sql, values)
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())


def again(read: Callable[..., Answer], *args: Any) -> Answer:
    """What a function answers that only reads, over a new connection where the server closed ours."""
    connection.ensure_connection()
    before = connection.connection
    try:
        return read(*args)
    except (InterfaceError, OperationalError):
        now = connection.connection  # another one where a transaction could not be rolled back
        if connection.in_atomic_block or now is None:
            raise
        if now is before:
            if connection.is_usable():
                raise
            connection.close()
        return read(*args)


def again_after_deadlock(write: Callable[[], Answer]) -> Answer:
    """What a function answers whose writes are one transaction, begun anew where PostgreSQL ended it.

    It ends one of two that wait for each other, and undoes all of its writes.
    """
    for tries_left in reversed(range(TRIES)):
        try:
            return write()
        except OperationalError as error:
            deadlock = getattr(error.__cause__, "sqlstate", None) == DEADLOCK
            if connection.in_atomic_block or not deadlock or not tries_left:
                raise
    raise AssertionError("not reached")


def fetch_again(sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The rows of a statement that only reads, as `again`."""
    return again(fetch, sql, values)
