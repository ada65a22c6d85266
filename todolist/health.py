"""Whether this process answers, and whether what it depends on does (docs/api.md section 3)."""

import asyncio
import logging
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import Error, connection
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.owned.views import PublicView, described

logger = logging.getLogger(__name__)

PARTS = ("database", "channel_layer")


def one_of(*words: str) -> serializers.ChoiceField:
    return serializers.ChoiceField(words)


LIVE = inline_serializer("Live", {"status": one_of("ok")})
READY = inline_serializer("Ready", {part: one_of("ok") for part in ("status", *PARTS)})
NOT_READY = inline_serializer(
    "NotReady",
    {
        "detail": serializers.CharField(),
        "code": one_of("not_ready"),
        **{part: one_of("ok", "unreachable") for part in PARTS},
    },
)
NOT_READY_EXAMPLE = OpenApiExample(
    "not_ready",
    {
        "detail": "Not ready: database",
        "code": "not_ready",
        "database": "unreachable",
        "channel_layer": "ok",
    },
)

CHANNEL_LAYER_TIMEOUT = 3  # seconds


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

    @described(
        operation_id="getReady",
        summary="Whether database and channel layer answer",
        responses={
            200: READY,
            503: OpenApiResponse(NOT_READY, "One does not", [NOT_READY_EXAMPLE]),
        },
    )
    def get(self, request: Request) -> Response:
        parts = {"database": database_answers(), "channel_layer": channel_layer_answers()}
        report = {part: "ok" if answers else "unreachable" for part, answers in parts.items()}
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


def channel_layer_answers() -> bool:
    """Send to a group that nobody is in: the layer's store must answer for that to succeed."""

    async def send() -> None:
        layer: Any = get_channel_layer()
        async with asyncio.timeout(CHANNEL_LAYER_TIMEOUT):
            await layer.group_send("health", {"type": "health.check"})

    try:
        async_to_sync(send)()
    except Exception as error:  # noqa: BLE001  every layer fails in its own way
        logger.error("The channel layer does not answer: %s", error)
        return False
    return True
