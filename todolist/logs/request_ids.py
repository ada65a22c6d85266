"""The id of a request, under which its answer and its log lines are found (docs/api.md section 3).

It is taken over from who sent the request, a proxy for instance, or made here.
"""

import os
import re
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any

HEADER = "X-Request-ID"
SCOPE = "todolist.request_id"  # of an ASGI scope

current: ContextVar[str] = ContextVar("request_id", default="")

_is_good = re.compile("[A-Za-z0-9._-]{1,128}").fullmatch


def begin(sent: str) -> str:
    """The id of a request that came with `sent`; log lines of this context carry it from here on."""
    request_id = sent if sent and _is_good(sent) else made()
    current.set(request_id)
    return request_id


def made() -> str:
    return os.urandom(8).hex()


def begin_scope(scope: MutableMapping[str, Any]) -> str:
    """The same for an ASGI scope, which keeps it. Two headers are none that is good."""
    sent = [value for name, value in scope["headers"] if name == b"x-request-id"]
    scope[SCOPE] = request_id = begin(sent[0].decode("latin-1") if len(sent) == 1 else "")
    return request_id


class RequestIDs:
    """ASGI middleware around sockets: an id for each handshake, in its answer and all log lines after."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        header = (b"x-request-id", begin_scope(scope).encode())
        answered = False

        async def send_with_id(message: Any) -> None:
            # To accept, or to close, which is 403 then: its headers are for `PoliteSocket`, and other
            # servers ignore them.
            nonlocal answered
            if not answered:
                answered = True
                message = {**message, "headers": [*message.get("headers", ()), header]}
            await send(message)

        await self.inner(scope, receive, send_with_id)
