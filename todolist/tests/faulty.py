"""The application as it is, except for two mistakes: in the view that reads events, and in the admin."""

from todolist.asgi import application as application  # noqa: I001  first: it loads the models
from typing import Any

from django.http import HttpRequest
from rest_framework.request import Request

from tasks.admin import TaskAdmin
from tasks.api.views import EventsView


def fail(view: EventsView, request: Request, **kwargs: Any) -> None:
    raise RuntimeError(f"of {request.META['HTTP_AUTHORIZATION']}")


def fail_too(admin: TaskAdmin, request: HttpRequest) -> Any:
    if request.GET.get("q"):
        raise RuntimeError(f"of {request.COOKIES}")
    return ordinary(admin, request)


ordinary: Any = TaskAdmin.get_queryset
EventsView.get = fail  # type: ignore[assignment,method-assign]
TaskAdmin.get_queryset = fail_too  # type: ignore[assignment,method-assign]
