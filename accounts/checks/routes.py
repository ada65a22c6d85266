"""What every route must satisfy, HTTP's and sockets', with one id for each mistake.

Views are judged by what they do when somebody made up asks them, on each route of the real URLconf;
the database is never asked.
"""

from collections.abc import Iterator
from typing import Any, NoReturn

from django.contrib.auth.models import AnonymousUser, User
from django.core.checks import CheckMessage, Error, register
from django.db import connection
from django.http import HttpRequest
from rest_framework.authentication import SessionAuthentication
from rest_framework.generics import GenericAPIView
from rest_framework.mixins import CreateModelMixin
from rest_framework.serializers import HiddenField, RelatedField

from accounts.checks.asking import ANOTHER, OWNER, SOMEBODY, Call, calls, is_api, is_narrowed_to
from accounts.checks.walk import Route, http_routes, socket_routes
from accounts.owned.models import OwnedModel
from accounts.owned.views import why_open
from accounts.owned.viewsets import OwnedViewMixin
from accounts.signin.authentication import BearerAuthentication
from accounts.signin.websocket import OriginMiddleware, TokenMiddleware

Fault = tuple[int, str, str]  # the number of its id, what a route does, a hint

USE_THE_MIXIN = (
    "Name accounts.owned.viewsets.OwnedViewMixin first among its bases, and call super() where you "
    "override what it does."
)
OPEN_WITH_OWNED_ROWS = "is open to everybody and shows rows which belong to somebody"
OR_OPEN = "or inherit accounts.owned.views.PublicView if everybody may see this."

STAFF = User(pk=1, username=SOMEBODY.id, is_staff=True, is_superuser=True)


@register
def check_routes(**kwargs: Any) -> Iterator[CheckMessage]:
    """Each mistake is reported once per route."""
    with connection.execute_wrapper(_refuse):
        for route in http_routes():
            found: dict[int, CheckMessage] = {}
            for number, says, hint in _faults(route):
                error = Error(f"{route} {says}.", hint=hint, id=f"accounts.E{number}")
                found.setdefault(number, error)
            yield from found.values()


def _refuse(*args: Any) -> NoReturn:
    raise RuntimeError("it asks the database")


def _faults(route: Route) -> Iterator[Fault]:
    try:
        yield from judge_route(route)
        for call in calls(route):
            for judge in (judge_access, judge_rows, judge_serializer):
                for number, says, hint in judge(call):
                    yield number, f"{says} ({call.method})", hint
    except Exception as error:  # noqa: BLE001  a view may fail in any way
        says = f"cannot be judged: its view raises {type(error).__name__} ({error})"
        yield 114, says, "Let it depend on nothing but the request, its user and the URL."


def judge_route(route: Route) -> Iterator[Fault]:
    """What knows nothing of tokens says that it is open to everybody, and why, or is the admin's."""
    why, site = why_open(route.callback), route.admin_site
    if why is None and site is None and not is_api(route):
        says = "is answered by a view outside REST framework, which lets everybody in"
        yield 101, says, "Wrap it in admin_view, or in accounts.owned.views.open_to_everybody."
    if why is not None and not (isinstance(why, str) and why.strip()):
        yield 112, "is open to everybody without a reason", "Say in open_to_everybody why."
    if why is not None:  # of views outside the API, those are known that name their model
        queryset = getattr(route.view_class, "queryset", None)
        model = getattr(route.view_class, "model", None) or getattr(queryset, "model", None)
        if isinstance(model, type) and issubclass(model, OwnedModel):
            yield 112, OPEN_WITH_OWNED_ROWS, USE_THE_MIXIN
    for user in (AnonymousUser(), User(is_active=True), User(is_staff=True, is_active=False)):
        request = HttpRequest()
        request.user = user
        if site is not None and site.has_permission(request):
            says = "belongs to an admin site that lets in people who are not staff"
            yield 113, says, "Let has_permission of the site ask for is_active and is_staff."


def judge_access(call: Call) -> Iterator[Fault]:
    """Who is let in: the bearer of a token, and nobody else."""
    authenticators = call.view.get_authenticators()
    if any(isinstance(one, SessionAuthentication) for one in authenticators):
        yield 103, "takes a session for a person of the API", "Take SessionAuthentication out."
    if call.is_open:
        return
    if not isinstance(next(iter(authenticators), None), BearerAuthentication):
        yield 102, "does not ask for a token first", f"Inherit authentication_classes, {OR_OPEN}"
    if any(call.lets_in(nobody) for nobody in (None, AnonymousUser(), STAFF)):
        yield 104, "lets in who has shown no token", f"Ask for IsSignedIn or IsOwner, {OR_OPEN}"


def judge_rows(call: Call) -> Iterator[Fault]:
    """Whose rows are shown: the caller's, by what `OwnedViewMixin` does."""
    model, view_class = call.owned_model, type(call.view)
    if model is None:
        return
    if call.is_open:
        yield 112, OPEN_WITH_OWNED_ROWS, USE_THE_MIXIN
    shows = f"shows {model._meta.verbose_name_plural}"
    bypassed = getattr(view_class, "get_object", None) is GenericAPIView.get_object
    if bypassed or not issubclass(view_class, OwnedViewMixin):
        yield 105, f"{shows}, and does not get them by OwnedViewMixin", USE_THE_MIXIN
    if (
        getattr(view_class, "create", None) is CreateModelMixin.create
        and view_class.perform_create is CreateModelMixin.perform_create
    ):
        yield 115, f"{shows}, and creates them without an owner", USE_THE_MIXIN
    people = ((SOMEBODY, SOMEBODY.id), (ANOTHER, ANOTHER.id), (None, None), (STAFF, None))
    if not all(is_narrowed_to(owner, call.rows_for(person)) for person, owner in people):
        says = f"{shows} of other people: what get_queryset of {view_class.__name__} answers"
        yield 106, f"{says} is not narrowed to the caller", USE_THE_MIXIN
    if call.lets_in(SOMEBODY, to=model(user_id=ANOTHER.id)):
        says = f"{shows}, and its permissions would hand out another person's"
        yield 107, says, "Keep accounts.owned.permissions.IsOwner in permission_classes."


def judge_serializer(call: Call) -> Iterator[Fault]:
    """What clients may write: not the owner, and no id of a row that is not theirs."""
    serializer = call.serializer
    if serializer is None:
        return
    name = type(serializer).__name__
    for path in _owner_fields(serializer, ""):
        says = f"lets the client write the owner, by {path} of {name}"
        yield 108, says, "Make the field read-only; the view sets the owner, from the token."
    for path, field in getattr(serializer, "fields", {}).items():
        related = getattr(field, "child_relation", field)
        if field.read_only or not isinstance(related, RelatedField):
            continue
        rows: Any = related.get_queryset()
        if issubclass(rows.model, OwnedModel) and not is_narrowed_to(SOMEBODY.id, rows):
            says = f"looks for the ids in {path} of {name} among everybody's"
            yield 118, says, "Let get_queryset of the field answer owned_by(request.user)."


def _owner_fields(field: Any, path: str) -> Iterator[str]:
    """The fields of a serializer, and of those inside it, that a client can write the owner by."""
    if field.read_only or isinstance(field, HiddenField):
        return
    if (many := getattr(field, "child", None)) is not None:
        yield from _owner_fields(many, path)
    for name, inner in getattr(field, "fields", {}).items():
        yield from _owner_fields(inner, f"{path}.{name}" if path else name)
    if (field.source or "").rpartition(".")[2] == OWNER:
        yield path


@register
def check_sockets(**kwargs: Any) -> Iterator[CheckMessage]:
    """Whoever opens a socket has shown a token and comes from a known origin."""
    for route in socket_routes():
        for number, middleware, problem in (
            (110, TokenMiddleware, "without a token"),
            (111, OriginMiddleware, "by pages of any origin"),
        ):
            if not any(isinstance(passed, middleware) for passed in route.passed):
                yield Error(
                    f"The socket {route} can be opened {problem}.",
                    hint=f"Route it inside {middleware.__name__} in the ASGI application.",
                    id=f"accounts.E{number}",
                )
