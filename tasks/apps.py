"""The Django application that holds the product: tasks."""

from django.apps import AppConfig


class TasksConfig(AppConfig):
    name = "tasks"

    def ready(self) -> None:
        from tasks.events import record as events  # noqa: F401  connects itself to the models' signals
