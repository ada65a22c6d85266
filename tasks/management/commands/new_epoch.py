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
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        self.stdout.write("The statistics of all tables are renewed")
