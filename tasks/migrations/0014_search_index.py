import logging

from django.db import DatabaseError, migrations

logger = logging.getLogger(__name__)

# Row-level security lets an index be used by an operator only that is marked LEAKPROOF, which a superuser
# alone may do (docs/operations.md, "Search"); to a role that it does not bind that makes no difference.
USABLE = """
    SELECT proleakproof OR rolsuper OR rolbypassrls FROM pg_proc, pg_roles
    WHERE pg_proc.oid = 'textlike(text, text)'::regprocedure AND rolname = current_user
"""
INVALID = "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('task_search') AND NOT indisvalid"


def index_search(apps, schema_editor):
    """An index of trigrams for search, where it can be had and would be used."""
    connection = schema_editor.connection
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(USABLE)
        if cursor.fetchone() != (True,):
            return _say("LIKE is not marked LEAKPROOF")
        try:
            cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        except DatabaseError as error:
            return _say(f"pg_trgm cannot be had: {error}")
        cursor.execute(INVALID)
        if cursor.fetchone():  # what a run that was broken off has left
            cursor.execute("DROP INDEX CONCURRENTLY task_search")
        cursor.execute(
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS task_search ON tasks_task"
            " USING gin (search_text gin_trgm_ops)"
        )


def do_without(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX CONCURRENTLY IF EXISTS task_search")


def _say(why):
    logger.info("Search gets no index (docs/operations.md, Search): %s", " ".join(why.split()))


class Migration(migrations.Migration):
    atomic = False  # nobody waits while the index is built; begun again, it begins anew

    dependencies = [
        ("tasks", "0013_in_calendar"),
    ]

    operations = [
        migrations.RunPython(index_search, do_without),
    ]
