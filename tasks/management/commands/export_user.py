"""`manage.py export_user`: everything of a person as JSON (docs/api.md sections 8 and 11)."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.signin.errors import InvalidToken
from accounts.signin.tokens import check_user_id
from tasks.own.export import write_document


class Command(BaseCommand):
    help = "Print everything of a person as one JSON document, as GET /export answers it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user_id", metavar="USER_ID", help="who (sub of their tokens)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            user_id = check_user_id(options["user_id"])
        except InvalidToken as error:
            raise CommandError(f"USER_ID: {error.reason}") from error
        write_document(user_id, lambda text: self.stdout.write(text, ending=""))
