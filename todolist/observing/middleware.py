"""Each request, measured and written down, where `METRICS` or `ACCESS_LOG` asks for it."""

import logging
import re
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponseBase
from django.urls import Resolver404, resolve
from django.utils.crypto import salted_hmac

from accounts.users import CurrentUser
from todolist.rest.errors import not_found, refused

access = logging.getLogger("todolist.access")

BEGAN = "todolist.began"  # of an ASGI scope: when its head had come, by `time.perf_counter`
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
OTHER = "other"  # what clients make up: there is no end to that
SHORT = 16  # digits of a person's digest


class Observed:
    """Django leaves it out where there is nothing to do."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        if not (settings.METRICS or settings.ACCESS_LOG):
            raise MiddlewareNotUsed
        self.get_response = get_response
        self._writes = settings.ACCESS_LOG  # looking a setting up takes longer than all else here
        self._observe: Callable[[tuple[str, ...], float], None] | None = None
        if settings.METRICS:
            from todolist.observing.metrics import REQUESTS

            self._observe = REQUESTS.observe

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        began = getattr(request, "scope", {}).get(BEGAN) or time.perf_counter()
        response = self.get_response(request)
        seconds = time.perf_counter() - began
        method = request.method if request.method in METHODS else OTHER
        route = route_of(request)
        if self._observe is not None:
            self._observe((method, route, str(response.status_code)), seconds)
        if self._writes:
            _write(request, response, method, route, seconds)
        return response


def route_of(request: HttpRequest) -> str:
    """The route as /schema writes it: never what a client has put into the path."""
    match: Any = getattr(request, "resolver_match", None)
    if match is None or match.func is refused:
        if request.path_info.startswith(settings.STATIC_URL):
            return f"{settings.STATIC_URL}…"
        try:
            match = resolve(request.path_info)
        except Resolver404:
            return OTHER
    return OTHER if match.func is not_found else _written(match.route)


@lru_cache(maxsize=1000)
def _written(route: str) -> str:
    from django.contrib.admindocs.views import simplify_regex  # large, and for few to load

    path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", simplify_regex(route)).rstrip("/")
    return path.replace("{pk}", "{id}") or "/"


def digest_of(user_id: str) -> str:
    """What stands for a person in the log: the same for each of their requests, by `SECRET_KEY`."""
    return salted_hmac(access.name, user_id, algorithm="sha256").hexdigest()[:SHORT]


def _write(request: HttpRequest, response: Any, method: str, route: str, seconds: float) -> None:
    user = vars(request).get("user")  # not that of the admin, which would be looked up now
    sent = (
        response.headers.get("Content-Length", 0) if response.streaming else len(response.content)
    )
    said = {
        "method": method,
        "route": route,
        "status": response.status_code,
        "ms": round(seconds * 1000, 1),
        "bytes": int(sent),
        "user": digest_of(user.id) if isinstance(user, CurrentUser) else None,
    }
    access.info(
        "%s %s %d %.1f ms %d bytes user %s",
        *(method, route, said["status"], said["ms"], said["bytes"], said["user"] or "-"),
        extra=said,
    )
