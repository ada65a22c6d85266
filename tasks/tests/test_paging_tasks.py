"""`limit`, `Link` and cursors: every task of a list once, in order, a page at a time."""

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from conftest import ALICE, BOB
from tasks.models import Task
from tasks.resources.fast import reading
from tasks.tests.calls import listed, made, next_url

pytestmark = pytest.mark.django_db

KEYS = ("created_at", "updated_at", "order", "deadline")
ORDERINGS = [sign + key for key in KEYS for sign in ("", "-")]
NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)
SOME_ID = "0190a6b0-0000-7000-8000-000000000000"
SOME_HEX = UUID(SOME_ID).hex


@pytest.fixture
def dozen(monkeypatch):
    """Twelve tasks of Alice with many ties in every sort key, half of them without a deadline."""
    tasks = []
    with monkeypatch.context() as clock:
        for number in range(12):
            now = NOON + timedelta(seconds=number // 4)
            clock.setattr(timezone, "now", lambda now=now: now)
            deadline = None if number % 2 else NOON + timedelta(days=number % 3)
            task = Task(user_id=ALICE, text=str(number), order=number % 3 - 1, deadline=deadline)
            task.save()
            tasks.append(task)
    return tasks


def pages(api: APIClient, url: str | None) -> Iterator[list[dict[str, Any]]]:
    """All the pages from `url` on."""
    while url:
        response = api.get(url)
        assert response.status_code == 200, response.content
        yield response.json()
        url = next_url(response)


def sorted_as_asked(rows: list[dict[str, Any]], ordering: str) -> bool:
    """Whether `rows` stand in order, those without a value last."""
    key, descending = ordering.lstrip("-"), ordering.startswith("-")
    values = [row[key] for row in rows]
    known = [value for value in values if value is not None]
    in_order = sorted(known, reverse=descending)
    return values == in_order + [None] * (len(values) - len(known))


def cursor_in(url: str | None) -> str:
    assert url is not None
    (cursor,) = parse_qs(urlsplit(url).query)["cursor"]
    return cursor


def cursor_of(*parts: object) -> str:
    """A cursor that says `parts`, encoded as the real ones are."""
    text = json.dumps(parts, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def test_it_works(alice_api):
    for text in "abc":
        made(alice_api, text)

    first = alice_api.get("/tasks", {"limit": 2})
    assert [task["text"] for task in first.json()] == ["c", "b"]

    second = alice_api.get(next_url(first))
    assert [task["text"] for task in second.json()] == ["a"]
    assert next_url(second) is None


def test_the_link_is_a_whole_url_that_keeps_the_other_parameters(alice_api):
    for _ in range(3):
        made(alice_api, "50% café & co")
    made(alice_api, "something else")

    parameters = {"limit": "1", "search": "50% CAFÉ &", "ordering": "order", "completed": "false"}
    url = next_url(alice_api.get("/tasks", parameters))

    assert url is not None
    assert url.startswith("http://testserver/tasks?")
    kept = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    del kept["cursor"]
    assert kept == parameters
    assert [len(page) for page in pages(alice_api, url)] == [1, 1]
    following = next_url(alice_api.get(url))
    assert following is not None
    assert parse_qs(urlsplit(following).query).keys() == {*parameters, "cursor"}
    assert cursor_in(following) != cursor_in(url)


@pytest.mark.parametrize("spelling", ["caf%C3%A9", "caf%c3%a9", "café"])
def test_a_parameter_may_be_spelled_in_more_than_one_way(alice_api, spelling):
    for _ in range(2):
        made(alice_api, "café")
    url = next_url(alice_api.get(f"/tasks?search={spelling}&limit=1"))
    assert url is not None
    assert parse_qs(urlsplit(url).query)["search"] == ["café"]
    assert len(alice_api.get(url).json()) == 1


@pytest.mark.parametrize(
    ("limit", "shown", "more"), [(1, 1, True), (2, 2, True), (3, 3, False), (1000, 3, False)]
)
@pytest.mark.parametrize("ordering", ["-created_at", "deadline"])
def test_there_is_a_link_only_where_there_is_more(alice_api, ordering, limit, shown, more):
    made(alice_api, deadline="2030-05-01T12:00:00Z")
    made(alice_api)
    made(alice_api)

    response = alice_api.get("/tasks", {"limit": limit, "ordering": ordering})

    assert len(response.json()) == shown
    assert (next_url(response) is not None) is more


def test_a_thousand_are_shown_at_once_and_no_more(alice_api):
    for _ in range(1001):
        Task(user_id=ALICE, text="x").save()

    response = alice_api.get("/tasks")
    assert len(response.json()) == 1000
    assert [len(page) for page in pages(alice_api, next_url(response))] == [1]


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 11])
@pytest.mark.parametrize("ordering", ORDERINGS)
def test_pages_put_together_are_the_list(alice_api, dozen, ordering, limit):
    whole = listed(alice_api, ordering=ordering)
    assert {UUID(task["id"]) for task in whole} == {task.id for task in dozen}
    assert sorted_as_asked(whole, ordering)

    parts = list(pages(alice_api, f"/tasks?ordering={ordering}&limit={limit}"))

    assert [len(part) for part in parts[:-1]] == [limit] * (len(parts) - 1)
    assert [task for part in parts for task in part] == whole


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_what_is_added_and_removed_meanwhile_neither_skips_nor_repeats(alice_api, dozen, ordering):
    whole = [task["id"] for task in listed(alice_api, ordering=ordering)]
    removed = whole[7]

    seen = []
    for number, page in enumerate(pages(alice_api, f"/tasks?ordering={ordering}&limit=2")):
        seen += [task["id"] for task in page]
        if number == 1:
            # The very row that the next page is to continue from, and one that is still to come.
            alice_api.delete(f"/tasks/{page[-1]['id']}")
            alice_api.delete(f"/tasks/{removed}")
        if number < 3:
            # Before and behind what was seen already, in every ordering.
            made(alice_api, "early", order=-9, deadline="2001-01-01T00:00:00Z")
            made(alice_api, "late", order=9, deadline="2099-01-01T00:00:00Z")
            made(alice_api, "never")

    assert len(seen) == len(set(seen))
    assert [task_id for task_id in seen if task_id in whole] == [
        task_id for task_id in whole if task_id != removed
    ]


def test_deadlines_at_the_ends_of_the_calendar_are_paged(alice_api):
    for deadline in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"):
        made(alice_api, deadline=deadline)
        made(alice_api, deadline=deadline)

    for ordering in ("deadline", "-deadline"):
        parts = list(pages(alice_api, f"/tasks?ordering={ordering}&limit=1"))
        assert [part for (part,) in parts] == listed(alice_api, ordering=ordering)


def test_the_last_pages_cost_what_the_first_costs(alice_api, dozen, django_assert_num_queries):
    url: str | None = "/tasks?limit=5"
    while url:
        # The plain way asks for the newest number of events before, and for labels after.
        with django_assert_num_queries(1 + 2 * (connection.vendor != "postgresql")) as captured:
            response = alice_api.get(url)
        assert not any(re.search("OFFSET [^0]", each["sql"]) for each in captured.captured_queries)
        url = next_url(response)


@pytest.mark.parametrize("ordering", ["-created_at", "deadline"])
def test_a_cursor_of_somebody_else_opens_nothing_of_theirs(alice_api, bob_api, dozen, ordering):
    mine = [made(bob_api, "bob's", deadline=deadline) for deadline in (None, NOON.isoformat())]

    url = next_url(alice_api.get("/tasks", {"ordering": ordering, "limit": 1}))
    assert url is not None
    response = bob_api.get(url.replace("limit=1", "limit=100"))

    assert {task["user_id"] for task in response.json()} <= {BOB}
    assert all(task in mine for task in response.json())


def test_a_cursor_belongs_to_its_ordering(alice_api, dozen):
    for ordering in ORDERINGS:
        cursor = cursor_in(next_url(alice_api.get("/tasks", {"ordering": ordering, "limit": 1})))
        for other in ORDERINGS:
            response = alice_api.get("/tasks", {"ordering": other, "cursor": cursor})
            assert response.status_code == (200 if other == ordering else 400)
        if ordering != "-created_at":
            assert alice_api.get("/tasks", {"cursor": cursor}).status_code == 400


NO_CURSORS = [
    pytest.param("-created_at", "", id="empty"),
    pytest.param("-created_at", " ", id="blank"),
    pytest.param("-created_at", "\x00", id="NUL"),
    pytest.param("-created_at", "garbage", id="garbage"),
    pytest.param("-created_at", "ÿ🦊", id="no ASCII"),
    pytest.param("-created_at", "x" * 100_000, id="huge"),
    pytest.param("-created_at", "=" * 5, id="padding"),
    pytest.param("-created_at", "2", id="page number"),
    pytest.param("-created_at", SOME_ID, id="bare id"),
    pytest.param("-created_at", cursor_of(), id="nothing"),
    pytest.param("-created_at", cursor_of("-created_at"), id="too short"),
    pytest.param(
        "-created_at", cursor_of("-created_at", NOON.isoformat(), SOME_ID, 1), id="too long"
    ),
    pytest.param("-created_at", cursor_of(None, None, None), id="nulls"),
    pytest.param("-created_at", cursor_of([], {}, []), id="containers"),
]


# Of the wrong type, or no moment in UTC's calendar.
NO_MOMENTS: list[Any] = [
    *(0, 1.5, True, [], {}, "", "tomorrow", "2030-05-01", "2030-05-01T12:00:00"),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "\ud800", "\x00"),
]
NO_ORDERS: list[Any] = [
    *(1.5, True, [], {}, "", "1", 2**31, -(2**31) - 1, 10**100, float("inf"), float("nan")),
    *(NOON.isoformat(), "\ud800"),
]


def no_cursor(ordering: str, value: object, task_id: object = SOME_ID) -> Any:
    return pytest.param(ordering, cursor_of(ordering, value, task_id), id=f"{ordering} {value}")


@pytest.mark.parametrize(
    ("ordering", "cursor"),
    [
        *NO_CURSORS,
        no_cursor("text", "Buy milk"),
        no_cursor("user_id", BOB),
        *[
            no_cursor(ordering, value)
            for ordering in ("-created_at", "updated_at", "deadline")
            for value in NO_MOMENTS
        ],
        *[no_cursor(ordering, None) for ordering in ("-created_at", "updated_at", "order")],
        *[no_cursor("order", value) for value in NO_ORDERS],
        no_cursor("order", 1, None),
        no_cursor("order", 1, 7),
        no_cursor("order", 1, "x"),
        no_cursor("order", 1, []),
        no_cursor("order", 1, SOME_HEX),
    ],
)
def test_what_this_list_did_not_make_is_no_cursor(alice_api, ordering, cursor):
    made(alice_api)

    response = alice_api.get("/tasks", {"ordering": ordering, "cursor": cursor})

    assert response.status_code == 400, response.content
    named = "cursor" if ordering in ORDERINGS else "ordering"
    assert named in response.json()["detail"]


def test_a_nested_bomb_is_no_cursor(alice_api):
    bomb = base64.urlsafe_b64encode(b"[" * 100_000).decode().rstrip("=")

    assert alice_api.get(f"/tasks?cursor={quote(bomb)}").status_code == 400


def test_a_tampered_cursor_is_refused_or_shows_only_the_callers(alice_api, bob_api, dozen):
    """A cursor is a place, not a permission: changing it leads to another place at most."""
    made(bob_api, "bob's")
    cursor = cursor_in(next_url(alice_api.get("/tasks", {"limit": 1})))

    for place in range(len(cursor)):
        for other in "A_0":
            tampered = cursor[:place] + other + cursor[place + 1 :]
            response = alice_api.get("/tasks", {"cursor": tampered, "limit": 1})
            assert response.status_code in (200, 400)
            if response.status_code == 200:
                assert {task["user_id"] for task in response.json()} <= {ALICE}


PAGE = 1024 * 1024  # bytes at most
FIRST, SECOND = NOON, NOON + timedelta(days=1)
# As long as JSON makes them: four bytes a character, six where it is escaped.
LONG = ["\U0001f600" * 2000, "\x01" * 2000, "\u2028\\" * 1000, "x" * 2000]


@pytest.fixture
def long_tasks() -> list[str]:
    """Four hundred long tasks of Alice, 3.4 MB in JSON; every other one has a deadline."""
    tasks = [
        Task(user_id=ALICE, text=f"{number}", description=LONG[number % 4], deadline=deadline)
        for number in range(400)
        for deadline in [None if number % 2 else (FIRST if number % 3 else SECOND)]
    ]
    Task.objects.bulk_create(tasks)
    return sorted(str(task.pk) for task in tasks)


@pytest.mark.parametrize("query", ["", "?limit=399&ordering=deadline", "?ordering=-order&limit=70"])
def test_a_page_is_bounded_in_bytes_too(alice_api, long_tasks, query):
    url: str | None = f"/tasks{query}"
    seen: list[str] = []
    while url:
        response = alice_api.get(url)
        ids = [task["id"] for task in response.json()]
        assert ids and len(response.content) <= PAGE
        url = next_url(response)
        # As full as it may be: not even the shortest of these rows would fit in besides.
        assert not url or len(ids) == 70 or len(response.content) > PAGE - 14_000
        seen += ids
    assert sorted(seen) == long_tasks


def test_both_ways_end_a_page_at_the_same_row(alice_api, long_tasks, settings):
    if connection.vendor != "postgresql":
        pytest.skip("There is one way only")
    for query in ("", "?ordering=deadline", "?limit=80"):
        ends = []
        for routes in ("todolist.urls", "todolist.tests.plain_urls"):
            settings.ROOT_URLCONF = routes
            response = alice_api.get(f"/tasks{query}")
            ends.append((response.content, next_url(response)))
        assert ends[0] == ends[1]


def test_a_row_that_is_larger_than_a_page_is_a_page(alice_api, settings):
    settings.MAX_PAGE_SIZE = 400
    reading._kept_list.cache_clear()
    expected = [made(alice_api, text="x" * 200)["id"] for _ in range(3)]
    found = [[task["id"] for task in page] for page in pages(alice_api, "/tasks")]
    assert found == [[each] for each in reversed(expected)]
    reading._kept_list.cache_clear()
