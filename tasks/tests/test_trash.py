"""Deleted tasks: kept for 30 days, brought back, or dropped for good (docs/api.md section 4)."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command

from conftest import ALICE, BOB
from tasks.due import send_due
from tasks.models import Event, Notification, Task, TrashedTask
from tasks.rules.moments import now
from tasks.tests.calls import listed, made, next_url

pytestmark = pytest.mark.django_db


def trash(api: Any, **query: Any) -> list[dict[str, Any]]:
    answer = api.get("/trash", query)
    assert answer.status_code == 200 and "X-Events-Seq" not in answer, answer.content
    rows: list[dict[str, Any]] = answer.json()
    return rows


def texts(rows: list[dict[str, Any]]) -> list[str]:
    return [row["text"] for row in rows]


def delete(api: Any, *tasks: dict[str, Any]) -> None:
    for task in tasks:
        assert api.delete(f"/tasks/{task['id']}").status_code == 204


def restored(api: Any, task: dict[str, Any]) -> dict[str, Any]:
    answer = api.post(f"/trash/{task['id']}/restore")
    assert answer.status_code == 200, answer.content
    row: dict[str, Any] = answer.json()
    assert answer["ETag"] == f'"{row["version"]}"'
    assert api.get(f"/tasks/{task['id']}").json() == row
    return row


def told(since: int) -> list[tuple[str, str]]:
    rows = Event.objects.filter(user_id=ALICE, seq__gt=since).order_by("seq")
    return [(row.type, row.data.get("text", row.data["id"])) for row in rows]


def seq() -> int:
    return Event.objects.filter(user_id=ALICE).count()


def full_task(api: Any, **fields: Any) -> dict[str, Any]:
    project = api.post("/projects", {"name": "home"}).json()["id"]
    labels = [api.post("/labels", {"name": name}).json()["id"] for name in "ab"]
    task = made(api, "full", project_id=project, label_ids=labels, due_on="2030-05-01", **fields)
    changed: dict[str, Any] = api.patch(
        f"/tasks/{task['id']}", {"description": " x ", "completed": True, "priority": 3}
    ).json()
    return changed


def test_a_task_comes_back_as_it_was(alice_api):
    task, others = full_task(alice_api), [made(alice_api, text) for text in "ab"]
    delete(alice_api, task)
    (row,) = trash(alice_api)
    assert row == {**task, "deleted_at": row["deleted_at"]}
    before = seq()

    back = restored(alice_api, task)
    assert back == {**task, "version": task["version"] + 1, "updated_at": back["updated_at"]}
    assert back["updated_at"] > task["updated_at"]
    assert listed(alice_api, ordering="position") == [*others[::-1], back]
    assert told(before) == [("task.created", "full")]
    assert Event.objects.get(seq=before + 1, user_id=ALICE).data == back
    assert trash(alice_api) == []
    assert alice_api.post(f"/trash/{task['id']}/restore").status_code == 404
    assert listed(alice_api, deadline_before="2030-05-03T00:00:00Z") == [back]


def test_it_is_listed_newest_first_page_by_page(alice_api, bob_api):
    tasks = [made(alice_api, text) for text in "abcd"]
    delete(alice_api, *(tasks[at] for at in (2, 0, 3, 1)))
    delete(bob_api, made(bob_api, "theirs"))

    assert texts(trash(alice_api)) == ["b", "d", "a", "c"]
    moments = [row["deleted_at"] for row in trash(alice_api)]
    assert moments == sorted(moments, reverse=True)
    page = alice_api.get("/trash", {"limit": 3})
    restored(alice_api, tasks[3])
    assert texts(page.json()) == ["b", "d", "a"]
    assert texts(alice_api.get(next_url(page)).json()) == ["c"]
    assert alice_api.get("/trash?completed=true").status_code == 400
    assert texts(trash(bob_api)) == ["theirs"]


def test_what_is_gone_meanwhile_is_left_out(alice_api):
    task = full_task(alice_api)
    delete(alice_api, task)
    kept, lost = task["label_ids"]
    alice_api.delete(f"/labels/{lost}")
    alice_api.delete(f"/projects/{task['project_id']}")

    assert trash(alice_api)[0]["label_ids"] == [kept, lost]
    back = restored(alice_api, task)
    assert (back["label_ids"], back["project_id"]) == ([kept], None)


def test_subtasks_go_and_come_back_with_their_parent(alice_api):
    project = alice_api.post("/projects", {"name": "home"}).json()["id"]
    parent = made(alice_api, "parent", project_id=project)
    subs = [made(alice_api, text, parent_id=parent["id"]) for text in "abc"]
    delete(alice_api, subs[0])
    delete(alice_api, parent)
    assert sorted(texts(trash(alice_api))) == ["a", "b", "c", "parent"]
    before = seq()

    assert restored(alice_api, subs[1])["parent_id"] is None  # the parent is not there
    assert restored(alice_api, parent)["text"] == "parent"
    assert told(before) == [("task.created", text) for text in ("b", "parent", "c")]
    rows = {row["text"]: row for row in listed(alice_api)}
    assert rows["c"] == {**subs[2], "version": 2, "updated_at": rows["c"]["updated_at"]}
    assert restored(alice_api, subs[0])["parent_id"] == parent["id"]  # it is there again
    alice_api.patch(f"/tasks/{parent['id']}", {"completed": True})
    rows = {row["text"]: row for row in listed(alice_api)}
    assert [rows[text]["completed"] for text in ("a", "b", "c")] == [True, False, True]

    delete(alice_api, rows["c"])
    alice_api.patch(f"/tasks/{rows['a']['id']}", {"parent_id": None})
    alice_api.patch(f"/tasks/{parent['id']}", {"parent_id": rows["b"]["id"]})
    assert restored(alice_api, rows["c"])["parent_id"] is None  # the parent is a subtask now


def test_a_parent_that_is_dropped_takes_its_subtasks_along(alice_api):
    parent, other = made(alice_api, "parent"), made(alice_api, "other")
    sub, alone = (made(alice_api, text, parent_id=parent["id"]) for text in ("sub", "alone"))
    delete(alice_api, alone, parent, other)
    before = seq()

    assert alice_api.delete(f"/trash/{parent['id']}").status_code == 204
    assert texts(trash(alice_api)) == ["other", "alone"]
    for gone in (parent, sub):
        for answer in (
            alice_api.delete(f"/trash/{gone['id']}"),
            alice_api.post(f"/trash/{gone['id']}/restore"),
        ):
            assert answer.status_code == 404
            assert answer.json() == {"detail": "Task not found", "code": "not_found"}
    assert told(before) == []


def test_emptying_it_is_done_in_batches(alice_api, bob_api, monkeypatch):
    monkeypatch.setattr("tasks.models.trash.BATCH", 2)
    delete(alice_api, *(made(alice_api, text) for text in "abcde"))
    theirs = made(bob_api, "theirs")
    delete(bob_api, theirs)
    before = seq()

    for _ in range(2):
        answer = alice_api.delete("/trash")
        assert (answer.status_code, answer.content) == (204, b"")
    assert trash(alice_api) == [] and told(before) == []
    assert texts(trash(bob_api)) == ["theirs"]


def test_it_is_ones_own(alice_api, bob_api):
    task = made(alice_api)
    delete(alice_api, task)

    for answer in (
        bob_api.post(f"/trash/{task['id']}/restore"),
        bob_api.delete(f"/trash/{task['id']}"),
    ):
        assert answer.status_code == 403
        assert answer.json() == {"detail": "Access denied", "code": "not_yours"}
    assert bob_api.post(f"/trash/{uuid4()}/restore").json()["detail"] == "Task not found"
    assert len(trash(alice_api)) == 1


def test_conditions_are_heeded(alice_api):
    task = made(alice_api)
    delete(alice_api, task)
    url = f"/trash/{task['id']}"

    for answer in (
        alice_api.post(f"{url}/restore", HTTP_IF_MATCH='"2"'),
        alice_api.delete(url, HTTP_IF_MATCH='"2"'),
    ):
        assert (answer.status_code, answer.json()["code"]) == (412, "changed_meanwhile")
    assert alice_api.post(f"{url}/restore", HTTP_IF_MATCH='"1"').status_code == 200


def test_an_id_in_the_trash_is_taken_and_refers_to_nothing(alice_api, bob_api):
    task = made(alice_api)
    delete(alice_api, task)

    for api in (alice_api, bob_api):
        answer = api.post("/tasks", {"text": "again", "id": task["id"]})
        assert (answer.status_code, answer.json()["code"]) == (409, "id_taken")
        below = api.post("/tasks", {"text": "x", "parent_id": task["id"]})
        assert (below.status_code, list(below.json())) == (400, ["parent_id"])
    alice_api.delete("/trash")
    assert bob_api.post("/tasks", {"text": "again", "id": task["id"]}).status_code == 201


def test_whoever_deletes_a_task_puts_it_there(alice_api, admin_client):
    tasks = [made(alice_api, text) for text in "abc"]
    Task.objects.filter(pk=tasks[0]["id"]).delete()
    Task.objects.get(pk=tasks[1]["id"]).delete()
    page = f"/admin/tasks/task/{tasks[2]['id']}/delete/"
    assert admin_client.post(page, {"post": "yes"}).status_code == 302

    assert texts(trash(alice_api)) == ["c", "b", "a"]


def test_notifications_go_and_stay_gone(alice_api):
    task = made(alice_api, deadline="2020-01-01T00:00:00Z")
    assert sum(send_due(now())) == 1
    delete(alice_api, task)
    assert [kind for kind, _ in told(2)] == ["notification.withdrawn", "task.deleted"]
    restored(alice_api, task)

    assert Notification.objects.count() == 0
    assert sum(send_due(now())) == 1  # it is overdue again


def test_after_thirty_days_it_is_gone(alice_api, bob_api, monkeypatch, capsys):
    monkeypatch.setattr("tasks.models.trash.BATCH", 2)
    tasks = [made(alice_api, text) for text in ("old", "older", "oldest", "new")]
    delete(alice_api, *tasks)
    for days, task in enumerate(tasks[:3]):
        moment = now() - timedelta(days=30 + days, seconds=1)
        TrashedTask.objects.filter(pk=task["id"]).update(deleted_at=moment)
    edge = now() - timedelta(days=30) + timedelta(minutes=5)
    TrashedTask.objects.filter(pk=tasks[3]["id"]).update(deleted_at=edge)

    assert texts(trash(alice_api)) == ["new"]
    url = f"/trash/{tasks[0]['id']}"
    assert alice_api.post(f"{url}/restore").status_code == 404
    assert alice_api.delete(url).status_code == 404
    assert bob_api.delete(url).status_code == 403
    call_command("prune_events")
    assert "3 deleted tasks dropped" in capsys.readouterr().out
    assert TrashedTask.objects.get().user_id == ALICE
    assert BOB not in TrashedTask.objects.values_list("user_id", flat=True)
