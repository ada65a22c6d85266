"""Django's SQLite backend, whose files nobody but their owner may read, and for which no stored value
is unreadable.

SQLite keeps anything in any column: words among integers, days that no calendar has. Django writes none
of it, but reading it would fail with the whole list that it stands in. What cannot be understood is
read as the nearest value of the column's kind.
"""

import os
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.backends.sqlite3 import base, operations

from accounts.owned.acting import acts_for_nobody
from todolist.serving.sqlite.deadline import STEPS, begin_statement, is_overdue

LARGEST = 2**63 - 1
NO_MOMENT = datetime(1970, 1, 1, tzinfo=UTC)  # in a column that has to have one
NO_UUID = UUID(int=0)
UNREADABLE = (ValueError, TypeError, AttributeError, OverflowError)


def as_integer(value: Any, expression: Any, connection: Any) -> Any:
    if value is None or type(value) is int:
        return value
    try:
        return max(-LARGEST - 1, min(int(value), LARGEST))
    except UNREADABLE:
        return 0


def as_text(value: Any, expression: Any, connection: Any) -> Any:
    if value is None or type(value) is str:
        return value
    return decoded(value) if isinstance(value, bytes) else str(value)


def decoded(text: bytes) -> str:
    return text.decode(errors="replace")


class DatabaseOperations(operations.DatabaseOperations):
    def get_db_converters(self, expression: Any) -> list[Any]:
        converters: list[Any] = super().get_db_converters(expression)
        kind = expression.output_field.get_internal_type()
        if kind in self.integer_field_ranges or kind in ("AutoField", "BigAutoField"):
            converters.append(as_integer)
        elif kind in ("CharField", "TextField"):
            converters.append(as_text)
        return converters

    def convert_datetimefield_value(self, value: Any, expression: Any, connection: Any) -> Any:
        missing = None if expression.output_field.null or value is None else NO_MOMENT
        try:
            moment = super().convert_datetimefield_value(value, expression, connection)
            moment is None or moment.astimezone(UTC)
        except UNREADABLE:
            return missing
        return missing if moment is None else moment

    def convert_datefield_value(self, value: Any, expression: Any, connection: Any) -> Any:
        try:
            return super().convert_datefield_value(value, expression, connection)
        except UNREADABLE:
            return None if expression.output_field.null else NO_MOMENT.date()

    def convert_uuidfield_value(self, value: Any, expression: Any, connection: Any) -> Any:
        try:
            return super().convert_uuidfield_value(value, expression, connection)
        except UNREADABLE:
            return NO_UUID

    def convert_booleanfield_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return None if value is None else bool(value)


class Cursor(base.SQLiteCursorWrapper):
    """One whose statements may take only so long; rows are read as they are fetched."""

    def execute(self, *arguments: Any) -> Any:
        begin_statement()
        return super().execute(*arguments)

    def executemany(self, *arguments: Any) -> Any:
        begin_statement()
        return super().executemany(*arguments)

    def fetchmany(self, *arguments: Any) -> Any:
        begin_statement()
        return super().fetchmany(*arguments)


class DatabaseWrapper(base.DatabaseWrapper):
    ops_class = DatabaseOperations

    def create_cursor(self, name: str | None = None) -> Any:
        return self.connection.cursor(factory=Cursor)

    def get_connection_params(self) -> dict[str, Any]:
        parameters: dict[str, Any] = super().get_connection_params()
        return parameters | {"detect_types": 0}  # the converters above know more

    def get_new_connection(self, conn_params: Any) -> Any:
        """SQLite makes a file that all may read; those beside it (`-wal`, `-shm`) are as that is."""
        path = str(conn_params["database"])
        if path != ":memory:" and not path.startswith("file:"):
            with suppress(OSError):  # there already, or SQLite says why it cannot be
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        connection = super().get_new_connection(conn_params)
        connection.text_factory = decoded
        if acts_for_nobody():  # a thread that answers requests
            connection.set_progress_handler(is_overdue, STEPS)
        return connection
