"""The fast way and the plain way answer alike, byte for byte, whatever they are asked."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from conftest import ALICE, BOB, client_with, sign
from tasks.api.urls import OptionalSlashRouter
from tasks.models import Event, Task
from tasks.tests.calls import next_url
from tasks.tests.chores.models import Chore
from tasks.tests.notes.models import Note, Tag
from tasks.tests.test_hooks import FAST, takes_fast_way
from todolist.tests import plain_urls, urls

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="one way is PostgreSQL's alone"),
]

router = OptionalSlashRouter()
for prefix, view_class, basename in plain_urls.router.registry:
    router.register(f"plain/{prefix}", view_class, basename=f"plain-{basename}")
urlpatterns: list[Any] = [
    *router.urls,
    *urls.urlpatterns,
]

SAME = hypothesis_settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
MOMENTS = re.compile(rb'"(created_at|updated_at|completed_at)":"[^"]+"')
IDS = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Said = tuple[int, dict[str, str], bytes]


def test_the_second_run_of_the_tests_goes_the_plain_way():
    for _, view_class, _ in plain_urls.router.registry:
        assert not any(takes_fast_way(view_class, name) for name in FAST)


class Both:
    """Alice, and what she has; each request is sent to both ways."""

    def __init__(self) -> None:
        self.api: Any = client_with(sign(ALICE, exp=4102444800))
        noon = datetime(2030, 5, 1, 12, tzinfo=UTC)
        for number in range(9):
            task = Task.objects.create(
                user_id=ALICE if number else BOB,
                text=["Milk", 'ünï\\ "x"', "100%", "\U0001f600"][number % 4],
                description="\x7f\u2028</script>" * (number % 2),
                completed=number % 3 == 0,
                order=number % 3 - 1,
                deadline=None if number % 4 == 1 else noon + timedelta(microseconds=number * 10),
            )
            tag = Tag.objects.create(user_id=task.user_id, name=str(number))
            note = Note.objects.create(user_id=task.user_id, text=task.text, task=task)
            note.tags.add(tag, through_defaults={"user_id": task.user_id})
            Chore.objects.create(
                user_id=task.user_id, text=task.text, effort=(None, 2, 3)[number % 3]
            )
        self.ids = [str(pk) for pk in Task.objects.order_by("pk").values_list("pk", flat=True)]

    def ask(self, method: str, url: str, body: Any = None, **headers: str) -> list[Said]:
        said: list[Said] = []
        for before in ("", "/plain"):
            with transaction.atomic():
                response = getattr(self.api, method)(f"{before}{url}", body, **headers)
                record = b"".join(
                    f"{event.type}{event.seq}{event.data}".encode()
                    for event in Event.objects.filter(user_id=ALICE).order_by("-seq")[:2]
                )
                transaction.set_rollback(method not in ("get", "head", "options"))
            heads = {name: value.replace("/plain/", "/") for name, value in response.items()}
            assert heads.pop("X-Request-ID")
            content = response.content
            if method not in ("get", "head", "options"):
                content, record = (MOMENTS.sub(rb'"\1":"-"', text) for text in (content, record))
                record = re.sub(rb"'(created|updated|completed)_at': '[^']*'", b"", record)
            if method == "post":
                content, record = IDS.sub(b"-", content), IDS.sub(b"-", record)
                places = rb"""(['"]position['"]: ?['"])\w+"""
                content, record = re.sub(places, rb"\1", content), re.sub(places, rb"\1", record)
                heads["Location"] = IDS.sub(b"-", heads.get("Location", "").encode()).decode()
            said.append((response.status_code, heads, content + record))
        return said

    def alike(self, method: str, url: str, body: Any = None, **headers: str) -> int:
        first, second = self.ask(method, url, body, **headers)
        assert first == second, (method, url, body, headers)
        return first[0]


@pytest.fixture
def both(settings) -> Both:
    settings.ROOT_URLCONF = "todolist.tests.test_both_ways"
    return Both()


QUERIES = st.lists(
    st.one_of(
        st.tuples(
            st.just("ordering"),
            st.sampled_from(
                [
                    "created_at",
                    "-deadline",
                    "deadline",
                    "order",
                    "-order",
                    "-updated_at",
                    "text",
                    "",
                ]
            ),
        ),
        st.tuples(
            st.just("limit"), st.sampled_from(["1", "2", "3", "200", "0", "1.0", "x", "9999"])
        ),
        st.tuples(st.just("completed"), st.sampled_from(["true", "false", "False", "1", ""])),
        st.tuples(st.just("search"), st.sampled_from(["M", "%25", "%F0%9F%98%80", "", "nothing"])),
        st.tuples(
            st.sampled_from(["deadline_before", "deadline_after"]),
            st.sampled_from(["2030-05-01T12:00:00.00004Z", "2030-05-01", "", "2030-05-01T12:00Z"]),
        ),
        st.tuples(st.sampled_from(["cursor", "page", "user_id"]), st.sampled_from(["x", "1", ""])),
    ),
    max_size=3,
)
CONDITIONS = st.sampled_from(
    [
        {},
        {"HTTP_IF_MATCH": '"1"'},
        {"HTTP_IF_MATCH": '"2", "1"'},
        {"HTTP_IF_MATCH": 'W/"1"'},
        {"HTTP_IF_MATCH": "*"},
        {"HTTP_IF_MATCH": ""},
        {"HTTP_IF_NONE_MATCH": '"1"'},
        {"HTTP_IF_NONE_MATCH": "*"},
        {"HTTP_ACCEPT": "text/html"},
    ]
)
BODIES: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([None, [], "text", 1, {}]),
    st.fixed_dictionaries(
        {},
        optional={
            "text": st.sampled_from(
                ["new", " ü ", "", "x" * 501, None, 1, "\0", "\U0001f600\u2028\u2029"]
            ),
            "description": st.sampled_from(["", " kept \n", None, ["x"]]),
            "completed": st.sampled_from([True, False, None, "true", 1]),
            "deadline": st.sampled_from(
                [None, "2030-05-01T12:00:00+02:00", "0001-01-01T00:00:00Z", "soon", 5, ""]
            ),
            "order": st.sampled_from([0, -(2**31), 2**31, 1.0, 1.5, "1", True, None]),
            "version": st.just(77),
            "user_id": st.just(BOB),
        },
    ),
)


@SAME
@given(queries=QUERIES)
def test_lists(both, queries):
    url: str | None = "/tasks?" + "&".join(f"{name}={value}" for name, value in queries)
    pages = 0
    while url is not None and pages < 12:
        both.alike("get", url)
        following = next_url(both.api.get(url))
        url = None if following is None else following.removeprefix("http://testserver")
        pages += 1


@pytest.mark.parametrize("kind", ["notes", "chores", "tags", "notifications"])
def test_other_lists(both, kind):
    for order in ("", "created_at", "-created_at", "text", "-task", "task", "effort", "-effort"):
        url: str | None = f"/{kind}?limit=3&ordering={order}"
        while url is not None:
            both.alike("get", url)
            following = next_url(both.api.get(url))
            url = None if following is None else following.removeprefix("http://testserver")


@SAME
@given(
    which=st.integers(0, 10), method=st.sampled_from(["get", "head", "options"]), headers=CONDITIONS
)
def test_one_task(both, which, method, headers):
    both.alike(method, f"/tasks/{named(both, which)}", **headers)


def named(both: Both, which: int) -> str:
    """One of the tasks, the first of which is another's; or what is none."""
    return [*both.ids, "00000000-0000-7000-8000-000000000000", "no-id"][which]


@SAME
@given(
    which=st.integers(0, 10),
    method=st.sampled_from(["put", "patch", "delete"]),
    body=BODIES,
    headers=CONDITIONS,
)
def test_changes(both, which, method, body, headers):
    both.alike(method, f"/tasks/{named(both, which)}", body, **headers)


@SAME
@given(
    body=BODIES,
    headers=CONDITIONS
    | st.sampled_from([{"HTTP_IDEMPOTENCY_KEY": "k"}, {"HTTP_IDEMPOTENCY_KEY": "é"}]),
)
def test_creations(both, body, headers):
    both.alike("post", "/tasks", body, **headers)


def test_a_good_change_is_among_them(both):
    url = f"/tasks/{both.ids[1]}"

    assert both.alike("patch", url, {"text": "x"}, HTTP_IF_MATCH='"1"') == 200
    assert both.alike("put", url, {"text": "x", "completed": True}) == 200
    assert both.alike("post", "/tasks", {"text": "x"}) == 201
    assert both.alike("get", "/tasks?limit=2&ordering=-deadline") == 200
    assert both.alike("delete", url) == 204
