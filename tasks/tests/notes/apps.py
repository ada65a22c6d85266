"""A resource that only the tests have: what an application needs beside the product's."""

from django.apps import AppConfig


class NotesConfig(AppConfig):
    name = "tasks.tests.notes"

    def ready(self) -> None:
        from tasks.tests.notes import api  # noqa: F401  declares how rows are shown
