"""Runs Django's request cycle on a few threads of its own, one hop away from the event loop.

Django's ASGI handler goes to a thread and back for each signal and each middleware. Here the loop
looks at the token, reads the body, one of a few threads that stay does everything else, and the loop
sends the answer.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.db import close_old_connections, connection, reset_queries
from django.http import FileResponse, HttpResponseBase
from django.urls import Resolver404, ResolverMatch, resolve, set_script_prefix
from rest_framework.exceptions import APIException
from rest_framework.permissions import SAFE_METHODS

from accounts.checks.walk import http_routes
from accounts.counted import counted
from accounts.outages import QUIET, Outage
from accounts.owned.acting import act_for_nobody
from accounts.owned.views import why_open
from accounts.signin.authentication import BearerAuthentication, who_asks
from todolist.logs import request_ids
from todolist.observing.middleware import BEGAN
from todolist.rest.errors import REFUSAL, ServerBusy, not_found, refused
from todolist.rest.formats import BodyTooLarge, body_limit
from todolist.serving.bodies import Rooms, drain, framing, read_body, send_file
from todolist.serving.connections import CROWDED
from todolist.serving.content_type import with_plain_content_type
from todolist.serving.jobs import Receive, Send
from todolist.serving.middleware import is_admin, stored
from todolist.serving.prefix import below_prefix
from todolist.serving.restarts import restart
from todolist.serving.threads import PATIENCE, WHOLE, Busy, Gone, LoopThreads

THREADS = 2  # at work, where each of them makes progress
THREADS_AT_MOST = 8
# Tenths of a thread: a database answers a change only when the disk has it.
SHARE_OF_A_CHANGE = 3
ADMIN_BODY = 64 * 1024  # bytes of a form; before it is read, nobody knows who sends it
SIGN_IN_PATH, SIGN_IN = "/admin/login/", "\0sign-in"  # where a password costs a third of a second

busy = Outage(
    logging.getLogger(__name__),
    "Requests are refused: %s",
    f"No request was refused for others that wait for {QUIET:.0f} s",
)

Answer = tuple[int, list[tuple[bytes, bytes]], bytes | FileResponse]
FindOut = Callable[[dict[str, Any]], Awaitable[None]]


class OneHopHandler(ASGIHandler):
    """Django's handler for HTTP, with the whole of its synchronous cycle on one thread.

    Without `request_started` and `request_finished` (docs/servers.md).
    """

    def __init__(self) -> None:
        # Not the parent's: it would load the middleware for asynchronous use.
        self.load_middleware(is_async=False)
        self._prefixed = False
        self._observed = settings.METRICS or settings.ACCESS_LOG
        # Writers of SQLite, which have no line, may wait for as long as its `timeout`.
        wait = connection.settings_dict["OPTIONS"].get("timeout", PATIENCE)
        self._threads = LoopThreads(THREADS, THREADS_AT_MOST, act_for_nobody, patience=wait)
        self._rooms = Rooms()
        # What the URLconf has for each path that it spells out, looked up once.
        self._matches = dict(_matches())
        # Paths whose views wait for nothing, neither for a database nor for the network: a hop
        # would take longer than they do, and while a database hangs they answer all the same.
        # What they have to find out before that, they may find out on the event loop.
        views = ((path, getattr(match.func, "cls", None)) for path, match in self._matches.items())
        self._at_once: dict[str, FindOut | None] = {
            path: getattr(view, "find_out", None)
            for path, view in views
            if getattr(view, "answers_at_once", False)
        }
        # Paths whose views take larger bodies, or smaller ones, than others.
        self._limits = {
            path: body_limit(view)
            for path, match in self._matches.items()
            if hasattr(view := getattr(match.func, "cls", None), "max_body_size")
        }
        # Paths that are open to everybody: a token there, good or not, is nobody's business.
        routes = self._matches.items()
        self._open = {path for path, match in routes if why_open(match.func) is not None}

    @property
    def threads(self) -> LoopThreads:
        return self._threads

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        scope, path = below_prefix(scope)
        request_ids.begin_scope(scope)
        if self._observed:
            scope[BEGAN] = time.perf_counter()
        if CROWDED in scope and not self._is_answered_at_once(scope, path):
            await self._respond(scope, receive, send, path, "", b"", ServerBusy(), close=True)
            return
        # Whoever waits for published keys waits here, and keeps no thread from anybody else.
        user = None if path in self._open else await who_asks(scope)
        if user is not None:
            person, limit = user.id, self._limits.get(path, settings.MAX_BODY_SIZE)
        else:
            # Told from ids, which hold no control characters.
            person, limit = f"\0{(scope.get('client') or ('',))[0]}", 0
        length, expects_continue = framing(scope)
        if length == 0:
            await self._respond(scope, receive, send, path, person, b"")
            return
        if user is None:
            limit = self._limit_for_strangers(scope["method"], path)
        if limit == 0 or (length is not None and length > limit):
            # Nobody reads it. Whoever is signed in hears of its length from the view, in its turn.
            refusal = BodyTooLarge(limit) if limit and user is None else None
            await self._respond(
                *(scope, receive, send, path, person, b"", refusal),
                unread=True,
                close=expects_continue,
            )
            return
        size = 0 if is_admin(path) else (limit if length is None else length)
        await self._rooms.enter(person, size)
        try:
            body = await read_body(receive, limit)
            if body is not None:  # else the client went away
                too_large = len(body) > limit
                refusal = BodyTooLarge(limit) if too_large and user is None else None
                await self._respond(
                    scope, receive, send, path, person, body, refusal, unread=too_large
                )
        finally:
            self._rooms.leave(person, size)

    async def _respond(
        self,
        scope: dict[str, Any],
        receive: Receive,
        send: Send,
        path: str,
        person: str,
        body: bytes,
        refusal: APIException | None = None,
        *,
        unread: bool = False,
        close: bool = False,
    ) -> None:
        """Answer a request; where its body is `unread`, only then is what comes of that dropped.

        Not with `close`: the client waits with its body for a word, and gets an answer.
        """
        if refusal is not None:
            answer = self._refuse(scope, refusal)
        elif self._is_answered_at_once(scope, path):
            if (find_out := self._at_once[path]) is not None:
                await find_out(scope)
            answer = self._answer(scope, body)
        else:
            method = scope["method"]
            share = WHOLE if method in SAFE_METHODS else SHARE_OF_A_CHANGE
            kind = SIGN_IN if path == SIGN_IN_PATH and method == "POST" else ""
            await restart.over()
            try:
                answer = await self._threads.call(
                    self._answer_on_thread,
                    *(scope, body),
                    share=share,
                    person=person,
                    kind=kind,
                    sort=(method, path),
                    receive=receive,
                )
            except Gone:
                return
            except Busy as reason:
                busy.failed(reason)
                counted.send("limits", limit="busy")
                answer = self._refuse(scope, ServerBusy())
        status, headers, content = answer
        if close:
            headers.append((b"Connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if isinstance(content, FileResponse):
            content = await send_file(content, send)
        if unread and not close:
            await send({"type": "http.response.body", "body": content, "more_body": True})
            await drain(receive)
            content = b""
        await send({"type": "http.response.body", "body": content})

    def _is_answered_at_once(self, scope: dict[str, Any], path: str) -> bool:
        return path in self._at_once and scope["method"] in SAFE_METHODS

    def _limit_for_strangers(self, method: str, path: str) -> int:
        """Up to which size a body is read of somebody without a good token: in bytes, 0 for not at all.

        Where nothing but such a token opens the view, it refuses before it would look at a body.
        """
        if is_admin(path):
            return ADMIN_BODY
        match = self._matches.get(path)
        try:
            match = match or resolve(path)
        except Resolver404:
            return 0
        view = getattr(match.func, "cls", None)
        if view is None:
            reads = why_open(match.func) is not None and match.func is not not_found
        else:
            handlers = getattr(match.func, "actions", None) or dir(view)
            by_token_alone = view.authentication_classes == [BearerAuthentication]
            reads = method.lower() in handlers and not by_token_alone
        return settings.MAX_BODY_SIZE if reads and method not in SAFE_METHODS else 0

    def _refuse(self, scope: dict[str, Any], error: APIException) -> Answer:
        """What no view is asked about, with the headers that every answer has."""
        scope = {**scope, REFUSAL: error}
        if is_admin(scope["path"].removeprefix(get_script_prefix(scope))):
            scope["path"] = f"{get_script_prefix(scope)}/"  # whose middleware asks the database
        return self._answer(scope, b"")

    def resolve_request(self, request: Any) -> ResolverMatch:
        """What the URLconf has for this path; raises `Resolver404` where it has nothing."""
        match = self._matches.get(request.path_info)
        if REFUSAL in request.scope:
            match = ResolverMatch(refused, (), {})
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
        request_ids.current.set(scope.get(request_ids.SCOPE, ""))
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
        if request is None:  # then no middleware has seen it
            response.headers[request_ids.HEADER] = request_ids.current.get()
        content: bytes | FileResponse
        if isinstance(response, FileResponse):
            content = response  # sent as fast as the client reads
        else:
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
