"""A change over REST, and a change by `Task.save`: what follows from what is the same."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import ALICE
from tasks.due import send_due
from tasks.models import Notification, Task
from tasks.rules.ids import uuid7
from tasks.rules.reminders import Kind
from tasks.tests.calls import made
from tasks.tests.holding import until_somebody_waits

pytestmark = pytest.mark.django_db

TEXTS = st.text(st.characters(exclude_categories=["C"]), max_size=20)
# Few, so that they meet again; the first ones, for which there is no moment a week before.
DEADLINES = st.sampled_from(
    [
        None,
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:29:59.999999Z",
        "0001-01-01T00:30:00Z",
        "2030-05-01T12:00:00Z",
        "2030-05-01T12:00:00.000001+00:00",
        "9999-12-31T23:59:59.999999Z",
    ]
)
# When reminders are sent: at the ends of the calendar, and about what is due in 2030.
PASSES = [
    datetime(1, 1, 1, 0, 10, tzinfo=UTC),
    datetime(2030, 5, 1, 11, 45, tzinfo=UTC),
    datetime(2030, 5, 1, 12, 15, tzinfo=UTC),
    datetime(2030, 5, 1, 14, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
]
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "text": TEXTS.filter(str.strip),
    "description": TEXTS,
    "completed": st.booleans(),
    "deadline": DEADLINES,
    "order": st.integers(-5, 5),
}


@pytest.mark.skipif(connection.vendor != "postgresql", reason="one statement is PostgreSQL's")
@settings(
    max_examples=200,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    before=st.fixed_dictionaries(FIELDS),
    changes=st.lists(st.fixed_dictionaries({}, optional=FIELDS), min_size=1, max_size=3),
    passes=st.lists(st.sampled_from(PASSES), unique=True).map(sorted),
)
def test_a_swap_writes_what_saving_does(alice_api, before, changes, passes):
    ids = [made(alice_api, **before)["id"] for _ in range(2)]
    for moment in passes:
        sum(send_due(moment))
    for change in changes:
        changed = alice_api.patch(f"/tasks/{ids[0]}", change)
        saved = Task.objects.get(pk=ids[1])
        for name, value in change.items():
            setattr(saved, name, value)
        saved.text, saved.deadline = saved.text.strip(), as_moment(saved.deadline)
        saved.save()
        assert changed.status_code == 200
        assert columns(ids[0]) == columns(ids[1])


def as_moment(deadline: Any) -> Any:
    return datetime.fromisoformat(deadline) if isinstance(deadline, str) else deadline


def columns(id: str) -> dict[str, Any]:
    """A task as it is stored, with moments of the server's as they stand to one another."""
    row: dict[str, Any] = dict(Task.objects.filter(pk=id).values()[0])
    del row["id"], row["position"]
    created_at, updated_at = row.pop("created_at"), row.pop("updated_at")
    assert created_at < updated_at
    if row["completed_at"] is not None:
        assert created_at <= row["completed_at"] <= updated_at
        row["completed_at"] = row["completed_at"] in (created_at, updated_at)
    told = Notification.objects.filter(task_id=id).values_list("type", "deadline")
    return {**row, "told": sorted(told)}


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_notifications_are_locked_in_the_order_of_their_ids(alice_api):
    """As by whoever marks them all read; else each of two might wait for the other."""
    task = made(alice_api, deadline="2030-05-01T12:00:00Z")
    noon = datetime(2030, 5, 1, 12, tzinfo=UTC)
    notes = [
        Notification(id=id, user_id=ALICE, task_id=task["id"], type=kind, deadline=noon)
        # The other way round in the alphabet.
        for id, kind in zip(sorted([uuid7(), uuid7()]), [Kind.REMINDER, Kind.REACHED], strict=True)
    ]
    for note in notes:
        note.save()
    Task.objects.filter(pk=task["id"]).update_unrecorded(reminded=True)

    def finish() -> int:
        try:
            with connection.cursor() as cursor:  # found by the index, which sorts them by type
                cursor.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
            changes = {"completed": True}
            answer = alice_api.patch(f"/tasks/{task['id']}", changes)
            return int(answer.status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as aside:
        with transaction.atomic():
            assert Notification.objects.filter(pk=notes[0].pk).locked()
            changing = aside.submit(finish)
            until_somebody_waits()
            assert Notification.objects.filter(pk=notes[1].pk).locked()  # which nobody holds
        assert changing.result() == 200
    assert not Notification.objects.filter(task_id=task["id"]).exists()


def test_after_a_change_completed_before_stays_when_it_was(alice_api):
    task = made(alice_api, completed=True)
    for _ in range(2):
        changed = alice_api.patch(f"/tasks/{task['id']}", {"completed": True}).json()
        assert changed["completed_at"] == task["completed_at"] < changed["updated_at"]


def test_versions_far_away_are_no_mistake(alice_api):
    task = made(alice_api)
    for version in ("0", "f" * 13, "f" * 14, "f" * 15, "f" * 400, "-1", "6_6", "\u0666"):
        headers = {"HTTP_IF_MATCH": f'"{version}"'}
        assert alice_api.patch(f"/tasks/{task['id']}", {"order": 1}, **headers).status_code == 412
    assert Task.objects.get().version == 1
