"""`manage.py doctor`: can this server verify Better Auth's tokens? (contract section 6)"""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import run_checks
from django.core.management.base import BaseCommand

from accounts.conf import conf
from accounts.diagnosis import Finding, examine_key_server, examine_origins, examine_token
from todolist.health import channel_layer_answers, database_answers


class Command(BaseCommand):
    help = "Say, step by step, whether this server can verify Better Auth's tokens."
    requires_system_checks = []  # it reports them itself, among its findings

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "token", metavar="TOKEN", nargs="?", help="say why this token is accepted or refused"
        )
        parser.add_argument("--json", action="store_true", help="print JSON, for scripts")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = list(examine(options["token"]))
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
    for check in run_checks():
        if not check.is_silenced():
            level = "error" if check.is_serious() else "warning"
            yield Finding(str(check.id), level, str(check.msg), str(check.hint or ""))
    if conf.secrets:
        count = f"{len(conf.secrets)} shared secret" + "s" * (len(conf.secrets) != 1)
        yield Finding("secret", "ok", f"HS256 tokens are checked with {count}.")
    yield from examine_key_server()
    if token is not None:
        yield from examine_token(token)
    yield from examine_origins(settings.CORS_ORIGINS, settings.BETTER_AUTH_URL)
    yield _service("database", database_answers(), "DATABASE_URL")
    yield _service("channel_layer", channel_layer_answers(), "REDIS_URL")


def _service(name: str, answers: bool, variable: str) -> Finding:
    label = name.replace("_", " ")
    if answers:
        return Finding(name, "ok", f"The {label} answers.")
    return Finding(
        name,
        "error",
        f"The {label} does not answer.",
        f"Check {variable}, and that what it names is running.",
    )
