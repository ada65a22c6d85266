"""The Django application that holds the product: tasks."""

from django.apps import AppConfig


class TasksConfig(AppConfig):
    name = "tasks"

    def ready(self) -> None:
        from tasks.api import serializers  # noqa: F401  declares how rows are shown
        from tasks.resources import checks  # noqa: F401  registers itself
