"""System checks for the settings as a whole, and the refusal to start while one fails."""

import logging
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register, run_checks
from django.core.exceptions import ImproperlyConfigured

from accounts.checks import is_placeholder

logger = logging.getLogger(__name__)

GENERATE = 'Generate one with: python -c "import secrets; print(secrets.token_urlsafe(50))"'


@register
def check_environment(**kwargs: Any) -> Iterator[CheckMessage]:
    for mistake in settings.ENVIRONMENT_MISTAKES:
        yield Error(f"{mistake.variable} {mistake.problem}.", hint=mistake.hint, id=mistake.id)


@register
def check_secret_key(**kwargs: Any) -> Iterator[CheckMessage]:
    try:
        key = settings.SECRET_KEY
    except ImproperlyConfigured:  # Django refuses to hand out an empty one
        key = ""
    if not key:
        yield Error("SECRET_KEY is not set.", hint=GENERATE, id="todolist.E007")
    elif is_placeholder(key):
        problem = "SECRET_KEY holds a placeholder that everybody can look up."
        if settings.DEBUG:
            yield Warning(problem, hint=GENERATE, id="todolist.W008")
        else:
            yield Error(problem, hint=GENERATE, id="todolist.E008")


@register
def check_connections_do_not_leak(databases: Any = None, **kwargs: Any) -> Iterator[CheckMessage]:
    for alias, database in settings.DATABASES.items():
        if database.get("CONN_MAX_AGE", 0) != 0:
            yield Error(
                f"DATABASES[{alias!r}] keeps connections with their threads (CONN_MAX_AGE). Under "
                "ASGI each request has a thread of its own: nobody would use them again, until "
                "the database refuses more.",
                hint="Take conn_max_age out of DATABASE_URL; connections are pooled already.",
                id="todolist.E009",
            )


@register
def check_processes_share_events(**kwargs: Any) -> Iterator[CheckMessage]:
    backend = settings.CHANNEL_LAYERS["default"]["BACKEND"]
    if not settings.DEBUG and backend == "channels.layers.InMemoryChannelLayer":
        yield Warning(
            "REDIS_URL is not set: live events reach only the sockets of the server process that "
            "made them.",
            hint="Set REDIS_URL, unless a single process is all there will ever be.",
            id="todolist.W010",
        )


def refuse_to_start_while_wrong() -> None:
    """Run all system checks, as `runserver` does, for servers that run none.

    Logs the warnings. Raises `SystemExit`, naming every mistake, when there is an error.
    """
    messages = [message for message in run_checks() if not message.is_silenced()]
    errors = [message for message in messages if message.is_serious()]
    for message in messages:
        if message not in errors:
            logger.warning("%s", message)
    if errors:
        raise SystemExit(
            "\n\n".join(
                ["This server does not start while its settings are wrong:", *map(str, errors)]
            )
        )
