"""A view as it is when somebody asks it: built as REST framework does, and without a database."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, NoReturn, cast
from uuid import UUID

from django.core.checks import Error
from django.db import connections
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from rest_framework.exceptions import APIException
from rest_framework.generics import GenericAPIView
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from accounts.checks.walk import Route
from accounts.owned.models import OwnedModel
from accounts.owned.public import why_open
from accounts.owned.viewsets import OwnedViewMixin
from accounts.users import CurrentUser

SOMEBODY, SOMEBODY_ELSE = CurrentUser("somebody"), CurrentUser("somebody-else")


class DatabaseAsked(Exception):
    """A view that is being judged wanted to read or write the database."""


@contextmanager
def without_database() -> Iterator[None]:
    """Let no query of this thread reach a database."""

    def refuse(*args: Any) -> NoReturn:
        raise DatabaseAsked("it asks the database")

    with ExitStack() as stack:
        for connection in connections.all():
            stack.enter_context(connection.execute_wrapper(refuse))
        yield


class Call(NamedTuple):
    """A view of the API, made ready for one method."""

    route: Route
    method: str  # "GET"
    view: APIView

    def by(self, user: object) -> "Call":
        """The same, asked by `user`."""
        self.view.request.user = user  # type: ignore[assignment]
        return self

    def fault(self, number: int, says: str, *, hint: str) -> Error:
        return fault(number, self.route, f"{says} ({self.method})", hint=hint)

    @property
    def is_open(self) -> bool:
        """Whether the view is declared as open to everybody."""
        return why_open(self.route.callback) is not None

    @property
    def model(self) -> type[Model] | None:
        """The model whose rows this view shows, told by its queryset or its serializer."""
        for found in (
            getattr(getattr(self.view, "queryset", None), "model", None),
            getattr(self.rows_for(self.view.request.user), "model", None),
            getattr(getattr(self.serializer_class, "Meta", None), "model", None),
            getattr(self.view, "model", None),
        ):
            if isinstance(found, type) and issubclass(found, Model):
                return found
        return None

    @property
    def owned_model(self) -> type[OwnedModel] | None:
        """The same where its rows belong to somebody."""
        model = self.model
        return model if model is not None and issubclass(model, OwnedModel) else None

    def rows_for(self, user: object) -> QuerySet[Any] | None:
        """What `get_queryset` answers to `user`; `None` for a view that has no queryset."""
        view = self.by(user).view
        if not hasattr(view, "get_queryset"):
            return None
        if getattr(view, "queryset", None) is None and (
            type(view).get_queryset in (GenericAPIView.get_queryset, OwnedViewMixin.get_queryset)
        ):
            return None
        return cast("QuerySet[Any]", view.get_queryset())

    @property
    def serializer_class(self) -> type[BaseSerializer[Any]] | None:
        view: Any = self.view
        if not isinstance(view, GenericAPIView):
            return getattr(view, "serializer_class", None)
        if view.serializer_class is None and (
            type(view).get_serializer_class is GenericAPIView.get_serializer_class
        ):
            return None
        return view.get_serializer_class()

    def lets_in(self, user: object) -> bool:
        try:
            self.by(user).view.check_permissions(self.view.request)
        except APIException:
            return False
        return True

    def hands_out(self, thing: object, *, to: object) -> bool:
        try:
            self.by(to).view.check_object_permissions(self.view.request, thing)
        except APIException:
            return False
        return True


def calls(route: Route) -> Iterator[Call]:
    """The view behind a route of the API, asked by `SOMEBODY`, once for each of its methods."""
    actions: dict[str, str] = getattr(route.callback, "actions", None) or {}
    options = getattr(route.callback, "initkwargs", None) or getattr(
        route.callback, "view_initkwargs", {}
    )
    view_class = route.view_class
    methods = actions or [
        name for name in view_class.http_method_names if hasattr(view_class, name)
    ]
    for method in methods:
        view = view_class(**options)
        view.action_map = actions
        view.args, view.kwargs = (), dict.fromkeys(route.parameters, str(UUID(int=0)))
        view.format_kwarg = None
        if actions:
            view.action = actions[method]
        http = HttpRequest()
        http.method = method.upper()
        http.META = {"SERVER_NAME": "localhost", "SERVER_PORT": "80", "REQUEST_METHOD": http.method}
        view.request = view.initialize_request(http)
        yield Call(route, http.method, view).by(SOMEBODY)


def is_api(route: Route) -> bool:
    return isinstance(route.view_class, type) and issubclass(route.view_class, APIView)


def fault(number: int, route: Route, says: str, *, hint: str) -> Error:
    return Error(f"{route} {says}.", hint=hint, id=f"accounts.E{number}")
