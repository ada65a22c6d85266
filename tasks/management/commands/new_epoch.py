"""`manage.py new_epoch`: after a restore, let clients fetch everything again (docs/api.md section 5)."""

from typing import Any

from django.core.management.base import BaseCommand
from django.db import connection

from tasks.events.models import Epoch, new_epoch


class Command(BaseCommand):
    help = "After a backup was restored: begin another history of events, and renew the statistics."

    def handle(self, *args: Any, **options: Any) -> None:
        epoch, _ = Epoch.objects.update_or_create(pk=1, defaults={"value": new_epoch()})
        self.stdout.write(f"The epoch is {epoch} now: clients are told to fetch their lists again")
        if not (skipped := _analyze()):
            self.stdout.write("The statistics of all tables are renewed")
            return
        tables = "1 table is" if len(skipped) == 1 else f"{len(skipped)} tables are"
        self.stderr.write(
            self.style.WARNING(
                f"The statistics of {tables} not renewed, as this role may not ({skipped[0]}). "
                "Run ANALYZE as the owner, or queries are planned as if these tables were empty."
            )
        )


def _analyze() -> list[str]:
    """Renew the statistics of this application's tables; what PostgreSQL says of those that it skips.

    Of tables that a role may not analyze it warns, and goes on (its documentation, "ANALYZE"). Without
    their names it would look at system catalogs too, which no owner of a database may analyze.
    """
    skipped: list[str] = []
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            cursor.execute("ANALYZE")
            return skipped

        def hear(notice: Any) -> None:
            if notice.severity_nonlocalized == "WARNING":
                skipped.append(notice.message_primary)

        tables = connection.introspection.table_names(cursor)
        cursor.connection.add_notice_handler(hear)
        try:
            cursor.execute(f"ANALYZE {', '.join(map(connection.ops.quote_name, tables))}")
        finally:
            cursor.connection.remove_notice_handler(hear)
    return skipped
