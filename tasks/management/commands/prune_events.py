"""`manage.py prune_events`: drop what is older than it is kept (docs/api.md sections 5 and 11)."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from tasks.events.record import KEPT_DAYS, prune
from tasks.resources import idempotency


class Command(BaseCommand):
    help = (
        f"Drop events older than {KEPT_DAYS} days, and answers kept for Idempotency-Keys that are "
        "free again. Run it once a day, while the server runs."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        dropped = 0
        for count in prune(before=timezone.now() - timedelta(days=KEPT_DAYS)):
            dropped += count
        self.stdout.write(f"{dropped} events dropped")
        if dropped := sum(idempotency.prune(now=timezone.now())):
            self.stdout.write(f"{dropped} answers of Idempotency-Keys dropped")
