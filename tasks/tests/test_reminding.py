"""Reminders of days, by preferences, and by preferences that change (docs/api.md sections 6 and 7)."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from conftest import ALICE
from tasks.due import send_due
from tasks.models import Event, Notification, Preferences, Task
from tasks.rules.days import zones
from tasks.rules.reminders import Kind, State, Wishes, due, upcoming
from tasks.tests.calls import made
from tasks.tests.holding import until_somebody_waits
from tasks.tests.plans import plan_of

pytestmark = pytest.mark.django_db

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def remind(at: datetime) -> int:
    output = io.StringIO()
    call_command("send_reminders", "--at", at.isoformat(), stdout=output)
    return int(output.getvalue().split()[0])


def notes(api: Any) -> list[dict[str, Any]]:
    """Somebody's notifications, oldest first."""
    found: list[dict[str, Any]] = api.get("/notifications").json()
    return found[::-1]


def kinds(api: Any) -> list[str]:
    return [note["type"] for note in notes(api)]


def prefer(api: Any, **wanted: Any) -> None:
    assert api.patch("/preferences", wanted).status_code == 200


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_day_is_reminded_of_in_the_morning_and_overdue_the_next(alice_api):
    task = made(alice_api, "Water the plants", due_on="2030-05-01")
    assert remind(utc("2030-05-01T08:59")) == 0
    for at, kind in (("2030-05-01", "deadline_reminder"), ("2030-05-02", "task_overdue")):
        assert [remind(utc(f"{at}T09:00")), remind(utc(f"{at}T23:00"))] == [1, 0]
        note = notes(alice_api)[-1]
        assert (note["type"], note["task_id"]) == (kind, task["id"])
        assert (note["deadline"], note["due_on"]) == (None, "2030-05-01")
        assert "Water the plants" in note["message"] and "2030-05-01" in note["message"]
    assert remind(utc("2031-01-01T00:00")) == 0


def test_days_and_messages_are_of_the_persons_time_zone(alice_api, bob_api):
    prefer(alice_api, time_zone="Europe/Berlin", remind_at="07:15")
    prefer(bob_api, time_zone="America/New_York")
    for api in (alice_api, bob_api):
        made(api, due_on="2027-03-28")  # clocks go forward in Berlin that night
    made(alice_api, deadline="2027-03-28T00:30:00Z")
    made(alice_api, deadline="2027-03-28T01:30:00Z")
    assert remind(utc("2027-03-28T05:14")) == 2
    said = [note["message"] for note in notes(alice_api)]
    assert "2027-03-28 01:30 Europe/Berlin" in said[0]
    assert "2027-03-28 03:30 Europe/Berlin" in said[1]
    assert remind(utc("2027-03-28T05:15")) == 1
    assert kinds(bob_api) == []
    assert remind(utc("2027-03-28T13:00")) == 1
    assert kinds(bob_api) == ["deadline_reminder"]
    assert remind(utc("2027-03-29T05:14")) == 0
    assert remind(utc("2027-03-29T05:15")) == 1


@pytest.mark.parametrize(("before", "at"), [(1, 1), (60, 60), (10_080, 10_080)])
def test_so_many_minutes_before_a_deadline(alice_api, before, at):
    prefer(alice_api, remind_before=before)
    made(alice_api, deadline=NOON.isoformat())
    assert remind(NOON - at * MINUTE - timedelta(seconds=1)) == 0
    assert remind(NOON - at * MINUTE) == 1
    assert [remind(NOON), remind(NOON + HOUR)] == [1, 1]


@pytest.mark.parametrize("before", [0, None])
def test_no_reminder_before_a_deadline(alice_api, before):
    prefer(alice_api, remind_before=before)
    made(alice_api, deadline=NOON.isoformat())
    assert remind(NOON - timedelta(seconds=1)) == 0
    assert [remind(NOON), remind(NOON), remind(NOON + HOUR)] == [1, 0, 1]
    assert kinds(alice_api) == ["deadline_reached", "task_overdue"]


def test_a_day_already_past_gives_the_one_kind_that_fits(alice_api):
    made(alice_api, due_on="2030-04-29")
    made(alice_api, due_on="2030-04-30")
    assert remind(utc("2030-05-01T08:00")) == 2
    assert sorted(kinds(alice_api)) == ["deadline_reminder", "task_overdue"]
    assert remind(utc("2030-05-01T09:00")) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"due_on": "2030-05-02"},
        {"due_on": None},
        {"deadline": "2030-05-01T09:00:00Z"},
        {"completed": True},
    ],
)
def test_another_date_withdraws_what_no_longer_holds_and_arms_again(alice_api, change):
    task = made(alice_api, due_on="2030-05-01")
    remind(utc("2030-05-01T09:00"))
    (note,) = notes(alice_api)
    assert alice_api.patch(f"/tasks/{task['id']}", change).status_code == 200
    assert notes(alice_api) == []
    told = Event.objects.order_by("-seq").values_list("type", "data__id")[:2]
    assert list(told) == [("task.updated", task["id"]), ("notification.withdrawn", note["id"])]
    assert remind(utc("2030-05-03T09:00")) == (
        1 if change.keys() != {"completed"} and any(change.values()) else 0
    )


def test_a_change_of_preferences_arms_again_what_is_still_ahead(alice_api, bob_api):
    for api in (alice_api, bob_api):
        made(api, deadline=NOON.isoformat())
        made(api, due_on="2030-05-01")
    assert remind(NOON - 4 * HOUR) == 0  # all of them wait for what they call for so far
    prefer(alice_api, remind_before=180, remind_at="08:30")
    assert remind(NOON - 3.5 * HOUR) == 1
    assert remind(NOON - 3 * HOUR) == 2
    assert (len(notes(alice_api)), len(notes(bob_api))) == (2, 1)


def test_what_was_sent_for_a_date_is_not_sent_again(alice_api):
    made(alice_api, deadline=NOON.isoformat())
    made(alice_api, due_on="2030-05-01")
    assert remind(NOON - 30 * MINUTE) == 2
    prefer(alice_api, remind_before=10, remind_at="11:45", time_zone="Europe/London")
    assert remind(NOON - 10 * MINUTE) == 0
    assert len(notes(alice_api)) == 2  # nor is any of it withdrawn
    assert [remind(NOON), remind(NOON + HOUR)] == [1, 1]
    assert remind(NOON + DAY - HOUR - 16 * MINUTE) == 0  # a quarter to twelve in London
    assert remind(NOON + DAY - HOUR - 15 * MINUTE) == 1


def test_a_task_is_changed_in_one_step_until_it_was_reminded_of(alice_api):
    task = made(alice_api, deadline=NOON.isoformat())
    assert remind(NOON - HOUR) == 0
    assert not Task.objects.get().reminded
    prefer(alice_api, remind_before=120)
    assert remind(NOON - HOUR) == 1
    assert Task.objects.get().reminded
    prefer(alice_api, remind_before=60)  # which sets `next_reminder_at` back
    alice_api.patch(f"/tasks/{task['id']}", {"completed": True})
    assert notes(alice_api) == []


def test_a_pass_looks_at_a_task_when_something_may_be_due(alice_api):
    made(alice_api, deadline=NOON.isoformat())

    def looks(at: datetime) -> int:
        with CaptureQueriesContext(connection) as queries:
            remind(at)
        return sum("tasks_task" in query["sql"] for query in queries)

    assert looks(NOON - 7 * DAY - MINUTE) == 1
    assert looks(NOON - 7 * DAY) > 1
    assert looks(NOON - 31 * MINUTE) == 1
    assert looks(NOON - 30 * MINUTE) > 1


def test_who_wants_no_pushes_of_reminders(alice_api, bob_api, settings):
    from tasks.push.outbox import _who_wants_pushes

    prefer(alice_api, push=False)
    prefer(bob_api, remind_before=5)
    assert _who_wants_pushes([ALICE, "bob", "nobody"]) == {"bob", "nobody"}


# Two at once


def aside(pool: ThreadPoolExecutor, call: Any, *args: Any) -> Any:
    def run() -> Any:
        try:
            return call(*args)
        finally:
            connection.close()

    return pool.submit(run)


ON_POSTGRESQL = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite has one writer at a time"
)


@ON_POSTGRESQL
@pytest.mark.django_db(transaction=True)
def test_a_pass_that_read_preferences_of_before_is_set_back(alice_api):
    task = made(alice_api, deadline=NOON.isoformat())
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            assert remind(NOON - 2 * HOUR) == 0  # waits for half an hour before; not committed yet
            changing = aside(pool, lambda: prefer(alice_api, remind_before=90))
            until_somebody_waits()
        changing.result()
    assert remind(NOON - 90 * MINUTE) == 1
    assert notes(alice_api)[0]["task_id"] == task["id"]


@ON_POSTGRESQL
@pytest.mark.django_db(transaction=True)
def test_preferences_and_a_day_that_change_at_once(alice_api):
    """Whoever comes first, nobody waits in a circle, and the day ends where the zone says."""
    task = made(alice_api, due_on="2030-05-01")
    with ThreadPoolExecutor(2) as pool:
        with transaction.atomic():
            Task.objects.filter(pk=task["id"]).locked()
            change = {"due_on": "2030-05-02"}
            moving = aside(pool, lambda: alice_api.patch(f"/tasks/{task['id']}", change))
            until_somebody_waits()
            zoning = aside(pool, lambda: prefer(alice_api, time_zone="Asia/Tokyo"))
            until_somebody_waits(2)
            Preferences.of(ALICE)  # as who gives another of the person's tasks a day
        assert moving.result().status_code == 200
        zoning.result()
    assert Task.objects.get().due_at == utc("2030-05-02T15:00")


# Looking when it must, and not otherwise, comes to the same as looking at everything always


ZONES = sorted(zones())
# Around a change of clocks in many zones, and a year's end.
STARTS = [
    utc("2027-03-27T12:00"),
    utc("2027-10-30T12:00"),
    utc("2027-12-30T12:00"),
    utc("2028-02-28T00:00"),
]
WISHES = st.fixed_dictionaries(
    {
        "time_zone": st.sampled_from(ZONES),
        "remind_at": st.sampled_from(["00:00", "02:30", "09:00", "23:59"]),
        "remind_before": st.sampled_from([None, 0, 30, 300, 1440, 10_080]),
    }
)
EARLIER = {"time_zone": "Asia/Tokyo", "remind_at": "02:30", "remind_before": 300}
DATES = st.tuples(st.sampled_from(["deadline", "due_on"]), st.integers(0, 72))
# What is done, and how long after it the next pass comes.
STEPS = st.tuples(
    st.none() | WISHES | WISHES | DATES | st.booleans(),
    st.sampled_from([0, 10, 60, 300, 720, 1440]).map(lambda number: number * MINUTE),
)


@settings(
    max_examples=20,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    start=st.sampled_from(STARTS),
    date=DATES,
    steps=st.lists(STEPS, min_size=3, max_size=9),
)
@example(STARTS[0], ("deadline", 2), [(None, 0 * MINUTE), (EARLIER, 0 * MINUTE)])
def test_whatever_happens_each_pass_makes_what_the_rule_says(alice_api, start, date, steps):
    Task.objects.all().delete()
    Preferences.objects.all().delete()
    path, now = f"/tasks/{made(alice_api, **dates(start, *date))['id']}", start
    for what, elapsed in steps:
        if isinstance(what, dict):
            prefer(alice_api, **what)
        elif what is not None:
            change = {"completed": what} if isinstance(what, bool) else dates(start, *what)
            assert alice_api.patch(path, change).status_code == 200
        now += elapsed
        expected = list(expected_kinds(now))
        before = {note.pk for note in Notification.objects.all()}
        sum(send_due(now))
        new = Notification.objects.exclude(pk__in=before)
        assert [note.type for note in new] == expected


def dates(start: datetime, name: str, hours: int) -> dict[str, Any]:
    at = start + hours * HOUR
    return {name: at.isoformat() if name == "deadline" else at.date().isoformat()}


def expected_kinds(now: datetime) -> Iterator[str]:
    """By looking at the task as it is, with all that was made of its date."""
    task = Task.objects.get()
    wanted = Preferences.objects.filter(user_id=ALICE).first() or Preferences()
    told = Notification.objects.filter(task=task, deadline=task.deadline, due_on=task.due_on)
    day: date | None = task.due_on
    state = State(task.completed, task.deadline, day, {Kind(note.type) for note in told})
    wishes = Wishes(wanted.time_zone, wanted.remind_at, wanted.remind_before)
    if (kind := due(upcoming(state, wishes), now)) is not None:
        yield kind.value


# What it costs


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no such policies")
def test_what_a_pass_writes_is_found_by_its_key():
    """Under row-level security, too, which lets an index be used for plain columns alone."""
    Task.objects.bulk_create([Task(user_id=ALICE, text="x", deadline=NOON) for _ in range(5)])
    Task.objects.bulk_create([Task(user_id=ALICE, text="x") for _ in range(1000)])
    with CaptureQueriesContext(connection) as queries:
        assert sum(send_due(NOON)) == 5
    (writing,) = (q["sql"] for q in queries if q["sql"].startswith('UPDATE "tasks_task"'))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE tasks_task")  # else the planner knows what other tests have left
    # Without what is enough for so few rows.
    plan = plan_of(writing, without=("seqscan", "hashjoin", "mergejoin", "material"))
    assert "Index Cond: (id = given.c0)" in plan, plan
