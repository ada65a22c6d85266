"""What the database is, seen from a server's connection: as which role, and through which pooler."""

import secrets
from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

import psycopg
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.pq import ExecStatus

ROUNDS = 5  # of looking for a pooler that lends one connection to two

# Of the tables that policies secure: whether the role may change them, or empty them past the policies.
ROLE = """
    SELECT rolsuper OR rolbypassrls,
        EXISTS (SELECT FROM pg_policy JOIN pg_class ON pg_class.oid = polrelid
                WHERE pg_has_role(current_user, relowner, 'MEMBER')),
        has_schema_privilege(coalesce(current_schema(), 'public'), 'CREATE'),
        EXISTS (SELECT FROM pg_policy WHERE has_table_privilege(polrelid, 'TRUNCATE')),
        EXISTS (SELECT FROM pg_roles AS other WHERE (rolsuper OR rolbypassrls)
                AND pg_has_role(current_user, other.oid, 'MEMBER'))
    FROM pg_roles WHERE rolname = current_user
"""


def findings(connection: BaseDatabaseWrapper) -> Iterator[CheckMessage]:
    """What there is to say; raises what a database raises that does not answer."""
    with connection.cursor() as cursor:
        cursor.execute(ROLE)
        row = cursor.fetchone()
        if settings.DATABASE_RLS:
            yield from _role_findings(*row)
    yield from _pooler_findings(connection)


def _role_findings(
    above: bool, owns: bool, creates: bool, empties: bool, rises: bool
) -> Iterator[CheckMessage]:
    if above:
        refused, level = (Error, "E") if settings.DATABASE_RLS_DEMANDED else (Warning, "W")
        yield refused(
            "Row-level security is void: DATABASE_URL names a superuser, or a role with BYPASSRLS.",
            hint="Let the server sign in as a role of its own, or set DATABASE_RLS=False to do "
            "without this second line of isolation.",
            id=f"todolist.{level}014",
        )
        return
    may = {"owns the tables": owns, "may create tables": creates and not owns}
    may |= {"may become a role that row-level security does not bind": rises}
    may |= {"may empty tables (TRUNCATE)": empties and not owns}
    if any(may.values()):
        said = " and ".join(what for what, is_so in may.items() if is_so)
        yield Warning(
            f"The role of DATABASE_URL {said}: it could switch row-level security off, or get past it.",
            hint="Migrate as the owner, and let the server sign in as another role, which may read "
            "and write rows and nothing else (docs/isolation.md).",
            id="todolist.W030",
        )


class Pooler(NamedTuple):
    """Something between this process and PostgreSQL that has connections of its own."""

    lends: bool  # one connection to several clients: it is in transaction mode
    tracks: bool  # which client prepared what


def pooler_of(first: psycopg.Connection[Any], second: psycopg.Connection[Any]) -> Pooler | None:
    """What two connections to the same place go through; `None` for none.

    A pooler has to make up the process id that its client is told at start. Whether connections are
    lent shows where both clients get the same, as they do while little else is asked for.
    """
    if first.info.backend_pid == _process(first):
        return None
    lends, tracks = False, True
    process = _process(first)
    for _ in range(ROUNDS):
        name = f"probe_{secrets.token_hex(8)}".encode()
        first.pgconn.prepare(name, b"SELECT 1")
        again = second.pgconn.prepare(name, b"SELECT 1")
        executed = first.pgconn.exec_prepared(name, [])
        tracks &= again.status == ExecStatus.COMMAND_OK and executed.status == ExecStatus.TUPLES_OK
        lends |= _process(second) == process or _process(first) != process
        for connection in (first, second):
            connection.pgconn.close_prepared(name)
    return Pooler(lends, tracks)


def _process(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None  # noqa: S101  it always is one row
    return int(row[0])


def _pooler_findings(connection: BaseDatabaseWrapper) -> Iterator[CheckMessage]:
    with closing(connection.copy()) as other:
        other.ensure_connection()
        pooler = pooler_of(connection.connection, other.connection)
    wanted = "tracking" if pooler and pooler.tracks else "transaction"
    said = settings.DATABASE_POOLER
    if pooler and pooler.lends and said not in (wanted, "transaction"):
        problem = "PostgreSQL is behind a pooler in transaction mode"
        problem += "." if pooler.tracks else ", which does not keep track of prepared statements."
        hint = f"Set DATABASE_POOLER={wanted}, or connect to PostgreSQL itself (docs/servers.md)."
        yield Warning(problem, hint=hint, id="todolist.W031")
    if said != "none":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT format('ALTER ROLE %%I SET %%s = ''%%ss''', current_user, name, seconds)"
                " FROM pg_settings JOIN (VALUES ('statement_timeout', %s), ('lock_timeout', %s))"
                " AS limits (name, seconds) USING (name) WHERE reset_val = '0'",
                [settings.STATEMENT_TIMEOUT, settings.LOCK_TIMEOUT],
            )
            if missing := [sql for (sql,) in cursor.fetchall()]:
                yield Warning(
                    "Statements of requests may take for ever: behind a pooler a server sets no limits.",
                    hint=f"Give them to its role, as the owner of the database: {'; '.join(missing)}",
                    id="todolist.W032",
                )
