"""Tasks that repeat: the next one is made when one is completed (docs/api.md section 4)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from conftest import ALICE, client_with, sign
from tasks.due import send_due
from tasks.models import Event, Notification, Task, TrashedTask
from tasks.rules.moments import as_text, now
from tasks.tests.calls import listed, made
from tasks.tests.holding import until_somebody_waits

pytestmark = pytest.mark.django_db

postgresql_only = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="one writes at a time"
)

DAILY = "FREQ=DAILY"
AHEAD = "2090-05-01"


def change(api: Any, task: dict[str, Any], **fields: Any) -> dict[str, Any]:
    answer = api.patch(f"/tasks/{task['id']}", fields)
    assert answer.status_code == 200, answer.content
    row: dict[str, Any] = answer.json()
    return row


def next_of(api: Any, task: dict[str, Any]) -> dict[str, Any]:
    (row,) = [row for row in listed(api) if row["previous_id"] == task["id"]]
    return row


def told(since: int) -> list[tuple[str, str]]:
    rows = Event.objects.filter(user_id=ALICE, seq__gt=since).order_by("seq")
    return [(row.type, row.data.get("text", row.data["id"])) for row in rows]


def seq() -> int:
    return Event.objects.filter(user_id=ALICE).count()


def test_completing_one_makes_the_next(alice_api):
    project = alice_api.post("/projects", {"name": "home"}).json()["id"]
    label = alice_api.post("/labels", {"name": "a"}).json()["id"]
    parent = made(alice_api, "parent", project_id=project)
    same = {
        **{"text": "again", "description": " x ", "priority": 2, "order": 7},
        **{"label_ids": [label], "parent_id": parent["id"]},
    }
    below = made(alice_api, "below", parent_id=parent["id"])
    task = made(alice_api, due_on=AHEAD, recurrence="FREQ=WEEKLY;INTERVAL=2;COUNT=3", **same)
    above = made(alice_api, "above", parent_id=parent["id"])
    assert (task["recurrence"], task["previous_id"]) == ("FREQ=WEEKLY;INTERVAL=2;COUNT=3", None)
    before = seq()

    done = change(alice_api, task, completed=True)
    later = next_of(alice_api, task)
    assert (done["recurrence"], done["version"], done["completed"]) == ("", 2, True)
    assert {name: later[name] for name in same} == same
    assert later["due_on"] == "2090-05-15" and later["deadline"] is None
    assert later["recurrence"] == "FREQ=WEEKLY;INTERVAL=2;COUNT=2"
    assert (later["version"], later["completed"], later["project_id"]) == (1, False, project)
    assert told(before) == [("task.created", "again"), ("task.updated", "again")]
    in_order = [row["id"] for row in listed(alice_api, parent=parent["id"], ordering="position")]
    assert in_order == [above["id"], task["id"], later["id"], below["id"]]

    last = next_of(alice_api, change(alice_api, later, completed=True))
    assert (last["due_on"], last["recurrence"]) == ("2090-05-29", "FREQ=WEEKLY;INTERVAL=2;COUNT=1")
    count = len(listed(alice_api))
    done = change(alice_api, last, completed=True)  # after the last date: none
    assert (done["recurrence"], len(listed(alice_api))) == ("", count)
    assert change(alice_api, last, completed=False)["recurrence"] == last["recurrence"]


def test_the_next_date_is_after_now_and_by_the_clock_on_the_wall(alice_api):
    alice_api.patch("/preferences", {"time_zone": "Europe/Berlin"})
    winter = made(alice_api, deadline="2089-03-26T08:00:00Z", recurrence=DAILY)  # 09:00 there
    change(alice_api, winter, completed=True)
    assert next_of(alice_api, winter)["deadline"] == "2089-03-27T07:00:00Z"  # 09:00 again
    today = timezone.now().date()
    old = made(alice_api, due_on=str(today - timedelta(days=400)), recurrence=f"{DAILY};COUNT=500")
    change(alice_api, old, completed=True)
    later = next_of(alice_api, old)
    assert date.fromisoformat(later["due_on"]) > today
    passed = (date.fromisoformat(later["due_on"]) - date.fromisoformat(old["due_on"])).days
    assert later["recurrence"] == f"{DAILY};COUNT={500 - passed}"
    early = timezone.now() - timedelta(days=3, hours=1)
    moment = made(alice_api, deadline=as_text(early), recurrence=DAILY)
    change(alice_api, moment, completed=True)
    assert datetime.fromisoformat(next_of(alice_api, moment)["deadline"]) > datetime.now(UTC)


@pytest.mark.parametrize(
    ("rule", "date"),
    [
        ("FREQ=HOURLY", {"due_on": AHEAD}),
        ("FREQ=DAILY;BYHOUR=1", {"due_on": AHEAD}),
        ("FREQ=DAILY;UNTIL=20910101T000000Z", {"due_on": AHEAD}),
        ("FREQ=DAILY;UNTIL=20910101", {"deadline": f"{AHEAD}T00:00:00Z"}),
        ("FREQ=DAILY;UNTIL=20890101", {"due_on": AHEAD}),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", {"due_on": AHEAD}),
        ("FREQ=DAILY;UNTIL=20910101;COUNT=2", {"due_on": AHEAD}),
        ("FREQ=DAILY;BYMONTH=" + ",".join(["1"] * 400), {"due_on": AHEAD}),
        ("nonsense", {"due_on": AHEAD}),
        ("FREQ=DAILY\x00", {"due_on": AHEAD}),
        (None, {"due_on": AHEAD}),
        (7, {"due_on": AHEAD}),
        (DAILY, {}),
        (DAILY, {"due_on": None, "deadline": None}),
    ],
)
def test_what_is_no_rule_is_refused(alice_api, rule, date):
    task, dated = made(alice_api), made(alice_api, due_on=AHEAD)
    body = {"text": "x", "recurrence": rule, **date}
    for answer in (
        alice_api.post("/tasks", body),
        alice_api.patch(f"/tasks/{task['id']}", body),
        alice_api.put(f"/tasks/{task['id']}", body),
        *([alice_api.put(f"/tasks/{dated['id']}", body)] if rule == DAILY else []),
    ):
        assert (answer.status_code, list(answer.json())) == (400, ["recurrence"]), answer.content
    assert listed(alice_api) == [dated, task]


def test_taking_the_date_off_takes_the_rule_off(alice_api):
    task = made(alice_api, due_on=AHEAD, recurrence=" freq=daily ")
    assert task["recurrence"] == "freq=daily"
    assert change(alice_api, task, text="x")["recurrence"] == "freq=daily"
    moved = change(alice_api, task, deadline=f"{AHEAD}T00:00:00Z")
    assert (moved["recurrence"], moved["due_on"]) == ("freq=daily", None)
    assert change(alice_api, task, deadline=None)["recurrence"] == ""
    until = made(alice_api, due_on=AHEAD, recurrence="FREQ=DAILY;UNTIL=20910101")
    url = f"/tasks/{until['id']}"
    answer = alice_api.patch(url, {"deadline": f"{AHEAD}T00:00:00Z"})
    assert (answer.status_code, list(answer.json())) == (400, ["recurrence"])
    assert alice_api.put(url, {"text": "x", "due_on": AHEAD}).json()["recurrence"] == ""
    count = len(listed(alice_api))
    stopped = made(alice_api, due_on=AHEAD, recurrence=DAILY)
    change(alice_api, stopped, completed=True, recurrence="")
    whole = made(alice_api, due_on=AHEAD, recurrence=DAILY)
    alice_api.put(f"/tasks/{whole['id']}", {"text": "x", "due_on": AHEAD, "completed": True})
    made(alice_api, due_on=AHEAD, recurrence=DAILY, completed=True)
    assert len(listed(alice_api)) == count + 3


def test_reopening_takes_the_next_away_while_nobody_has_changed_it(alice_api):
    task = made(alice_api, deadline=f"{AHEAD}T12:00:00Z", recurrence=DAILY)
    sub = made(alice_api, "sub", parent_id=task["id"])
    for _ in range(2):
        before = seq()
        change(alice_api, task, completed=True)
        later = next_of(alice_api, task)
        (copy,) = listed(alice_api, parent=later["id"])
        assert change(alice_api, task, completed=False)["recurrence"] == DAILY
        assert {row["id"] for row in listed(alice_api)} == {task["id"], sub["id"]}
        gone = [name for kind, name in told(before) if kind == "task.deleted"]
        assert sorted(gone) == sorted([later["id"], copy["id"]])
        assert told(before)[-1] == ("task.updated", "Buy milk")
    assert TrashedTask.objects.count() == 0
    before = change(alice_api, task, completed=True)["updated_at"]
    later = change(alice_api, next_of(alice_api, task), text="changed")
    assert later["updated_at"] > before
    assert change(alice_api, task, completed=False)["recurrence"] == ""
    assert next_of(alice_api, task) == later
    change(alice_api, task, completed=True)
    assert next_of(alice_api, task) == later


def test_reopening_leaves_a_next_one_in_whose_subtasks_somebody_has_written(alice_api):
    task = made(alice_api, due_on=AHEAD, recurrence=DAILY)
    made(alice_api, "sub", parent_id=task["id"])
    change(alice_api, task, completed=True)
    later = next_of(alice_api, task)
    (copy,) = listed(alice_api, parent=later["id"])
    change(alice_api, copy, text="written")
    assert change(alice_api, task, completed=False)["recurrence"] == ""
    assert next_of(alice_api, task) == later
    assert [row["text"] for row in listed(alice_api, parent=later["id"])] == ["written"]


def test_reopening_leaves_a_next_one_to_which_somebody_has_added_a_subtask(alice_api):
    task = made(alice_api, due_on=AHEAD, recurrence=DAILY)
    made(alice_api, "copied", parent_id=task["id"])
    change(alice_api, task, completed=True)
    later = next_of(alice_api, task)
    added = made(alice_api, "added", parent_id=later["id"])
    assert change(alice_api, task, completed=False)["recurrence"] == ""
    assert added in listed(alice_api, parent=later["id"])


def test_reopening_takes_the_next_one_away_with_copies_of_subtasks(alice_api):
    task = made(alice_api, due_on=AHEAD, recurrence=DAILY)
    subs = [made(alice_api, text, parent_id=task["id"]) for text in ("a", "b")]
    change(alice_api, task, completed=True)
    assert len(listed(alice_api)) == 6
    assert change(alice_api, task, completed=False)["recurrence"] == DAILY
    assert {row["id"] for row in listed(alice_api)} == {task["id"], *(sub["id"] for sub in subs)}
    assert alice_api.get("/trash").json() == []


def test_a_next_one_that_is_gone_gives_no_rule_back(alice_api):
    task = made(alice_api, due_on=AHEAD, recurrence=DAILY)
    change(alice_api, task, completed=True)
    later = next_of(alice_api, task)
    assert alice_api.delete(f"/tasks/{later['id']}").status_code == 204
    assert change(alice_api, task, completed=False)["recurrence"] == ""
    assert alice_api.post(f"/trash/{later['id']}/restore").json()["previous_id"] == task["id"]


def test_the_trash_keeps_what_is_to_be_given_back(alice_api):
    task = made(alice_api, due_on=AHEAD, recurrence=DAILY)
    change(alice_api, task, completed=True)
    assert alice_api.delete(f"/tasks/{task['id']}").status_code == 204
    assert alice_api.post(f"/trash/{task['id']}/restore").status_code == 200

    assert change(alice_api, task, completed=False)["recurrence"] == DAILY
    assert [row["id"] for row in listed(alice_api)] == [task["id"]]
    assert alice_api.delete(f"/tasks/{task['id']}").status_code == 204
    assert alice_api.post(f"/trash/{task['id']}/restore").json()["recurrence"] == DAILY


def test_subtasks_are_copied_open_and_without_dates(alice_api):
    label = alice_api.post("/labels", {"name": "a"}).json()["id"]
    task = made(alice_api, due_on=AHEAD, recurrence=DAILY)
    fields = {"priority": 3, "description": "d", "label_ids": [label]}
    dated = {"due_on": AHEAD, "recurrence": DAILY}
    subs = [
        made(alice_api, "a", parent_id=task["id"], **fields),
        made(alice_api, "b", parent_id=task["id"], **dated),
        made(alice_api, "c", parent_id=task["id"], completed=True),
    ]
    before = seq()
    change(alice_api, task, completed=True)

    later = next_of(alice_api, task)
    copies = listed(alice_api, parent=later["id"], ordering="-position")
    assert [row["text"] for row in copies] == ["a", "b", "c"]
    assert {name: copies[0][name] for name in fields} == fields
    for copy, sub in zip(copies, subs, strict=True):
        assert copy["position"] == sub["position"] and copy["previous_id"] is None
        plain = {"completed": False, "due_on": None, "recurrence": "", "version": 1}
        assert {name: copy[name] for name in plain} == plain
    assert sorted(told(before)) == sorted(
        [("task.created", text) for text in ("Buy milk", "a", "b", "c")]
        + [("task.updated", text) for text in ("Buy milk", "a", "b")]
    )
    # Completed through its parent, the one that repeats has no next.
    (sub,) = [row for row in listed(alice_api, parent=task["id"]) if row["text"] == "b"]
    assert sub["completed"] and not [
        row for row in listed(alice_api) if row["previous_id"] == sub["id"]
    ]
    assert change(alice_api, sub, completed=False)["recurrence"] == DAILY


def test_notifications_are_withdrawn_with_it(alice_api):
    task = made(alice_api, due_on="2020-01-01", recurrence=DAILY)
    assert sum(send_due(now())) == 1
    before = seq()
    change(alice_api, task, completed=True)
    assert Notification.objects.count() == 0
    kinds = [kind for kind, _ in told(before)]
    assert sorted(kinds) == ["notification.withdrawn", "task.created", "task.updated"]


def test_whoever_completes_it_makes_the_next(alice_api):
    task = made(alice_api, due_on=AHEAD, recurrence=DAILY)
    for done in (True, False, True):
        Task.objects.filter(pk=task["id"]).update(completed=done)
        assert Task.objects.filter(previous_id=task["id"]).count() == done
    stored = Task.objects.get(pk=task["id"])
    stored.completed = False
    stored.save(update_fields=["completed"])
    assert (stored.recurrence, Task.objects.count()) == (DAILY, 1)


def complete(task: dict[str, Any], done: bool) -> Any:
    """The answer to completing or reopening it over a connection of its own."""
    try:
        return client_with(sign(ALICE)).patch(f"/tasks/{task['id']}", {"completed": done})
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
@postgresql_only
def test_completed_twice_at_once_it_has_one_next(alice_api):
    """Or reopened twice: whoever comes second finds it done."""
    task = made(alice_api, due_on=AHEAD, recurrence=DAILY)
    for done in (True, False):
        with ThreadPoolExecutor(4) as pool:
            with transaction.atomic():
                Task.objects.select_for_update().get(pk=task["id"])
                waiting = [pool.submit(complete, task, done) for _ in range(4)]
                until_somebody_waits(4)
            assert [each.result(30).status_code for each in waiting] == [200] * 4
        assert Task.objects.filter(previous_id=task["id"]).count() == done
        assert Task.objects.get(pk=task["id"]).recurrence == ("" if done else DAILY)
    assert Event.objects.filter(type="task.created").count() == 2


@pytest.mark.django_db(transaction=True)
@postgresql_only
@pytest.mark.parametrize("adds", [False, True])
def test_what_is_typed_while_it_is_reopened_is_not_lost(alice_api, adds):
    task = made(alice_api, due_on=AHEAD, recurrence=DAILY)
    made(alice_api, "sub", parent_id=task["id"])
    change(alice_api, task, completed=True)
    later = next_of(alice_api, task)
    (copy,) = listed(alice_api, parent=later["id"])

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            if adds:
                Task.objects.create(user_id=ALICE, text="typed", parent_id=later["id"])
            else:
                stored = Task.objects.get(pk=copy["id"])
                stored.text = "typed"
                stored.save()
            waiting = pool.submit(complete, task, False)
            until_somebody_waits()
        assert waiting.result(30).json()["recurrence"] == ""
    assert "typed" in [row["text"] for row in listed(alice_api, parent=later["id"])]
