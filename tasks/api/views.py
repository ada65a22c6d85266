"""The REST door to tasks, notifications and events. Whose they are, the mixin knows."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar, cast

from django.http import QueryDict
from django.utils.encoding import escape_uri_path
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.reverse import reverse

from accounts.owned.acting import acting_as, changing_as
from accounts.owned.ownership import OwnedModel, owner_id
from accounts.owned.permissions import IsOwner, IsSignedIn
from accounts.owned.reading import Condition, Wire, is_null
from accounts.owned.responses import Response
from accounts.owned.viewsets import DirectRequests, OwnedViewMixin
from tasks.api.listing import (
    EventParameters,
    NotificationParameters,
    TaskParameters,
    list_parameters,
    matching,
    page,
    query_of,
)
from tasks.api.serializers import (
    NOTIFICATION,
    PART_OF_TASK,
    TASK,
    WHOLE_TASK,
    NotificationSerializer,
    TaskSerializer,
    validated,
)
from tasks.events.record import replay
from tasks.models import Notification, NotificationQuerySet, Task
from tasks.resources.etags import (
    etag,
    etag_of_json,
    is_conditional,
    knows,
    require_match,
    required_version,
)
from tasks.resources.idempotency import idempotent
from tasks.writing import change

Owned = TypeVar("Owned", bound=OwnedModel)


def link_to_next(request: Request, name: str, value: str) -> str:
    """A `Link` header (RFC 8288) to this list from elsewhere on: with this value of a parameter.

    The value is one that a URL has as it is.
    """
    http = request._request  # past a wrapper that is asked first for every attribute
    before = _before_value(http.path, query_of(request), name)
    return f'<{http.scheme}://{http.get_host()}{before}{value}>; rel="next"'


@lru_cache(maxsize=100)  # few, for a query may be long
def _before_value(path: str, query: str, name: str) -> str:
    """A list with this query, but another value of one parameter: a relative URL as far as that value."""
    others = QueryDict(query, mutable=True, encoding="utf-8")
    others.pop(name, None)
    return f"{escape_uri_path(path)}?{others.urlencode()}{'&' if others else ''}{name}="


class PagedViewMixin(OwnedViewMixin[Owned]):
    """Answers lists a page at a time."""

    def page_of(
        self, wire: Wire, conditions: list[Condition], parameters: Mapping[str, Any]
    ) -> Response:
        text, following = page(self.request.user, wire, conditions, parameters)
        response = Response(f"[{text}]".encode())
        if following is not None:
            response["Link"] = link_to_next(self.request, "cursor", following.encode())
        return response


class EventsView(DirectRequests):
    """`GET /events`: the caller's record of events, for clients that poll (contract section 3)."""

    permission_classes = [IsSignedIn]

    def get(self, request: Request) -> Response:
        parameters = list_parameters(request, EventParameters)
        since, limit = parameters["since"], parameters["limit"]
        result = replay(owner_id(request.user), since, limit + 1)
        if not result.complete:
            raise EventsGone
        events = result.events[:limit]
        response = Response(f"[{','.join(event.text for event in events)}]".encode())
        if len(result.events) > limit:
            response["Link"] = link_to_next(request, "since", str(events[-1].seq))
        return response


class EventsGone(APIException):
    status_code = status.HTTP_410_GONE
    default_detail = "These events are not on record. Fetch the list again."
    default_code = "gone"


class TaskViewSet(PagedViewMixin[Task]):
    """The caller's tasks (contract section 3)."""

    queryset = Task.objects.all()
    serializer_class = TaskSerializer

    def list(self, request: Request) -> Response:
        parameters = list_parameters(request, TaskParameters)
        return self.page_of(TASK, matching(parameters), parameters)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        text, row = self.get_json(TASK)
        headers = {"ETag": etag_of_json(row)}
        if knows(request, headers["ETag"]):
            return Response(status=status.HTTP_304_NOT_MODIFIED, headers=headers)
        return Response(text.encode(), headers=headers)

    @idempotent
    def create(self, request: Request) -> Response:
        values = validated(WHOLE_TASK, request.data)
        task = Task(user_id=owner_id(request.user), **values)
        task.save(acting_for=request.user)
        where = reverse("task-detail", args=[task.pk], request=request)
        headers = {"Location": where, "ETag": etag(task.updated_at)}
        return Response(task.written.encode(), status.HTTP_201_CREATED, headers=headers)

    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._change(WHOLE_TASK)

    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._change(PART_OF_TASK)

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with changing_as(self.request.user):
            task = self.lock_object()
            require_match(request, etag(task.updated_at))
            task.delete()
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _change(self, serializer: TaskSerializer) -> Response:
        try:
            values = validated(serializer, self.request.data)
        except APIException:  # first comes whose task it is, and which version
            require_match(self.request, etag(self.get_object().updated_at))
            raise
        text, updated_at = self._changed_at_once(values) or self._changed(values)
        return Response(text.encode(), headers={"ETag": etag(updated_at)})

    def _changed_at_once(self, values: dict[str, Any]) -> tuple[str, datetime] | None:
        """The task as changed, unless it takes a look at it to know whether it may be."""
        version = required_version(self.request)
        if [*map(type, self.get_permissions())] != [IsOwner] or (
            version is None and is_conditional(self.request)
        ):
            return None
        return change(self.request.user, self._pk(), values, version)

    def _changed(self, values: dict[str, Any]) -> tuple[str, datetime]:
        with changing_as(self.request.user):
            task = self.lock_object()
            require_match(self.request, etag(task.updated_at))
            for name, value in values.items():
                setattr(task, name, value)
            task.save(update_fields=values)
        return task.written, task.updated_at


class NotificationViewSet(PagedViewMixin[Notification]):
    """What the caller was told about the deadlines of their tasks (contract section 3)."""

    queryset = Notification.objects.all()
    serializer_class = NotificationSerializer

    def list(self, request: Request) -> Response:
        parameters = list_parameters(request, NotificationParameters)
        unread = [is_null(Notification, "read_at", null=True)]
        return self.page_of(NOTIFICATION, unread if "status" in parameters else [], parameters)

    @action(detail=False, url_path="unread-count")
    def unread_count(self, request: Request) -> Response:
        with acting_as(request.user):
            return Response({"count": self._own().unread().count()})

    @action(detail=True, methods=["post"])
    def read(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with changing_as(self.request.user):
            notification = self.lock_object()
            notification.mark_read()
        return Response(self.get_serializer(notification).data)

    @action(detail=False, methods=["post"], url_path="read-all")
    def read_all(self, request: Request) -> Response:
        updated = 0
        while True:
            with changing_as(self.request.user):  # a batch at a time, so that nobody waits for long
                marked = self._own().mark_read()
            updated += marked
            if not marked:
                return Response({"updated": updated})

    def _own(self) -> NotificationQuerySet:
        return cast("NotificationQuerySet", self.get_queryset())
