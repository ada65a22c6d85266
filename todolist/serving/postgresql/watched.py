"""Connections to PostgreSQL that wait for nothing without end, and go when they have become old.

PostgreSQL bounds statements itself, unless it is frozen, or the network before it: then a thread of this
process closes the socket under the statement, whose thread is told that the connection is lost.
"""

import logging
import os
import random
import select
import socket
import threading
import time
from contextlib import closing, suppress
from typing import Any
from weakref import WeakSet

import psycopg
from django.conf import settings
from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus

from accounts.owned.acting import act_for_nobody, acts_for_nobody
from todolist.serving.restarts import PATIENCE, TRY_EVERY, restart

logger = logging.getLogger(__name__)

# All in seconds.
LOOK_EVERY = 0.25
REPORT_AFTER = 1.0  # from the start of a statement to the question what it waits for
GRACE = 0.5  # beyond the time limit of statements, which is PostgreSQL's to hold
FAIL_FAST = 1.0  # after a sign that PostgreSQL is frozen: nobody else waits for a connection
KEPT_WHILE_READ_ONLY = 1.0
OUTAGE_ENDS = 10.0  # after the last statement that took long

CLOSED = getattr(select, "POLLRDHUP", 0)  # by the other side, with words of its own before

# Seconds; the deployment may have its own. 0 where there is no limit, as behind a pooler without one.
LIMIT = "SELECT extract(epoch FROM current_setting('statement_timeout')::interval)::float"

# Of the sessions with the pids `%s` that wait for a lock: of which table, and who holds it.
BLOCKED = """
    SELECT DISTINCT coalesce(wanted.relation::regclass::text, 'a row'), holder.pid,
        coalesce(nullif(holder.application_name, ''), 'no name'), coalesce(holder.state, 'unknown'),
        coalesce(extract(epoch FROM clock_timestamp() - holder.xact_start)::integer, 0)
    FROM unnest(%s::integer[]) AS ours (pid)
    CROSS JOIN LATERAL unnest(pg_blocking_pids(ours.pid)) AS blocking (pid)
    JOIN pg_stat_activity AS holder ON holder.pid = blocking.pid
    LEFT JOIN pg_locks AS wanted ON wanted.pid = ours.pid AND NOT wanted.granted
    ORDER BY holder.pid LIMIT 5
"""


class WatchedWrapper(base.DatabaseWrapper):
    """Django's, whose statements are watched on threads that answer requests."""

    since = float("inf")  # when the last statement began
    limit = 0.0  # seconds that a statement may take
    patience = PATIENCE  # seconds with one that refuses connections

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if not acts_for_nobody():
            return super().get_new_connection(conn_params)
        end = time.monotonic() + self.patience
        try:
            return self._try_to_connect(conn_params)
        except psycopg.OperationalError as error:
            if isinstance(error, psycopg.errors.ConnectionTimeout) or self.patience <= 0:
                raise
            with restart.waiting_thread(watchdog.any_works) as may_wait:
                while may_wait and time.monotonic() < end:
                    time.sleep(TRY_EVERY)
                    with suppress(psycopg.OperationalError):
                        return self._try_to_connect(conn_params)
            raise

    def _try_to_connect(self, conn_params: dict[str, Any]) -> Any:
        if time.monotonic() < watchdog.frozen_until:
            raise psycopg.errors.ConnectionTimeout("PostgreSQL is frozen")
        try:
            connection = super().get_new_connection(conn_params)
        except psycopg.errors.ConnectionTimeout:
            watchdog.frozen_until = time.monotonic() + FAIL_FAST
            raise
        self.since = time.monotonic()
        return connection

    def connect(self) -> None:
        """Connections do not end all at once, and soon where they take no writes: that may pass."""
        super().connect()
        if self.close_at is not None:
            self.close_at -= random.uniform(0, self.settings_dict["CONN_MAX_AGE"] / 2)  # noqa: S311
            with self.wrap_database_errors:
                if self._is_read_only():
                    self.close_at = time.monotonic() + KEPT_WHILE_READ_ONLY
        if acts_for_nobody():
            with self.wrap_database_errors:
                (self.limit,) = self.connection.execute(LIMIT).fetchone()
            watchdog.watch(self)

    def create_cursor(self, name: str | None = None) -> Any:
        # A cursor of the server's is read for as long as it takes.
        self.since = time.monotonic() if name is None else float("inf")
        return super().create_cursor(name)

    def _commit(self) -> Any:
        self.since = time.monotonic()
        return super()._commit()  # type: ignore[misc]  # the stubs do not know it

    def is_usable(self) -> bool:
        """Not where it takes no writes: a server that was a standby before takes them over a new one."""
        self.since = time.monotonic()
        return super().is_usable() and not self._is_read_only()

    def _is_read_only(self) -> bool:
        asked = self.connection.execute("SELECT current_setting('transaction_read_only')")
        return bool(asked.fetchone() == ("on",))

    def held_for(self, now: float) -> float:
        """Seconds since the statement began that is being executed; 0 where none is."""
        connection = self.connection
        if connection is None:
            return 0
        active = connection.pgconn.transaction_status == TransactionStatus.ACTIVE
        return max(0.0, now - self.since) if active else 0

    def works(self) -> bool:
        """Whether there is a connection that PostgreSQL has not closed. From any thread."""
        try:
            poll = select.poll()
            poll.register(self.connection.pgconn.socket, CLOSED)
            return not poll.poll(0)
        except (psycopg.Error, OSError, AttributeError):
            return False

    def cut_off(self) -> None:
        """Close the socket under a statement, from another thread."""
        with suppress(psycopg.Error, OSError, AttributeError):
            descriptor = os.dup(self.connection.pgconn.socket)
            with socket.socket(fileno=descriptor) as ours:
                ours.shutdown(socket.SHUT_RDWR)


class Watchdog:
    """One thread, which looks at the connections of all others."""

    def __init__(self) -> None:
        self.frozen_until = float("-inf")
        self._lock = threading.Lock()
        self._watched: WeakSet[WatchedWrapper] = WeakSet()
        self._thread: threading.Thread | None = None
        self._last_long = float("-inf")
        self._said: set[str] = set()  # in this outage

    def watch(self, connection: WatchedWrapper) -> None:
        with self._lock:
            self._watched.add(connection)
            # Not alive: in a process that was forked.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()

    def any_works(self) -> bool:
        with self._lock:
            return any(each.works() for each in self._watched)

    def _run(self) -> None:
        while True:
            time.sleep(LOOK_EVERY)
            try:
                self._look(time.monotonic())
            except Exception:
                logger.exception("Connections cannot be watched")

    def _look(self, now: float) -> None:
        with self._lock:
            held = [(each.held_for(now), each) for each in self._watched]
        long = [each for seconds, each in held if seconds > REPORT_AFTER]
        for seconds, each in held:
            if seconds > (each.limit or settings.STATEMENT_TIMEOUT) + GRACE:
                self.frozen_until = now + FAIL_FAST
                each.cut_off()
                self._say_once(
                    "PostgreSQL does not answer: a statement was given up after %.1f s", seconds
                )
        if long:
            if "asked" not in self._said:
                self._said.add("asked")
                ask = threading.Thread(target=self._ask, args=(long,), name="locks", daemon=True)
                ask.start()
            self._last_long = now
        elif self._said and now - self._last_long > OUTAGE_ENDS:
            self._said.clear()

    def _ask(self, waiting: list[WatchedWrapper]) -> None:
        """Log once what statements wait for, over a connection of its own."""
        act_for_nobody()
        with suppress(Exception), closing(waiting[0].copy()) as connection:  # away, or not allowed
            pids = [each.connection.pgconn.backend_pid for each in waiting if each.connection]
            with connection.cursor() as cursor:
                cursor.execute(BLOCKED, [pids])
                for blocked in cursor.fetchall():
                    self._say_once(
                        "Requests wait for a lock on %s, which session %d of PostgreSQL holds "
                        "(application %s, %s, its transaction began %d s ago)",
                        *blocked,
                    )

    def _say_once(self, sentence: str, *values: Any) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            logger.warning(sentence, *values)


watchdog = Watchdog()
