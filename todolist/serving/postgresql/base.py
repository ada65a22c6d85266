"""Django's PostgreSQL backend, for connections that are kept, and that act for somebody.

A pooler in transaction mode (`DATABASE_POOLER`) makes each transaction a guest on some connection of its
own: nothing is said there but what ends with the transaction.
"""

import hashlib
import select
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import lru_cache
from typing import Any

import psycopg
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DataError
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus, TransactionStatus

from accounts.owned import acting
from todolist.serving.postgresql.watched import WatchedWrapper

PREPARED_AT_MOST = 100  # statements of `fetch`, for each connection

# SQLSTATEs of a statement that the server was made to forget (or never heard, where a pooler has
# changed servers), and of one whose columns have changed since it was prepared. Both are told before
# anything is done.
PREPARE_AGAIN = frozenset({b"26000", b"0A000"})

# Through a pooler, by another process: the name says which statement it is.
ALREADY_PREPARED = b"42P05"


class DatabaseWrapper(WatchedWrapper):
    """Notices by itself that the server has closed a connection, and says whom one acts for."""

    def get_connection_params(self) -> dict[str, Any]:
        """Row-level security holds back everything from the threads that answer requests."""
        parameters: dict[str, Any] = super().get_connection_params()
        if _for_everyone() and not _pooled():
            everyone = f"-c {acting.SETTING}={acting.EVERYONE}"
            parameters["options"] = f"{parameters.get('options', '')} {everyone}".strip()
        return parameters

    def init_connection_state(self) -> None:
        super().init_connection_state()
        if _for_everyone():
            self._act_for_everyone()
        elif acting.acts_for_nobody() and not _pooled():
            self._limit_statements()
        # Without Django's own way of reading moments, which is in Python: in UTC they come anyway.
        self._loading = Transformer()
        self._prepared: dict[str, bytes] = {}  # the one asked last is the last
        self._prepares = settings.DATABASE_POOLER != "transaction"

    def _act_for_everyone(self) -> None:
        """Make sure that this connection does. Raises `ImproperlyConfigured` where it cannot."""
        if _pooled():
            if self._say_for_everyone not in self.execute_wrappers:
                self.execute_wrappers.append(self._say_for_everyone)
            return
        asked = self.connection.execute("SELECT current_setting(%s, true)", [acting.SETTING])
        if asked.fetchone() != (acting.EVERYONE,):
            self.close()
            raise ImproperlyConfigured(
                "This process would see no rows: what DATABASE_URL names ignores start-up options "
                f"({acting.SETTING}), as poolers do. Set DATABASE_POOLER, or connect to PostgreSQL "
                "itself (docs/servers.md)."
            )

    def _say_for_everyone(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        """Act for everyone in the transaction that a statement begins, or in one of its own."""
        if self.connection.info.transaction_status != TransactionStatus.IDLE:
            return execute(sql, params, many, context)
        alone = self.connection.transaction() if self.autocommit else nullcontext()
        with self.wrap_database_errors, alone:
            # Without the limits, too, that the role may have for requests.
            self.connection.execute(
                "SELECT set_config(%s, %s, true), set_config('statement_timeout', '0', true),"
                " set_config('lock_timeout', '0', true)",
                [acting.SETTING, acting.EVERYONE],
            )
            return execute(sql, params, many, context)

    def _limit_statements(self) -> None:
        """Bound how long a request may wait, for a lock too; `options` of the deployment come first.

        Not as an option at start, which PgBouncer refuses. Behind a pooler the role has them (W030).
        """
        given = str(self.settings_dict["OPTIONS"].get("options", ""))
        seconds = {"statement": settings.STATEMENT_TIMEOUT, "lock": settings.LOCK_TIMEOUT}
        for what, limit in seconds.items():
            if f"{what}_timeout" not in given:
                self.connection.execute(f"SET {what}_timeout = '{limit:d}s'")

    def is_usable(self) -> bool:
        if self.errors_occurred:  # then only the server knows
            return super().is_usable()
        try:
            # An idle connection hears nothing but its end: last words, and then nothing more.
            # Unlike `poll`, this keeps the interpreter's lock, for which other threads queue.
            self.connection.pgconn.consume_input()
            self.connection.pgconn.consume_input()
        except psycopg.OperationalError:
            return False
        return True

    def fetch(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The rows of one statement, which is prepared (`DATABASE_POOLER`) and goes straight to libpq.

        That is half a cursor's cost.

        Values are texts, numbers, flags, moments, UUIDs or `None`; the server knows of which type each
        one has to be. In a transaction, and where somebody watches what is asked (`execute_wrappers`,
        `DEBUG`), a cursor does it. Raises what a cursor raises.
        """
        self.close_if_health_check_failed()
        self.ensure_connection()
        if not self.autocommit or self.execute_wrappers or self.queries_logged:
            with self.cursor() as cursor:
                cursor.execute(sql, [None if value is None else str(value) for value in values])
                return list(cursor.fetchall())
        encoded = [None if value is None else str(value).encode() for value in values]
        if b"\0" in b"".join(filter(None, encoded)):  # which would end its value
            raise DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
        with self.wrap_database_errors:
            self.since = time.monotonic()
            result = self._execute(sql, encoded)
            if result.status != ExecStatus.TUPLES_OK:
                if _sqlstate(result) in PREPARE_AGAIN and self._prepares:
                    self._close_prepared(self._prepared.pop(sql))
                    result = self._execute(sql, encoded)
                if _sqlstate(result) in PREPARE_AGAIN:  # prepared in one place, executed in another
                    result = self.connection.pgconn.exec_params(_numbered(sql), encoded)
                self._require(result, ExecStatus.TUPLES_OK)
            self._loading.set_pgresult(result)
            rows: list[tuple[Any, ...]] = self._loading.load_rows(0, result.ntuples, tuple)
            self._loading.set_pgresult(None)  # which may be large, and the next one far away
            return rows

    def _execute(self, sql: str, values: list[bytes | None]) -> Any:
        if not self._prepares:
            return self.connection.pgconn.exec_params(_numbered(sql), values)
        name = self._prepared.pop(sql, None) or self._prepare(sql)
        self._prepared[sql] = name
        return self.connection.pgconn.exec_prepared(name, values)

    def _prepare(self, sql: str) -> bytes:
        connection = self.connection.pgconn
        if len(self._prepared) >= PREPARED_AT_MOST:
            oldest = next(iter(self._prepared))
            self._require(self._close_prepared(self._prepared.pop(oldest)), ExecStatus.COMMAND_OK)
        name = _name(sql)
        result = connection.prepare(name, _numbered(sql))
        if _sqlstate(result) != ALREADY_PREPARED:
            self._require(result, ExecStatus.COMMAND_OK)
        return name

    def _close_prepared(self, name: bytes) -> Any:
        """Let the server forget a statement, as psycopg's `close_prepared`, and wait without its lock.

        That one keeps the interpreter's lock until the answer is there. Behind a pooler the answer may
        have to wait for a transaction of another thread of this process, which waits for the lock.
        """
        connection = self.connection.pgconn
        connection.send_close_prepared(name)
        ready = select.poll()
        while connection.flush():
            ready.register(connection.socket, select.POLLIN | select.POLLOUT)
            ready.poll()
            connection.consume_input()
        ready.register(connection.socket, select.POLLIN)
        while connection.is_busy():
            ready.poll()
            connection.consume_input()
        result = connection.get_result()
        while connection.get_result() is not None:
            pass
        return result

    def _require(self, result: Any, status: ExecStatus) -> None:
        if result.status == status:
            return
        if self.connection.pgconn.status == ConnStatus.BAD:
            raise psycopg.OperationalError(result.get_error_message())
        raise error_from_result(result)


def _for_everyone() -> bool:
    """Whether connections that this thread opens have to say that they act for everyone."""
    return bool(settings.DATABASE_RLS) and not acting.acts_for_nobody()


def _pooled() -> bool:
    return bool(settings.DATABASE_POOLER != "none")


def _sqlstate(result: Any) -> bytes | None:
    sqlstate: bytes | None = result.error_field(DiagnosticField.SQLSTATE)
    return sqlstate


@lru_cache(maxsize=PREPARED_AT_MOST)
def _name(sql: str) -> bytes:
    """The name of a prepared statement: a digest of it, so that one name never means two statements.

    Poolers in transaction mode let processes share connections, and with them such names.
    """
    return b"fetch_" + hashlib.sha256(_numbered(sql)).hexdigest()[:40].encode()


@lru_cache(maxsize=PREPARED_AT_MOST)
def _numbered(sql: str) -> bytes:
    """A statement with its values numbered, as PostgreSQL has them: $1 for the first %s."""
    first, *others = sql.split("%s")
    numbered = (f"${number}{part}" for number, part in enumerate(others, start=1))
    return "".join((first, *numbered)).replace("%%", "%").encode()
