"""Runs Django's request cycle on a few threads of its own, one hop away from the event loop.

Django's ASGI handler goes to a thread and back for each signal and each middleware. Here the loop
reads the body, one of a few threads that stay does everything else, and the loop sends the answer.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.db import close_old_connections, reset_queries
from django.http import HttpRequest, HttpResponseBase
from django.urls import Resolver404, ResolverMatch, resolve, set_script_prefix
from rest_framework.permissions import SAFE_METHODS

from accounts.checks.walk import http_routes
from accounts.owned.acting import act_for_nobody
from accounts.owned.views import why_open
from accounts.signin.authentication import settle_keys
from todolist.serving.content_type import with_plain_content_type
from todolist.serving.middleware import stored
from todolist.serving.prefix import below_prefix
from todolist.serving.threads import WHOLE, LoopThreads

THREADS = 2  # at work, where each of them makes progress
THREADS_AT_MOST = 8
# Tenths of a thread: a database answers a change only when the disk has it.
SHARE_OF_A_CHANGE = 3
DRAIN_AT_MOST = 32 * 1024 * 1024  # bytes of a body that is too large, read so that it is answered

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Answer = tuple[int, list[tuple[bytes, bytes]], bytes]


class OneHopHandler(ASGIHandler):
    """Django's handler for HTTP, with the whole of its synchronous cycle on one thread.

    Without `request_started` and `request_finished` (docs/servers.md).
    """

    def __init__(self) -> None:
        # Not the parent's: it would load the middleware for asynchronous use.
        self.load_middleware(is_async=False)
        self._prefixed = False
        self._threads = LoopThreads(THREADS, THREADS_AT_MOST, initializer=act_for_nobody)
        # What the URLconf has for each path that it spells out, looked up once.
        self._matches = dict(_matches())
        # Paths whose views wait for nothing, neither for a database nor for the network: a hop
        # would take longer than they do, and while a database hangs they answer all the same.
        self._at_once = frozenset(
            path
            for path, match in self._matches.items()
            if getattr(getattr(match.func, "cls", None), "answers_at_once", False)
        )
        # Paths that are open to everybody: a token there, good or not, is nobody's business.
        routes = self._matches.items()
        self._open = {path for path, match in routes if why_open(match.func) is not None}

    async def __call__(
        self, scope: dict[str, Any], receive: Receive, send: Callable[[Any], Awaitable[Any]]
    ) -> None:
        body = await read_body(receive)
        if body is None:
            return  # the client went away
        scope, path = below_prefix(scope)
        if path not in self._open:
            # Whoever waits for published keys waits here, and keeps no thread from anybody else.
            await settle_keys(scope)
        if path in self._at_once:
            answer = self._answer(scope, body)
        else:
            share = WHOLE if scope["method"] in SAFE_METHODS else SHARE_OF_A_CHANGE
            answer = await self._threads.call(self._answer_on_thread, scope, body, share=share)
        status, headers, content = answer
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def resolve_request(self, request: HttpRequest) -> ResolverMatch:
        """What the URLconf has for this path; raises `Resolver404` where it has nothing."""
        match = self._matches.get(request.path_info)
        if match is None:
            return super().resolve_request(request)
        request.resolver_match = match
        return match

    def _answer_on_thread(self, scope: dict[str, Any], body: bytes) -> Answer:
        """`_answer` on one of the threads, which keep their connections from request to request."""
        close_old_connections()
        if settings.DEBUG:
            reset_queries()
        return self._answer(scope, body)

    def _answer(self, scope: dict[str, Any], body: bytes) -> Answer:
        """The whole of Django's cycle, on the thread it is called on."""
        scope = with_plain_content_type(scope)
        prefix = get_script_prefix(scope)
        # Until the first request that has one, all are where they are by default.
        if prefix or self._prefixed:
            self._prefixed = True
            set_script_prefix(prefix)
        if body and not any(name == b"content-length" for name, _ in scope["headers"]):
            # A chunked body (RFC 9112 section 7.1): give it the length it turned out to have. REST
            # framework takes a request without one for a request without a body.
            length = (b"content-length", str(len(body)).encode())
            scope = {**scope, "headers": [*scope["headers"], length]}
        request, refusal = self.create_request(scope, BytesIO(body))
        response: Any = refusal if request is None else self.get_response(request)
        content = b"".join(response) if response.streaming else response.content
        if response.streaming:
            response.close()
        answer = response.status_code, wire_headers(response), content
        cut_circles(response)
        return answer


def _matches() -> Iterator[tuple[str, ResolverMatch]]:
    """Every path without parameters, with a slash and without, and what the URLconf has for it."""
    for route in http_routes():
        if not route.parameters:
            path = route.path().rstrip("/")
            for spelling in (path, f"{path}/"):
                with suppress(Resolver404):
                    yield spelling, resolve(spelling)


async def read_body(receive: Receive) -> bytes | None:
    """The whole body of a request; `None` where the client goes away before its end.

    Of one that is too large enough to show that, and the rest is dropped: while sending nobody reads.
    """
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        if size <= settings.MAX_BODY_SIZE:
            parts.append(part)
        size += len(part)
        if not message.get("more_body") or size > DRAIN_AT_MOST:
            return parts[0] if len(parts) == 1 else b"".join(parts)


def cut_circles(response: Any) -> None:
    """Let go of a response that was answered: view, request and response refer to one another."""
    context = getattr(response, "renderer_context", None)
    if context:
        vars(context["view"]).clear()
        context["request"].parser_context.clear()
        context.clear()


def wire_headers(response: HttpResponseBase) -> list[tuple[bytes, bytes]]:
    """The headers of a response as ASGI wants them, cookies among them."""
    headers = [*stored(response.headers).values()]
    headers += [("Set-Cookie", cookie.OutputString()) for cookie in response.cookies.values()]
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers]
