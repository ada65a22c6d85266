"""`manage.py make_vapid_key`: a key for Web Push (docs/api.md section 9)."""

from typing import Any

from django.core.management.base import BaseCommand

from tasks.push.vapid import new_private_key


class Command(BaseCommand):
    help = "Print a new value for VAPID_PRIVATE_KEY. With another key, browsers subscribe anew."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(new_private_key())
