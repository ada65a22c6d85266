"""The Django application that composes the others."""

from django.apps import AppConfig


class TodolistConfig(AppConfig):
    name = "todolist"

    def ready(self) -> None:
        from todolist import checks  # noqa: F401  register themselves
