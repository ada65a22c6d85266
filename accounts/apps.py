"""The Django application that knows who is asking and what is theirs."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from accounts.checks import models, routes  # noqa: F401  register themselves
        from accounts.signin import checks  # noqa: F401  likewise
