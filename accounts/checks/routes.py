"""Checks of HTTP routes: each of the rules, on each route of the real URLconf.

Views are judged by what they do when somebody made up asks them; the database is never asked.
"""

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, register

from accounts.checks.asking import fault, without_database
from accounts.checks.rules import RULES
from accounts.checks.walk import http_routes


@register
def check_routes(**kwargs: Any) -> Iterator[CheckMessage]:
    """Apply every rule to every route. Each mistake is reported once per route."""
    with without_database():
        for route in http_routes():
            found: dict[str, CheckMessage] = {}
            for rule in RULES:
                try:
                    messages = list(rule(route))
                except Exception as error:  # noqa: BLE001  a view may fail in any way
                    says = (
                        f"cannot be judged: its view raises {type(error).__name__} when it is "
                        f"asked about permissions, rows or serializer ({error})"
                    )
                    hint = (
                        "Let get_queryset, get_permissions and get_serializer_class depend on "
                        "nothing but the request, its user and the URL, and leave the database to "
                        "what comes after them."
                    )
                    messages = [fault(114, route, says, hint=hint)]
                for message in messages:
                    found.setdefault(str(message.id), message)
            yield from found.values()
