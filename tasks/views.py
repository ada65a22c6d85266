"""The REST door to tasks. Whose they are, the mixin knows."""

from typing import Any, cast

from django.db import transaction
from rest_framework import status
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
from accounts.permissions import IsSignedIn
from accounts.users import CurrentUser
from tasks.events import replay
from tasks.listing import event_parameters, list_parameters, matching, page
from tasks.models import Task, TaskQuerySet
from tasks.serializers import TaskSerializer


class EventsView(APIView):
    """`GET /events`: the caller's record of events, for clients that poll (contract section 3)."""

    permission_classes = [IsSignedIn]

    def get(self, request: Request) -> Response:
        parameters = event_parameters(request)
        since, limit = parameters["since"], parameters["limit"]
        user = cast("CurrentUser", request.user)  # the permission saw to it
        result = replay(user.id, since, limit + 1)
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
    OwnedViewMixin[Task],
    CreateModelMixin,
    RetrieveModelMixin,
    UpdateModelMixin,
    DestroyModelMixin,
):
    """The caller's tasks (contract section 3)."""

    queryset = Task.objects.all()
    serializer_class = TaskSerializer

    def list(self, request: Request) -> Response:
        parameters = list_parameters(request)
        tasks, following = page(
            matching(cast("TaskQuerySet", self.get_queryset()), parameters),
            ordering=parameters["ordering"],
            limit=parameters["limit"],
            cursor=parameters.get("cursor"),
        )
        response = Response(self.get_serializer(tasks, many=True).data)
        if following is not None:
            url = replace_query_param(request.build_absolute_uri(), "cursor", following.encode())
            response["Link"] = f'<{url}>; rel="next"'
        return response

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
