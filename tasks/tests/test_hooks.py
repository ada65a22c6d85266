"""Every documented hook is asked, on both databases, and by it the fast way is left.

A row of the table is a subclass of `TaskViewSet` that uses a hook for what it is for. Each is called
through the front door, with a signed token.
"""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.db import connection, models
from django.db.models.signals import ModelSignal, post_delete, post_save, pre_delete, pre_save
from django.test import RequestFactory
from django.urls import path
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import APIException
from rest_framework.filters import OrderingFilter, SearchFilter
from rest_framework.metadata import SimpleMetadata
from rest_framework.pagination import (
    CursorPagination,
    LimitOffsetPagination,
    PageNumberPagination,
)
from rest_framework.parsers import JSONParser
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.response import Response
from rest_framework.throttling import UserRateThrottle
from rest_framework.versioning import QueryParameterVersioning

from accounts.owned.permissions import IsOwner
from accounts.owned.viewsets import OwnedViewMixin
from accounts.users import CurrentUser
from conftest import ALICE, BOB
from tasks.api.filters import TaskFilters
from tasks.api.serializers import TaskSerializer
from tasks.api.urls import OptionalSlashRouter
from tasks.api.views import TaskViewSet
from tasks.models import Event, Task
from tasks.resources import fast, wire
from tasks.resources.lists.filters import ParameterFilter
from tasks.resources.lists.paging import KeysetPagination
from tasks.resources.lists.query import FlagParameter
from tasks.resources.viewsets import RecordedViewSet
from tasks.tests.notes.models import NoteTag, Tag

pytestmark = pytest.mark.django_db

ACTIONS = {
    "get": {"list": "list", "retrieve": "retrieve"},
    "post": {"create": "create"},
    "put": {"update": "update"},
    "patch": {"partial_update": "partial_update"},
}
FAST = ("list", "retrieve", "create", "update", "partial_update")
Mount = Callable[..., None]


def takes_fast_way(view_class: Any, name: str, **arguments: Any) -> bool:
    """Whether PostgreSQL would answer an action in the fast way."""
    view = view_class(**arguments)
    view.action_map = {}
    view.request = view.initialize_request(RequestFactory().get("/"))
    view.request.user, view.action = CurrentUser(ALICE), name
    return fast.way_of(view, RecordedViewSet) is not None


@pytest.fixture
def mount(settings) -> Mount:
    """Route a viewset below /tasks; it must leave the fast way, for these of its actions."""

    def route(view_class: Any, *, plain: tuple[str, ...] = FAST, **arguments: Any) -> None:
        router = OptionalSlashRouter()
        router.register("tasks", view_class, basename="task")
        urls: list[Any] = router.urls
        if arguments:
            urls = [
                path("tasks", view_class.as_view(COLLECTION, **arguments)),
                path("tasks/<pk>", view_class.as_view(ITEM, detail=True, **arguments)),
            ]
        settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": urls})
        if connection.vendor == "postgresql":
            for name in FAST:
                assert takes_fast_way(TaskViewSet, name), name
                left = not takes_fast_way(view_class, name, **arguments)
                assert left is (name in plain), name

    return route


COLLECTION = {"get": "list", "post": "create"}
ITEM = {"get": "retrieve", "put": "update", "patch": "partial_update", "delete": "destroy"}


@pytest.fixture
def done() -> Task:
    return Task.objects.create(user_id=ALICE, text="done", completed=True)


@pytest.fixture
def open_() -> Task:
    return Task.objects.create(user_id=ALICE, text="open", order=5)


@pytest.fixture
def theirs() -> Task:
    return Task.objects.create(user_id=BOB, text="theirs", completed=True)


def texts(api: Any, query: str = "") -> list[str]:
    response = api.get(f"/tasks{query}")
    assert response.status_code == 200, response.content
    return [task["text"] for task in response.json()]


def state() -> list[dict[str, Any]]:
    return [dict(row) for row in Task.objects.order_by("pk").values()]


def types() -> list[str]:
    return list(Event.objects.order_by("pk").values_list("type", flat=True))


def test_the_untouched_viewset_takes_the_fast_way_where_there_is_one(
    alice_api, django_assert_num_queries
):
    task = alice_api.post("/tasks", {"text": "one"}).json()
    fast_way = connection.vendor == "postgresql"
    # The plain way asks for the newest number of events before a list, and for labels after rows.
    for url, plain in (("/tasks", 3), (f"/tasks/{task['id']}", 2)):
        with django_assert_num_queries(1 if fast_way else plain):
            assert alice_api.get(url).status_code == 200
    assert [takes_fast_way(TaskViewSet, name) for name in FAST] == [fast_way] * len(FAST)
    assert not takes_fast_way(TaskViewSet, "destroy")


# Which rows


class CompletedOnly(TaskViewSet):
    def get_queryset(self) -> Any:
        return super().get_queryset().filter(completed=True)


class FilteredForAll(TaskViewSet):
    def filter_queryset(self, queryset: Any) -> Any:
        return super().filter_queryset(queryset).filter(completed=True)


class CompletedBackend(DjangoFilterBackend):
    def filter_queryset(self, request: Any, queryset: Any, view: Any) -> Any:
        return queryset.filter(completed=True)


class ByBackend(TaskViewSet):
    filter_backends = [CompletedBackend]


class ByMixin:
    def get_queryset(self) -> Any:
        return super().get_queryset().filter(completed=True)  # type: ignore[misc]


class Inherited(ByMixin, TaskViewSet):
    pass


class GrandChild(Inherited):
    pass


class Declared(TaskViewSet):
    queryset = Task.objects.filter(completed=True)


NARROWING = [CompletedOnly, FilteredForAll, ByBackend, Inherited, GrandChild, Declared]


@pytest.mark.parametrize("view_class", NARROWING)
def test_what_is_narrowed_out_is_not_there(alice_api, mount, done, open_, theirs, view_class):
    mount(view_class, plain=() if view_class is Declared else FAST)
    before, url = state(), f"/tasks/{open_.pk}"

    assert texts(alice_api) == ["done"]
    for call in (
        alice_api.get(url),
        alice_api.patch(url, {"text": "x"}),
        alice_api.put(url, {"text": "x"}),
        alice_api.delete(url),
        alice_api.options(url),
    ):
        assert (call.status_code, call.json()) == (
            404,
            {"detail": "Task not found", "code": "not_found"},
        )
    for method in ("get", "put", "patch", "delete"):
        answer = getattr(alice_api, method)(f"/tasks/{theirs.pk}", {"text": "x"})
        assert answer.status_code == 403
    assert state() == before

    url = f"/tasks/{done.pk}"
    assert alice_api.get(url).json()["text"] == "done"
    assert alice_api.patch(url, {"order": 1}).json()["order"] == 1
    assert alice_api.put(url, {"text": "x", "completed": True}).json()["text"] == "x"
    assert alice_api.delete(url).status_code == 204


def test_narrowing_by_arguments_of_as_view(alice_api, mount, done, open_):
    mount(TaskViewSet, queryset=Task.objects.filter(completed=True))

    assert texts(alice_api) == ["done"]
    assert alice_api.patch(f"/tasks/{open_.pk}", {"text": "x"}).status_code == 404
    assert alice_api.delete(f"/tasks/{open_.pk}").status_code == 404
    assert alice_api.patch(f"/tasks/{done.pk}", {"text": "x"}).status_code == 200


# Filters


class DjangoFilters(TaskViewSet):
    filter_backends = [DjangoFilterBackend]
    filterset_class = None  # type: ignore[assignment]
    filterset_fields = ["completed", "order"]


class Ordered(TaskViewSet):
    filter_backends = [OrderingFilter]
    ordering_fields = ["text"]


class OrderedOtherwise(TaskViewSet):
    ordering_fields = ["text"]
    ordering = ["-text"]


class Searched(TaskViewSet):
    filter_backends = [SearchFilter]
    search_fields = ["=text"]


class ByMethod(TaskFilters):
    short = ParameterFilter(FlagParameter(), method="only_short")
    request: Any

    def only_short(self, rows: Any, name: str, value: Any) -> Any:
        return rows.filter(text=self.request.user.id[:4] if value else "")


class OfWhoAsks(TaskFilters):
    request: Any

    @property
    def qs(self) -> Any:
        return super().qs.filter(text__startswith=self.request.user.id[:1])


class WithMethod(TaskViewSet):
    filterset_class = ByMethod


class WithPrimaryRows(TaskViewSet):
    filterset_class = OfWhoAsks


def test_filters_of_django_filter(alice_api, mount, done, open_, theirs):
    mount(DjangoFilters)

    assert texts(alice_api, "?completed=true") == ["done"]
    assert texts(alice_api, "?completed=false&order=5") == ["open"]
    assert alice_api.get("/tasks?order=x").status_code == 400
    assert alice_api.get(f"/tasks/{open_.pk}").status_code == 200


@pytest.mark.parametrize("view_class", [Ordered, OrderedOtherwise])
def test_orderings_of_rest_framework(alice_api, mount, done, open_, view_class):
    mount(view_class, plain=() if view_class is OrderedOtherwise else FAST)

    assert texts(alice_api, "?ordering=text") == ["done", "open"]
    assert texts(alice_api, "?ordering=-text") == ["open", "done"]
    following = alice_api.get("/tasks?ordering=-text&limit=1")["Link"]
    assert texts(alice_api, following.partition("/tasks")[2].partition(">")[0]) == ["done"]
    assert texts(alice_api) == ["open", "done"]


def test_search_of_rest_framework(alice_api, mount, done, open_, theirs):
    mount(Searched)

    assert texts(alice_api, "?search=OPEN") == ["open"]
    assert texts(alice_api, "?search=op") == []


def test_a_filter_by_a_method(alice_api, bob_api, mount):
    for owner in (ALICE, BOB):
        for text in (ALICE[:4], BOB[:4]):
            Task.objects.create(user_id=owner, text=text)
    mount(WithMethod)

    assert texts(alice_api, "?short=true") == [ALICE[:4]]
    assert texts(bob_api, "?short=true") == [BOB[:4]]


def test_primary_rows_of_a_filterset(alice_api, bob_api, mount):
    for owner in (ALICE, BOB):
        for text in ("a", "b"):
            Task.objects.create(user_id=owner, text=text)
    mount(WithPrimaryRows)

    assert texts(alice_api) == ["a"]
    assert texts(bob_api) == ["b"]


# Pages


class Numbered(PageNumberPagination):
    page_size = 1


class ByOffset(LimitOffsetPagination):
    default_limit = 1


class ByCursor(CursorPagination):
    page_size = 1
    ordering = "-created_at"


class ThreeAtMost(KeysetPagination):
    max_limit = 3


class Wrapped(KeysetPagination):
    def get_paginated_response(self, data: Any) -> Response:
        return Response({"items": data})


@pytest.mark.parametrize("pagination", [Numbered, ByOffset, ByCursor])
@pytest.mark.parametrize("by_argument", [False, True])
def test_pages_of_rest_framework(alice_api, mount, done, open_, theirs, pagination, by_argument):
    rows = Task.objects.order_by("-created_at")
    view_class: Any = type("Paged", (TaskViewSet,), {"queryset": rows})
    if by_argument:
        mount(view_class, pagination_class=pagination)
    else:
        view_class.pagination_class = pagination
        mount(view_class)
    first = alice_api.get("/tasks").json()
    second = alice_api.get(first["next"]).json()

    assert [task["text"] for task in first["results"]] == ["open"]
    assert [task["text"] for task in second["results"]] == ["done"]
    assert second["next"] is None
    assert first.get("count", 2) == 2


@pytest.mark.parametrize("by_argument", [False, True])
def test_no_pages(alice_api, mount, by_argument):
    for number in range(4):
        Task.objects.create(user_id=ALICE, text=str(number))
    view_class: Any = type("Unpaged", (TaskViewSet,), {"ordering": ["text"]})
    if by_argument:
        mount(view_class, pagination_class=None)
    else:
        view_class.pagination_class = None
        mount(view_class)

    assert texts(alice_api) == ["0", "1", "2", "3"]
    assert alice_api.get("/tasks?limit=1").status_code == 400  # which nothing here reads
    task = alice_api.post("/tasks", {"text": "made"}).json()
    assert alice_api.patch(f"/tasks/{task['id']}", {"order": 1}).status_code == 200


def test_more_or_less_on_a_page(alice_api, mount):
    for number in range(4):
        Task.objects.create(user_id=ALICE, text=str(number))
    mount(type("Few", (TaskViewSet,), {"pagination_class": ThreeAtMost}), plain=())

    assert len(texts(alice_api)) == 3
    assert "Link" in alice_api.get("/tasks")
    assert alice_api.get("/tasks?limit=4").status_code == 400


def test_answers_of_pages(alice_api, mount, done):
    mount(type("Enveloped", (TaskViewSet,), {"pagination_class": Wrapped}))
    assert [task["text"] for task in alice_api.get("/tasks").json()["items"]] == ["done"]

    class Own(TaskViewSet):
        def get_paginated_response(self, data: Any) -> Response:
            return Response({"count": len(data)}, headers={"X-Count": str(len(data))})

    mount(Own)
    assert alice_api.get("/tasks").json() == {"count": 1}
    assert alice_api.get("/tasks")["X-Count"] == "1"


# Serializers


class Short(TaskSerializer):
    class Meta(TaskSerializer.Meta):
        fields = ["id", "version", "text"]


class Extended(TaskSerializer):
    length = serializers.SerializerMethodField()

    class Meta(TaskSerializer.Meta):
        fields = [*TaskSerializer.Meta.fields, "length"]

    def get_length(self, task: Task) -> int:
        return len(task.text)


class Loud(TaskSerializer):
    def to_representation(self, instance: Task) -> Any:
        return {**super().to_representation(instance), "text": instance.text.upper()}


class Valid(TaskSerializer):
    def validate_text(self, value: str) -> str:
        if "bad" in value:
            raise serializers.ValidationError("Mind your language.")
        return value.title()


class ValidTogether(TaskSerializer):
    def validate(self, attrs: Any) -> Any:
        if "bad" in attrs.get("text", ""):
            raise serializers.ValidationError({"text": ["Mind your language."]})
        owner = self.context["request"].user.id
        return {**attrs, "description": f"{owner} {self.instance is None}"}


def no_bad_words(value: str) -> None:
    if "bad" in value:
        raise serializers.ValidationError("Mind your language.")


class ValidByDeclaration(TaskSerializer):
    class Meta(TaskSerializer.Meta):
        extra_kwargs: Any = {"text": {"validators": [no_bad_words]}}


class WriteOnly(TaskSerializer):
    shout = serializers.BooleanField(write_only=True, default=False)

    class Meta(TaskSerializer.Meta):
        fields = [*TaskSerializer.Meta.fields, "shout"]

    def create(self, validated_data: Any) -> Task:
        return super().create(self._said(validated_data))  # type: ignore[no-any-return]

    def update(self, instance: Task, validated_data: Any) -> Task:
        return super().update(instance, self._said(validated_data))  # type: ignore[no-any-return]

    def _said(self, values: Any) -> Any:
        return values | ({"text": values["text"].upper()} if values.pop("shout", False) else {})


class DefaultOfTheCaller:
    requires_context = True

    def __call__(self, field: Any) -> str:
        return str(field.context["request"].user.id)


class DefaultOfContext(TaskSerializer):
    description = serializers.CharField(default=DefaultOfTheCaller())  # type: ignore[arg-type]


class NamedByCaller(serializers.CharField):
    def to_internal_value(self, data: Any) -> str:
        return f"{self.context['request'].user.id}: {super().to_internal_value(data)}"


class OnlyRead(TaskSerializer):
    version = serializers.IntegerField(read_only=True, default=1)


class FieldOfContext(TaskSerializer):
    description = NamedByCaller(default="")


def with_form(form: Any) -> Any:
    return type(f"With{form.__name__}", (TaskViewSet,), {"serializer_class": form})


def written(api: Any, **body: Any) -> list[Any]:
    """What POST, PATCH and PUT of a body answer."""
    made = Task.objects.create(user_id=ALICE, text="made")
    url = f"/tasks/{made.pk}"
    return [api.post("/tasks", body), api.patch(url, body), api.put(url, body)]


WRITES = ("create", "update", "partial_update")


@pytest.fixture(params=["of the view", "of the model"])
def declare(request, monkeypatch) -> Iterator[Callable[[Any], None]]:
    """A serializer is what a view has; in earnest mostly also what the model's events show."""

    def declare(form: Any) -> None:
        fast.hooks.fast_of.cache_clear()
        if request.param == "of the model":
            monkeypatch.setitem(wire._forms, Task, form)

    yield declare
    fast.hooks.fast_of.cache_clear()


def test_a_validator_that_takes_a_value_from_a_field_that_is_only_read(
    alice_api, mount, declare, monkeypatch
):
    """REST framework makes it of the model, and only while the serializer has that field."""
    takes_fast_way(TaskViewSet, "create")  # decided before, for `mount` compares with it
    monkeypatch.setattr(Task._meta, "unique_together", (("order", "version"),))
    mount(with_form(OnlyRead), plain=WRITES)
    declare(OnlyRead)
    Task.objects.create(user_id=ALICE, text="made", order=7)
    answers = [alice_api.post("/tasks", {"text": "another", "order": place}) for place in (7, 8)]
    assert [answer.status_code for answer in answers] == [400, 201]


class Shouted(models.CharField):  # type: ignore[type-arg]
    def get_prep_value(self, value: Any) -> Any:
        return value.upper()


class Whispered(models.CharField):  # type: ignore[type-arg]
    def from_db_value(self, value: Any, *_: Any) -> Any:
        return value.lower()


@pytest.mark.parametrize(("kind", "shown"), [(Shouted, "LIKE THIS"), (Whispered, "like this")])
@pytest.mark.parametrize("method", ["post", "patch", "put"])
def test_a_columns_own_conversions(alice_api, settings, monkeypatch, open_, kind, shown, method):
    view_class = type("Fresh", (TaskViewSet,), {})  # of which nothing is known yet
    router = OptionalSlashRouter()
    router.register("tasks", view_class, basename="task")
    settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": router.urls})
    monkeypatch.setattr(Task._meta.get_field("description"), "__class__", kind)
    url = "/tasks" if method == "post" else f"/tasks/{open_.pk}"

    answer = getattr(alice_api, method)(url, {"text": "x", "description": "Like This"})

    found = alice_api.get(f"/tasks/{answer.json()['id']}").json()
    assert found["description"] == shown
    assert found in alice_api.get("/tasks").json()
    assert not any(takes_fast_way(view_class, name) for name in FAST)


@pytest.mark.parametrize("form", [Valid, ValidTogether])
def test_validation(alice_api, mount, form, declare):
    mount(with_form(form), plain=FAST if form is ValidTogether else WRITES)
    declare(form)
    before = state()
    for answer in written(alice_api, text="a bad word"):
        assert (answer.status_code, answer.json()) == (400, {"text": ["Mind your language."]})
    assert [row["text"] for row in state()] == ["made"] and before == []
    created, *changed = written(alice_api, text="fine")
    assert [answer.status_code for answer in (created, *changed)] == [201, 200, 200]
    if form is Valid:
        assert {answer.json()["text"] for answer in (created, *changed)} == {"Fine"}
    if form is ValidTogether:
        assert created.json()["description"] == f"{ALICE} True"
        assert {answer.json()["description"] for answer in changed} == {f"{ALICE} False"}


def test_validators_that_are_declared(alice_api, mount, declare):
    mount(with_form(ValidByDeclaration), plain=WRITES)
    declare(ValidByDeclaration)
    for answer in written(alice_api, text="a bad word"):
        assert (answer.status_code, answer.json()) == (400, {"text": ["Mind your language."]})
    assert [row["text"] for row in state()] == ["made"]


@pytest.mark.parametrize("form", [DefaultOfContext, FieldOfContext])
def test_what_a_serializers_field_learns_of_the_request(alice_api, bob_api, mount, form, declare):
    mount(with_form(form), plain=WRITES)
    declare(form)
    for api, owner in ((alice_api, ALICE), (bob_api, BOB)):
        body = {"text": "one"} | ({"description": "x"} if form is FieldOfContext else {})
        answer = api.post("/tasks", body)
        assert answer.status_code == 201
        assert answer.json()["description"].startswith(owner)
        changed = api.put(f"/tasks/{answer.json()['id']}", body)
        assert changed.json()["description"].startswith(owner)


def test_an_extra_field_that_is_only_written(alice_api, mount):
    mount(with_form(WriteOnly))
    for answer in written(alice_api, text="loud", shout=True):
        assert answer.json()["text"] == "LOUD" and "shout" not in answer.json()
    for answer in written(alice_api, text="low"):
        assert answer.json()["text"] == "low"


@pytest.mark.parametrize("form", [Short, Extended, Loud])
@pytest.mark.parametrize("by_argument", [False, True])
def test_how_rows_are_shown(alice_api, mount, form, by_argument):
    if by_argument:
        mount(TaskViewSet, serializer_class=form)
    else:
        mount(with_form(form), plain=WRITES if form is Short else FAST)
    answers = written(alice_api, text="shown")
    found = alice_api.get("/tasks").json()

    assert [answer.status_code for answer in answers] == [201, 200, 200]
    for shown in (*(answer.json() for answer in answers), *found):
        if form is Short:
            assert shown.keys() == {"id", "version", "text"}
        assert shown.get("length", 5) == 5
        assert shown["text"] == ("SHOWN" if form is Loud else "shown")
    one = alice_api.get(f"/tasks/{found[0]['id']}")
    assert (one.json(), one["ETag"]) == (found[0], f'"{found[0]["version"]}"')
    assert alice_api.get(f"/tasks/{found[0]['id']}", HTTP_IF_NONE_MATCH="*").status_code == 304


def test_a_serializer_for_each_action(alice_api, mount, done):
    class PerAction(TaskViewSet):
        def get_serializer_class(self) -> Any:
            return Short if self.action == "list" else super().get_serializer_class()

    mount(PerAction)
    assert alice_api.get("/tasks").json() == [{"id": str(done.pk), "version": 1, "text": "done"}]
    assert alice_api.get(f"/tasks/{done.pk}").json().keys() > {"user_id"}


def test_the_context_of_a_serializer(alice_api, mount, done):
    class Greeting(TaskSerializer):
        def to_representation(self, instance: Task) -> Any:
            return {**super().to_representation(instance), "text": self.context["greeting"]}

    class WithContext(TaskViewSet):
        serializer_class = Greeting

        def get_serializer_context(self) -> Any:
            return {**super().get_serializer_context(), "greeting": self.request.user.id}

    mount(WithContext)
    assert texts(alice_api) == [ALICE]
    for answer in written(alice_api, text="x"):
        assert answer.json()["text"] == ALICE

    class OnlyContext(TaskViewSet):
        def get_serializer_context(self) -> Any:
            return super().get_serializer_context()

    mount(OnlyContext)


# What is done


def test_what_is_performed(alice_api, mount):
    asked: list[str] = []

    class Performing(TaskViewSet):
        def perform_create(self, serializer: Any) -> None:
            serializer.save(order=7)  # the habit: the owner comes by itself

        def perform_update(self, serializer: Any) -> None:
            serializer.save(order=8)

        def perform_destroy(self, instance: Task) -> None:
            asked.append(instance.text)
            super().perform_destroy(instance)

    mount(Performing)
    task = alice_api.post("/tasks", {"text": "one", "order": 1}).json()
    assert (task["order"], task["user_id"], task["version"]) == (7, ALICE, 1)
    url = f"/tasks/{task['id']}"
    assert alice_api.patch(url, {"order": 1}).json()["order"] == 8
    assert alice_api.put(url, {"text": "two"}).json()["order"] == 8
    assert alice_api.delete(url).status_code == 204
    assert asked == ["two"]
    assert types() == ["task.created", "task.updated", "task.updated", "task.deleted"]


def test_a_task_that_is_not_deleted_after_all_is_no_204(alice_api, mount, done):
    class Forgiving(TaskViewSet):
        def perform_destroy(self, instance: Task) -> None:
            instance.text = "kept"
            instance.save()

    mount(Forgiving, plain=())
    assert alice_api.delete(f"/tasks/{done.pk}").status_code == 204  # as REST framework has it
    assert texts(alice_api) == ["kept"]


class ReadOnlyTasks(mixins.ListModelMixin, mixins.RetrieveModelMixin):
    pass


@pytest.mark.parametrize("name", ["create", "update", "partial_update", "list", "retrieve"])
def test_actions_that_are_written_anew(alice_api, mount, done, name):
    def own(self: Any, request: Any, *args: Any, **kwargs: Any) -> Response:
        response: Response = getattr(super(view_class, self), name)(request, *args, **kwargs)
        response["X-Own"] = name
        return response

    view_class: Any = type("Own", (TaskViewSet,), {name: own})
    mount(view_class, plain=FAST)
    url = f"/tasks/{done.pk}"
    answers = {
        "list": alice_api.get("/tasks"),
        "retrieve": alice_api.get(url),
        "create": alice_api.post("/tasks", {"text": "x"}),
        "partial_update": alice_api.patch(url, {"text": "x"}),
        "update": alice_api.put(url, {"text": "x"}),
    }
    assert answers[name]["X-Own"] == name
    assert all(answer.status_code < 300 for answer in answers.values())


def test_get_object(alice_api, mount, done, open_, theirs):
    class Newest(TaskViewSet):
        def get_object(self) -> Any:
            if self.kwargs["pk"] == "newest":
                found = self.get_queryset().order_by("-created_at").first()
                self.check_object_permissions(self.request, found)
                return found
            return super().get_object()

    mount(Newest)
    assert alice_api.get("/tasks/newest").json()["text"] == "open"
    assert alice_api.patch("/tasks/newest", {"text": "x"}).json()["text"] == "x"
    assert alice_api.delete("/tasks/newest").status_code == 204
    assert alice_api.get("/tasks/newest").json()["text"] == "done"
    assert alice_api.get(f"/tasks/{theirs.pk}").status_code == 403
    assert alice_api.get(f"/tasks/{uuid4()}").status_code == 404


class BySearchText(TaskViewSet):
    lookup_field = "text"
    lookup_url_kwarg = "words"


def test_another_lookup_field(alice_api, mount, done, theirs):
    mount(BySearchText)
    assert alice_api.get("/tasks/done").json()["id"] == str(done.pk)
    assert alice_api.patch("/tasks/done", {"order": 3}).json()["order"] == 3
    for unknown in ("theirs", "nothing"):  # what is no key tells nothing of others
        for method in ("get", "put", "patch", "delete"):
            answer = getattr(alice_api, method)(f"/tasks/{unknown}", {"text": "x"})
            assert (answer.status_code, answer.json()) == (
                404,
                {"detail": "Task not found", "code": "not_found"},
            )
    assert alice_api.delete("/tasks/done").status_code == 204
    assert Task.objects.get().text == "theirs"


class ByKeyword(TaskViewSet):
    lookup_url_kwarg = "task_id"


def test_another_name_of_the_key(alice_api, mount, done, theirs):
    mount(ByKeyword)
    assert alice_api.get(f"/tasks/{done.pk}").json()["text"] == "done"
    assert alice_api.patch(f"/tasks/{done.pk}", {"order": 3}).json()["order"] == 3
    assert alice_api.get(f"/tasks/{theirs.pk}").status_code == 403


# Who may


class NotWhenDone(BasePermission):
    message = "It is done"

    def has_object_permission(self, request: Any, view: Any, obj: Any) -> bool:
        assert isinstance(obj, Task) and obj.search_text
        return request.method == "GET" or not obj.completed


class Anybody(BasePermission):
    pass


@pytest.mark.parametrize(
    "permissions",
    [
        [IsOwner, NotWhenDone],
        [IsOwner & NotWhenDone],
        [IsOwner & (NotWhenDone | ~Anybody)],
    ],
)
@pytest.mark.parametrize("how", ["declared", "get_permissions", "argument"])
def test_permissions_see_the_row(alice_api, mount, done, open_, theirs, permissions, how):
    if how == "argument":
        mount(TaskViewSet, permission_classes=permissions)
    elif how == "declared":
        mount(type("Guarded", (TaskViewSet,), {"permission_classes": permissions}))
    else:

        class Guarded(TaskViewSet):
            def get_permissions(self) -> Any:
                return [permission() for permission in permissions]

        mount(Guarded)
    before = state()
    for method in ("put", "patch", "delete"):
        assert getattr(alice_api, method)(f"/tasks/{done.pk}", {"text": "x"}).status_code == 403
        assert getattr(alice_api, method)(f"/tasks/{theirs.pk}", {"text": "x"}).status_code == 403
    assert state() == before
    assert alice_api.get(f"/tasks/{done.pk}").status_code == 200
    assert alice_api.patch(f"/tasks/{open_.pk}", {"text": "x"}).status_code == 200
    assert len(texts(alice_api)) == 2


def test_permissions_by_action(alice_api, mount, done):
    class Never(BasePermission):
        def has_permission(self, request: Any, view: Any) -> bool:
            return bool(view.action != "list")

    mount(type("Listless", (TaskViewSet,), {"permission_classes": [IsOwner, Never]}), plain=())
    assert alice_api.get("/tasks").status_code == 403
    assert alice_api.get(f"/tasks/{done.pk}").status_code == 200


class TwoADay(UserRateThrottle):
    rate = "2/day"

    def get_cache_key(self, request: Any, view: Any) -> str:
        return f"test-hooks-{request.user.id}"


def test_throttling(alice_api, bob_api, mount):
    for name in (ALICE, BOB):
        cache.delete(f"test-hooks-{name}")
    mount(type("Throttled", (TaskViewSet,), {"throttle_classes": [TwoADay]}), plain=())
    answers = [alice_api.get("/tasks"), alice_api.post("/tasks", {"text": "x"})]
    answers += [alice_api.post("/tasks", {"text": "y"}), bob_api.get("/tasks")]

    assert [answer.status_code for answer in answers] == [200, 201, 429, 200]
    assert "Retry-After" in answers[2]
    assert Task.objects.count() == 1


def test_throttling_by_rest_frameworks_own(alice_api, mount, settings):
    class Own(UserRateThrottle):
        THROTTLE_RATES = {"user": "1/day"}
        cache_format = f"{uuid4()}-%(scope)s-%(ident)s"

    mount(type("Throttled", (TaskViewSet,), {"throttle_classes": [Own]}), plain=())
    assert [alice_api.get("/tasks").status_code for _ in range(2)] == [200, 429]


# How it is said


def test_headers_and_answers(alice_api, mount, done):
    class Own(TaskViewSet):
        def get_success_headers(self, data: Any) -> Any:
            return {**super().get_success_headers(data), "X-Text": data["text"]}

    mount(Own)
    answer = alice_api.post("/tasks", {"text": "x"})
    assert answer["X-Text"] == "x" and answer["Location"].endswith(answer.json()["id"])

    class Final(TaskViewSet):
        def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
            final = super().finalize_response(request, response, *args, **kwargs)
            final["X-Rows"] = str(len(final.data))
            return final

    mount(Final)
    assert alice_api.get("/tasks")["X-Rows"] == "2"
    assert alice_api.get(f"/tasks/{done.pk}")["X-Rows"] == str(len(TaskSerializer.Meta.fields))


def test_handle_exception(alice_api, mount, done, theirs):
    class Teapot(APIException):
        status_code = 418

    class Own(TaskViewSet):
        def handle_exception(self, exc: Exception) -> Response:
            return super().handle_exception(Teapot("short and stout"))

    mount(Own, plain=())
    for answer in (
        alice_api.get(f"/tasks/{theirs.pk}"),
        alice_api.get("/tasks?limit=0"),
        alice_api.post("/tasks", {}),
        alice_api.patch(f"/tasks/{done.pk}", {"text": ""}),
    ):
        assert (answer.status_code, answer.json()) == (
            418,
            {"detail": "short and stout", "code": "error"},
        )


class Lines(BaseRenderer):
    media_type = "text/plain"
    format = "txt"

    def render(self, data: Any, *args: Any, **kwargs: Any) -> bytes:
        rows = data if isinstance(data, list) else [data]
        return "\n".join(str(row["text"]) for row in rows).encode()


@pytest.mark.parametrize("how", ["declared", "get_renderers", "argument"])
def test_renderers(alice_api, mount, done, open_, how):
    classes = [JSONRenderer, Lines]
    if how == "argument":
        mount(TaskViewSet, renderer_classes=classes)
    elif how == "declared":
        mount(type("Rendered", (TaskViewSet,), {"renderer_classes": classes}))
    else:

        class Rendered(TaskViewSet):
            def get_renderers(self) -> Any:
                return [renderer() for renderer in classes]

        mount(Rendered)
    lines = {"HTTP_ACCEPT": "text/plain"}
    assert alice_api.get("/tasks", **lines).content == b"open\ndone"
    assert alice_api.get(f"/tasks/{done.pk}", **lines).content == b"done"
    assert alice_api.post("/tasks", {"text": "x"}, **lines).content == b"x"
    assert texts(alice_api) == ["x", "open", "done"]


class LineParser(JSONParser):
    media_type = "text/plain"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        return {"text": stream.read().decode()}


@pytest.mark.parametrize("by_argument", [False, True])
def test_parsers(alice_api, mount, done, by_argument):
    classes = [JSONParser, LineParser]
    if by_argument:
        mount(TaskViewSet, plain=(), parser_classes=classes)
    else:
        mount(type("Parsed", (TaskViewSet,), {"parser_classes": classes}), plain=())
    made = alice_api.generic("POST", "/tasks", "a line", content_type="text/plain")
    assert (made.status_code, made.json()["text"]) == (201, "a line")
    url = f"/tasks/{done.pk}"
    changed = alice_api.generic("PATCH", url, "another", content_type="text/plain")
    assert changed.json()["text"] == "another"


class Described(TaskViewSet):
    metadata_class = SimpleMetadata  # type: ignore[assignment]


def test_metadata(alice_api, bob_api, mount, done):
    mount(Described, plain=())
    listed, one = alice_api.options("/tasks"), alice_api.options(f"/tasks/{done.pk}")

    assert (listed.status_code, one.status_code) == (200, 200)
    assert listed.json()["actions"]["POST"]["text"]["max_length"] == 500
    assert one.json()["actions"]["PUT"]["order"]["type"] == "integer"
    assert bob_api.options(f"/tasks/{done.pk}").status_code == 403


# Actions of one's own


class AsDocumented(TaskViewSet):
    """As REST framework's guide to filtering has it: `get_queryset` reads the query by itself."""

    def get_queryset(self) -> Any:
        rows = super().get_queryset()
        text = self.request.query_params.get("text")
        return rows if text is None else rows.filter(text=text)

    @action(detail=False)
    def echo(self, request: Any) -> Response:
        return Response(dict(request.query_params.items()))

    @action(detail=False)
    def deaf(self, request: Any) -> Response:
        return Response([])


def test_parameters_that_anything_looks_up_are_known(alice_api, mount, done, open_, theirs):
    mount(AsDocumented)

    assert texts(alice_api, "?text=done&completed=true&limit=5") == ["done"]
    assert texts(alice_api, "?text=d%C3%B6ne") == []
    refused = alice_api.get("/tasks?txt=done")
    assert refused.status_code == 400
    assert refused.json()["detail"] == "txt: There is no such parameter here. Is it text?"
    assert alice_api.get("/tasks/echo?a=1&b=%C3%B6").json() == {"a": "1", "b": "ö"}
    assert alice_api.get("/tasks/deaf").json() == []
    assert alice_api.get("/tasks/deaf?a=1").status_code == 400
    for backends, query in (([SearchFilter], "completed=true"), ([OrderingFilter], "search=x")):
        mount(type("Backed", (Searched,), {"filter_backends": backends}))
        assert alice_api.get(f"/tasks?{query}").status_code == 400


class Keyed(IsOwner):
    """Looks at the query before any handler runs."""

    def has_permission(self, request: Any, view: Any) -> bool:
        return super().has_permission(request, view) and request.query_params.get("key") != "bad"


class Versioned(TaskViewSet):
    versioning_class = QueryParameterVersioning
    permission_classes = [Keyed]


def test_parameters_that_are_looked_up_before_the_handler_are_known(alice_api, mount, done):
    mount(Versioned, plain=())

    assert texts(alice_api, "?version=1&key=good&completed=true") == ["done"]
    assert alice_api.get("/tasks?key=bad").status_code == 403
    assert alice_api.get("/tasks?kye=good").status_code == 400
    assert alice_api.get(f"/tasks/{done.pk}?key=good").status_code == 200


def test_parameters_of_pages_of_rest_framework(alice_api, mount, done, open_):
    pages = {Numbered: "page=2", ByOffset: "offset=1&limit=1", ByCursor: "cursor="}
    for pagination, query in pages.items():
        rows = Task.objects.order_by("-created_at")
        mount(type("Paged", (TaskViewSet,), {"queryset": rows, "pagination_class": pagination}))
        assert alice_api.get(f"/tasks?{query}").status_code == 200, query
        assert alice_api.get(f"/tasks?{query}&pge=1").status_code == 400


class WithActions(TaskViewSet):
    @action(detail=True, methods=["post"], serializer_class=Short)
    def finish(self, request: Any, pk: str) -> Response:
        task = self.get_object()
        task.completed = True
        task.save(update_fields=["completed"])
        return Response(self.get_serializer(task).data)

    @action(detail=False)
    def texts(self, request: Any) -> Response:
        rows = self.filter_queryset(self.get_queryset())
        return Response([task.text for task in rows])

    @action(detail=False, methods=["post"], permission_classes=[IsOwner, ~Anybody])
    def forbidden(self, request: Any) -> Response:
        return Response()


def test_actions(alice_api, bob_api, mount, done, open_, theirs):
    mount(WithActions, plain=())
    url = f"/tasks/{open_.pk}/finish"

    assert alice_api.get("/tasks/texts?completed=false").json() == ["open"]
    assert sorted(alice_api.get("/tasks/texts").json()) == ["done", "open"]
    assert bob_api.post(url).status_code == 403
    assert alice_api.post(f"/tasks/{uuid4()}/finish").status_code == 404
    assert alice_api.post(url, HTTP_IF_MATCH='"9"').status_code == 412
    answer = alice_api.post(url, HTTP_IF_MATCH='"1"')
    assert answer.json() == {"id": str(open_.pk), "version": 2, "text": "open"}
    assert answer["ETag"] == '"2"'
    assert alice_api.post("/tasks/forbidden").status_code == 403
    assert types()[-1] == "task.updated"


# Signals


@pytest.fixture
def receivers() -> Iterator[list[str]]:
    seen: list[str] = []
    connected: list[tuple[ModelSignal, Any]] = []
    names = {"pre": pre_save, "post": post_save, "going": pre_delete, "gone": post_delete}
    for name, signal in names.items():

        def receive(instance: Task, name: str = name, **kwargs: Any) -> None:
            seen.append(f"{name} {instance.text}")
            if name == "pre":
                instance.text = instance.text.upper()

        signal.connect(receive, sender=Task)
        connected.append((signal, receive))
    yield seen
    for signal, receive in connected:
        signal.disconnect(receive, sender=Task)


def test_signals(alice_api, receivers):
    if connection.vendor == "postgresql":
        ways = [takes_fast_way(TaskViewSet, name) for name in FAST]
        assert ways == [True, True, False, False, False]
    made = alice_api.post("/tasks", {"text": "one"}).json()
    url = f"/tasks/{made['id']}"
    changed = alice_api.patch(url, {"text": "two"}).json()
    whole = alice_api.put(url, {"text": "three"}).json()

    assert [task["text"] for task in (made, changed, whole)] == ["ONE", "TWO", "THREE"]
    assert alice_api.get(url).json() == whole
    assert Task.objects.search("three").exists()
    assert alice_api.delete(url).status_code == 204
    assert receivers == [
        *("pre one", "post ONE", "pre two", "post TWO", "pre three", "post THREE"),
        *("going THREE", "gone THREE"),
    ]
    events = [event["data"] for event in alice_api.get("/events").json()]
    assert events == [made, changed, whole, {"id": made["id"]}]


def test_a_model_may_keep_quiet_about_some_of_what_happens(alice_api, monkeypatch):
    monkeypatch.setattr(Task, "event_names", {"deleted": "gone"})
    made = alice_api.post("/tasks", {"text": "one"})
    assert made.status_code == 201, made.content
    url = f"/tasks/{made.json()['id']}"

    assert alice_api.patch(url, {"text": "two"}).json()["version"] == 2
    assert alice_api.put(url, {"text": "three"}).json()["version"] == 3
    assert types() == []
    assert alice_api.delete(url).status_code == 204
    assert types() == ["task.gone"]


# A plain viewset of REST framework's


class PlainTask(serializers.ModelSerializer[Task]):
    class Meta:
        model = Task
        fields = ["id", "text", "order"]


class PlainTasks(OwnedViewMixin[Task], viewsets.ModelViewSet[Task]):
    queryset = Task.objects.order_by("created_at")
    serializer_class = PlainTask


class PlainNoteTag(serializers.ModelSerializer[NoteTag]):
    class Meta:
        model = NoteTag
        fields = ["id", "note", "tag"]


class PlainNoteTags(OwnedViewMixin[NoteTag], viewsets.ModelViewSet[NoteTag]):
    queryset: Any = NoteTag.objects.order_by("pk")
    serializer_class = PlainNoteTag


def routed(settings: Any, view_class: Any) -> None:
    router = OptionalSlashRouter()
    router.register("tasks", view_class, basename="task")
    settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": router.urls})


@pytest.mark.parametrize("habit", [False, True])
def test_a_plain_viewset_over_recorded_rows(alice_api, bob_api, settings, theirs, habit):
    class Habitual(PlainTasks):
        def perform_create(self, serializer: Any) -> None:
            serializer.save()

    routed(settings, Habitual if habit else PlainTasks)
    made = alice_api.post("/tasks", {"text": "one"})
    assert made.status_code == 201, made.content
    url = f"/tasks/{made.json()['id']}"

    assert alice_api.get("/tasks").json() == [made.json()]
    assert alice_api.get(url).json() == made.json()
    assert alice_api.patch(url, {"order": 2}).json()["order"] == 2
    assert alice_api.put(url, {"text": "two"}).json()["text"] == "two"
    for method in ("get", "put", "patch", "delete"):
        answer = getattr(bob_api, method)(url, {"text": "x"})
        assert answer.status_code == 403
        assert getattr(alice_api, method)(f"/tasks/{uuid4()}", {"text": "x"}).status_code == 404
    assert alice_api.delete(url).status_code == 204
    assert alice_api.delete(url).status_code == 404
    assert list(Task.objects.values_list("text", flat=True)) == ["theirs"]
    assert types()[1:] == ["task.created", "task.updated", "task.updated", "task.deleted"]


def test_a_plain_viewset_over_rows_that_are_owned_and_no_more(alice_api, bob_api, settings):
    """Their keys are numbers: of another's it is not told that it exists."""
    routed(settings, PlainNoteTags)
    note = (
        Tag.objects.create(user_id=ALICE, name="home"),
        Task.objects.create(user_id=ALICE, text="one"),
    )
    from tasks.tests.notes.models import Note

    row = Note.objects.create(user_id=ALICE, text="one", task=note[1])
    made = alice_api.post("/tasks", {"note": str(row.pk), "tag": str(note[0].pk)})
    assert made.status_code == 201, made.content
    url = f"/tasks/{made.json()['id']}"

    assert alice_api.get("/tasks").json() == [made.json()]
    assert bob_api.get("/tasks").json() == []
    for method in ("get", "put", "patch", "delete"):
        assert getattr(bob_api, method)(url, {}).status_code == 404
    assert alice_api.get(url).json() == made.json()
    assert alice_api.patch(url, {}).status_code == 200
    assert alice_api.delete(url).status_code == 204
    assert alice_api.delete(url).status_code == 404
    assert not NoteTag.objects.exists()


def test_a_deletion_of_nothing_is_never_204(alice_api, settings):
    class Hidden(PlainTasks):
        def get_object(self) -> Any:
            return Task(pk=uuid4(), user_id=ALICE)

    routed(settings, Hidden)
    assert alice_api.delete(f"/tasks/{uuid4()}").status_code == status.HTTP_404_NOT_FOUND
