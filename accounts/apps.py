"""The Django application that knows who is asking and what is theirs."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from accounts.checks import isolation as isolation_checks  # noqa: F401  register themselves
