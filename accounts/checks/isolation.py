"""System checks for isolation: a view or socket that forgets it keeps the server from starting.

They walk the real URLconf and the real ASGI application. Views are judged by what they do when
somebody made up asks them, and the database is never asked.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, NoReturn, cast
from uuid import UUID

from django.apps import apps
from django.contrib.auth.models import AnonymousUser, User
from django.core.checks import CheckMessage, Error, register
from django.db import connections
from django.db.models import F, Model, QuerySet
from django.db.models.expressions import Col, OrderBy
from django.db.models.lookups import Exact
from django.db.models.sql.where import AND, NothingNode, WhereNode
from django.http import HttpRequest
from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import APIException
from rest_framework.generics import GenericAPIView
from rest_framework.mixins import CreateModelMixin
from rest_framework.views import APIView

from accounts.checks.routes import Route, http_routes, socket_routes
from accounts.owned.models import OwnedModel
from accounts.owned.public import why_open
from accounts.owned.viewsets import OwnedViewMixin
from accounts.signin.authentication import BearerAuthentication
from accounts.signin.websocket import OriginMiddleware, TokenMiddleware
from accounts.users import CurrentUser

OWNER = "user_id"
SOMEBODY, SOMEBODY_ELSE = CurrentUser("somebody"), CurrentUser("somebody-else")


class DatabaseAsked(Exception):
    """A view that is being judged wanted to read or write the database."""


@contextmanager
def without_database() -> Iterator[None]:
    """Let nothing reach a database on this thread, not even to connect."""

    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise DatabaseAsked("it asks the database")

    with ExitStack() as stack:
        for connection in connections.all():
            vars(connection)["ensure_connection"] = refuse
            stack.callback(vars(connection).pop, "ensure_connection")
        yield


class Call(NamedTuple):
    """A view of the API, made ready for one method, as REST framework does it."""

    method: str
    view: APIView

    def by(self, user: object) -> "Call":
        """The same, asked by `user`."""
        self.view.request.user = user  # type: ignore[assignment]
        return self

    @property
    def model(self) -> type[Model] | None:
        """The model whose rows this view shows, told by its queryset or its serializer."""
        serializer = self.serializer_class
        for found in (
            getattr(getattr(self.view, "queryset", None), "model", None),
            getattr(self.rows, "model", None),
            getattr(getattr(serializer, "Meta", None), "model", None),
            getattr(self.view, "model", None),
        ):
            if isinstance(found, type) and issubclass(found, Model):
                return found
        return None

    @property
    def is_owned(self) -> bool:
        return self.model is not None and issubclass(self.model, OwnedModel)

    @property
    def rows(self) -> QuerySet[Any] | None:
        """What `get_queryset` answers, where there is one."""
        view = self.view
        if not hasattr(view, "get_queryset"):
            return None
        if getattr(view, "queryset", None) is None and (
            type(view).get_queryset in (GenericAPIView.get_queryset, OwnedViewMixin.get_queryset)
        ):
            return None
        return cast("QuerySet[Any]", view.get_queryset())

    @property
    def serializer_class(self) -> type[serializers.BaseSerializer[Any]] | None:
        view = self.view
        if getattr(view, "serializer_class", None) is None and (
            not isinstance(view, GenericAPIView)
            or type(view).get_serializer_class is GenericAPIView.get_serializer_class
        ):
            return None
        asked: Any = view
        chosen: type[serializers.BaseSerializer[Any]] = (
            asked.get_serializer_class()
            if isinstance(view, GenericAPIView)
            else asked.serializer_class
        )
        return chosen

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
    """The view behind a route of the API, once for each of its methods."""
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
        yield Call(http.method, view).by(SOMEBODY)


def is_api(route: Route) -> bool:
    return isinstance(route.view_class, type) and issubclass(route.view_class, APIView)


def fault(number: int, route: object, says: str, *, hint: str) -> Error:
    return Error(f"{route} {says}.", hint=hint, id=f"accounts.E{number}")


# Routes


@register
def check_routes(**kwargs: Any) -> Iterator[CheckMessage]:
    """Each of the rules below, on each route. One mistake of a view is told once per route."""
    with without_database():
        for route in http_routes():
            found: dict[str, CheckMessage] = {}
            for rule in ROUTE_RULES:
                try:
                    faults = list(rule(route))
                except Exception as error:  # noqa: BLE001  a view may fail in any way
                    faults = [_not_judged(route, error)]
                for message in faults:
                    found.setdefault(str(message.id), message)
            yield from found.values()


def _not_judged(route: Route, error: Exception) -> Error:
    return fault(
        114,
        route,
        f"cannot be judged: its view raises {type(error).__name__} when it is asked about "
        f"permissions, rows or serializer ({error})",
        hint="Let get_queryset, get_permissions and get_serializer_class depend on nothing but the "
        "request, its user and the URL, and leave the database to what comes after them.",
    )


def check_it_is_declared(route: Route) -> Iterator[CheckMessage]:
    """Views outside the API and the admin know nothing of tokens, so they have to say so."""
    why = why_open(route.callback)
    if why is None and not is_api(route) and route.admin_site is None:
        yield fault(
            101,
            route,
            "is answered by a view outside REST framework, which lets everybody in, and nothing "
            "says that this is meant",
            hint="Make it a REST framework view, wrap it in the admin's admin_view, or declare it "
            "with accounts.owned.public.open_to_everybody and the reason.",
        )
    if why is not None and not (isinstance(why, str) and why.strip()):
        yield fault(
            112,
            route,
            "is declared open to everybody without a reason",
            hint="Say in open_to_everybody why nobody's data can come out of it.",
        )


def check_admin_is_for_staff(route: Route) -> Iterator[CheckMessage]:
    site = route.admin_site
    if site is None:
        return
    for somebody in (AnonymousUser(), User(is_active=True), User(is_staff=True, is_active=False)):
        request = HttpRequest()
        request.user = somebody
        if site.has_permission(request):
            yield fault(
                113,
                route,
                "belongs to an admin site that lets in people who are not staff",
                hint="Let has_permission of the site ask for is_active and is_staff.",
            )


def check_authentication(route: Route) -> Iterator[CheckMessage]:
    for call in calls(route) if is_api(route) else ():
        classes = [type(found) for found in call.view.get_authenticators()]
        if any(issubclass(found, SessionAuthentication) for found in classes):
            yield fault(
                103,
                route,
                f"takes a session for a person of the API ({call.method})",
                hint="Take SessionAuthentication out: a staff session must never become an owner.",
            )
        if why_open(route.callback) is None and not (
            classes and issubclass(classes[0], BearerAuthentication)
        ):
            yield fault(
                102,
                route,
                f"does not ask for a token first ({call.method})",
                hint="Leave authentication_classes as they are in settings.REST_FRAMEWORK, or "
                "inherit accounts.owned.public.PublicView if everybody may see this.",
            )


def check_permission(route: Route) -> Iterator[CheckMessage]:
    if not is_api(route) or why_open(route.callback) is not None:
        return
    for call in calls(route):
        nobodies = (None, AnonymousUser(), User(pk=1, is_staff=True, is_superuser=True))
        if any(call.lets_in(nobody) for nobody in nobodies):
            yield fault(
                104,
                route,
                f"lets in who has shown no token ({call.method})",
                hint="Give it permission_classes that begin with accounts.owned.permissions.IsSignedIn "
                "or IsOwner, or inherit accounts.owned.public.PublicView if everybody may see this.",
            )


def check_owned_rows(route: Route) -> Iterator[CheckMessage]:
    """What a view over an `OwnedModel` must be: mixin, narrowed rows, permission."""
    if not is_api(route):
        yield from _check_plain_view(route)
        return
    for call in calls(route):
        if not call.is_owned:
            continue
        model = cast("type[OwnedModel]", call.model)
        shows = f"shows {model._meta.verbose_name_plural}"
        if why_open(route.callback) is not None:
            yield _open_and_owned(route, shows)
        view_class = type(call.view)
        bypassed = getattr(view_class, "get_object", None) is GenericAPIView.get_object
        if not issubclass(view_class, OwnedViewMixin) or bypassed:
            yield fault(
                105,
                route,
                f"{shows}, and {view_class.__name__} does not inherit OwnedViewMixin before REST "
                "framework's own classes",
                hint="Name accounts.owned.viewsets.OwnedViewMixin first among its bases, and call super() "
                "where you override what it does.",
            )
        if _creates_nobodys(view_class):
            yield fault(
                115,
                route,
                f"{shows}, and {view_class.__name__} creates them in REST framework's way, which "
                "sets no owner",
                hint="Write create, or perform_create, so that the owner is owner_id(request.user).",
            )
        if not _is_narrowed(call):
            yield fault(
                106,
                route,
                f"{shows} of other people: what get_queryset of {view_class.__name__} answers is "
                f"not narrowed to the caller ({call.method})",
                hint="Start from super().get_queryset() of OwnedViewMixin and only narrow it more.",
            )
        if call.hands_out(model(user_id=SOMEBODY_ELSE.id), to=SOMEBODY):
            yield fault(
                107,
                route,
                f"{shows}, and its permissions would hand out another person's ({call.method})",
                hint="Keep accounts.owned.permissions.IsOwner among its permission_classes.",
            )


def _check_plain_view(route: Route) -> Iterator[CheckMessage]:
    view_class = route.view_class
    model = getattr(view_class, "model", None) or getattr(
        getattr(view_class, "queryset", None), "model", None
    )
    if isinstance(model, type) and issubclass(model, OwnedModel):
        yield _open_and_owned(route, f"shows {model._meta.verbose_name_plural}")


def _open_and_owned(route: Route, shows: str) -> Error:
    return fault(
        112,
        route,
        f"is open to everybody and {shows}, which belong to somebody",
        hint="Make it a REST framework view with accounts.owned.viewsets.OwnedViewMixin.",
    )


def _creates_nobodys(view_class: type[Any]) -> bool:
    creates = (getattr(view_class, name, None) for name in ("create", "perform_create"))
    return tuple(creates) == (CreateModelMixin.create, CreateModelMixin.perform_create)


def _is_narrowed(call: Call) -> bool:
    """Whether somebody gets their own rows, somebody else theirs, and nobody gets any."""
    for person in (SOMEBODY, SOMEBODY_ELSE):
        rows = call.by(person).rows
        if rows is not None and not _only_of(rows, person.id):
            return False
    for nobody in (None, User(pk=1, username=SOMEBODY.id, is_staff=True, is_superuser=True)):
        rows = call.by(nobody).rows
        if rows is not None and not rows.query.is_empty():
            return False
    return True


def _only_of(rows: QuerySet[Any], owner: str) -> bool:
    query = rows.query
    if query.combinator:
        return all(_only_of(_with_query(rows, part), owner) for part in query.combined_queries)
    return query.is_empty() or _demands(query.where, query.base_table, owner)


def _with_query(rows: QuerySet[Any], query: Any) -> QuerySet[Any]:
    return QuerySet(model=rows.model, query=query)


def _demands(condition: Any, table: str | None, owner: str) -> bool:
    """Whether a condition lets through nothing but rows of `owner`."""
    if isinstance(condition, NothingNode):
        return True
    if isinstance(condition, WhereNode):
        if condition.negated or not condition.children:
            return False
        some = any if condition.connector == AND else all
        return some(_demands(child, table, owner) for child in condition.children)
    return (
        isinstance(condition, Exact)
        and isinstance(condition.lhs, Col)
        and condition.lhs.alias == table
        and condition.lhs.target.name == OWNER
        and condition.rhs == owner
    )


def check_owner_is_read_only(route: Route) -> Iterator[CheckMessage]:
    for call in calls(route) if is_api(route) else ():
        serializer_class = call.serializer_class
        if serializer_class is None:
            continue
        for name in _owner_fields(serializer_class(context={"request": call.view.request}), ""):
            yield fault(
                108,
                route,
                f"lets the client write the owner, by {name} of {serializer_class.__name__}",
                hint="Make the field read-only; the view sets the owner, from the token.",
            )


def _owner_fields(field: Any, path: str) -> Iterator[str]:
    """The fields of a serializer, and of those inside it, that a client can write the owner by."""
    if field.read_only or isinstance(field, serializers.HiddenField):
        return
    if (many := getattr(field, "child", None)) is not None:
        yield from _owner_fields(many, path)
    for name, inner in getattr(field, "fields", {}).items():
        yield from _owner_fields(inner, f"{path}.{name}" if path else name)
    if (field.source or "").rpartition(".")[2] == OWNER:
        yield path


ROUTE_RULES: tuple[Callable[[Route], Iterator[CheckMessage]], ...] = (
    check_it_is_declared,
    check_admin_is_for_staff,
    check_authentication,
    check_permission,
    check_owned_rows,
    check_owner_is_read_only,
)


# Models


@register
def check_owners_are_indexed(**kwargs: Any) -> Iterator[CheckMessage]:
    """Else every list reads everybody's rows, and takes time that others' rows determine."""
    for model in apps.get_models():
        if issubclass(model, OwnedModel) and OWNER not in _leading_columns(model):
            yield Error(
                f"{model.__name__} has no index that begins with its owner.",
                hint=f'Add models.Index(fields=["{OWNER}", ...]) for the order it is listed in.',
                obj=model,
                id="accounts.E109",
            )


def _leading_columns(model: type[Model]) -> set[str]:
    """The columns by which all rows of a table can be looked up."""
    meta = model._meta
    leading = {
        field.name for field in meta.fields if field.unique or getattr(field, "db_index", False)
    }
    leading |= {fields[0] for fields in meta.unique_together if fields}
    leading |= {field.name for field in meta.pk_fields[:1]}
    for index in (*meta.indexes, *meta.constraints):
        if getattr(index, "condition", None) is not None:
            continue  # holds only some of the rows
        expressions = list(getattr(index, "expressions", ()))
        first: Any = expressions[0] if expressions else None
        first = first.expression if isinstance(first, OrderBy) else first
        if isinstance(first, F):
            leading.add(cast("Any", first).name)
        leading.update(list(getattr(index, "fields", ()))[:1])
    return {name.removeprefix("-") for name in leading}


# Sockets


@register
def check_sockets(**kwargs: Any) -> Iterator[CheckMessage]:
    for route in socket_routes():
        kinds = [type(application) for application in route.passed]
        if not any(issubclass(kind, TokenMiddleware) for kind in kinds):
            yield fault(
                110,
                f"The socket {route}",
                "can be opened without a token",
                hint="Route it inside accounts.signin.websocket.TokenMiddleware in the ASGI application.",
            )
        if not any(issubclass(kind, OriginMiddleware) for kind in kinds):
            yield fault(
                111,
                f"The socket {route}",
                "can be opened by pages of any origin",
                hint="Route it inside accounts.signin.websocket.OriginMiddleware in the ASGI application.",
            )
