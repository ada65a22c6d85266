"""The REST door to tasks, notifications and events. Whose they are, the mixin knows."""

from typing import cast

from django.http import HttpResponse
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.owned.acting import acting_as
from accounts.owned.ownership import owner_id
from accounts.owned.permissions import IsSignedIn
from accounts.owned.viewsets import in_own_transactions
from tasks.api.filters import NotificationFilters, TaskFilters
from tasks.api.serializers import NotificationSerializer, TaskSerializer
from tasks.events.record import replay
from tasks.models import Notification, NotificationQuerySet, Task
from tasks.resources.lists.paging import link_to_next
from tasks.resources.lists.query import WholeNumberParameter, parameter, parsed_query, query_of
from tasks.resources.viewsets import RecordedViewMixin, RecordedViewSet


class TaskViewSet(RecordedViewSet[Task]):
    """The caller's tasks (docs/api.md section 4)."""

    queryset = Task.objects.all()
    serializer_class = TaskSerializer
    filterset_class = TaskFilters
    ordering_fields = ["created_at", "deadline", "order", "updated_at"]


class NotificationViewSet(RecordedViewMixin[Notification], mixins.ListModelMixin):
    """What the caller was told about the deadlines of their tasks (docs/api.md section 4)."""

    queryset = Notification.objects.all()
    serializer_class = NotificationSerializer
    filterset_class = NotificationFilters

    @action(detail=False, url_path="unread-count")
    def unread_count(self, request: Request) -> Response:
        return Response({"count": self._own().unread().count()})

    @action(detail=True, methods=["post"])
    def read(self, request: Request, pk: str) -> Response:
        notification = self.get_object()
        notification.mark_read()
        return Response(self.get_serializer(notification).data)

    @action(detail=False, methods=["post"], url_path="read-all")
    @in_own_transactions
    def read_all(self, request: Request) -> Response:
        updated = 0
        while True:
            with acting_as(request.user, atomic=True):  # a batch at a time: nobody waits for long
                marked = self._own().mark_read()
            updated += marked
            if not marked:
                return Response({"updated": updated})

    def _own(self) -> NotificationQuerySet:
        return cast("NotificationQuerySet", self.get_queryset())


class EventsGone(APIException):
    status_code = status.HTTP_410_GONE
    default_detail = "These events are not on record. Fetch the list again."
    default_code = "gone"


class EventsView(APIView):
    """`GET /events`: the caller's record of events, for clients that poll (docs/api.md section 3)."""

    permission_classes = [IsSignedIn]

    since_field: serializers.IntegerField = WholeNumberParameter(min_value=0, max_value=2**63 - 2)
    limit_field: serializers.IntegerField = WholeNumberParameter(min_value=1, max_value=1000)

    def get(self, request: Request) -> HttpResponse:
        query = parsed_query(query_of(request))
        since = parameter(query, "since", self.since_field) or 0
        limit = parameter(query, "limit", self.limit_field) or 1000
        result = replay(owner_id(request.user), since, limit + 1)
        if not result.complete:
            raise EventsGone
        events = result.events[:limit]
        texts = ",".join(event.text for event in events)
        response = HttpResponse(f"[{texts}]", "application/json")
        if len(result.events) > limit:
            response["Link"] = link_to_next(request, "since", str(events[-1].seq))
        return response
