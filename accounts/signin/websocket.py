"""The door for sockets, as ASGI middleware: which pages may open one, and whose it is."""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest

from accounts.closing import Close
from accounts.signin.conf import origin_of
from accounts.signin.errors import (
    ExpiredToken,
    InvalidToken,
    KeysUnavailable,
    SignedOut,
    TokenError,
)
from accounts.signin.known_tokens import bearer_token, verify_async
from accounts.signin.refusals import FOREIGN_ORIGIN, log_refused_socket

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
ASGIApplication = Callable[[Any, Any, Any], Awaitable[None]]

SUBPROTOCOL = "bearer"
TOKEN_PARAMETER = "token"  # noqa: S105  a name

_HOST = re.compile(r"[\w.:\[\]-]+", re.ASCII)  # with its port: no user, path or blank
MAX_PARAMETERS = 100  # in the query of a handshake, which is parsed on the event loop


class OriginMiddleware:
    """Refuse, at the handshake, pages of origins that are neither ours nor in `CORS_ORIGINS`."""

    def __init__(self, inner: ASGIApplication) -> None:
        self.inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origins = [value.decode("latin-1") for value in _header_values(scope, b"origin")]
        if all(origin in settings.CORS_ORIGINS or is_own(origin, scope) for origin in origins):
            await self.inner(scope, receive, send)
        else:
            log_refused_socket(scope, FOREIGN_ORIGIN)
            await refuse(scope, receive, send)


class TokenMiddleware:
    """Let only sockets with a good token through, as `scope["user"]` and `scope["token"]`.

    The others are accepted and then closed, with a code that a page can see (docs/api.md section 5).
    """

    def __init__(self, inner: ASGIApplication) -> None:
        self.inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            token = await verify_async(_raw_token(scope))
        except (TokenError, KeysUnavailable) as error:
            log_refused_socket(scope, error)
            await receive()  # websocket.connect
            await send({"type": "websocket.accept", "subprotocol": chosen_subprotocol(scope)})
            why = close_for(error)
            await send({"type": "websocket.close", "code": why.code, "reason": why.reason})
            return
        await self.inner({**scope, "user": token.user, "token": token}, receive, send)


def is_own(origin: str, scope: Scope) -> bool:
    """Whether an `Origin` is that of the server itself, which clients send that are no browsers.

    They make it of the URL that they connect to, some with its scheme, which no page can have. What
    `Host` says counts as far as `ALLOWED_HOSTS` has it, so that no page of another name gets in.
    """
    scheme, _, host = origin.partition("://")
    secure = scope.get("scheme") in ("https", "wss")
    if scheme not in (("https", "wss") if secure else ("http", "ws")) or not _HOST.fullmatch(host):
        return False
    request = HttpRequest()
    for name, value in scope.get("headers", ()):
        variable = name.decode("latin-1").upper().replace("-", "_")
        request.META[f"HTTP_{variable}"] = value.decode("latin-1")
    try:
        asked = request.get_host()
    except (DisallowedHost, KeyError):  # KeyError: no `Host`, as in HTTP/1.0
        return False
    scheme = "https" if secure else "http"
    return origin_of(f"{scheme}://{host}") == origin_of(f"{scheme}://{asked}")


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a handshake with 403: an ASGI application that accepts no socket."""
    await receive()
    await send({"type": "websocket.close"})


def close_for(error: TokenError | KeysUnavailable) -> Close:
    """How a socket is closed whose token cannot be accepted."""
    match error:
        case KeysUnavailable():
            return Close.TRY_AGAIN_LATER
        case ExpiredToken():
            return Close.TOKEN_EXPIRED
        case SignedOut():
            return Close.SIGNED_OUT
        case _:
            return Close.UNAUTHORIZED


def chosen_subprotocol(scope: Scope) -> str | None:
    """`bearer` where the client offers it: a browser drops a socket that answers with none."""
    return SUBPROTOCOL if SUBPROTOCOL in scope.get("subprotocols", ()) else None


def _raw_token(scope: Scope) -> str:
    """The one token of a handshake: `?token=`, else `Authorization`, else the subprotocols.

    Raises `InvalidToken` when there is none, or when a place holds several.
    """
    text = scope.get("query_string", b"").decode("latin-1")
    if text.count("&") > MAX_PARAMETERS:
        raise InvalidToken("too many parameters in the query")
    query = parse_qs(text, keep_blank_values=True)
    if TOKEN_PARAMETER in query:
        candidates = query[TOKEN_PARAMETER]
    elif tokens := [*filter(None, map(bearer_token, _header_values(scope, b"authorization")))]:
        candidates = tokens  # another scheme is not for us (RFC 9110 section 11.6.2)
    else:
        candidates = [offer for offer in scope.get("subprotocols", ()) if offer != SUBPROTOCOL]
    if len(candidates) != 1:
        raise InvalidToken("not exactly one token")
    return str(candidates[0])


def _header_values(scope: Scope, name: bytes) -> list[bytes]:
    return [value for header, value in scope.get("headers", ()) if header.lower() == name]
