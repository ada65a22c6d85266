"""`manage.py doctor`: can this server verify Better Auth's tokens? (docs/api.md section 11)"""

import json
import re
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.checks import CheckMessage, run_checks
from django.core.management.base import BaseCommand
from django.db import DEFAULT_DB_ALIAS, connection

from accounts.signin.conf import conf, origin_of
from accounts.signin.diagnosis import Finding, examine_key_server, examine_token
from todolist import __version__
from todolist.checks import check_rows_are_secured
from todolist.health.questions import OK, channel_layer_state
from todolist.logs.redaction import redact


class Command(BaseCommand):
    help = "Say, step by step, whether this server can verify Better Auth's tokens."
    requires_system_checks = []  # it reports them itself, among its findings

    def add_arguments(self, parser: ArgumentParser) -> None:
        # Any number of words, for an error about one too many would print a token ("Bearer ey…").
        parser.add_argument(
            "token", metavar="TOKEN", nargs="*", help="say why this token is accepted or refused"
        )
        parser.add_argument("--json", action="store_true", help="print JSON, for scripts")

    def handle(self, *args: Any, **options: Any) -> None:
        words = options["token"]
        findings = [fit_to_print(found) for found in examine(" ".join(words) if words else None)]
        healthy = all(finding.level != "error" for finding in findings)
        if options["json"]:
            report = {"ok": healthy, "findings": [finding._asdict() for finding in findings]}
            self.stdout.write(json.dumps(report, indent=2))
        else:
            for finding in findings:
                self.stdout.write(f"{finding.level:<8} {finding.message}")
                if finding.cure:
                    self.stdout.write(f"{'':<8} Cure: {finding.cure}")
        if not healthy:
            sys.exit(1)


def examine(token: str | None) -> Iterator[Finding]:
    """Every finding, from the settings to the services."""
    yield Finding("version", "ok", f"This is todolist {__version__}.")
    for check in run_checks():
        if not check.is_silenced():
            yield from_check(check)
    if conf.secrets:
        count = f"{len(conf.secrets)} shared secret" + "s" * (len(conf.secrets) != 1)
        yield Finding("secret", "ok", f"HS256 tokens are checked with {count}.")
    yield from examine_key_server()
    if token is not None:
        yield from examine_token(token)
    yield examine_origins()
    yield examine_database()
    for check in check_rows_are_secured(databases=[DEFAULT_DB_ALIAS]):
        if check.id != "todolist.W024" and not check.is_silenced():  # that it does not answer
            yield from_check(check)
    if async_to_sync(channel_layer_state)() == OK:
        yield Finding("channel_layer", "ok", "The channel layer answers.")
    else:
        cure = "Check REDIS_URL, and that what it names is running."
        yield Finding("channel_layer", "error", "The channel layer does not answer.", cure)


def from_check(check: CheckMessage) -> Finding:
    level = "error" if check.is_serious() else "warning"
    return Finding(str(check.id), level, str(check.msg), str(check.hint or ""))


def examine_origins() -> Finding:
    """Whether the pages of the Better Auth server's own origin may call this API."""
    origins, page = settings.CORS_ORIGINS, origin_of(settings.BETTER_AUTH_URL)
    if not origins:
        fault = "CORS_ORIGINS is empty: no page in a browser may call this API."
        return Finding("cors", "error", fault, "Set it to the origin of your frontend.")
    if page and page not in origins:
        fault = f"CORS_ORIGINS does not hold {page}, the origin of the Better Auth server."
        return Finding("cors", "warning", fault, "If your pages are served from there, add it.")
    return Finding("cors", "ok", f"Pages of {', '.join(origins)} may call this API.")


def examine_database() -> Finding:
    try:
        # A new connection, which says why it gets nowhere.
        with closing(connection.copy()) as direct, direct.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Exception as error:  # noqa: BLE001  a malformed DATABASE_URL fails in its own way
        cure = "Check DATABASE_URL, and that what it names is running."
        if "startup parameter" in str(error):  # a command says by one that it acts for everyone
            cure = "It is a pooler: set DATABASE_POOLER, or connect to PostgreSQL itself."
        return Finding("database", "error", f"The database does not answer: {error}", cure)
    return Finding("database", "ok", "The database answers.")


def fit_to_print(finding: Finding) -> Finding:
    """The same on one line, for every terminal, and with nothing like a token or password in it."""
    line = " ".join(redact(finding.message).split())
    # What a terminal would obey, or could not show.
    return finding._replace(message=re.sub(r"[^ -~]", lambda odd: ascii(odd[0])[1:-1], line))
