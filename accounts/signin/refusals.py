"""Why somebody was refused, as one line of the log each; what they were refused with is not in it."""

import logging
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

from accounts.counted import counted

logger = logging.getLogger(__name__)

LONGEST = 200  # characters of what the client sent

FOREIGN_ORIGIN = "its origin is not among CORS_ORIGINS"


def log_refused_request(request: HttpRequest, reason: object) -> None:
    """Once for a request: of two reasons the first."""
    if getattr(request, "is_refusal_logged", False):
        return
    sent = request.META
    _log(reason, request.method, request.path, sent.get("HTTP_ORIGIN"), sent.get("REMOTE_ADDR"))
    request.is_refusal_logged = True  # type: ignore[attr-defined]


def log_refused_socket(scope: Mapping[str, Any], reason: object) -> None:
    headers = dict(scope.get("headers", ()))
    origin = headers.get(b"origin", b"").decode("latin-1")
    _log(reason, "WebSocket", scope.get("path"), origin, (scope.get("client") or [None])[0])


def says_more(record: logging.LogRecord) -> bool:
    """Whether a line of Django's tells anything that is not said already: a filter for logs.

    Why somebody got 503 is said once, when that begins (accounts/outages.py).
    """
    said = getattr(getattr(record, "request", None), "is_refusal_logged", False)
    status = getattr(record, "status_code", None)
    return not (status == 503 or (said and status == 401))


def _log(reason: object, method: str | None, path: Any, origin: Any, client: Any) -> None:
    """The text for people; the same by name for programs (`LOG_FORMAT=json`)."""
    door = "socket" if method == "WebSocket" else "http"
    counted.send("refused", door=door, reason=str(reason))
    sent = {"method": method, "path": path, "origin": origin, "client": client}
    about = {name: str(value)[:LONGEST] if value else None for name, value in sent.items()}
    logger.info(
        "Refused %s %s: %s (origin %s, client %s)",
        *(about["method"], about["path"], reason, about["origin"] or "-", about["client"] or "-"),
        extra={**about, "reason": str(reason)},
    )
