"""A view as it is when somebody asks it, built as REST framework does; and whose rows it shows."""

from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Model, QuerySet
from django.db.models.expressions import Col
from django.db.models.lookups import Exact
from django.db.models.sql.where import AND, NothingNode, WhereNode
from django.http import HttpRequest
from rest_framework.exceptions import APIException
from rest_framework.generics import GenericAPIView
from rest_framework.views import APIView

from accounts.checks.walk import Route
from accounts.owned.models import OwnedModel
from accounts.owned.views import why_open
from accounts.owned.viewsets import OwnedViewMixin
from accounts.users import CurrentUser

OWNER = "user_id"  # the column of `OwnedModel`
SOMEBODY, ANOTHER = CurrentUser("somebody"), CurrentUser("another")


class Call(NamedTuple):
    """A view of the API, made ready for one method."""

    route: Route
    method: str  # "GET"
    view: Any

    def by(self, user: object) -> Any:
        """The view, asked by `user`."""
        self.view.request.user = user
        return self.view

    @property
    def is_open(self) -> bool:
        """Whether the view is declared as open to everybody."""
        return why_open(self.route.callback) is not None

    @property
    def owned_model(self) -> type[OwnedModel] | None:
        """The owned model whose rows this view shows, told by its queryset or its serializer."""
        rows = getattr(self.view, "queryset", None), self.rows_for(SOMEBODY)
        for source in (*rows, getattr(self.serializer, "Meta", None), self.view):
            found = getattr(source, "model", None)
            if isinstance(found, type) and issubclass(found, Model):
                return found if issubclass(found, OwnedModel) else None
        return None

    def rows_for(self, user: object) -> Any:
        """What `get_queryset` answers to `user`; `None` for a view that has no queryset."""
        get_queryset = getattr(type(self.view), "get_queryset", None)
        inherited = get_queryset in (GenericAPIView.get_queryset, OwnedViewMixin.get_queryset)
        if get_queryset is None or (inherited and self.view.queryset is None):
            return None
        return self.by(user).get_queryset()

    @property
    def serializer(self) -> Any:
        """The serializer as `SOMEBODY` gets it; `None` for a view that has none."""
        view = self.by(SOMEBODY)
        default = GenericAPIView.get_serializer_class
        if getattr(type(view), "get_serializer_class", default) is default:
            serializer_class = getattr(view, "serializer_class", None)
        else:
            serializer_class = view.get_serializer_class()
        return serializer_class and serializer_class(context={"request": view.request})

    def lets_in(self, user: object, *, to: object = None) -> bool:
        """Whether the permissions of the view let `user` in, and hand an object out to them."""
        view = self.by(user)
        try:
            if to is None:
                view.check_permissions(view.request)
            else:
                view.check_object_permissions(view.request, to)
        except APIException:
            return False
        return True


def is_api(route: Route) -> bool:
    return isinstance(route.view_class, type) and issubclass(route.view_class, APIView)


def calls(route: Route) -> Iterator[Call]:
    """The view behind a route of the API, asked by `SOMEBODY`, once for each of its methods."""
    if not is_api(route):
        return
    view_class, actions = route.view_class, getattr(route.callback, "actions", None) or {}
    names = [name for name in view_class.http_method_names if hasattr(view_class, name)]
    for method in actions or names:
        http = HttpRequest()
        http.method = method.upper()
        http.META = {"SERVER_NAME": "localhost", "SERVER_PORT": "80", "REQUEST_METHOD": http.method}
        view = view_class(**route.callback.initkwargs)
        view.setup(http, **dict.fromkeys(route.parameters, str(UUID(int=0))))
        view.action_map, view.format_kwarg = actions, None
        if actions:
            view.action = actions[method]
        view.request = view.initialize_request(http)
        view.request.user = SOMEBODY
        yield Call(route, http.method, view)


def is_narrowed_to(owner: str | None, rows: QuerySet[Any] | None) -> bool:
    """Whether a queryset, if there is one, finds nothing but rows of `owner`: for `None`, nothing."""
    return rows is None or _finds_only(owner, rows.query)


def _finds_only(owner: str | None, query: Any) -> bool:
    """Django documents no way of reading conditions: what is not understood is not narrowed."""
    if query.combinator:  # a union and the like
        return all(_finds_only(owner, part) for part in query.combined_queries)
    return query.is_empty() or _demands(owner, query.where, query.base_table)


def _demands(owner: str | None, condition: Any, table: str | None) -> bool:
    """Whether a condition lets through nothing but rows of `owner`."""
    if isinstance(condition, WhereNode):
        if condition.negated or not condition.children:
            return False
        enough = any if condition.connector == AND else all
        return enough(_demands(owner, child, table) for child in condition.children)
    return isinstance(condition, NothingNode) or (
        isinstance(condition, Exact)
        and isinstance(condition.lhs, Col)
        and condition.lhs.alias == table
        and condition.lhs.target.name == OWNER
        and condition.rhs == owner
    )
