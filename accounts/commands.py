"""The base of commands that are about one person."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.signin.errors import InvalidToken
from accounts.signin.tokens import check_user_id


class PersonCommand(BaseCommand):
    """Takes the id of a person, as tokens have it. Raises `CommandError` for what no token can say."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user_id", metavar="USER_ID", help="who (sub of their tokens)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            user_id = check_user_id(options["user_id"])
        except InvalidToken as error:
            raise CommandError(f"USER_ID: {error.reason}") from error
        self.handle_person(user_id)

    def handle_person(self, user_id: str) -> None:
        """What is done about this person."""
        raise NotImplementedError
