"""Whether this process answers, and whether it can do what it is there for (docs/api.md section 3)."""

from typing import Any

from asgiref.sync import async_to_sync
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.owned.views import PublicView, described
from todolist import __version__
from todolist.health.questions import (
    NEVER_FETCHED,
    NOT_MIGRATED,
    OK,
    READ_ONLY,
    STOPPING,
    UNREACHABLE,
    ask,
    channel_layer_state,
    database_state,
    keys_state,
    server_state,
)

# Of each part what it may be. Without the channel layer everything works, if more slowly.
NEEDED = {
    "server": (OK, STOPPING),
    "database": (OK, UNREACHABLE, READ_ONLY, NOT_MIGRATED),
    "keys": (OK, NEVER_FETCHED),
}
OPTIONAL = {"channel_layer": (OK, UNREACHABLE)}


def one_of(*words: str) -> serializers.ChoiceField:
    return serializers.ChoiceField(words)


LIVE = inline_serializer("Live", {"status": one_of(OK)})
READY = inline_serializer(
    "Ready",
    {
        **{part: one_of(OK) for part in ("status", *NEEDED)},
        **{part: one_of(*states) for part, states in OPTIONAL.items()},
        "version": serializers.CharField(),
    },
)
NOT_READY = inline_serializer(
    "NotReady",
    {
        "detail": serializers.CharField(),
        "code": one_of("not_ready"),
        **{part: one_of(*states) for part, states in (NEEDED | OPTIONAL).items()},
        "version": serializers.CharField(),
    },
)
NOT_READY_EXAMPLE = OpenApiExample(
    "not_ready",
    {
        "detail": "Not ready: database read_only",
        "code": "not_ready",
        **dict.fromkeys((*NEEDED, *OPTIONAL), OK),
        "database": READ_ONLY,
        "version": __version__,
    },
)

ASKED = "todolist.ready"  # of an ASGI scope


class LiveView(PublicView):
    """`GET /health/live`: the process answers."""

    open_to_everybody = "probes have no token, and are told whether this server works"
    answers_at_once = True

    @described(operation_id="getLive", summary="Whether the process answers", responses=LIVE)
    def get(self, request: Request) -> Response:
        return Response({"status": OK})


class ReadyView(PublicView):
    """`GET /health/ready`: whether requests can be answered; 503 and the reason otherwise."""

    open_to_everybody = LiveView.open_to_everybody
    answers_at_once = True  # where `find_out` came before

    @staticmethod
    async def find_out(scope: dict[str, Any]) -> None:
        """Ask, or share an answer, without a thread of those for requests (todolist/serving/handler.py)."""
        scope[ASKED] = await ask()

    @described(
        operation_id="getReady",
        summary="Whether requests can be answered",
        responses={
            200: READY,
            503: OpenApiResponse(NOT_READY, "They cannot", [NOT_READY_EXAMPLE]),
        },
    )
    def get(self, request: Request) -> Response:
        asked = getattr(request._request, "scope", {}).get(ASKED) or {
            "database": database_state(),
            "channel_layer": async_to_sync(channel_layer_state)(),
        }
        parts = {"server": server_state(), "keys": keys_state(), **asked}
        report = {part: parts[part] for part in (*NEEDED, *OPTIONAL)} | {"version": __version__}
        broken = ", ".join(f"{part} {parts[part]}" for part in NEEDED if parts[part] != OK)
        if broken:
            detail = f"Not ready: {broken}"
            return Response({"detail": detail, "code": "not_ready", **report}, status=503)
        return Response({"status": OK, **report})
