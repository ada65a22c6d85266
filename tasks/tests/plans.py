"""How PostgreSQL would answer a query."""

from collections.abc import Iterable

from django.db import connection


def plan_of(sql: str, *, without: Iterable[str] = ()) -> str:
    """The plan of a statement; `without` names what the planner may not choose, as in `enable_seqscan`."""
    with connection.cursor() as cursor:
        for kind in without:
            cursor.execute(f"SET LOCAL enable_{kind} = off")
        cursor.execute(f"EXPLAIN {sql}")
        return "\n".join(line for (line,) in cursor.fetchall())
