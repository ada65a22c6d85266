"""The REST door to tasks, notifications and events. Whose they are, the mixin knows."""

from collections.abc import Mapping
from typing import Any, cast
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    inline_serializer,
)
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.exceptions import APIException
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.owned.acting import acting_as
from accounts.owned.permissions import IsSignedIn
from accounts.owned.views import described
from accounts.owned.viewsets import UUID_TEXT, in_own_transactions
from accounts.users import owner_id
from tasks.api.counts import counts
from tasks.api.filters import NotificationFilters, ProjectFilters, TaskFilters
from tasks.api.serializers import (
    LabelSerializer,
    NotificationSerializer,
    PreferencesSerializer,
    ProjectSerializer,
    TaskSerializer,
)
from tasks.events.record import Position, replay
from tasks.models import (
    Label,
    Notification,
    NotificationQuerySet,
    Preferences,
    Project,
    Task,
)
from tasks.models.subtasks import lock_with_parents
from tasks.resources.bulk import BulkViewSet
from tasks.resources.etags import etag, require_match
from tasks.resources.fields import numbers
from tasks.resources.lists.paging import link_to_next
from tasks.resources.lists.query import WholeNumberParameter, parameter, parameters_of
from tasks.resources.moving import PositionedViewSet
from tasks.resources.viewsets import RecordedViewMixin


class TaskViewSet(BulkViewSet[Task]):
    """The caller's tasks (docs/api.md section 4)."""

    queryset = Task.objects.prefetch_related("labels")
    serializer_class = TaskSerializer
    filterset_class = TaskFilters
    ordering_fields = [
        *("created_at", "deadline", "order", "updated_at"),
        *("position", "priority", "completed_at"),
    ]
    ordering_columns = {"deadline": "due_at", "priority": "rank"}

    def lock_row(self, row: Any) -> None:
        """Parents are locked before their subtasks: the present one, and the one that the body names."""
        if self.request.method not in ("PUT", "PATCH"):
            super().lock_row(row)
            return
        keys = {UUID(self._lookup_value)}
        body = self.request.data
        parent = body.get("parent_id") if isinstance(body, Mapping) else None
        if isinstance(parent, str) and UUID_TEXT.fullmatch(parent):
            keys.add(UUID(parent))
        lock_with_parents(Task.objects.owned_by(self.request.user), keys)

    @described(
        operation_id="countTasks",
        summary="Count tasks",
        description="Open ones by when they are due, as `due=` has it, and by project and label; "
        "those of archived projects are not counted.",
        responses=inline_serializer(
            "TaskCounts",
            {
                **numbers("open", "completed", "overdue", "today", "upcoming", "no_date"),
                "by_project": serializers.DictField(child=serializers.IntegerField(min_value=1)),
                "by_label": serializers.DictField(child=serializers.IntegerField(min_value=1)),
            },
        ),
        filters=False,
    )
    @action(detail=False)
    @in_own_transactions
    def counts(self, request: Request) -> Response:
        return Response(counts(self))


class ProjectViewSet(PositionedViewSet[Project]):
    queryset = Project.objects.order_by("position")
    serializer_class = ProjectSerializer
    filterset_class = ProjectFilters
    ordering_fields = ["position", "name", "created_at"]


class LabelViewSet(PositionedViewSet[Label]):
    queryset = Label.objects.order_by("position")
    serializer_class = LabelSerializer
    ordering_fields = ["position", "name", "created_at"]


class PreferencesViewSet(
    RecordedViewMixin[Preferences], mixins.RetrieveModelMixin, mixins.UpdateModelMixin
):
    """What the caller wants of days and reminders (docs/api.md section 7)."""

    queryset = Preferences.objects.all()
    serializer_class = PreferencesSerializer

    def get_object(self) -> Preferences:
        """The caller's own, with the defaults where nothing was changed. Raises `PreconditionFailed` (412)."""
        owner = owner_id(self.request.user)
        if self.request.method in SAFE_METHODS:
            return self.get_queryset().first() or Preferences(user_id=owner)
        preferences = Preferences.to_change(owner)
        require_match(self.request, etag(preferences.version))
        return preferences


class NotificationViewSet(RecordedViewMixin[Notification], mixins.ListModelMixin):
    """What the caller was told about the deadlines of their tasks (docs/api.md section 4)."""

    queryset = Notification.objects.all()
    serializer_class = NotificationSerializer
    filterset_class = NotificationFilters

    @described(
        operation_id="countUnreadNotifications",
        summary="Count unread notifications",
        responses=inline_serializer("UnreadCount", numbers("count")),
        filters=False,
    )
    @action(detail=False, url_path="unread-count")
    def unread_count(self, request: Request) -> Response:
        return Response({"count": self._own().unread().count()})

    @described(
        operation_id="readNotification",
        summary="Mark a notification as read",
        description="Once more changes nothing: the first time counts.",
        request=None,
    )
    @action(detail=True, methods=["post"])
    def read(self, request: Request, pk: str) -> Response:
        notification = self.get_object()
        notification.mark_read()
        return Response(self.get_serializer(notification).data)

    @described(
        operation_id="readAllNotifications",
        summary="Mark all notifications as read",
        request=None,
        responses=inline_serializer("UpdatedCount", numbers("updated")),
    )
    @action(detail=False, methods=["post"], url_path="read-all")
    @in_own_transactions
    def read_all(self, request: Request) -> Response:
        updated, marked = 0, 1
        while marked:
            with acting_as(request.user, atomic=True):  # a batch at a time: nobody waits for long
                marked = self._own().mark_read()
            updated += marked
        return Response({"updated": updated})

    def _own(self) -> NotificationQuerySet:
        return cast("NotificationQuerySet", self.get_queryset())


class EventsGone(APIException):
    status_code = status.HTTP_410_GONE
    default_detail = "These events are not on record. Fetch the list again."
    default_code = "events_gone"
    example = {"detail": default_detail, "code": default_code, "seq": 97, "epoch": "6f1c0a"}

    def __init__(self, position: Position) -> None:
        super().__init__()
        self.members = position._asdict()  # beside `detail` and `code`


class EventsView(APIView):
    """`GET /events`: the caller's record of events, for clients that poll (docs/api.md section 3)."""

    permission_classes = [IsSignedIn]

    since_field: serializers.IntegerField = WholeNumberParameter(min_value=0, max_value=2**63 - 2)
    limit_field: serializers.IntegerField = WholeNumberParameter(min_value=1, max_value=1000)
    epoch_field = serializers.CharField(allow_blank=True, trim_whitespace=False)

    @described(
        operation_id="listEvents",
        summary="List own events after a number",
        description="For clients that poll; the socket sends the same events as they happen.",
        parameters=[
            OpenApiParameter(
                "since",
                {"type": "integer", "minimum": 0},
                description="The number of the last event the client has seen; 0 by default.",
            ),
            OpenApiParameter(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": 1000},
                description="How many at the most; the rest is at the URL in `Link`.",
            ),
            OpenApiParameter(
                "epoch",
                {"type": "string"},
                description="The history that `since` belongs to; 410 where it is another.",
            ),
        ],
        responses={
            200: OpenApiResponse(
                {"type": "array", "items": {"$ref": "#/components/schemas/LiveEvent"}},
                "The events after `since`, oldest first; `Link` where there are more",
            ),
            410: OpenApiResponse(
                {"$ref": "#/components/schemas/EventsGone"},
                "They are no longer on record, or not yet",
                [OpenApiExample(EventsGone.default_code, EventsGone.example)],
            ),
        },
    )
    def get(self, request: Request) -> HttpResponse:
        query = parameters_of(request)
        since = parameter(query, "since", self.since_field) or 0
        limit = parameter(query, "limit", self.limit_field) or 1000
        epoch = parameter(query, "epoch", self.epoch_field)
        query.refuse_unknown()
        result = replay(owner_id(request.user), since, limit, epoch)
        position = Position(result.last_seq, result.epoch)
        if not result.complete:
            raise EventsGone(position)
        texts = ",".join(result.events)
        response = HttpResponse(f"[{texts}]", "application/json")
        position.tell(response)
        if (last := since + len(result.events)) < result.last_seq:
            response["Link"] = link_to_next(request, "since", str(last))
        return response
