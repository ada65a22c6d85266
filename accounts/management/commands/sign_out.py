"""`manage.py sign_out`: refuse the tokens that a person has now (docs/api.md sections 10 and 11)."""

from datetime import UTC, datetime

from accounts.commands import PersonCommand
from accounts.signout import sign_out


class Command(PersonCommand):
    help = "Sign a person out: tokens issued until now are refused, and their sockets closed."

    def handle_person(self, user_id: str) -> None:
        _, moment = sign_out(user_id)
        at = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.stdout.write(f"Signed out: tokens issued before {at} are refused")
