"""`manage.py erase_user`: erase everything of a person (docs/api.md sections 8 and 11)."""

from accounts.commands import PersonCommand
from tasks.own.erasing import erase


class Command(PersonCommand):
    help = "Erase everything of a person, for good, and close their sockets."

    def handle_person(self, user_id: str) -> None:
        erase(user_id)
        self.stdout.write("Erased")
