"""The Django application that holds the product: tasks."""

from typing import Any

from django.apps import AppConfig, apps
from django.db import DEFAULT_DB_ALIAS
from django.db.models.signals import post_migrate


class TasksConfig(AppConfig):
    name = "tasks"

    def ready(self) -> None:
        from accounts.erasures import erased
        from accounts.signout import signed_out
        from tasks.api import push, serializers  # noqa: F401  declare how rows are shown
        from tasks.events.bell import bell
        from tasks.resources import checks  # noqa: F401  registers itself

        post_migrate.connect(make_epoch, sender=self)
        signed_out.connect(bell.ring_for_sign_out)
        erased.connect(bell.ring_for_erasure)


def make_epoch(
    sender: AppConfig, using: str = DEFAULT_DB_ALIAS, apps: Any = apps, **kwargs: Any
) -> None:
    """Name the history that begins with the tables, or anew when `flush` has emptied them."""
    try:
        epochs = apps.get_model("tasks", "Epoch").objects.using(using)
    except LookupError:  # migrated to before there were any
        return
    epochs.get_or_create(pk=1)
