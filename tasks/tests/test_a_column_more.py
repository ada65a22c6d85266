"""A column more of something like a task: few lines, and it can be filtered and sorted by."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from tasks.tests.browser import saved
from tasks.tests.calls import next_url
from tasks.tests.chores.api import ChoreViewSet
from tasks.tests.chores.models import Chore
from tasks.tests.test_hooks import FAST, takes_fast_way

pytestmark = pytest.mark.django_db

APPLICATION = Path(__file__).parent / "chores"
COLUMN = "effort"
EFFORTS = [None, 3, None, 0, -(2**31), 2**31 - 1, 3, None, 3]


def test_it_is_declared_in_less_than_ten_lines_of_at_most_four_files():
    """Its index among them; its sort key is declared once, in `ordering_fields`."""
    lines = {
        file.name: [line for line in file.read_text().splitlines() if COLUMN in line]
        for file in APPLICATION.glob("*.py")
    }
    assert sum(map(len, lines.values())) < 10
    assert [name for name, found in sorted(lines.items()) if found] == [
        *("admin.py", "api.py", "models.py")
    ]
    assert ChoreViewSet.ordering_fields.count(COLUMN) == 1


def made(api: Any, **fields: Any) -> dict[str, Any]:
    response = api.post("/chores", {"text": "one", **fields})
    assert response.status_code == 201, response.content
    row: dict[str, Any] = response.json()
    return row


def pages(api: Any, url: str | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while url:
        response = api.get(url)
        assert response.status_code == 200, response.content
        found += response.json()
        url = next_url(response)
    return found


def ordered(rows: list[dict[str, Any]], ordering: str) -> list[dict[str, Any]]:
    """As docs/api.md section 3 has it: what has no value comes last both ways, equals by their ids."""
    key, backwards = ordering.removeprefix("-"), ordering.startswith("-")
    some = [row for row in rows if row[key] is not None]
    none = [row for row in rows if row[key] is None]
    some.sort(key=lambda row: (row[key], row["id"]), reverse=backwards)
    none.sort(key=lambda row: row["id"], reverse=backwards)
    return [*some, *none]


@pytest.mark.parametrize("limit", [1, 2, 4])
@pytest.mark.parametrize("key", ChoreViewSet.ordering_fields)
@pytest.mark.parametrize("direction", ["", "-"])
def test_every_ordering_goes_on_through_all_pages(alice_api, bob_api, key, direction, limit):
    rows = [made(alice_api, text=str(n % 4), effort=each) for n, each in enumerate(EFFORTS)]
    made(bob_api, effort=3)
    for row in rows[::2]:
        alice_api.patch(f"/chores/{row['id']}", {"text": "5"})
    rows = [alice_api.get(f"/chores/{row['id']}").json() for row in rows]
    ordering = f"{direction}{key}"

    found = pages(alice_api, f"/chores?limit={limit}&ordering={ordering}")
    assert found == ordered(rows, ordering)
    narrowed = pages(alice_api, f"/chores?limit={limit}&ordering={ordering}&effort=3")
    assert narrowed == [row for row in ordered(rows, ordering) if row["effort"] == 3]


def test_it_is_written_checked_and_recorded_like_any_other(alice_api):
    chore = made(alice_api, effort=3)
    url = f"/chores/{chore['id']}"

    assert alice_api.patch(url, {"effort": 5}).json()["effort"] == 5
    assert alice_api.put(url, {"text": "one"}).json()["effort"] is None
    mistakes: list[object] = ["3", 1.5, True, 2**31, -(2**31) - 1, []]
    for mistake in mistakes:
        answer = alice_api.patch(url, {"effort": mistake})
        assert (answer.status_code, list(answer.json())) == (400, ["effort"])
    for query in ("effort=x", "effort=1&effort=2", "effort=", "ordering=version"):
        answer = alice_api.get(f"/chores?{query}")
        assert answer.status_code == 400
        assert answer.json()["detail"].startswith(query.partition("=")[0])
    events = [event["data"].get("effort") for event in alice_api.get("/events").json()]
    assert events == [3, 5, None]


def test_postgresql_answers_it_in_the_fast_way():
    ways = {takes_fast_way(ChoreViewSet, name) for name in ("list", "retrieve")}
    assert ways == {connection.vendor == "postgresql"}
    assert len(FAST) == 5


def test_staff_see_it(alice_api):
    made(alice_api, effort=4711)
    staff = Client()
    staff.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))

    assert "4711" in staff.get("/admin/chores/chore/").content.decode()
    page = f"/admin/chores/chore/{Chore.objects.get().pk}/change/"
    assert saved(staff, page, effort="12").status_code == 302
    assert Chore.objects.get().effort == 12
