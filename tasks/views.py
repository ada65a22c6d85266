"""The REST door to tasks, notifications and events. Whose they are, the mixin knows."""

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from django.db import transaction
from django.db.models import QuerySet
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import APIException
from rest_framework.mixins import (
    CreateModelMixin,
    DestroyModelMixin,
    RetrieveModelMixin,
    UpdateModelMixin,
)
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from accounts.mixins import OwnedViewMixin
from accounts.ownership import OwnedModel, owner_id
from accounts.permissions import IsSignedIn
from tasks.events import replay
from tasks.listing import (
    EventParameters,
    NotificationParameters,
    TaskParameters,
    list_parameters,
    matching,
    page,
)
from tasks.models import Notification, NotificationQuerySet, Task, TaskQuerySet
from tasks.serializers import NotificationSerializer, TaskSerializer

Owned = TypeVar("Owned", bound=OwnedModel)


class PagedViewMixin(OwnedViewMixin[Owned]):
    """Answers lists a page at a time."""

    def page_of(self, rows: QuerySet[Owned], parameters: Mapping[str, Any]) -> Response:
        shown, following = page(
            rows,
            ordering=parameters["ordering"],
            limit=parameters["limit"],
            cursor=parameters.get("cursor"),
        )
        response = Response(self.get_serializer(shown, many=True).data)
        if following is not None:
            here = self.request.build_absolute_uri()
            url = replace_query_param(here, "cursor", following.encode())
            response["Link"] = f'<{url}>; rel="next"'
        return response


class EventsView(APIView):
    """`GET /events`: the caller's record of events, for clients that poll (contract section 3)."""

    permission_classes = [IsSignedIn]

    def get(self, request: Request) -> Response:
        parameters = list_parameters(request, EventParameters)
        since, limit = parameters["since"], parameters["limit"]
        result = replay(owner_id(request.user), since, limit + 1)
        if not result.complete:
            raise EventsGone
        response = Response(result.events[:limit])
        if len(result.events) > limit:
            last = result.events[limit - 1]["seq"]
            url = replace_query_param(request.build_absolute_uri(), "since", last)
            response["Link"] = f'<{url}>; rel="next"'
        return response


class EventsGone(APIException):
    status_code = status.HTTP_410_GONE
    default_detail = "These events are not on record. Fetch the list again."
    default_code = "gone"


class TaskViewSet(
    PagedViewMixin[Task],
    CreateModelMixin,
    RetrieveModelMixin,
    UpdateModelMixin,
    DestroyModelMixin,
):
    """The caller's tasks (contract section 3)."""

    queryset = Task.objects.all()
    serializer_class = TaskSerializer

    def list(self, request: Request) -> Response:
        parameters = list_parameters(request, TaskParameters)
        tasks = cast("TaskQuerySet", self.get_queryset())
        return self.page_of(matching(tasks, parameters), parameters)

    def get_success_headers(self, data: Any) -> dict[str, str]:
        return {"Location": reverse("task-detail", args=[data["id"]], request=self.request)}

    # A change and the look at what is there to be changed belong together.

    @transaction.atomic
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().create(request, *args, **kwargs)

    @transaction.atomic
    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().update(request, *args, **kwargs)

    @transaction.atomic
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().destroy(request, *args, **kwargs)


class NotificationViewSet(PagedViewMixin[Notification]):
    """What the caller was told about the deadlines of their tasks (contract section 3)."""

    queryset = Notification.objects.all()
    serializer_class = NotificationSerializer

    def list(self, request: Request) -> Response:
        parameters = list_parameters(request, NotificationParameters)
        own = self._own()
        return self.page_of(own.unread() if "status" in parameters else own, parameters)

    @action(detail=False, url_path="unread-count")
    def unread_count(self, request: Request) -> Response:
        return Response({"count": self._own().unread().count()})

    @action(detail=True, methods=["post"])
    @transaction.atomic
    def read(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        notification = self.get_object()
        notification.mark_read()
        return Response(self.get_serializer(notification).data)

    @action(detail=False, methods=["post"], url_path="read-all")
    def read_all(self, request: Request) -> Response:
        return Response({"updated": self._own().mark_read()})

    def _own(self) -> NotificationQuerySet:
        return cast("NotificationQuerySet", self.get_queryset())
