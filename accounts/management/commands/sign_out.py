"""`manage.py sign_out`: refuse the tokens that a person has now (docs/api.md sections 10 and 11)."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.signin.errors import InvalidToken
from accounts.signin.tokens import check_user_id
from accounts.signout import sign_out


class Command(BaseCommand):
    help = "Sign a person out: tokens issued until now are refused, and their sockets closed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user_id", metavar="USER_ID", help="who (sub of their tokens)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            user_id = check_user_id(options["user_id"])
        except InvalidToken as error:
            raise CommandError(f"USER_ID: {error.reason}") from error
        _, moment = sign_out(user_id)
        at = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.stdout.write(f"Signed out: tokens issued before {at} are refused")
