"""System checks for the settings as a whole, and the refusal to start while one fails."""

import logging
import os
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, redirect_stderr, suppress
from io import StringIO
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.checks.registry import registry
from django.db import DEFAULT_DB_ALIAS, DatabaseError, ProgrammingError, connection

from accounts.checks.walk import being_looked_at
from accounts.owned.acting import act_for_nobody
from accounts.signin.checks import is_placeholder, is_weak
from accounts.signin.conf import MINIMUM_SECRET_BYTES
from todolist import __version__
from todolist.logs.redaction import redact, secret_key

logger = logging.getLogger(__name__)

# Servers skip what has this tag when they start: it takes a while.
SCHEMA = "schema"

# What Django compares with: a name, perhaps one with all below it, or an address; no port.
HOST = re.compile(r"\.?[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]", re.IGNORECASE)

GENERATE = 'Generate one with: python -c "import secrets; print(secrets.token_urlsafe(50))"'


@register
def check_environment(**kwargs: Any) -> Iterator[CheckMessage]:
    for mistake in settings.ENVIRONMENT_MISTAKES:
        level = Warning if mistake.id.startswith("todolist.W") else Error
        yield level(f"{mistake.variable} {mistake.problem}.", hint=mistake.hint, id=mistake.id)


@register
def check_secret_key(**kwargs: Any) -> Iterator[CheckMessage]:
    if not secret_key():
        yield Error("SECRET_KEY is not set.", hint=GENERATE, id="todolist.E007")
    else:
        yield from _guessable("SECRET_KEY", secret_key())
    for place, key in enumerate(settings.SECRET_KEY_FALLBACKS, start=1):
        yield from _guessable(f"Entry {place} of SECRET_KEY_FALLBACKS", key)


def _guessable(name: str, key: str) -> Iterator[CheckMessage]:
    refused, level = (Warning, "W") if settings.DEBUG else (Error, "E")
    if is_placeholder(key):
        problem = f"{name} holds a placeholder that everybody can look up."
        yield refused(problem, hint=GENERATE, id=f"todolist.{level}008")
    elif len(key) < MINIMUM_SECRET_BYTES or is_weak(key):
        problem = (
            f"{name} has less than {MINIMUM_SECRET_BYTES} characters, or follows a pattern: it can "
            "be guessed, and with it sessions of staff be made up."
        )
        yield refused(problem, hint=GENERATE, id=f"todolist.{level}009")


@register
def check_hosts(**kwargs: Any) -> Iterator[CheckMessage]:
    hint = (
        "Name the hosts of this server, such as api.example.com, or .example.com with all below it."
    )
    if "*" in settings.ALLOWED_HOSTS and not settings.DEBUG:
        problem = "ALLOWED_HOSTS takes every host name (*), so whoever asks writes our links."
        yield Error(problem, hint=hint, id="todolist.E012")
    for place, host in enumerate(settings.ALLOWED_HOSTS, start=1):
        if host != "*" and not HOST.fullmatch(host):
            problem = f"Entry {place} of ALLOWED_HOSTS fits no host name."
            yield Warning(problem, hint=hint, id="todolist.W013")


@register
def check_database_file(**kwargs: Any) -> Iterator[CheckMessage]:
    database = settings.DATABASES[DEFAULT_DB_ALIAS]
    if os.name == "posix" and connection.vendor == "sqlite":
        with suppress(OSError):  # not there yet
            if Path(database["NAME"]).stat().st_mode & 0o077:
                yield Warning(
                    "Other users of this machine may read the SQLite file, or write to it.",
                    hint="Take that from them: chmod go= on the file, and on those that begin like it.",
                    id="todolist.W015",
                )


@register
def check_secrets_have_no_blanks_around(**kwargs: Any) -> Iterator[CheckMessage]:
    secrets = {"BETTER_AUTH_SECRET": settings.BETTER_AUTH_SECRET, "SECRET_KEY": secret_key()}
    for name, secret in secrets.items():
        if secret != secret.strip():
            yield Warning(
                f"{name} begins or ends with blanks, and they count as a part of it.",
                hint="Take them out, unless whoever shares the secret has them too; .env keeps "
                "what stands within quotes.",
                id="todolist.W023",
            )


@register(Tags.database)
def check_rows_are_secured(databases: Any = None, **kwargs: Any) -> Iterable[CheckMessage]:
    """Whether the role is one that row-level security binds, and what is in front of the database.

    Asked as threads ask that answer requests, over connections of their kind.
    """
    if not databases or connection.vendor != "postgresql":
        return []
    with ThreadPoolExecutor(1, initializer=act_for_nobody) as aside:
        return aside.submit(_ask_the_database).result()


def _ask_the_database() -> list[CheckMessage]:
    from todolist.serving.postgresql import checks  # psycopg, which SQLite does without

    try:
        with closing(connection.copy()) as apart:
            return list(checks.findings(apart))
    except ProgrammingError as error:  # psycopg does not understand an option of the URL
        problem = f"DATABASE_URL has options that cannot be used: {_on_one_line(error)}."
        hint = "After the ? come libpq's connection parameters, such as sslmode=require."
        return [Error(problem, hint=hint, id="todolist.E021")]
    except DatabaseError as error:  # it may come up later: `/health/ready` tells
        problem = f"The database of DATABASE_URL does not answer: {_on_one_line(error)}."
        hint = "Check DATABASE_URL, and that what it names is running."
        return [Warning(problem, hint=hint, id="todolist.W024")]


def _on_one_line(error: Exception) -> str:
    return redact(" ".join(str(error).split()))


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


@register
def check_pushes_name_a_sender(**kwargs: Any) -> Iterator[CheckMessage]:
    if settings.VAPID_PRIVATE_KEY and not settings.VAPID_SUBJECT:
        yield Warning(
            "VAPID_SUBJECT is not set: push services cannot write to whom pushes come from, and some, "
            "such as Apple's, refuse them.",
            hint="Set it to mailto:somebody@example.com, or to an https URL.",
            id="todolist.W028",
        )


@register(SCHEMA)
def check_every_route_is_described(**kwargs: Any) -> Iterator[CheckMessage]:
    from drf_spectacular.drainage import GENERATOR_STATS
    from drf_spectacular.generators import SchemaGenerator

    GENERATOR_STATS.reset()  # it says nothing twice
    with redirect_stderr(StringIO()) as said_in_full:
        try:
            SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
        except Exception as error:  # noqa: BLE001  a view may fail in any way
            print(f"{type(error).__name__}: {error}", file=said_in_full)
    for said in said_in_full.getvalue().splitlines():
        yield Error(
            f"/schema cannot describe a route: {said}",
            hint="Give the view a serializer_class, or describe its handler by @described "
            "(accounts/owned/views.py).",
            id="todolist.E024",
        )


def refuse_to_start_while_wrong() -> None:
    """Run the system checks, as `runserver` does, for servers that run none.

    Not those of commands and of `/schema`, which take memory and time. Logs warnings and version. Raises
    `SystemExit`, naming every mistake, unless a check imports the application only to walk it.
    """
    if being_looked_at():
        return
    found = list(check_rows_are_secured(databases=[DEFAULT_DB_ALIAS]))
    for check in registry.get_checks():
        if not {Tags.commands, SCHEMA} & {*check.tags}:
            found += check(app_configs=None, databases=None) or ()
    errors = []
    for message in found:
        if message.is_serious() and not message.is_silenced():
            errors.append(str(message))
        elif not message.is_silenced():
            logger.warning("%s", message)
    if errors:
        said = "This server does not start while its settings are wrong:"
        raise SystemExit("\n\n".join([said, *errors]))
    logger.info("todolist %s, process %d", __version__, os.getpid())
