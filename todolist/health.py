"""Whether this process answers, and whether what it depends on does (docs/api.md section 3)."""

import asyncio
import logging
import threading
import time
from typing import Any
from weakref import WeakKeyDictionary

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import Error, connection, connections
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.owned.acting import act_for_nobody
from accounts.owned.views import PublicView, described
from tasks.events.bell import call_soon
from todolist import __version__

logger = logging.getLogger(__name__)

PARTS = ("database", "channel_layer")


def one_of(*words: str) -> serializers.ChoiceField:
    return serializers.ChoiceField(words)


LIVE = inline_serializer("Live", {"status": one_of("ok")})
READY = inline_serializer(
    "Ready",
    {part: one_of("ok") for part in ("status", *PARTS)} | {"version": serializers.CharField()},
)
NOT_READY = inline_serializer(
    "NotReady",
    {
        "detail": serializers.CharField(),
        "code": one_of("not_ready"),
        **{part: one_of("ok", "unreachable") for part in PARTS},
        "version": serializers.CharField(),
    },
)
NOT_READY_EXAMPLE = OpenApiExample(
    "not_ready",
    {
        "detail": "Not ready: database",
        "code": "not_ready",
        "database": "unreachable",
        "channel_layer": "ok",
        "version": __version__,
    },
)

# All in seconds.
CHANNEL_LAYER_TIMEOUT = 1.0
TIMEOUT = 1.5  # for both; whatever takes longer does not answer
ASK_EVERY = 1.0  # from one question to the next, however many want to know

READY_PARTS = "todolist.ready"  # of an ASGI scope


class LiveView(PublicView):
    """`GET /health/live`: the process answers."""

    open_to_everybody = "probes have no token, and are told whether this server works"
    answers_at_once = True

    @described(operation_id="getLive", summary="Whether the process answers", responses=LIVE)
    def get(self, request: Request) -> Response:
        return Response({"status": "ok"})


class ReadyView(PublicView):
    """`GET /health/ready`: the database and the channel layer answer; 503 otherwise."""

    open_to_everybody = LiveView.open_to_everybody
    answers_at_once = True  # where `find_out` came before

    @staticmethod
    async def find_out(scope: dict[str, Any]) -> None:
        """Ask, or share an answer, without a thread of those for requests (todolist/serving/handler.py)."""
        loop = asyncio.get_running_loop()
        scope[READY_PARTS] = await _questions.setdefault(loop, Questions()).answers()

    @described(
        operation_id="getReady",
        summary="Whether database and channel layer answer",
        responses={
            200: READY,
            503: OpenApiResponse(NOT_READY, "One does not", [NOT_READY_EXAMPLE]),
        },
    )
    def get(self, request: Request) -> Response:
        parts = getattr(request._request, "scope", {}).get(READY_PARTS) or {
            "database": database_answers(),
            "channel_layer": async_to_sync(channel_layer_answers)(),
        }
        report = {part: "ok" if answers else "unreachable" for part, answers in parts.items()}
        report["version"] = __version__
        if all(parts.values()):
            return Response({"status": "ok", **report})
        broken = ", ".join(part for part, answers in parts.items() if not answers)
        return Response(
            {"detail": f"Not ready: {broken}", "code": "not_ready", **report}, status=503
        )


def database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as error:
        logger.error("The database does not answer: %s", error)
        return False
    return True


async def channel_layer_answers() -> bool:
    """Send to a group that nobody is in: the layer's store must answer for that to succeed."""
    try:
        layer: Any = get_channel_layer()
        async with asyncio.timeout(CHANNEL_LAYER_TIMEOUT):
            await layer.group_send("health", {"type": "health.check"})
    except Exception as error:  # noqa: BLE001  every layer fails in its own way
        logger.error("The channel layer does not answer: %r", error)
        return False
    return True


class Questions:
    """What `/health/ready` asks, for all who want to know it on one event loop.

    Of what hangs, one question is open at a time, however long, and nobody waits longer than `TIMEOUT`.
    """

    def __init__(self) -> None:
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[dict[str, bool]] | None = None
        self._open: dict[str, asyncio.Future[bool]] = {}

    async def answers(self) -> dict[str, bool]:
        now = time.monotonic()
        if self._asking is None or (self._asking.done() and now - self._asked_at >= ASK_EVERY):
            self._asked_at = now
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._asking)  # whoever leaves cancels it for nobody

    async def _ask(self) -> dict[str, bool]:
        for part, ask in (("database", _ask_database), ("channel_layer", _ask_channel_layer)):
            if part not in self._open or self._open[part].done():
                self._open[part] = ask()
        await asyncio.wait(self._open.values(), timeout=TIMEOUT)
        return {part: found.done() and found.result() for part, found in self._open.items()}


_questions: WeakKeyDictionary[asyncio.AbstractEventLoop, Questions] = WeakKeyDictionary()


def _ask_database() -> asyncio.Future[bool]:
    """Over a connection of its own, in a thread that keeps nobody from ending the process."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bool] = loop.create_future()

    def ask() -> None:
        act_for_nobody()
        try:
            answers = database_answers()
        finally:
            connections.close_all()
        call_soon(loop, answer.set_result, answers)

    threading.Thread(target=ask, name="health", daemon=True).start()
    return answer


def _ask_channel_layer() -> asyncio.Future[bool]:
    return asyncio.ensure_future(channel_layer_answers())
