"""A change by one statement, and a change by `Task.save`: what follows from what is the same."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.permissions import BasePermission

from accounts.owned.permissions import IsOwner
from conftest import ALICE
from tasks.api.views import TaskViewSet
from tasks.due import send_due
from tasks.models import Notification, Task
from tasks.rules.ids import uuid7
from tasks.rules.reminders import Kind
from tasks.tests.calls import made
from tasks.tests.holding import until_somebody_waits

pytestmark = pytest.mark.django_db

# It is true of every task; and of changes with it nobody knows before looking.
ANOTHER_VERSION = {"HTTP_IF_NONE_MATCH": '"another"'}

TEXTS = st.text(st.characters(exclude_categories=["C"]), max_size=20)
# Few, so that they meet again; the first ones, for which there is no moment half an hour before.
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
def test_one_statement_writes_what_saving_does(alice_api, before, changes, passes):
    ids = [made(alice_api, **before)["id"] for _ in range(2)]
    for moment in passes:
        sum(send_due(moment))
    for change in changes:
        at_once, saved = (
            alice_api.patch(f"/tasks/{id}", change, **headers)
            for id, headers in zip(ids, ({}, ANOTHER_VERSION), strict=True)
        )
        assert (at_once.status_code, saved.status_code) == (200, 200)
        assert columns(ids[0]) == columns(ids[1])
        assert at_once.json().keys() == saved.json().keys()


def columns(id: str) -> dict[str, Any]:
    """A task as it is stored, with moments of the server's as they stand to one another."""
    row: dict[str, Any] = dict(Task.objects.filter(pk=id).values()[0])
    del row["id"]
    created_at, updated_at = row.pop("created_at"), row.pop("updated_at")
    assert created_at < updated_at
    if row["completed_at"] is not None:
        assert created_at <= row["completed_at"] <= updated_at
        row["completed_at"] = row["completed_at"] in (created_at, updated_at)
    told = Notification.objects.filter(task_id=id).values_list("type", "deadline")
    return {**row, "told": sorted(told)}


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("headers", [{}, ANOTHER_VERSION])
def test_notifications_are_locked_in_the_order_of_their_ids(alice_api, headers):
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
    Task.objects.filter(pk=task["id"]).wait_for(Kind.OVERDUE)

    def finish() -> int:
        try:
            with connection.cursor() as cursor:  # found by the index, which sorts them by type
                cursor.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
            changes = {"completed": True}
            answer = alice_api.patch(f"/tasks/{task['id']}", changes, **headers)
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
    for headers in ({}, ANOTHER_VERSION):
        changed = alice_api.patch(f"/tasks/{task['id']}", {"completed": True}, **headers).json()
        assert changed["completed_at"] == task["completed_at"] < changed["updated_at"]


class NotDoneYet(BasePermission):
    """A rule about objects, such as somebody might add."""

    message = "It is done"

    def has_object_permission(self, request: Any, view: Any, obj: Any) -> bool:
        return not obj.completed


@pytest.mark.parametrize(
    "classes", [[IsOwner, NotDoneYet], [NotDoneYet, IsOwner], [IsOwner & NotDoneYet]]
)
def test_other_permissions_see_the_task_before_it_is_changed(alice_api, monkeypatch, classes):
    task = made(alice_api)
    path = f"/tasks/{task['id']}"
    monkeypatch.setattr(TaskViewSet, "permission_classes", classes)
    assert alice_api.patch(path, {"completed": True}).status_code == 200
    refused = alice_api.patch(path, {"completed": False})
    assert refused.status_code == 403
    assert Task.objects.get().completed


def test_so_do_those_that_a_view_thinks_of_itself(alice_api, monkeypatch):
    path = f"/tasks/{made(alice_api, completed=True)['id']}"
    permissions = [IsOwner(), NotDoneYet()]
    monkeypatch.setattr(TaskViewSet, "get_permissions", lambda self: permissions)
    assert alice_api.patch(path, {"completed": False}).status_code == 403


def test_versions_far_away_are_no_mistake(alice_api):
    """The moment an ETag stands for is computed; there are ETags for which there is none."""
    task = made(alice_api)
    for version in ("0", "f" * 13, "f" * 14, "f" * 15, "f" * 400, "-1", "6_6", "\u0666"):
        headers = {"HTTP_IF_MATCH": f'"{version}"'}
        assert alice_api.patch(f"/tasks/{task['id']}", {"order": 1}, **headers).status_code == 412
    moment = datetime.now(UTC) + timedelta(days=1)
    assert Task.objects.get().updated_at < moment
