"""Checks of socket routes: whoever opens one has shown a token and comes from a known origin."""

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Error, register

from accounts.checks.walk import Route, socket_routes
from accounts.signin.websocket import OriginMiddleware, TokenMiddleware


@register
def check_sockets(**kwargs: Any) -> Iterator[CheckMessage]:
    for route in socket_routes():
        if not _passes(route, TokenMiddleware):
            yield Error(
                f"The socket {route} can be opened without a token.",
                hint="Route it inside accounts.signin.websocket.TokenMiddleware in the ASGI "
                "application.",
                id="accounts.E110",
            )
        if not _passes(route, OriginMiddleware):
            yield Error(
                f"The socket {route} can be opened by pages of any origin.",
                hint="Route it inside accounts.signin.websocket.OriginMiddleware in the ASGI "
                "application.",
                id="accounts.E111",
            )


def _passes(route: Route, middleware: type[Any]) -> bool:
    return any(isinstance(application, middleware) for application in route.passed)
