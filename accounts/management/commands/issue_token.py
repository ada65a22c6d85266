"""`manage.py issue_token`: a token for trying things out (docs/api.md section 11)."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.signin.errors import InvalidToken
from accounts.signin.tokens import issue

MAX_MINUTES = 60 * 24 * 365


class Command(BaseCommand):
    help = "Print a token signed with the shared secret. Works only while DEBUG is on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user_id", metavar="USER_ID", help="whom the token speaks for (sub)")
        parser.add_argument("--email", default="", help="e-mail address to put into the token")
        parser.add_argument("--name", default="", help="display name to put into the token")
        parser.add_argument("--minutes", type=int, default=60, help="how long it is good (60)")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("It works only while DEBUG is on: else Better Auth issues tokens.")
        if not 1 <= options["minutes"] <= MAX_MINUTES:
            raise CommandError(f"--minutes must be between 1 and {MAX_MINUTES}.")
        display = {"email": options["email"], "name": options["name"]}
        try:
            token = issue(options["user_id"], lifetime=options["minutes"] * 60, **display)
        except InvalidToken as error:
            raise CommandError(f"USER_ID: {error}") from error
        except LookupError as error:
            raise CommandError("No shared secret is configured: set BETTER_AUTH_SECRET.") from error
        self.stdout.write(token)
