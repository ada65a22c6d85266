"""Whether this process answers, and whether what it depends on does (docs/api.md section 3)."""

import asyncio
import logging
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import Error, connection
from drf_spectacular.utils import inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.owned.views import PublicView, described

logger = logging.getLogger(__name__)

OK = serializers.ChoiceField(["ok"])
PART = serializers.ChoiceField(["ok", "unreachable"])
LIVE = inline_serializer("Live", {"status": OK})
READY = inline_serializer("Ready", {"status": OK, "database": OK, "channel_layer": OK})
NOT_READY = inline_serializer(
    "NotReady",
    {
        "detail": serializers.CharField(),
        "code": serializers.ChoiceField(["not_ready"]),
        "database": PART,
        "channel_layer": PART,
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
        responses={200: READY, 503: NOT_READY},
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
