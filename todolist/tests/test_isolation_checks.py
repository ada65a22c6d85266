"""System checks for isolation: whatever forgets it, or switches it off, is named before it serves.

The checks ask no database.
"""

import re
import time
from collections.abc import Callable
from typing import Any, cast

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.sites import AdminSite
from django.core.checks import CheckMessage, Error, run_checks
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.test.utils import isolate_apps
from django.urls import include, path, re_path
from django.views.generic import ListView, TemplateView
from rest_framework import serializers
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.decorators import action, api_view, permission_classes
from rest_framework.mixins import CreateModelMixin, ListModelMixin
from rest_framework.permissions import AllowAny, BasePermission
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from accounts.owned.models import OwnedModel, OwnedQuerySet
from accounts.owned.permissions import IsOwner, IsSignedIn
from accounts.owned.row_security import OwnerPolicy
from accounts.owned.views import PublicView, open_to_everybody
from accounts.owned.viewsets import OwnedViewMixin
from accounts.signin.authentication import BearerAuthentication
from accounts.signin.websocket import OriginMiddleware, TokenMiddleware
from tasks.api.serializers import NotificationSerializer
from tasks.api.views import TaskViewSet
from tasks.models import Notification, Task
from tasks.resources.fields import OwnedKeyField

pytestmark = pytest.mark.usefixtures("checks_of_accounts_alone")


class TaskSerializer(serializers.ModelSerializer[Task]):
    class Meta:
        model = Task
        fields = ["id", "user_id", "text", "completed"]
        read_only_fields = ["id", "user_id"]


def found() -> list[CheckMessage]:
    """What the checks for isolation say."""
    return [
        message
        for message in run_checks()
        if re.fullmatch(r"accounts\.E1\d\d", str(message.id)) is not None
    ]


@pytest.fixture
def serve(settings) -> Callable[..., None]:
    """Put other routes in the place of the project's own."""

    def served(*urlpatterns: Any) -> None:
        settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": list(urlpatterns)})

    return served


def routed(view: type[Any]) -> Any:
    """The routes of a viewset, as a router makes them; of another view, the one."""
    if not hasattr(view, "get_extra_actions"):
        return path("things/<uuid:pk>", view.as_view())
    router = SimpleRouter()
    router.register("things", view, basename="thing")
    return path("", include(router.urls))


def complaints(serve: Callable[..., None], *urlpatterns: Any) -> set[str]:
    serve(*urlpatterns)
    messages = found()
    for message in messages:
        assert isinstance(message, Error)
        assert message.hint
        assert "/things" in message.msg
    return {str(message.id).removeprefix("accounts.") for message in messages}


def test_the_project_as_it_is_gives_no_cause_for_complaint():
    assert found() == []


def test_a_view_that_does_as_the_projects_own_gives_none_either(serve):
    class More(TaskViewSet):
        def get_queryset(self):
            return super().get_queryset().filter(completed=True).exclude(order=3)

    assert complaints(serve, routed(More)) == set()


# Views over owned rows


class Plain(ModelViewSet[Task]):
    """What one writes who has never heard of owners."""

    queryset = Task.objects.all()
    serializer_class = TaskSerializer


class CreatesOnes(OwnedViewMixin[Task], CreateModelMixin):
    """REST framework's way of creating, of which the mixin sets the owner."""

    queryset = Task.objects.all()
    serializer_class = TaskSerializer


class WithoutMixin(Plain):
    permission_classes = [IsOwner]


class MixinTooLate(ModelViewSet[Task], OwnedViewMixin[Task]):
    queryset = Task.objects.all()
    serializer_class = TaskSerializer


class NarrowedByHand(ModelViewSet[Task]):
    """Isolated, but in a way of its own: the next one who edits it has nothing to hold on to."""

    serializer_class = TaskSerializer
    permission_classes = [IsOwner]

    def get_queryset(self):
        return Task.objects.owned_by(self.request.user)


class WithoutPermission(TaskViewSet):
    permission_classes = [IsSignedIn]


class Forgetful(TaskViewSet):
    def get_queryset(self):
        return Task.objects.all()


class ForgetfulInOneAction(TaskViewSet):
    def get_queryset(self):
        return Task.objects.all() if self.action == "destroy" else super().get_queryset()


class OrPublic(TaskViewSet):
    def get_queryset(self):
        return super().get_queryset() | Task.objects.filter(text="public")


class Union(TaskViewSet):
    def get_queryset(self):
        return super().get_queryset().union(Task.objects.filter(text="public"))


class AllButMine(TaskViewSet):
    def get_queryset(self):
        return Task.objects.exclude(user_id=self.request.user.id)


class ByAnothersOwner(OwnedViewMixin[Notification], ListModelMixin):
    """Narrowed by the owner of another table's row."""

    serializer_class = NotificationSerializer

    def get_queryset(self):
        return Notification.objects.filter(task__user_id=self.request.user.id)


class ByAFixedOwner(TaskViewSet):
    def get_queryset(self):
        return Task.objects.filter(user_id="somebody")


class ForStaffEverything(TaskViewSet):
    def get_queryset(self):
        if getattr(self.request.user, "is_staff", False):
            return Task.objects.all()
        return super().get_queryset()


class PermissionOfNoUse(TaskViewSet):
    class Anything(IsOwner):
        def has_object_permission(self, request, view, obj):
            return True

    permission_classes = [Anything]


class OneOpenAction(TaskViewSet):
    @action(detail=True, permission_classes=[IsSignedIn])
    def peek(self, request, pk):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (Plain, {"E105", "E106", "E107", "E115"}),
        (WithoutMixin, {"E105", "E106", "E115"}),
        (MixinTooLate, {"E115"}),
        (NarrowedByHand, {"E105", "E115"}),
        (CreatesOnes, set()),
        (WithoutPermission, {"E107"}),
        (PermissionOfNoUse, {"E107"}),
        (OneOpenAction, {"E107"}),
        (Forgetful, {"E106"}),
        (ForgetfulInOneAction, {"E106"}),
        (OrPublic, {"E106"}),
        (Union, {"E106"}),
        (AllButMine, {"E106"}),
        (ByAnothersOwner, {"E106"}),
        (ByAFixedOwner, {"E106"}),
        (ForStaffEverything, {"E106"}),
    ],
)
def test_a_view_that_forgets_whose_rows_they_are(serve, view, expected):
    assert complaints(serve, routed(view)) == expected


def test_the_mistake_is_told_with_route_view_and_method(serve):
    serve(routed(ForgetfulInOneAction))

    (message,) = found()

    assert message.msg == (
        "/things/{pk}/ shows tasks of other people: what get_queryset of ForgetfulInOneAction "
        "answers is not narrowed to the caller (DELETE)."
    )


def test_a_view_without_a_queryset_is_known_by_its_serializer(serve):
    class Bare(APIView):
        serializer_class = TaskSerializer

        def get(self, request, pk):
            raise NotImplementedError

    assert complaints(serve, routed(Bare)) == {"E105", "E107"}


def test_a_wrapped_view_is_judged_all_the_same(serve):
    from django.views.decorators.csrf import csrf_exempt

    serve(path("things", csrf_exempt(Forgetful.as_view({"get": "list"}))))

    assert {message.id for message in found()} == {"accounts.E106"}


def test_views_below_other_routes_are_found(serve):
    inner = [path("deep/", include([re_path(r"^(?P<pk>\d+)/?$", Plain.as_view({"get": "list"}))]))]

    assert "E105" in complaints(serve, path("things/", include(inner)))


@pytest.mark.django_db  # which it does not reach
def test_a_view_that_asks_the_database_too_early_cannot_be_judged(serve):
    class Eager(TaskViewSet):
        def get_queryset(self):
            return super().get_queryset().filter(order=Task.objects.count())

    assert complaints(serve, routed(Eager)) == {"E114"}
    assert "it asks the database" in found()[0].msg


def test_a_view_that_fails_cannot_be_judged(serve):
    class Failing(TaskViewSet):
        def get_permissions(self):
            raise KeyError("team")

    assert complaints(serve, routed(Failing)) == {"E114"}


# Who is asking


class View(APIView):
    def get(self, request, **kwargs):
        raise NotImplementedError


class SessionBeside(View):
    authentication_classes = [BearerAuthentication, SessionAuthentication]


class SessionFirst(View):
    authentication_classes = [SessionAuthentication, BearerAuthentication]


class BasicFirst(View):
    authentication_classes = [BasicAuthentication, BearerAuthentication]


class NoAuthentication(View):
    authentication_classes = []


class Open(View):
    permission_classes = [AllowAny]


class Permissionless(View):
    permission_classes = []


class SignedInOrNot(View):
    permission_classes = [AllowAny | IsSignedIn]


class OnlyReading(View):
    """As REST framework's `IsAuthenticatedOrReadOnly`."""

    class ReadOnly(BasePermission):
        def has_permission(self, request, view):
            return request.method in ("GET", "HEAD", "OPTIONS")

    permission_classes = [ReadOnly | IsSignedIn]


class StaffToo(View):
    class IsStaff(BasePermission):
        def has_permission(self, request, view):
            return bool(getattr(request.user, "is_staff", False))

    permission_classes = [IsStaff | IsSignedIn]


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (View, set()),
        (SessionBeside, {"E103"}),
        (SessionFirst, {"E102", "E103"}),
        (BasicFirst, {"E102"}),
        (NoAuthentication, {"E102"}),
        (Open, {"E104"}),
        (Permissionless, {"E104"}),
        (SignedInOrNot, {"E104"}),
        (OnlyReading, {"E104"}),
        (StaffToo, {"E104"}),
    ],
)
def test_a_view_that_does_not_ask_who_is_there(serve, view, expected):
    assert complaints(serve, routed(view)) == expected


def test_a_function_of_rest_framework_is_judged_as_a_view(serve):
    @api_view()
    @permission_classes([AllowAny])
    def things(request):
        raise NotImplementedError

    assert complaints(serve, path("things", things)) == {"E104"}


# What is open to everybody says so


def function(request: HttpRequest) -> HttpResponse:
    raise NotImplementedError


def test_a_public_view_may_be_open(serve):
    class Health(PublicView):
        open_to_everybody = "it shows nothing"

    assert complaints(serve, path("things", Health.as_view())) == set()


def test_any_view_may_be_declared_where_it_is_routed(serve):
    declared = open_to_everybody("it shows nothing")

    assert (
        complaints(
            serve,
            path("things/1", declared(Open.as_view())),
            path("things/2", declared(TemplateView.as_view(template_name="page.html"))),
            path("things/3", open_to_everybody("nothing")(lambda request: HttpResponse())),
        )
        == set()
    )


@pytest.mark.parametrize("reason", ["", "  ", None, True])
def test_a_public_view_gives_its_reason(serve, reason):
    class Health(PublicView):
        if reason is not None:
            open_to_everybody = reason

    found = complaints(serve, path("things", Health.as_view()))
    assert found == ({"E102", "E104"} if reason is None else {"E112"})


def test_owned_rows_are_not_for_everybody_whatever_is_declared(serve):
    class Everybodys(TaskViewSet):
        open_to_everybody = "it is meant well"

    class Page(ListView):  # type: ignore[type-arg]
        model = Task
        open_to_everybody = "it is meant well"

    assert complaints(serve, routed(Everybodys)) == {"E112"}
    assert complaints(serve, path("things", Page.as_view())) == {"E112"}


@pytest.mark.parametrize(
    "view", [function, TemplateView.as_view(template_name="page.html")], ids=["function", "class"]
)
def test_a_view_outside_the_api_has_to_be_declared(serve, view):
    assert complaints(serve, path("things", view)) == {"E101"}


def test_a_public_view_takes_no_session_either(serve):
    class Health(PublicView):
        open_to_everybody = "it shows nothing"
        authentication_classes = [SessionAuthentication]

    assert complaints(serve, path("things", Health.as_view())) == {"E103"}


# The admin


def test_the_admin_is_for_staff(serve):
    serve(path("things/", admin.site.urls))
    assert found() == []


def test_a_view_beside_the_admins_own_is_wrapped_or_found(serve):
    assert complaints(serve, path("admin/things", function)) == {"E101"}
    assert complaints(serve, path("admin/things", admin.site.admin_view(function))) == set()


def test_an_admin_that_lets_in_others_is_found(serve):
    class Generous(AdminSite):
        def has_permission(self, request):
            return True

    class ForMembers(AdminSite):
        def has_permission(self, request):
            return bool(request.user.is_active)

    assert complaints(serve, path("things/", Generous().urls)) == {"E113"}
    assert complaints(serve, path("things/", ForMembers().urls)) == {"E113"}


# Serializers


class OwnerWritable(TaskSerializer):
    class Meta(TaskSerializer.Meta):
        read_only_fields = ["id"]

    user_id = serializers.CharField()


class OwnerRenamed(TaskSerializer):
    assignee = serializers.CharField(source="user_id", required=False)

    class Meta(TaskSerializer.Meta):
        fields = [*TaskSerializer.Meta.fields, "assignee"]


class OwnerNested(TaskSerializer):
    class Parent(serializers.ModelSerializer[Task]):
        user_id = serializers.CharField()

        class Meta:
            model = Task
            fields = ["user_id"]

    parents = Parent(many=True, required=False)

    class Meta(TaskSerializer.Meta):
        fields = [*TaskSerializer.Meta.fields, "parents"]


class OwnerOfAnother(TaskSerializer):
    boss = serializers.CharField(source="parent.user_id", required=False)

    class Meta(TaskSerializer.Meta):
        fields = [*TaskSerializer.Meta.fields, "boss"]


@pytest.mark.parametrize(
    ("serializer", "field"),
    [
        (OwnerWritable, "user_id"),
        (OwnerRenamed, "assignee"),
        (OwnerNested, "parents.user_id"),
        (OwnerOfAnother, "boss"),
    ],
)
def test_a_serializer_that_takes_the_owner_from_the_client(serve, serializer, field):
    class Generous(TaskViewSet):
        serializer_class = serializer

    assert complaints(serve, routed(Generous)) == {"E108"}
    assert f"by {field} of {serializer.__name__}" in found()[0].msg


def test_a_serializer_of_one_action_is_found_too(serve):
    class Generous(TaskViewSet):
        def get_serializer_class(self):
            return OwnerRenamed if self.action == "partial_update" else TaskSerializer

    class GenerousHelper(TaskViewSet):
        @action(detail=False, methods=["post"], serializer_class=OwnerWritable)
        def assign(self, request):
            raise NotImplementedError

    assert complaints(serve, routed(Generous)) == {"E108"}
    assert complaints(serve, routed(GenerousHelper)) == {"E108"}


def test_an_owner_that_no_client_can_write_is_fine(serve):
    class Hidden(TaskSerializer):
        user_id = serializers.HiddenField(default="set here")

    class Shown(TaskSerializer):
        owner = serializers.CharField(source="user_id", read_only=True)

        class Meta(TaskSerializer.Meta):
            fields = [*TaskSerializer.Meta.fields, "owner"]

    for serializer in (Hidden, Shown):
        view = type("Fine", (TaskViewSet,), {"serializer_class": serializer})
        assert complaints(serve, routed(view)) == set()


# Models


def indexed(**meta: Any) -> type[models.Model]:
    """An owned model with these options; the owner is not its only column."""
    options = type("Meta", (), {"app_label": "tasks", **meta})
    body = {
        "__module__": __name__,
        "Meta": options,
        "name": models.CharField(max_length=10),
        "objects": OwnedQuerySet.as_manager(),
    }
    return type("Thing", (OwnedModel,), body)


@pytest.mark.parametrize(
    ("complains", "meta"),
    [
        (True, {}),
        (True, {"indexes": [models.Index(fields=["name", "user_id"], name="i")]}),
        (
            True,
            {
                "indexes": [
                    models.Index(fields=["user_id"], name="i", condition=models.Q(name="few"))
                ]
            },
        ),
        (
            True,
            {"constraints": [models.CheckConstraint(condition=~models.Q(user_id=""), name="c")]},
        ),
        (False, {"indexes": [models.Index(fields=["-user_id", "name"], name="i")]}),
        (False, {"indexes": [models.Index(models.F("user_id"), models.F("name"), name="i")]}),
        (False, {"indexes": [models.Index(models.F("user_id").desc(), name="i")]}),
        (False, {"constraints": [models.UniqueConstraint(fields=["user_id", "name"], name="c")]}),
        (False, {"unique_together": [("user_id", "name")]}),
    ],
)
def test_rows_can_be_found_by_their_owner(monkeypatch, complains, meta):
    with isolate_apps("tasks") as isolated:
        indexed(**meta)
        monkeypatch.setattr("accounts.checks.models.apps", isolated)
        messages = [message for message in found() if message.id != "accounts.E117"]

    assert [message.id for message in messages] == ["accounts.E109"] * complains
    for message in messages:
        assert message.msg == "Thing has no index that begins with its owner."
        assert message.hint


def things(**attributes: Any) -> type[OwnedModel]:
    meta = type("Meta", (), {"app_label": "tasks", "unique_together": [("user_id", "id")]})
    body = {"__module__": __name__, "Meta": meta, **attributes}
    return type("Thing", (OwnedModel,), body)


def with_policy() -> Any:
    constraints = [OwnerPolicy(name="policy")]
    names = {"app_label": "tasks", "unique_together": [("user_id", "id")]}
    return type("Meta", (), {**names, "constraints": constraints})


def test_an_owned_table_without_a_policy_is_told(monkeypatch):
    with isolate_apps("tasks") as isolated:
        things()
        monkeypatch.setattr("accounts.checks.models.apps", isolated)
        (message,) = found()
    with isolate_apps("tasks") as isolated:
        things(Meta=with_policy())
        monkeypatch.setattr("accounts.checks.models.apps", isolated)
        assert found() == []

    assert message.id == "accounts.E117"
    assert "Thing has no policy" in message.msg and message.hint


@pytest.mark.parametrize(
    ("column", "complains"),
    [
        (lambda: models.CharField(max_length=255, primary_key=True), True),
        (lambda: models.ForeignKey("tasks.Task", models.CASCADE), False),
    ],
)
def test_any_table_that_names_an_owner_needs_a_policy(monkeypatch, column, complains):
    with isolate_apps("tasks") as isolated:
        name = "user_id" if complains else "user"
        meta = type("Meta", (), {"app_label": "tasks"})
        type("Thing", (models.Model,), {"__module__": __name__, "Meta": meta, name: column()})
        monkeypatch.setattr("accounts.checks.models.apps", isolated)
        assert [message.id for message in found()] == ["accounts.E117"] * complains


def test_a_relation_between_owned_models_that_belongs_to_nobody_is_told(monkeypatch):
    with isolate_apps("tasks") as isolated:
        monkeypatch.setattr("accounts.checks.models.apps", isolated)
        others = things(Meta=with_policy())
        relation = models.ManyToManyField(others)
        body = {"__module__": __name__, "Meta": with_policy(), "others": relation}
        type("Owner", (OwnedModel,), body)
        (message,) = found()

    assert message.id == "accounts.E116"
    assert "Owner.others belong to nobody" in message.msg and message.hint


class ByAnyId(serializers.ModelSerializer[Notification]):
    task = serializers.PrimaryKeyRelatedField(queryset=Task.objects.all())

    class Meta:
        model = Notification
        fields = ["id", "task"]


class ByAnyIds(ByAnyId):
    task = serializers.PrimaryKeyRelatedField(queryset=Task.objects.all(), many=True)


class ByOwnId(ByAnyId):
    task = OwnedKeyField(Task)


@pytest.mark.parametrize(
    ("form", "expected"), [(ByAnyId, {"E118"}), (ByAnyIds, {"E118"}), (ByOwnId, set())]
)
def test_ids_in_a_body_are_looked_for_among_the_callers_own(serve, form, expected):
    class Notes(OwnedViewMixin[Notification], ModelViewSet[Notification]):
        queryset = Notification.objects.all()
        serializer_class = form

    assert complaints(serve, routed(Notes)) == expected


def test_every_owned_model_of_the_project_is_looked_at(monkeypatch):
    """So that the test above is not about a walk that never comes by."""
    owned = [model for model in apps.get_models() if issubclass(model, OwnedModel)]
    for model in owned:
        monkeypatch.setattr(model._meta, "indexes", [])
        monkeypatch.setattr(model._meta, "constraints", [])

    assert {message.obj for message in found()} == set(owned) != set()


# Sockets


class Consumer(AsyncWebsocketConsumer):
    pass


# Any: the stubs know only views that answer HTTP.
THINGS: list[Any] = [path("things/<uuid:pk>", cast("Any", Consumer.as_asgi()))]


def under(prefix: str, application: object) -> Any:
    return path(prefix, cast("Any", application))


class Wrapping:
    """As what watches errors wraps an application: from outside all of ours, in an attribute `app`."""

    def __init__(self, app: object) -> None:
        self.app = app


async def opaque(scope, receive, send):
    raise NotImplementedError


@pytest.mark.parametrize(
    ("application", "expected"),
    [
        (OriginMiddleware(TokenMiddleware(URLRouter(THINGS))), []),
        (Wrapping(OriginMiddleware(TokenMiddleware(URLRouter(THINGS)))), []),
        (Wrapping(URLRouter(THINGS)), ["E110", "E111"]),
        (OriginMiddleware(URLRouter(THINGS)), ["E110"]),
        (TokenMiddleware(URLRouter(THINGS)), ["E111"]),
        (URLRouter(THINGS), ["E110", "E111"]),
        (URLRouter([under("", OriginMiddleware(TokenMiddleware(URLRouter(THINGS))))]), []),
        (
            OriginMiddleware(URLRouter([under("a/", TokenMiddleware(URLRouter(THINGS))), *THINGS])),
            ["E110"],
        ),
        (opaque, ["E110", "E111"]),
        (Consumer.as_asgi(), ["E110", "E111"]),
    ],
)
def test_a_socket_passes_through_token_and_origin(settings, monkeypatch, application, expected):
    monkeypatch.setattr(
        "todolist.tests.test_isolation_checks.other_application",
        ProtocolTypeRouter({"websocket": application}),
        raising=False,
    )
    settings.ASGI_APPLICATION = f"{__name__}.other_application"

    messages = found()

    assert [str(message.id) for message in messages] == [f"accounts.{id}" for id in expected]
    for message in messages:
        assert isinstance(message, Error)
        assert message.hint
        assert message.msg.startswith("The socket /")


def test_an_application_without_sockets_is_fine(settings):
    settings.ASGI_APPLICATION = None
    assert found() == []


# All of them


def test_they_cost_nothing_to_speak_of():
    """`manage.py check` stays under a second: these are a fraction of it, in time of the CPU."""
    found()  # imports and caches
    before = time.process_time()
    found()
    assert time.process_time() - before < 0.5


def test_they_leave_the_database_reachable(serve):
    """What keeps views from asking it is gone when they are done."""
    from django.db import connection

    wrappers = list(connection.execute_wrappers)
    serve(routed(Plain))
    found()
    assert connection.execute_wrappers == wrappers
