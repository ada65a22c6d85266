"""What `/schema` says of handlers that have no serializer to be described by.

Here and not on the handlers: `extend_schema` loads the generator, into every process that serves.
"""

from typing import Any

from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
    inline_serializer,
)
from rest_framework import serializers
from rest_framework.schemas import DefaultSchema

from accounts.views import PersonSerializer
from todolist.docs.components import ref

COUNT = serializers.IntegerField(min_value=0)
OK = serializers.ChoiceField(["ok"])
PART = serializers.ChoiceField(["ok", "unreachable"])
LIVE = inline_serializer("Live", {"status": OK})
READY = inline_serializer("Ready", {"status": OK, "database": OK, "channel_layer": OK})
NOT_READY = inline_serializer(
    "NotReady", {"detail": serializers.CharField(), "database": PART, "channel_layer": PART}
)
DOCUMENT_TYPES = (
    *("application/json", "application/vnd.oai.openapi+json"),
    *("application/yaml", "application/vnd.oai.openapi"),
)

# By the names of view and handler.
OPERATIONS: dict[tuple[str, str], Any] = {
    ("MeView", "get"): extend_schema(
        "getMe", summary="Show who the token speaks for", responses=PersonSerializer
    ),
    ("NotificationViewSet", "unread_count"): extend_schema(
        "countUnreadNotifications",
        summary="Count unread notifications",
        responses=inline_serializer("UnreadCount", {"count": COUNT}),
        filters=False,
    ),
    ("NotificationViewSet", "read"): extend_schema(
        "readNotification",
        summary="Mark a notification as read",
        description="Once more changes nothing: the first time counts.",
        request=None,
    ),
    ("NotificationViewSet", "read_all"): extend_schema(
        "readAllNotifications",
        summary="Mark all notifications as read",
        request=None,
        responses=inline_serializer("UpdatedCount", {"updated": COUNT}),
    ),
    ("EventsView", "get"): extend_schema(
        "listEvents",
        summary="List own events after a number",
        description="For clients that poll; the socket sends the same events as they happen.",
        parameters=[
            OpenApiParameter("since", {"type": "integer", "minimum": 0, "default": 0}),
            OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": 1000}),
        ],
        responses={
            200: OpenApiResponse(
                {"type": "array", "items": ref("Event")},
                "The events after `since`, oldest first; `Link` where there are more",
            ),
            410: OpenApiResponse(
                ref("Error"),
                "`since` is older than what is kept, or ahead of what there is: fetch the lists again",
            ),
        },
    ),
    ("LiveView", "get"): extend_schema(
        "getLive", summary="Whether the process answers", responses=LIVE
    ),
    ("ReadyView", "get"): extend_schema(
        "getReady",
        summary="Whether database and channel layer answer",
        responses={200: READY, 503: NOT_READY},
    ),
    ("SchemaView", "get"): extend_schema(
        "getSchema",
        summary="This document",
        responses={(200, media_type): OpenApiTypes.OBJECT for media_type in DOCUMENT_TYPES},
    ),
    ("DocsView", "get"): extend_schema(
        "getDocs",
        summary="A page to try this API on",
        responses={(200, "text/html"): OpenApiTypes.STR},
    ),
}


class DescribedView(OpenApiViewExtension):  # type: ignore[no-untyped-call]
    target_class = "rest_framework.views.APIView"
    match_subclasses = True

    def view_replacement(self) -> Any:
        name = self.target.__name__
        view = type(name, (self.target,), {"schema": DefaultSchema()})
        said = {handler: schema for (of, handler), schema in OPERATIONS.items() if of == name}
        return extend_schema_view(**said)(view)
