"""The Django application that composes the others."""

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in


class TodolistConfig(AppConfig):
    name = "todolist"

    def ready(self) -> None:
        from todolist import checks, migration_checks  # noqa: F401  register themselves
        from todolist.staff.audit import record_sign_in

        user_logged_in.connect(record_sign_in)
