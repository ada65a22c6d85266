"""What every HTTP route must satisfy: one rule per function, one id per rule.

To add a rule, write a generator that yields a fault for what breaks it, and say by its decorator
what it is about: `each_route`, `each_call` (a route of the API and one of its methods), or
`each_owned_call` (a call that shows rows of an `OwnedModel`). Nothing else has to know of it. A
rule may ask the view what it likes, as whoever it likes, but not the database.
"""

from collections.abc import Callable, Iterator
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.core.checks import CheckMessage
from django.http import HttpRequest
from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.generics import GenericAPIView
from rest_framework.mixins import CreateModelMixin

from accounts.checks.asking import SOMEBODY, SOMEBODY_ELSE, Call, calls, fault, is_api
from accounts.checks.narrowing import OWNER, is_empty, is_narrowed_to
from accounts.checks.walk import Route
from accounts.owned.models import OwnedModel
from accounts.owned.public import why_open
from accounts.owned.viewsets import OwnedViewMixin
from accounts.signin.authentication import BearerAuthentication

RouteRule = Callable[[Route], Iterator[CheckMessage]]
CallRule = Callable[[Call], Iterator[CheckMessage]]
OwnedCallRule = Callable[[Call, type[OwnedModel]], Iterator[CheckMessage]]

RULES: list[RouteRule] = []


def each_route(rule: RouteRule) -> RouteRule:
    RULES.append(rule)
    return rule


def each_call(rule: CallRule) -> CallRule:
    @each_route
    def for_each(route: Route) -> Iterator[CheckMessage]:
        for call in calls(route) if is_api(route) else ():
            yield from rule(call)

    return rule


def each_owned_call(rule: OwnedCallRule) -> OwnedCallRule:
    @each_call
    def for_each(call: Call) -> Iterator[CheckMessage]:
        model = call.owned_model
        if model is not None:
            yield from rule(call, model)

    return rule


def _shows(model: type[OwnedModel]) -> str:
    return f"shows {model._meta.verbose_name_plural}"


# Who is let in


@each_route
def views_outside_the_api_are_declared(route: Route) -> Iterator[CheckMessage]:
    """They know nothing of tokens, so that being open to everybody has to be said."""
    if why_open(route.callback) is None and not is_api(route) and route.admin_site is None:
        yield fault(
            101,
            route,
            "is answered by a view outside REST framework, which lets everybody in, and nothing "
            "says that this is meant",
            hint="Make it a REST framework view, wrap it in the admin's admin_view, or declare it "
            "with accounts.owned.public.open_to_everybody and the reason.",
        )


@each_route
def open_views_give_a_reason(route: Route) -> Iterator[CheckMessage]:
    why = why_open(route.callback)
    if why is not None and not (isinstance(why, str) and why.strip()):
        yield fault(
            112,
            route,
            "is declared open to everybody without a reason",
            hint="Say in open_to_everybody why nobody's data can come out of it.",
        )


@each_route
def the_admin_is_for_staff(route: Route) -> Iterator[CheckMessage]:
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


@each_call
def sessions_are_nobody(call: Call) -> Iterator[CheckMessage]:
    if any(isinstance(one, SessionAuthentication) for one in call.view.get_authenticators()):
        yield call.fault(
            103,
            "takes a session for a person of the API",
            hint="Take SessionAuthentication out: a staff session must never become an owner.",
        )


@each_call
def tokens_are_asked_for_first(call: Call) -> Iterator[CheckMessage]:
    authenticators = call.view.get_authenticators()
    if not call.is_open and not isinstance(next(iter(authenticators), None), BearerAuthentication):
        yield call.fault(
            102,
            "does not ask for a token first",
            hint="Leave authentication_classes as they are in settings.REST_FRAMEWORK, or "
            "inherit accounts.owned.public.PublicView if everybody may see this.",
        )


@each_call
def only_the_signed_in_get_in(call: Call) -> Iterator[CheckMessage]:
    nobodies = (None, AnonymousUser(), User(pk=1, is_staff=True, is_superuser=True))
    if not call.is_open and any(call.lets_in(nobody) for nobody in nobodies):
        yield call.fault(
            104,
            "lets in who has shown no token",
            hint="Give it permission_classes that begin with accounts.owned.permissions.IsSignedIn "
            "or IsOwner, or inherit accounts.owned.public.PublicView if everybody may see this.",
        )


# Whose rows are shown


@each_route
def owned_rows_are_not_open(route: Route) -> Iterator[CheckMessage]:
    """Of views outside the API, those are known that name their model, as Django's own do."""
    if is_api(route):
        shown = [call.owned_model for call in calls(route) if call.is_open]
    else:
        queryset = getattr(route.view_class, "queryset", None)
        model = getattr(route.view_class, "model", None) or getattr(queryset, "model", None)
        shown = [model] if isinstance(model, type) and issubclass(model, OwnedModel) else []
    for model in filter(None, shown):
        yield fault(
            112,
            route,
            f"is open to everybody and {_shows(model)}, which belong to somebody",
            hint="Make it a REST framework view with accounts.owned.viewsets.OwnedViewMixin.",
        )


@each_owned_call
def owned_views_inherit_the_mixin(call: Call, model: type[OwnedModel]) -> Iterator[CheckMessage]:
    view_class = type(call.view)
    bypassed = getattr(view_class, "get_object", None) is GenericAPIView.get_object
    if not issubclass(view_class, OwnedViewMixin) or bypassed:
        yield fault(
            105,
            call.route,
            f"{_shows(model)}, and {view_class.__name__} does not inherit OwnedViewMixin before "
            "REST framework's own classes",
            hint="Name accounts.owned.viewsets.OwnedViewMixin first among its bases, and call "
            "super() where you override what it does.",
        )


@each_owned_call
def new_rows_get_an_owner(call: Call, model: type[OwnedModel]) -> Iterator[CheckMessage]:
    view_class: Any = type(call.view)
    if (
        getattr(view_class, "create", None) is CreateModelMixin.create
        and view_class.perform_create is CreateModelMixin.perform_create
    ):
        yield fault(
            115,
            call.route,
            f"{_shows(model)}, and {view_class.__name__} creates them in REST framework's way, "
            "which sets no owner",
            hint="Name accounts.owned.viewsets.OwnedViewMixin first among its bases: its "
            "perform_create sets the owner.",
        )


@each_owned_call
def rows_are_narrowed_to_the_caller(call: Call, model: type[OwnedModel]) -> Iterator[CheckMessage]:
    """Somebody gets their own rows, somebody else theirs, and nobody gets any."""
    people = (SOMEBODY, SOMEBODY_ELSE)
    nobodies = (None, User(pk=1, username=SOMEBODY.id, is_staff=True, is_superuser=True))
    theirs = all(is_narrowed_to(person.id, call.rows_for(person)) for person in people)
    if not (theirs and all(is_empty(call.rows_for(nobody)) for nobody in nobodies)):
        yield call.fault(
            106,
            f"{_shows(model)} of other people: what get_queryset of {type(call.view).__name__} "
            "answers is not narrowed to the caller",
            hint="Start from super().get_queryset() of OwnedViewMixin and only narrow it more.",
        )


@each_owned_call
def anothers_row_is_not_handed_out(call: Call, model: type[OwnedModel]) -> Iterator[CheckMessage]:
    if call.hands_out(model(user_id=SOMEBODY_ELSE.id), to=SOMEBODY):
        yield call.fault(
            107,
            f"{_shows(model)}, and its permissions would hand out another person's",
            hint="Keep accounts.owned.permissions.IsOwner among its permission_classes.",
        )


# What clients may write


@each_call
def the_owner_is_read_only(call: Call) -> Iterator[CheckMessage]:
    serializer_class = call.serializer_class
    if serializer_class is None:
        return
    for name in _owner_fields(serializer_class(context={"request": call.view.request}), ""):
        yield fault(
            108,
            call.route,
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


@each_call
def ids_in_bodies_are_the_callers(call: Call) -> Iterator[CheckMessage]:
    """Else an id inside a body tells whether somebody else has such a row, or refers to theirs."""
    serializer_class = call.serializer_class
    if serializer_class is None:
        return
    call.by(SOMEBODY)
    form: Any = serializer_class(context={"request": call.view.request})
    for name, field in getattr(form, "fields", {}).items():
        related = getattr(field, "child_relation", field)
        if field.read_only or not isinstance(related, serializers.RelatedField):
            continue
        rows: Any = related.get_queryset()
        if issubclass(rows.model, OwnedModel) and not is_narrowed_to(SOMEBODY.id, rows):
            yield fault(
                118,
                call.route,
                f"looks for the ids in {name} of {serializer_class.__name__} among everybody's "
                f"{rows.model._meta.verbose_name_plural}",
                hint="Let get_queryset of the field answer owned_by(request.user), as "
                "tasks.resources.fields.OwnedKeyField does.",
            )
