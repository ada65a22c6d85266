"""Isolation: every route of the URLconf, by every method, for everybody who might come by.

docs/api.md section 3. A route takes part by being routed. How its answers are judged follows from what
it is; a route of which that cannot be told fails here until `DECLARED` says it.
"""

import html
import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.core.checks import run_checks
from django.db import connection, models, transaction
from django.db.backends.utils import CursorWrapper
from django.test import Client
from django.urls import path, resolve
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.checks.asking import is_api
from accounts.checks.walk import Route, http_routes
from accounts.owned import acting
from accounts.owned.models import OwnedQuerySet
from accounts.owned.permissions import IsOwner
from accounts.owned.views import PublicView, why_open
from accounts.owned.viewsets import OwnedViewMixin
from conftest import ALICE, BOB, OTHER_SECRET, client_with, sign
from conftest import Caller as ActingForNobody
from tasks.api.push import PushSubscriptionSerializer
from tasks.api.views import TaskViewSet
from tasks.models import CalendarFeed, Task
from tasks.resources.fast import reading
from tasks.resources.viewsets import RecordedViewMixin
from todolist.tests.people import (
    PEOPLE,
    STAFF_PK,
    Belongings,
    changes,
    database,
    forget_all_but,
    furnish,
    keep_no_statements,
    make_task,
    secret_of,
)

pytestmark = pytest.mark.django_db

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
ROUTES = list(http_routes())
EVERY_ROUTE = pytest.mark.parametrize("route", ROUTES, ids=str)


# What is good for fields that do not take any text.
GOOD_VALUES = {
    name: PushSubscriptionSerializer.Meta.example[name] for name in ("endpoint", "keys")
} | {"endpoint": "https://93.184.215.14/push"}  # an address, as no name can be looked up


def _demanded() -> Iterator[str]:
    """The fields without which one of the serializers takes no body: texts, most of them."""
    for route in ROUTES:
        form = getattr(route.view_class, "serializer_class", None)
        for name, field in {} if form is None else form().fields.items():
            if field.required and not field.read_only:
                if name not in GOOD_VALUES:
                    assert isinstance(field, serializers.CharField), f"a good {name}, of {form}?"
                yield name


DEMANDED = {name: GOOD_VALUES.get(name, "new") for name in _demanded()}
# What actions take that have a serializer of their own.
OF_ACTIONS = {
    "to": "top",
    "operations": [{"op": "create", "body": DEMANDED}],
    "tasks": [DEMANDED],
}


class Caller(NamedTuple):
    """Somebody with what they send along, and who they are; nobody where that is no good."""

    name: str
    headers: dict[str, str]
    person: str | None = None
    refusal: str = ""


class Answer(NamedTuple):
    """What came back, and what it did."""

    url: str
    status: int
    body: bytes
    headers: dict[str, str]
    changed: list[dict[str, Any]]

    def shows(self, marks: frozenset[str]) -> list[str]:
        """Which of these stand in it, but for what the caller has sent."""
        text = html.unescape(self.body.decode()) + repr(self.headers)
        return [mark for mark in marks if mark in text and mark not in self.url]


class World:
    """Everybody has something, and everybody comes by."""

    def __init__(self, furnished: dict[str, Belongings], callers: list[Caller]) -> None:
        self.belongings = furnished
        self.callers = callers
        self.client: Any = client_with(None)
        self.state = database()

    def marks(self, *, but: str | None = None) -> frozenset[str]:
        """What nobody but `but` may see."""
        return frozenset().union(
            *(theirs.marks for owner, theirs in self.belongings.items() if owner != but)
        )

    def call(self, caller: Caller, method: str, url: str, *, alone: bool = False) -> Answer:
        """A request, taken back afterwards; `alone` as if nobody else had anything."""
        with taken_back():
            if alone:
                assert caller.person is not None
                forget_all_but(caller.person)
            with writes() as wrote:
                response = self.send(caller, method, url)
            # Where nothing but SELECT was sent, nothing can have changed.
            changed = changes(self.state, database()) if wrote and not alone else []
        if response.status_code >= 500:
            raise RuntimeError(f"{response.status_code} for {method} {url} by {caller.name}")
        headers = dict(response.items())
        headers.pop("X-Request-ID", None)  # another one for every request
        return Answer(url, response.status_code, response.getvalue(), headers, changed)

    def send(self, caller: Caller, method: str, url: str) -> Any:
        """Its body would be good for creating or changing anything, and tries to give it away."""
        other = BOB if caller.person == ALICE else ALICE
        body = json.dumps(
            {**DEMANDED, **OF_ACTIONS, "completed": False, "user_id": other, "owner": other}
        )
        self.client.cookies.clear()
        return self.client.generic(
            method, url, body, content_type="application/json", **caller.headers
        )


@contextmanager
def taken_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@contextmanager
def writes() -> Iterator[list[str]]:
    """The statements sent meanwhile that may have changed something."""
    seen: list[str] = []

    def look(execute: Any, sql: str, *rest: Any) -> Any:
        if not sql.startswith(("SELECT", "SAVEPOINT", "RELEASE", "ROLLBACK")):
            seen.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(look):
        yield seen


@pytest.fixture(scope="module")
def world(django_db_setup, django_db_blocker) -> Iterator[World]:
    """Once for all tests here: each call of them is taken back."""
    logging.disable(logging.WARNING)  # thousands of refusals
    try:
        with django_db_blocker.unblock(), taken_back():
            yield new_world()
    finally:
        logging.disable(logging.NOTSET)


def new_world() -> World:
    client = Client()
    staff = User.objects.create(pk=STAFF_PK, username="staff", is_staff=True)
    Group.objects.create(name="some staff")
    client.force_login(staff)
    session = client.cookies[django_settings.SESSION_COOKIE_NAME].value
    return World(
        {owner: furnish(owner) for owner in PEOPLE},
        [
            Caller("nobody", {}, refusal="Authentication required"),
            Caller("expired", bearer(exp=1), refusal="Token has expired"),
            Caller("bad signature", bearer(key=OTHER_SECRET), refusal="Invalid token: "),
            Caller(
                "staff session",
                {"HTTP_COOKIE": f"{django_settings.SESSION_COOKIE_NAME}={session}"},
                refusal="Authentication required",
            ),
            Caller("another person", bearer(BOB), person=BOB),
            Caller("owner", bearer(ALICE), person=ALICE),
        ],
    )


def bearer(sub: str = ALICE, **claims: Any) -> dict[str, str]:
    claims = {"exp": 4102444800, **claims}
    return {"HTTP_AUTHORIZATION": f"Bearer {sign(sub, **claims)}"}


# How a route is judged. A judge asserts, and yields once for every cell that it has proved.

Judge = Callable[[Route, World], Iterator[str]]

# Routes of which it cannot be told by itself what to expect of whom, by how they are written.
DECLARED: dict[str, Judge] = {
    "/me/adopt": lambda route, world: judge_refusing(route, world),
    "/calendar/{secret}.ics": lambda route, world: judge_secret(route, world),
}


def judge_of(route: Route) -> Judge:
    if str(route) in DECLARED:
        return DECLARED[str(route)]
    if route.admin_site is not None and set(route.parameters) <= set(ADMIN_SAMPLES):
        return judge_admin
    if why_open(route.callback) is not None and not route.parameters:
        return judge_open
    if is_api(route):
        view = route.view_class
        if not route.parameters:
            return judge_own
        if issubclass(view, OwnedViewMixin) and route.parameters == (
            view.lookup_url_kwarg or view.lookup_field,
        ):
            return judge_object
    pytest.fail(f"Nobody can tell how to judge {route}: say it in DECLARED")


def allowed(route: Route) -> set[str]:
    actions = getattr(route.callback, "actions", None)
    handlers = actions or list(route.view_class.http_method_names)
    found = {name.upper() for name in handlers if actions or hasattr(route.view_class, name)}
    return found | {"OPTIONS"} | ({"HEAD"} if "GET" in found else set())


def assert_refused(answer: Answer, method: str, status: int, detail: str) -> None:
    """Refused in these words, of which a blank at the end stands for more; HEAD has none."""
    assert answer.status == status, answer
    assert answer.changed == []
    if method == "HEAD":
        assert answer.body == b""
        return
    body = json.loads(answer.body)
    assert body.keys() == {"detail", "code"}
    said = body["detail"]
    assert said.startswith(detail) if detail.endswith(" ") else said == detail


def assert_unauthorized(answer: Answer, method: str, caller: Caller) -> None:
    assert_refused(answer, method, 401, caller.refusal)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def judge_object(route: Route, world: World) -> Iterator[str]:
    """One row, named by its id. All but its owner are refused, and learn nothing."""
    model = route.view_class.queryset.model
    (parameter,) = route.parameters
    name = str(model._meta.verbose_name).capitalize()
    for pk in (world.belongings[ALICE].rows[model].pk, uuid4()):
        known = pk in {row.pk for row in world.belongings[ALICE].rows.values()}
        url = route.path(**{parameter: pk})
        for caller in world.callers:
            for method in METHODS:
                answer = world.call(caller, method, url)
                assert answer.shows(world.marks(but=caller.person)) == []
                if caller.person is None:
                    assert_unauthorized(answer, method, caller)
                elif method not in allowed(route):
                    assert_refused(answer, method, 405, "Method ")
                elif not known:
                    assert_refused(answer, method, 404, f"{name} not found")
                elif caller.person != ALICE:
                    assert_refused(answer, method, 403, "Access denied")
                else:
                    assert answer.status in (200, 204), answer
                    assert_touches_only(answer, ALICE)
                    assert_undisturbed(world, caller, method, url, answer)
                    if method == "GET":
                        assert answer.shows(world.belongings[ALICE].marks)
                yield f"{method} {url} {caller.name}"


def judge_own(route: Route, world: World) -> Iterator[str]:
    """What the caller has, whoever they are: what others have neither shows nor matters."""
    # A view that looks for an owner in the query must not find one.
    decoy = f"{route.path()}?user_id={ALICE}&owner={ALICE}"
    for caller in world.callers:
        succeeded = 0
        for method, url in ((method, url) for method in METHODS for url in (route.path(), decoy)):
            answer = world.call(caller, method, url)
            assert answer.shows(world.marks(but=caller.person)) == []
            if caller.person is None:
                assert_unauthorized(answer, method, caller)
            elif method not in allowed(route):
                assert_refused(answer, method, 405, "Method ")
            else:
                assert answer.status not in (401, 403, 404, 405), answer
                assert_touches_only(answer, caller.person)
                assert_undisturbed(world, caller, method, url, answer)
                succeeded += answer.status < 300 and method != "OPTIONS"
            yield f"{method} {url} {caller.name}"
        assert bool(succeeded) is (caller.person is not None), "a route that nobody gets to use"


def judge_refusing(route: Route, world: World) -> Iterator[str]:
    """One that does nothing without what nobody here has: another good token."""
    for caller in world.callers:
        for method in METHODS:
            answer = world.call(caller, method, route.path())
            assert answer.shows(world.marks(but=caller.person)) == []
            assert answer.changed == []
            if caller.person is None:
                assert_unauthorized(answer, method, caller)
            elif method not in allowed(route):
                assert_refused(answer, method, 405, "Method ")
            else:
                assert answer.status == (400 if method == "POST" else 200)
            yield f"{method} {route} {caller.name}"


def judge_secret(route: Route, world: World) -> Iterator[str]:
    """Whoever knows the secret sees the same; a token is no secret, nor is what is kept of one."""
    found = world.belongings[ALICE].rows[CalendarFeed]
    for caller in world.callers:
        for secret in (ALICE, found.pk, found.secret_digest, uuid4()):
            for method in METHODS:
                answer = world.call(caller, method, route.path(secret=secret))
                assert answer.shows(world.marks()) == []
                assert answer.changed == []
                if method in allowed(route) - {"OPTIONS"}:
                    assert_refused(answer, method, 404, "Calendar not found")
                yield f"{method} {route.path(secret=secret)} {caller.name}"


def assert_touches_only(answer: Answer, person: str) -> None:
    """Whatever was added, changed or deleted is the caller's."""
    assert {row.get("user_id") for row in answer.changed} <= {person}


def assert_undisturbed(world: World, caller: Caller, method: str, url: str, answer: Answer) -> None:
    """The same request is answered the same where nobody else has anything: counts, too."""
    alone = world.call(caller, method, url, alone=True)
    assert (alone.status, without_chance(alone.body)) == (
        answer.status,
        without_chance(answer.body),
    )


def without_chance(body: bytes) -> bytes:
    """Without the ids and moments that are new every time."""
    body = re.sub(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", b"<id>", body)
    body = re.sub(rb"/calendar/[\w-]+", b"/calendar/<secret>", body)
    body = re.sub(rb'"position":"\w+"', b'"position":"<place>"', body)
    return re.sub(rb"\d{4}-\d\d-\d\dT[0-9:.]+Z", b"<moment>", body)


def judge_open(route: Route, world: World) -> Iterator[str]:
    """Whoever asks gets the same answer, and it is about nobody."""
    for method in METHODS:
        answers = []
        for caller in world.callers:
            answer = world.call(caller, method, route.path())
            assert answer.shows(world.marks()) == []
            answers.append(answer)
            yield f"{method} {route} {caller.name}"
        assert all(answer == answers[0] for answer in answers)
        assert answers[0].changed == []


# What stands in the paths of the admin.
ADMIN_SAMPLES: dict[str, Callable[[Any], object]] = {
    "object_id": lambda model: model._base_manager.order_by("pk").first().pk,
    "id": lambda model: STAFF_PK,
    "content_type_id": lambda model: ContentType.objects.get_for_model(Task).pk,
    "app_label": lambda model: "tasks",
    "url": lambda model: "nothing/of/this/name",
}


def judge_admin(route: Route, world: World) -> Iterator[str]:
    """For staff: tokens open nothing, and staff without rights see and change nothing."""
    model = getattr(getattr(route.callback, "model_admin", None), "model", Task)
    url = route.path(**{name: ADMIN_SAMPLES[name](model) for name in route.parameters})
    sign_in = route.callback.__name__ == "login"
    for caller in world.callers:
        for method in METHODS:
            answer = world.call(caller, method, url)
            assert answer.shows(world.marks()) == []
            assert answer.changed == []
            if caller.name != "staff session" and not sign_in:
                assert answer.status == 302, answer
                assert re.match(r"/admin/(login/\?|$)", answer.headers["Location"])
            yield f"{method} {url} {caller.name}"


# The matrix


@EVERY_ROUTE
def test_nobody_gets_at_what_is_anothers(route: Route, world: World, proved: Counter[str]):
    cells = list(judge_of(route)(route, world))

    assert len(cells) == len(set(cells)) >= len(METHODS) * len(world.callers)
    proved["route x method x caller"] += len(cells)


def test_all_routes_take_part_and_lead_where_they_seem_to():
    samples = {name: "1" for route in ROUTES for name in route.parameters}
    for route in ROUTES:
        if route.name and route.admin_site is None:
            assert resolve(route.path(**{**samples, "pk": uuid4()})).func is route.callback
    assert len(ROUTES) == len({str(route) for route in ROUTES}) > 20
    judges = Counter(judge_of(route) for route in ROUTES)
    assert min(judges[judge] for judge in (judge_object, judge_own, judge_open, judge_admin)) > 0


# The judges, judged: what they look for, they find


def prove(route: Any, world: World, settings: Any) -> None:
    settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": [route]})
    (made_up,) = http_routes()
    list(judge_of(made_up)(made_up, world))


def test_a_good_view_passes(world, settings):
    prove(path("more", TaskViewSet.as_view({"get": "list"})), world, settings)
    prove(path("more/<pk>", TaskViewSet.as_view({"put": "update"}, detail=True)), world, settings)


class Everybodys(TaskViewSet):
    def get_queryset(self) -> Any:
        return Task.objects.all()

    def get_object(self):
        return self.get_queryset().get(pk=self.kwargs["pk"])

    def list(self, request):
        return Response([{"text": task.text} for task in self.get_queryset()])

    @action(detail=False)
    def count(self, request):
        return Response({"count": self.get_queryset().count()})

    def obey(self, request, **kwargs):
        """Creates in the name that the body gives."""
        task = Task(user_id=request.data["user_id"], text="obeyed")
        task.save()
        return Response(status=204)


@pytest.mark.usefixtures("without_row_security")
@pytest.mark.parametrize(
    ("template", "actions"),
    [
        ("more", {"get": "list"}),
        ("more", {"get": "count"}),
        ("more", {"post": "obey"}),
        ("more/<pk>", {"get": "retrieve"}),
        ("more/<pk>", {"put": "update"}),
        ("more/<pk>", {"delete": "destroy"}),
        ("more/<pk>", {"post": "obey"}),
    ],
)
def test_a_leak_is_found_in_a_view_that_nobody_told_of(template, actions, world, settings):
    with pytest.raises(AssertionError):
        prove(path(template, Everybodys.as_view(actions)), world, settings)


class Chatty(PublicView):
    open_to_everybody = "so it says"

    def get(self, request):
        return Response(list(Task.objects.values("text")))


class Nosy(PublicView):
    open_to_everybody = "so it says"

    def get(self, request):
        return Response({"known": "HTTP_AUTHORIZATION" in request.META})


@pytest.mark.usefixtures("without_row_security")
@pytest.mark.parametrize("view", [Chatty, Nosy])
def test_a_public_view_that_is_not_for_everybody_is_found(view, world, settings):
    with pytest.raises(AssertionError):
        prove(path("more", view.as_view()), world, settings)


class OfATeam(APIView):
    def get(self, request, team):
        return Response([])


def test_a_route_that_cannot_be_judged_has_to_declare_its_verdict(world, settings, monkeypatch):
    route = path("teams/<team>", OfATeam.as_view())
    with pytest.raises(pytest.fail.Exception, match=r"Nobody can tell .* /teams/\{team\}"):
        prove(route, world, settings)

    asked = []

    def judge(route: Route, world: World) -> Iterator[str]:
        asked.append(str(route))
        yield "GET"

    monkeypatch.setitem(DECLARED, "/teams/{team}", judge)
    prove(route, world, settings)
    assert asked == ["/teams/{team}"]


# What the matrix does not ask


@pytest.mark.parametrize("field", ["user_id", "user", "owner", "owner_id", "sub"])
def test_nobody_creates_in_anothers_name(field):
    response = client_with(sign("dave")).post("/tasks", {"text": "mine", field: "erin"})

    assert response.status_code == 201
    assert response.json()["user_id"] == "dave"
    assert client_with(sign("erin")).get("/tasks").json() == []


@pytest.mark.parametrize("owner", ["1", "ALICE", "alice ", " alice", "alice\u0301", "älice", "*"])
def test_ids_of_people_are_compared_byte_for_byte(owner):
    """Whoever is called nearly the same is somebody else; so is a staff account's number."""
    mine = make_task("alice")
    near = client_with(sign(owner))

    assert near.get(f"/tasks/{mine.pk}").status_code == 403
    assert near.get("/tasks").json() == []


@pytest.mark.parametrize("pk", ["0" * 8, "1", "abc", "%00", "-1", "00000000-0000-0000-0000-0000"])
def test_what_is_no_id_is_not_found(pk, world):
    owner = world.callers[-1]
    for route in OBJECT_ROUTES:
        for method in METHODS:
            answer = world.call(owner, method, route.path(pk=pk))
            if method in allowed(route):
                name = str(route.view_class.queryset.model._meta.verbose_name).capitalize()
                assert_refused(answer, method, 404, f"{name} not found")
            else:
                assert_refused(answer, method, 405, "Method ")


# The guards, one by one

OWNED_ROUTES = [
    route for route in ROUTES if is_api(route) and issubclass(route.view_class, OwnedViewMixin)
]
OBJECT_ROUTES = [route for route in OWNED_ROUTES if route.parameters]
EVERY_OBJECT_ROUTE = pytest.mark.parametrize("route", OBJECT_ROUTES, ids=str)


@contextmanager
def handed_out() -> Iterator[list[str]]:
    """Everything that the database hands out meanwhile, whatever it was asked by."""
    seen: list[str] = []
    attribute = CursorWrapper.__getattr__

    def look(self: CursorWrapper, name: str) -> Any:
        found = attribute(self, name)
        if not name.startswith("fetch"):
            return found

        def fetch(*args: Any) -> Any:
            rows = found(*args)
            seen.append(repr(rows))
            return rows

        return fetch

    with patch.object(CursorWrapper, "__getattr__", look):
        yield seen


@pytest.mark.parametrize("route", OWNED_ROUTES, ids=str)
def test_anothers_row_is_never_loaded(route, world):
    another = world.callers[-2]
    others = world.marks(but=BOB) - {ALICE}  # which the body names
    pk = world.belongings[ALICE].rows[route.view_class.queryset.model].pk
    for method in METHODS:
        with handed_out() as rows, taken_back():
            world.send(another, method, route.path(pk=pk))

        assert [mark for mark in others if mark in "".join(rows)] == []


def test_loading_anothers_row_would_be_noticed():
    """The test above, tested: it must see what it looks for."""
    task = make_task("erin")
    queries: list[Callable[[], object]] = [
        lambda: list(Task.objects.all()),
        lambda: Task.objects.filter(pk=task.pk).values_list("text").first(),
        lambda: Task.objects.filter(pk=task.pk).exists(),
    ]
    found = []
    for query in queries:
        with handed_out() as rows:
            query()
        found.append(secret_of("erin") in "".join(rows))

    assert found == [True, True, False]


@EVERY_OBJECT_ROUTE
def test_the_permission_refuses_where_the_queryset_would_not(route, world, monkeypatch):
    without_filter(monkeypatch)
    assert_another_is_refused(route, world)


@EVERY_OBJECT_ROUTE
def test_the_queryset_refuses_where_the_permission_would_not(route, world, monkeypatch):
    without_permission(monkeypatch)
    assert_another_is_refused(route, world)


def assert_another_is_refused(route: Route, world: World) -> None:
    another = world.callers[-2]
    pk = world.belongings[ALICE].rows[route.view_class.queryset.model].pk
    for method in METHODS:
        if method in allowed(route):
            answer = world.call(another, method, route.path(pk=pk))
            assert_refused(answer, method, 403, "Access denied")


# The proof, proved: with a guard taken away it turns red. `make mutants` takes more of them, from
# the source.


def without_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Querysets show everybody's rows."""
    monkeypatch.setattr(OwnedQuerySet, "owned_by", lambda self, user: self.all())
    keep_no_statements(monkeypatch)


def without_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(IsOwner, "has_object_permission", lambda *args: True)


def without_mixin(monkeypatch: pytest.MonkeyPatch) -> None:
    """REST framework's own methods come through."""
    for name in ("get_queryset", "get_object"):
        monkeypatch.delattr(OwnedViewMixin, name)
    monkeypatch.delattr(RecordedViewMixin, "get_object")


@pytest.mark.parametrize(
    ("take_away", "complaints"),
    [
        (without_filter, {"accounts.E106", "accounts.E118"}),
        (without_permission, {"accounts.E107"}),
        (without_mixin, {"accounts.E105", "accounts.E106"}),
    ],
)
def test_without_this_guard_the_server_does_not_start(take_away, complaints, monkeypatch):
    take_away(monkeypatch)
    found = {message.id for message in run_checks() if str(message.id).startswith("accounts.E1")}
    assert found == complaints


@pytest.fixture
def without_row_security(monkeypatch) -> None:
    """So that the first two lines are seen without the third, which holds alone on PostgreSQL."""
    set_to = acting._tell
    monkeypatch.setattr(acting, "_tell", lambda value: set_to(acting.EVERYONE))
    monkeypatch.setattr(ActingForNobody, "_act_for", lambda *args: None)
    keep_no_statements(monkeypatch)
    monkeypatch.setattr(reading, "condition", lambda owner: models.Q())


@pytest.mark.usefixtures("without_row_security")
# What is made from nothing needs no filter; operations upon rows are in tasks/tests/test_bulk.py.
@pytest.mark.parametrize(
    "route",
    [each for each in OWNED_ROUTES if not each.parameters and str(each) != "/tasks/bulk"],
    ids=str,
)
def test_without_the_filter_the_matrix_is_red(route, world, monkeypatch):
    without_filter(monkeypatch)
    with pytest.raises(AssertionError):
        list(judge_own(route, world))


@pytest.mark.usefixtures("without_row_security")
@pytest.mark.parametrize("path", ["/notifications/unread-count", "/notifications/read-all"])
def test_without_the_mixin_the_matrix_is_red(path, world, monkeypatch):
    """Lists do not need it, for they are read as JSON; whatever starts from a queryset does."""
    (route,) = [route for route in OWNED_ROUTES if str(route) == path]
    without_mixin(monkeypatch)
    with pytest.raises(AssertionError):
        list(judge_own(route, world))


@pytest.mark.usefixtures("without_row_security")
@EVERY_OBJECT_ROUTE
def test_without_permission_and_filter_the_matrix_is_red(route, world, monkeypatch):
    """Either is enough for a row that is asked for by its id: see the two tests above."""
    without_filter(monkeypatch)
    without_permission(monkeypatch)
    with pytest.raises(AssertionError):
        list(judge_object(route, world))
