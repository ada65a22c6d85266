"""`manage.py prune_events`: drop what is older than it is kept (docs/api.md sections 5 and 11)."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from accounts import erasures, signout
from tasks.events.record import KEPT_DAYS, prune
from tasks.models import trash
from tasks.resources import idempotency


class Command(BaseCommand):
    help = "Drop old events, old trash, and answers kept for Idempotency-Keys. Run it once a day."

    def handle(self, *args: Any, **options: Any) -> None:
        dropped = sum(prune(before=timezone.now() - timedelta(days=KEPT_DAYS)))
        self.stdout.write(f"{dropped} events dropped")
        if dropped := sum(trash.prune(before=timezone.now() - timedelta(days=trash.KEPT_DAYS))):
            self.stdout.write(f"{dropped} deleted tasks dropped")
        if dropped := sum(idempotency.prune(now=timezone.now())):
            self.stdout.write(f"{dropped} answers of Idempotency-Keys dropped")
        if dropped := signout.prune(now=timezone.now().timestamp()):
            self.stdout.write(f"{dropped} sign-outs dropped, older than any token")
        if dropped := erasures.prune(now=timezone.now().timestamp()):
            self.stdout.write(f"{dropped} erasures dropped, older than any token")
