"""`manage.py export_user`: everything of a person as JSON (docs/api.md sections 8 and 11)."""

from accounts.commands import PersonCommand
from tasks.own.export import write_document


class Command(PersonCommand):
    help = "Print everything of a person as one JSON document, as GET /export answers it."

    def handle_person(self, user_id: str) -> None:
        write_document(user_id, lambda text: self.stdout.write(text, ending=""))
