"""`manage.py erase_user`: erase everything of a person (docs/api.md sections 8 and 11)."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.signin.errors import InvalidToken
from accounts.signin.tokens import check_user_id
from tasks.own.erasing import erase


class Command(BaseCommand):
    help = "Erase everything of a person, for good, and close their sockets."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user_id", metavar="USER_ID", help="who (sub of their tokens)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            user_id = check_user_id(options["user_id"])
        except InvalidToken as error:
            raise CommandError(f"USER_ID: {error.reason}") from error
        erase(user_id)
        self.stdout.write("Erased")
