"""Isolation: every route, by every method, for owner, other person, nobody and expired token.

Contract section 3. Built from the router's registry and the URLconf, so that a viewset is tested the
day it is registered; over a model that `MAKERS` does not know it fails until it does.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, get_resolver, resolve, reverse
from rest_framework.test import APIClient

from accounts.mixins import OwnedViewMixin
from accounts.ownership import OwnedModel, OwnedQuerySet
from accounts.permissions import IsOwner
from conftest import ALICE, BOB, client_with, sign
from tasks.models import Notification, Task
from tasks.urls import router

pytestmark = pytest.mark.django_db

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
NOBODYS = "0198a5c0-7d1e-7cc3-98c4-dc0c0c07398f"  # an id as ours are, of no row
SECRET_TEXT = "what nobody else may read"


def make_task(owner: str) -> Task:
    task = Task(user_id=owner, text=SECRET_TEXT, description=SECRET_TEXT, order=7, completed=True)
    task.save()
    return task


def make_notification(owner: str) -> Notification:
    notification = Notification(
        user_id=owner,
        task=make_task(owner),
        type="deadline_reached",
        title=SECRET_TEXT,
        message=SECRET_TEXT,
        deadline=datetime(2030, 5, 1, 12, tzinfo=UTC),
    )
    notification.save()
    return notification


# One for each owned model that a viewset shows: makes a row of somebody's, with SECRET_TEXT in it.
MAKERS: dict[type[OwnedModel], Callable[[str], OwnedModel]] = {
    Task: make_task,
    Notification: make_notification,
}


class Route(NamedTuple):
    """One registered URL, and the methods that its view has."""

    name: str
    view: type[Any]
    detail: bool
    allowed: frozenset[str]

    @property
    def model(self) -> type[OwnedModel]:
        return self.view.queryset.model  # type: ignore[no-any-return]

    def path(self, pk: object) -> str:
        return reverse(self.name, args=[pk] if self.detail else [])


def routes() -> Iterator[Route]:
    for pattern in router.urls:
        assert isinstance(pattern, URLPattern)
        callback: Any = pattern.callback
        allowed = {method.upper() for method in callback.actions} | {"OPTIONS"}
        if "GET" in allowed:
            allowed.add("HEAD")
        assert pattern.name is not None
        yield Route(pattern.name, callback.cls, callback.initkwargs["detail"], frozenset(allowed))


ROUTES = list(routes())
OWNED_ROUTES = [route for route in ROUTES if issubclass(route.model, OwnedModel)]


def parametrize_routes(*, detail: bool):
    """Every route of owned rows, with or without an id in its path, under its own name."""
    chosen = [
        pytest.param(route, id=route.name) for route in OWNED_ROUTES if route.detail is detail
    ]
    return pytest.mark.parametrize("route", chosen)


every_method = pytest.mark.parametrize("method", METHODS)
detail_routes = parametrize_routes(detail=True)
list_routes = parametrize_routes(detail=False)


def rows(model: type[OwnedModel]) -> list[dict[str, Any]]:
    """Every column of every row, as the database has it."""
    return [dict(row) for row in model.objects.order_by("pk").values()]


def call(client: APIClient, method: str, path: str) -> Any:
    """A request with a body that would be good for changing or creating a task."""
    return client.generic(
        method, path, '{"text": "changed", "completed": false}', content_type="application/json"
    )


def refusal(response: Any, method: str, status: int, detail: str) -> bool:
    """Whether this is that refusal; an answer to HEAD has no body to tell."""
    if response.status_code != status:
        return False
    return bool(
        response.content == b"" if method == "HEAD" else response.json() == {"detail": detail}
    )


# The walk


def every_view() -> Iterator[tuple[str, Any]]:
    """The route and the callback of every pattern in the URLconf, nested ones included."""

    def walk(patterns: list[Any], before: str) -> Iterator[tuple[str, Any]]:
        for pattern in patterns:
            route = before + str(pattern.pattern)
            if isinstance(pattern, URLPattern):
                yield route, pattern.callback
            else:
                yield from walk(pattern.url_patterns, route)

    return walk(get_resolver().url_patterns, "")


def owned_model_of(callback: Any) -> type[OwnedModel] | None:
    """The owned model that a view shows, told by its queryset, model or serializer."""
    view = getattr(callback, "cls", None) or getattr(callback, "view_class", None)
    models = [
        getattr(getattr(view, "queryset", None), "model", None),
        getattr(view, "model", None),
        getattr(getattr(getattr(view, "serializer_class", None), "Meta", None), "model", None),
    ]
    for model in models:
        if isinstance(model, type) and issubclass(model, OwnedModel):
            return model
    return None


def test_every_view_over_owned_rows_narrows_them_down():
    """The admin's views have no model of their own: they are the one exception, for staff."""
    over_owned = [
        (route, callback)
        for route, callback in every_view()
        if not route.startswith("admin/") and owned_model_of(callback)
    ]

    assert len(over_owned) >= len(OWNED_ROUTES) > 0
    for route, callback in over_owned:
        view = callback.cls
        assert issubclass(view, OwnedViewMixin), route
        assert any(issubclass(guard, IsOwner) for guard in view.permission_classes), route
        # Before REST framework's own classes, which would find and create for everybody.
        order = view.__mro__
        assert order.index(OwnedViewMixin) < min(
            order.index(base) for base in order if base.__module__.startswith("rest_framework")
        ), route


def test_every_registered_route_is_in_the_urlconf():
    assert {viewset for _, viewset, _ in router.registry} == {route.view for route in ROUTES}
    for route in ROUTES:
        assert resolve(route.path(uuid4())).func.cls is route.view  # type: ignore[attr-defined]


def test_every_owned_model_with_routes_can_be_made_here():
    assert {route.model for route in OWNED_ROUTES} == set(MAKERS)


def test_the_matrix_is_not_empty():
    allowed = {(route.detail, method) for route in OWNED_ROUTES for method in route.allowed}

    assert allowed >= {(True, "GET"), (True, "PUT"), (True, "PATCH"), (True, "DELETE")}
    assert allowed >= {(False, "GET"), (False, "POST")}


# The matrix: routes with an id


@detail_routes
@every_method
def test_the_owner_is_let_in(route, method, alice_api):
    row = MAKERS[route.model](ALICE)

    response = call(alice_api, method, route.path(row.pk))

    if method in route.allowed:
        assert response.status_code in (200, 204), response.content
    else:
        assert response.status_code == 405
        assert rows(route.model)[0]["user_id"] == ALICE


@detail_routes
@every_method
def test_another_person_is_refused_and_nothing_changes(route, method, bob_api):
    row = MAKERS[route.model](ALICE)
    MAKERS[route.model](BOB)
    before = rows(route.model)

    response = call(bob_api, method, route.path(row.pk))

    if method in route.allowed:
        assert refusal(response, method, 403, "Access denied"), response.content
    else:
        assert response.status_code == 405
    assert SECRET_TEXT.encode() not in response.content
    assert rows(route.model) == before


@detail_routes
@every_method
@pytest.mark.parametrize(
    "pk", [NOBODYS, str(UUID(int=0)), str(UUID(int=2**128 - 1)), "1", "abc", "%00", "-1"]
)
def test_an_unknown_id_is_not_found(route, method, pk, alice_api):
    MAKERS[route.model](ALICE)
    before = rows(route.model)
    # Percent-encoding in `pk` is meant as it is.
    path = route.path(UUID(int=1)).replace(str(UUID(int=1)), pk)

    response = call(alice_api, method, path)

    if method in route.allowed:
        detail = f"{str(route.model._meta.verbose_name).capitalize()} not found"
        assert refusal(response, method, 404, detail), response.content
    else:
        assert response.status_code == 405
    assert rows(route.model) == before


STRANGERS = [
    pytest.param(None, "Authentication required", id="nobody"),
    pytest.param({"exp": 1}, "Token has expired", id="expired"),
]


@pytest.mark.parametrize("route", [pytest.param(route, id=route.name) for route in OWNED_ROUTES])
@every_method
@pytest.mark.parametrize(("claims", "detail"), STRANGERS)
def test_without_a_good_token_nothing_is_answered(route, method, claims, detail):
    """Also not for the owner's own id, nor whether an id or a method exists."""
    row = MAKERS[route.model](ALICE)
    before = rows(route.model)
    stranger = client_with(None if claims is None else sign(ALICE, **claims))

    for pk in [row.pk, uuid4()] if route.detail else [None]:
        response = call(stranger, method, route.path(pk))

        assert refusal(response, method, 401, detail), response.content
        assert response["WWW-Authenticate"].startswith("Bearer")
    assert rows(route.model) == before


# The matrix: routes without an id


@list_routes
@every_method
def test_a_list_route_neither_shows_nor_changes_anothers(route, method, bob_api):
    row = MAKERS[route.model](ALICE)
    (before,) = rows(route.model)

    response = call(bob_api, method, route.path(None))

    if method in route.allowed:
        assert 200 <= response.status_code < 300, response.content
    else:
        assert response.status_code == 405
    for secret in (SECRET_TEXT, str(row.pk), ALICE):
        assert secret.encode() not in response.content
    assert route.model.objects.filter(pk=row.pk).values().get() == before


@list_routes
def test_a_list_shows_the_owner_their_own(route, alice_api):
    """So that the test above cannot pass because nothing is ever shown."""
    if "GET" not in route.allowed or not route.name.endswith("-list"):
        pytest.skip("not a list")
    row = MAKERS[route.model](ALICE)
    MAKERS[route.model](BOB)

    assert [shown["id"] for shown in alice_api.get(route.path(None)).json()] == [str(row.pk)]


@pytest.mark.parametrize("field", ["user_id", "user", "owner", "owner_id", "sub"])
def test_nobody_creates_in_anothers_name(alice_api, bob_api, field):
    response = bob_api.post("/tasks", {"text": "mine", field: ALICE})

    assert response.status_code == 201
    assert response.json()["user_id"] == BOB
    assert alice_api.get("/tasks").json() == []


@pytest.mark.parametrize("owner", ["1", "ALICE", "alice ", " alice", "alice\u0301", "älice", "*"])
def test_ids_of_people_are_compared_byte_for_byte(owner):
    """Whoever is called nearly the same is somebody else; so is a staff account's number."""
    mine = make_task("alice")
    near = client_with(sign(owner))

    assert near.get(f"/tasks/{mine.pk}").status_code == 403
    assert near.get("/tasks").json() == []


# The guards, one by one


def selects_unowned(sql: str, model: type[OwnedModel], owner: str) -> bool:
    """Whether a statement reads more than ids from the table, of others than `owner`."""
    table = f'"{model._meta.db_table}"'
    if not sql.startswith("SELECT") or table not in sql:
        return False
    selected = sql.partition(" FROM ")[0]
    columns = {field.column for field in model._meta.concrete_fields} - {model._meta.pk.column}
    reads = "*" in selected or any(f'{table}."{column}"' in selected for column in columns)
    return reads and f"{table}.\"user_id\" = '{owner}'" not in sql


@pytest.mark.parametrize("route", [pytest.param(route, id=route.name) for route in OWNED_ROUTES])
@every_method
def test_anothers_row_is_never_loaded(route, method, bob_api):
    row = MAKERS[route.model](ALICE)

    with CaptureQueriesContext(connection) as captured:
        call(bob_api, method, route.path(row.pk))

    statements = [query["sql"] for query in captured.captured_queries]
    assert [sql for sql in statements if selects_unowned(sql, route.model, BOB)] == []


def test_loading_anothers_row_would_be_noticed():
    """The test above, tested: it must see what it looks for."""
    make_task(ALICE)
    with CaptureQueriesContext(connection) as captured:
        list(Task.objects.all())
        list(Task.objects.filter(user_id=ALICE))
        Task.objects.filter(user_id=BOB).values("text").first()
        Task.objects.exists()

    found = [selects_unowned(query["sql"], Task, BOB) for query in captured.captured_queries]
    assert found == [True, True, False, False]


@detail_routes
@every_method
def test_the_permission_refuses_where_the_queryset_would_not(route, method, bob_api, monkeypatch):
    row = MAKERS[route.model](ALICE)
    before = rows(route.model)
    monkeypatch.setattr(OwnedQuerySet, "owned_by", lambda self, user: self.all())

    response = call(bob_api, method, route.path(row.pk))

    if method in route.allowed:
        assert refusal(response, method, 403, "Access denied"), response.content
    assert rows(route.model) == before


@detail_routes
@every_method
def test_the_queryset_refuses_where_the_permission_would_not(route, method, bob_api, monkeypatch):
    row = MAKERS[route.model](ALICE)
    before = rows(route.model)
    monkeypatch.setattr(IsOwner, "has_object_permission", lambda *args: True)

    response = call(bob_api, method, route.path(row.pk))

    if method in route.allowed:
        assert refusal(response, method, 403, "Access denied"), response.content
    assert rows(route.model) == before
