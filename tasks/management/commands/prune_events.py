"""`manage.py prune_events`: drop events that are older than they are kept (contract section 4)."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from tasks.events import KEPT_DAYS, prune


class Command(BaseCommand):
    help = f"Drop events older than {KEPT_DAYS} days. Run it once a day, while the server runs."

    def handle(self, *args: Any, **options: Any) -> None:
        dropped = 0
        for count in prune(before=timezone.now() - timedelta(days=KEPT_DAYS)):
            dropped += count
        self.stdout.write(f"{dropped} events dropped")
