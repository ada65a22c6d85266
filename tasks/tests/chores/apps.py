"""A resource that only the tests have: what an application needs beside the product's."""

from django.apps import AppConfig


class ChoresConfig(AppConfig):
    name = "tasks.tests.chores"

    def ready(self) -> None:
        from tasks.tests.chores import api  # noqa: F401  declares how rows are shown
