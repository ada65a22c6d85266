"""What the code asks the database beside the ORM, and which database it is."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError, connection

Answer = TypeVar("Answer")
DEADLOCK = "40P01"  # PostgreSQL, appendix A


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


def tried(write: Callable[[], Answer], tries: int, passes: Callable[[Exception], bool]) -> Answer:
    """What a function answers that writes in a transaction, begun anew after an error that may pass."""
    for _ in range(tries - 1):
        try:
            return write()
        except DatabaseError as error:
            if not passes(error):
                raise
    return write()


def sqlstate(error: Exception) -> str | None:
    """PostgreSQL's code for what Django raised an error of its own for."""
    return getattr(error.__cause__, "sqlstate", None)


def ended_as_deadlock(error: Exception) -> bool:
    """Whether PostgreSQL ended the whole transaction, as one of two that waited for each other."""
    return sqlstate(error) == DEADLOCK and not connection.in_atomic_block


def fetch_again(sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The rows of a statement that only reads, as `again`."""
    return again(fetch, sql, values)
