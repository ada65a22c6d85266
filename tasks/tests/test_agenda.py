"""`due=` and counts: overdue, today, upcoming, by the calendar of who asks (docs/api.md section 4)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from conftest import BOB
from tasks.api.views import TaskViewSet
from tasks.models import Preferences, Task
from tasks.resources.fast.hooks import fast_of
from tasks.rules.days import end_of_day, today, zones
from tasks.tests.calls import made, next_url, texts

pytestmark = pytest.mark.django_db

EACH = ("overdue", "today", "upcoming", "none")
DAY = timedelta(days=1)


@pytest.fixture
def at(monkeypatch) -> Any:
    """Sets the clock that `due=` goes by."""

    def clock(text: str) -> None:
        moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
        monkeypatch.setattr("tasks.models.agenda.timezone.now", lambda: moment)

    return clock


def counts(api: Any) -> dict[str, Any]:
    response = api.get("/tasks/counts")
    assert response.status_code == 200, response.content
    found: dict[str, Any] = response.json()
    return found


def create(api: Any, kind: str, **fields: Any) -> str:
    response = api.post(f"/{kind}", fields)
    assert response.status_code == 201, response.content
    return str(response.json()["id"])


def due(api: Any) -> dict[str, list[str]]:
    return {which: texts(api, due=which, ordering="created_at") for which in EACH}


def test_by_the_calendar_of_who_asks(alice_api, bob_api, at):
    at("2027-03-28T12:00:00")
    for api, zone in ((alice_api, "America/New_York"), (bob_api, "Pacific/Kiritimati")):
        assert api.patch("/preferences", {"time_zone": zone}).status_code == 200
        for text in ("2027-03-28T12:00:00Z", "2027-03-28T12:00:01Z", "2027-03-29T03:59:59Z"):
            made(api, text, deadline=text)
        made(api, "2027-03-29T04:00:00Z", deadline="2027-03-29T04:00:00Z")
        for text in ("2027-03-27", "2027-03-28", "2027-03-29"):
            made(api, text, due_on=text)
        made(api, "some day")
        made(api, "done", due_on="2027-03-01", completed=True)

    assert due(alice_api) == {
        "overdue": ["2027-03-28T12:00:00Z", "2027-03-27"],
        "today": ["2027-03-28T12:00:01Z", "2027-03-29T03:59:59Z", "2027-03-28"],
        "upcoming": ["2027-03-29T04:00:00Z", "2027-03-29"],
        "none": ["some day"],
    }
    assert due(bob_api) == {  # where it is the 29th
        "overdue": ["2027-03-28T12:00:00Z", "2027-03-27", "2027-03-28"],
        "today": [
            "2027-03-28T12:00:01Z",
            "2027-03-29T03:59:59Z",
            "2027-03-29T04:00:00Z",
            "2027-03-29",
        ],
        "upcoming": [],
        "none": ["some day"],
    }
    numbers = {"open": 8, "completed": 1, "no_date": 1, "by_project": {}, "by_label": {}}
    assert counts(alice_api) == numbers | {"overdue": 2, "today": 3, "upcoming": 2}
    at("2027-03-28T04:00:00")
    assert counts(alice_api) == numbers | {"overdue": 1, "today": 4, "upcoming": 2}
    assert alice_api.patch("/preferences", {"time_zone": "Asia/Tokyo"}).status_code == 200
    assert due(alice_api)["today"] == ["2027-03-28T12:00:00Z", "2027-03-28T12:00:01Z", "2027-03-28"]


def test_open_ones_of_each_project_and_label(alice_api, bob_api):
    home, away, old = (create(alice_api, "projects", name=name) for name in ("home", "away", "old"))
    one, two = (create(alice_api, "labels", name=name) for name in ("one", "two"))
    made(alice_api, "a", project_id=home, label_ids=[one], due_on="2000-01-01")
    made(alice_api, "b", project_id=home, label_ids=[one, two], deadline="2000-01-01T00:00:00Z")
    made(alice_api, "c", project_id=away, completed=True, label_ids=[two])
    made(alice_api, "d", label_ids=[one])
    made(alice_api, "e", project_id=old, label_ids=[two], due_on="2000-01-01")
    made(alice_api, "f", project_id=old, completed=True)
    made(bob_api, "theirs")

    everything = counts(alice_api)
    assert (everything["open"], everything["completed"], everything["overdue"]) == (4, 2, 3)
    assert everything["by_project"] == {home: 2, old: 1}
    assert everything["by_label"] == {one: 3, two: 2}
    archived = alice_api.patch(f"/projects/{old}", {"archived": True})
    assert archived.status_code == 200
    assert counts(alice_api) == {
        **{"open": 3, "completed": 1, "overdue": 2, "today": 0, "upcoming": 0, "no_date": 1},
        "by_project": {home: 2},
        "by_label": {one: 3, two: 1},
    }
    assert texts(alice_api, due="overdue") == ["b", "a"]
    assert texts(alice_api, project=old) == ["f", "e"]  # other lists have them
    assert counts(bob_api)["open"] == 1


def test_due_goes_with_other_parameters_and_pages(alice_api, bob_api, at):
    at("2027-03-28T12:00:00")
    for number in range(3):
        made(alice_api, f"row {number}", due_on="2027-03-28", priority=number)
    made(alice_api, "column", due_on="2027-03-28")
    made(bob_api, "row of theirs", deadline="2027-03-28T13:00:00Z")
    asked = {"due": "today", "search": "row", "ordering": "-priority", "limit": 2}
    page = alice_api.get("/tasks", asked)
    assert [task["text"] for task in page.json()] == ["row 2", "row 1"]
    assert [task["text"] for task in alice_api.get(next_url(page)).json()] == ["row 0"]
    assert page["X-Events-Seq"] == "4"
    assert len(alice_api.get("/tasks?%64ue=today").json()) == 4
    assert alice_api.get("/tasks?due=overdue&completed=true").json() == []
    for bad in ("due=tomorrow", "due=", "due=today&due=none", "due=today&colour=red"):
        answer = alice_api.get(f"/tasks?{bad}")
        name = bad.rpartition("&")[2].split("=")[0]
        assert answer.status_code == 400 and answer.json()["detail"].startswith(name), bad
    answer = alice_api.get("/tasks/counts?due=today")
    assert answer.status_code == 400 and answer.json()["detail"].startswith("due")
    assert texts(bob_api, due="today") == ["row of theirs"] and counts(bob_api)["today"] == 1
    assert not Preferences.objects.filter(user_id=BOB).exists()  # reading makes none


def test_only_get(alice_api, anonymous_api):
    assert alice_api.post("/tasks/counts").status_code == 405
    assert anonymous_api.get("/tasks/counts").status_code == 401


ZONES = sorted(zones())
NOW = datetime(2027, 10, 30, 22, 30, tzinfo=UTC)
DATES = st.one_of(
    st.none(),
    st.integers(-3000, 3000).map(lambda number: NOW + timedelta(minutes=number)),
    st.integers(-2, 2).map(lambda number: NOW.date() + number * DAY),
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    zone=st.sampled_from(ZONES), before=st.sampled_from(ZONES), dates=st.lists(DATES, max_size=8)
)
@example("Europe/Berlin", "Pacific/Apia", [NOW, NOW.date(), NOW.date() + DAY])
@example("Pacific/Niue", "Pacific/Kiritimati", [NOW.date() - DAY, NOW.date() + DAY])
def test_every_open_task_is_in_one_of_them_in_every_zone(alice_api, at, zone, before, dates):
    """Whichever zone it was when they were given their dates."""
    at(NOW.isoformat())
    Task.objects.all().delete()
    alice_api.patch("/preferences", {"time_zone": before})
    expected: dict[str, list[str]] = {which: [] for which in EACH}
    this_day = today(zone, NOW)
    ends = end_of_day(this_day, zone)
    for number, date in enumerate(dates):
        if date is None:
            made(alice_api, str(number))
            which = "none"
        elif isinstance(date, datetime):
            made(alice_api, str(number), deadline=date.isoformat())
            which = "overdue" if date <= NOW else "today" if date < ends else "upcoming"
        else:
            made(alice_api, str(number), due_on=date.isoformat())
            which = "overdue" if date < this_day else "upcoming" if date > this_day else "today"
        expected[which].append(str(number))
    alice_api.patch("/preferences", {"time_zone": zone})
    assert due(alice_api) == expected
    counted = counts(alice_api)
    names = {"none": "no_date"}
    assert {which: counted[names.get(which, which)] for which in EACH} == {
        which: len(found) for which, found in expected.items()
    }


def test_counts_are_of_what_the_viewset_shows(alice_api, monkeypatch):
    """A subclass that narrows `get_queryset` counts no more than it lists."""
    label = create(alice_api, "labels", name="one")
    for priority in (0, 4):
        made(alice_api, priority=priority, label_ids=[label])
    assert (counts(alice_api)["open"], counts(alice_api)["by_label"]) == (2, {label: 2})
    shown = TaskViewSet.get_queryset
    monkeypatch.setattr(TaskViewSet, "get_queryset", lambda view: shown(view).filter(priority=4))
    fast_of.cache_clear()
    try:
        assert (counts(alice_api)["open"], counts(alice_api)["by_label"]) == (1, {label: 1})
    finally:
        monkeypatch.undo()
        fast_of.cache_clear()
