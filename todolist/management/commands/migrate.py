"""`manage.py migrate`: Django's, which waits for no lock for long (docs/operations.md)."""

from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connections

from accounts.owned.databases import sqlstate

LOCK_TIMEOUT = 5  # seconds; whoever wants the table meanwhile waits behind the migration
LOCK_NOT_AVAILABLE = "55P03"  # SQLSTATE

# Sessions that may hold it: those that have been in a transaction for as long.
HOLDERS = """
    SELECT pid, coalesce(nullif(application_name, ''), 'no name'), coalesce(state, 'unknown'),
        extract(epoch FROM clock_timestamp() - xact_start)::integer
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND xact_start < clock_timestamp() - %s * interval '1 second'
    ORDER BY xact_start LIMIT 5
"""


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        if connection.vendor != "postgresql":
            super().handle(*args, **options)
            return
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}s'")
        try:
            super().handle(*args, **options)
        except OperationalError as error:
            if sqlstate(error) != LOCK_NOT_AVAILABLE:
                raise
            raise CommandError(self._explained(connection)) from error
        finally:
            if connection.is_usable():
                with connection.cursor() as cursor:
                    cursor.execute("RESET lock_timeout")

    def _explained(self, connection: Any) -> str:
        with connection.cursor() as cursor:
            cursor.execute(HOLDERS, [LOCK_TIMEOUT])
            holders = "".join(
                f"\n  session {pid} of PostgreSQL (application {application}, {state}), "
                f"in a transaction for {seconds} s"
                for pid, application, state, seconds in cursor.fetchall()
            )
        return (
            f"Another session holds a lock that this migration needs. It was given up after "
            f"{LOCK_TIMEOUT} s, so that requests do not wait behind it, and can be run again: "
            "migrations before it are applied, and what it had done itself is undone, or done once more "
            f"without harm. These may hold the lock:{holders or ' nobody any more'}"
        )
