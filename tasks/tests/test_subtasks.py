"""Tasks below tasks: where they are, and what is done to them with their parents (docs/api.md section 4)."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, models, transaction

from conftest import ALICE, client_with, sign
from tasks.due import send_due
from tasks.models import Event, Notification, Task
from tasks.resources.fast import writing
from tasks.rules.moments import now
from tasks.tests.calls import listed, made, next_url, texts
from tasks.tests.holding import until_somebody_waits
from tasks.tests.test_lists_of_tasks import stamped

pytestmark = pytest.mark.django_db

postgresql_only = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="one writes at a time"
)


def events(since: int = 0) -> list[tuple[str, str]]:
    rows = Event.objects.filter(user_id=ALICE, seq__gt=since).order_by("seq")
    return [(row.type, row.data.get("text", row.data["id"])) for row in rows]


def project(api: Any, name: str) -> str:
    key: str = api.post("/projects", {"name": name}).json()["id"]
    return key


def now_of(api: Any, task: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/tasks/{task['id']}").json()
    return found


def refused(answer: Any) -> str:
    assert answer.status_code == 400 and list(answer.json()) == ["parent_id"], answer.content
    return str(answer.json()["parent_id"])


def test_lists_of_subtasks_and_of_all_that_are_none(alice_api, bob_api):
    parent, other = made(alice_api, "parent"), made(alice_api, "other")
    subs = [made(alice_api, text, parent_id=parent["id"]) for text in "abc"]

    assert parent["parent_id"] is None and subs[0]["parent_id"] == parent["id"]
    assert now_of(alice_api, parent) == parent  # nobody is told of what is not shown
    assert texts(alice_api, parent=parent["id"]) == ["c", "b", "a"]
    assert texts(alice_api, parent="none") == ["other", "parent"]
    assert texts(alice_api, parent=other["id"]) == texts(alice_api, parent=uuid4()) == []
    assert texts(bob_api, parent=parent["id"]) == []
    page = alice_api.get("/tasks", {"parent": parent["id"], "ordering": "position", "limit": 2})
    assert [row["text"] for row in page.json()] == ["c", "b"]
    assert [row["text"] for row in alice_api.get(next_url(page)).json()] == ["a"]
    for bad in ("x", "", "None"):
        answer = alice_api.get("/tasks", {"parent": bad})
        assert answer.status_code == 400 and answer.json()["detail"].startswith("parent: ")


def test_whose_subtask_a_task_can_be(alice_api, bob_api):
    parent, other = made(alice_api, "parent"), made(alice_api, "other")
    sub = made(alice_api, "sub", parent_id=parent["id"])
    strange = [made(bob_api)["id"], str(uuid4()), "abc", ""]
    bodies: list[Any] = [*strange, sub["id"], 7, [parent["id"]]]
    said = []
    for bad in bodies:
        body = {"text": "x", "parent_id": bad}
        answers = [
            alice_api.post("/tasks", body),
            alice_api.patch(f"/tasks/{other['id']}", body),
            alice_api.put(f"/tasks/{other['id']}", body),
        ]
        said.append({refused(answer) for answer in answers})
    assert said[0] == said[1] == said[2] == said[3] and all(len(each) == 1 for each in said)
    refused(alice_api.patch(f"/tasks/{other['id']}", {"parent_id": other["id"]}))
    refused(alice_api.patch(f"/tasks/{sub['id']}", {"parent_id": sub["id"]}))
    refused(alice_api.patch(f"/tasks/{parent['id']}", {"parent_id": other["id"]}))

    assert [row["version"] for row in listed(alice_api)] == [1, 1, 1]
    free = alice_api.patch(f"/tasks/{sub['id']}", {"parent_id": None}).json()
    assert (free["parent_id"], free["version"]) == (None, 2)
    moved = alice_api.patch(f"/tasks/{parent['id']}", {"parent_id": other["id"]})  # has none now
    assert (moved.status_code, moved.json()["parent_id"]) == (200, other["id"])
    back = alice_api.patch(f"/tasks/{sub['id']}", {"parent_id": other["id"]}).json()
    assert alice_api.put(f"/tasks/{sub['id']}", {"text": "whole"}).json()["parent_id"] is None
    assert back["parent_id"] == other["id"]


def test_a_subtask_is_in_the_project_of_its_parent(alice_api):
    home, work = project(alice_api, "home"), project(alice_api, "work")
    parent = made(alice_api, "parent", project_id=home)
    loose = made(alice_api, "loose", project_id=work)
    url = f"/tasks/{parent['id']}"
    subs = [
        made(alice_api, "a", parent_id=parent["id"]),
        made(alice_api, "b", parent_id=parent["id"], project_id=work),
        alice_api.patch(f"/tasks/{loose['id']}", {"parent_id": parent["id"]}).json(),
    ]
    assert {sub["project_id"] for sub in subs} == {home}
    for elsewhere in (work, None):
        answer = alice_api.patch(f"/tasks/{subs[0]['id']}", {"project_id": elsewhere, "text": "A"})
        assert answer.json()["project_id"] == home
    whole = {"text": "A", "parent_id": parent["id"]}
    assert alice_api.put(f"/tasks/{subs[0]['id']}", whole).json()["project_id"] == home

    for project_id in (work, None):
        seq = Event.objects.filter(user_id=ALICE).count()
        assert alice_api.patch(url, {"project_id": project_id}).status_code == 200
        assert {row["project_id"] for row in listed(alice_api)} == {project_id}
        told = events(seq)
        assert sorted(told) == [("task.updated", name) for name in ("A", "b", "loose", "parent")]
    assert alice_api.patch(url, {"text": "only this"}).status_code == 200
    assert len(events(seq)) == 5

    alice_api.patch(url, {"project_id": home})
    versions = {row["id"]: row["version"] for row in listed(alice_api)}
    assert alice_api.delete(f"/projects/{home}").status_code == 204
    rows = listed(alice_api)
    assert {row["id"]: row["version"] - 1 for row in rows} == versions
    assert {row["project_id"] for row in rows} == {None}


def test_completing_a_task_completes_its_open_subtasks(alice_api):
    parent = made(alice_api, "parent")
    done = made(alice_api, "done", parent_id=parent["id"], completed=True)
    subs = [made(alice_api, text, parent_id=parent["id"]) for text in "ab"]
    url = f"/tasks/{parent['id']}"

    assert alice_api.patch(url, {"completed": True}, HTTP_IF_MATCH='"1"').status_code == 200
    assert events(4)[-1] == ("task.updated", "parent")
    assert sorted(events(4)) == [("task.updated", text) for text in ("a", "b", "parent")]
    rows = {row["id"]: row for row in listed(alice_api)}
    assert rows[done["id"]] == done
    for sub in subs:
        row = rows[sub["id"]]
        assert (row["completed"], row["version"]) == (True, 2) and row["completed_at"]
        assert Event.objects.get(type="task.updated", data__id=sub["id"]).data == row

    assert alice_api.patch(url, {"completed": False}).status_code == 200
    assert all(row["completed"] for row in listed(alice_api, parent=parent["id"]))
    assert len(events(7)) == 1
    alice_api.patch(url, {"completed": True})
    late = made(alice_api, "late", parent_id=parent["id"])
    assert alice_api.patch(url, {"text": "still done"}).status_code == 200
    assert now_of(alice_api, late) == late


def test_what_subtasks_were_reminded_of_is_withdrawn_with_their_parent(alice_api):
    parent = made(alice_api, deadline="2020-01-01T00:00:00Z")
    for text in "ab":
        made(alice_api, text, parent_id=parent["id"], deadline="2020-01-01T00:00:00Z")
    assert sum(send_due(now())) == 3
    alice_api.patch(f"/tasks/{parent['id']}", {"completed": True})

    assert Notification.objects.count() == 0
    assert sorted(kind for kind, _ in events(6)) == [
        *["notification.withdrawn"] * 3,
        *["task.updated"] * 3,
    ]


def test_deleting_a_task_deletes_its_subtasks(alice_api):
    parent, other = made(alice_api, "parent"), made(alice_api, "other")
    subs = [made(alice_api, text, parent_id=parent["id"]) for text in "ab"]
    assert alice_api.delete(f"/tasks/{parent['id']}").status_code == 204

    assert listed(alice_api) == [other]
    gone = {("task.deleted", task["id"]) for task in (parent, *subs)}
    assert set(events(4)) == gone and len(events(4)) == 3


def test_whoever_writes_heeds_it(alice_api):
    """`Task.save`, `update`, `bulk_create` and `delete` of a queryset, as REST."""
    work = project(alice_api, "work")
    parent = Task.objects.create(user_id=ALICE, text="parent", project_id=work)
    (sub,) = Task.objects.bulk_create([Task(user_id=ALICE, text="sub", parent=parent)])
    parent.refresh_from_db()
    assert (sub.project_id, parent.may_have_subtasks) == (parent.project_id, True)
    stale = Task.objects.get(pk=parent.pk)
    stale.may_have_subtasks = False
    stale.save()
    assert Task.objects.filter(pk=parent.pk).update(completed=True, project=None) == 1
    sub.refresh_from_db()
    assert (sub.completed, sub.project_id, sub.version) == (True, None, 2)
    assert Task.objects.update(project_id=work) == 2
    assert set(Task.objects.values_list("version", flat=True)) == {3, 4}
    assert {str(key) for key in Task.objects.values_list("project_id", flat=True)} == {work}
    assert Task.objects.all().delete()[1]["tasks.Task"] == 2
    assert [kind for kind, _ in events()][-2:] == ["task.deleted"] * 2


# Two at once


@pytest.mark.django_db(transaction=True)
@postgresql_only
@pytest.mark.parametrize("what", ["complete", "delete", "become"])
@pytest.mark.parametrize("first", [True, False])
def test_a_subtask_is_made_while_something_is_done_to_its_parent(alice_api, what, first):
    """Whichever comes first, the other waits for it, and sees what it did."""
    parent, other = made(alice_api, "parent"), made(alice_api, "other")
    url = f"/tasks/{parent['id']}"
    calls = {
        "complete": lambda api: api.patch(url, {"completed": True}),
        "delete": lambda api: api.delete(url),
        "become": lambda api: api.patch(url, {"parent_id": other["id"]}),
    }

    def make(api: Any) -> Any:
        return api.post("/tasks", {"text": "sub", "parent_id": parent["id"]})

    def later(call: Any) -> Any:
        try:
            return call(client_with(sign(ALICE)))
        finally:
            connection.close()

    one, two = (make, calls[what]) if first else (calls[what], make)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            assert one(alice_api).status_code < 300
            waiting = pool.submit(later, two)
            until_somebody_waits()
        answer = waiting.result(30)

    rows = {row["text"]: row for row in listed(alice_api)}
    if what == "complete":
        assert answer.status_code < 300
        assert rows["parent"]["completed"] and rows["sub"]["completed"] is first
    elif what == "delete":
        assert answer.status_code == 204 if first else refused(answer)
        assert rows.keys() == {"other"}
    else:
        refused(answer)
        assert (rows["parent"]["parent_id"] is None) is first
        assert ("sub" in rows) is first
    seqs = list(Event.objects.filter(user_id=ALICE).order_by("seq").values_list("seq", flat=True))
    assert seqs == list(range(1, len(seqs) + 1))


@pytest.mark.django_db(transaction=True)
@postgresql_only
@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("between", ["siblings", "parent and subtask", "preferences"])
def test_nobody_waits_in_a_circle(alice_api, between, order):
    """Two requests about the same two tasks, each of them the other's other one."""
    parent = made(alice_api, "parent", deadline="2030-05-01T00:00:00Z")
    url = f"/tasks/{parent['id']}"
    changes: list[tuple[str, Any]]
    if between == "preferences":
        first = {"id": f"{'0' * 8}-0000-4000-8000-{'0' * 12}", "deadline": parent["deadline"]}
        made(alice_api, parent_id=parent["id"], **first)
        changes = [(url, {"completed": True}), ("/preferences", {"time_zone": "Asia/Tokyo"})]
    elif between == "siblings":
        other = made(alice_api, "other")
        below = {"parent_id": parent["id"]}
        changes = [(url, {"parent_id": other["id"]}), (f"/tasks/{other['id']}", below)]
    else:
        sub = made(alice_api, "sub", parent_id=parent["id"])
        same = {"parent_id": parent["id"], "text": "x"}
        changes = [(url, {"completed": True}), (f"/tasks/{sub['id']}", same)]

    def change(url: str, body: Any) -> int:
        try:
            return int(client_with(sign(ALICE)).patch(url, body).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        with transaction.atomic():
            Task.objects.select_for_update().get(pk=parent["id"])
            waiting = []
            for number, one in enumerate(changes[::order], start=1):
                waiting.append(pool.submit(change, *one))
                until_somebody_waits(number)
        said = sorted(each.result(30) for each in waiting)
    assert said == ([200, 400] if between == "siblings" else [200, 200])


# What it costs


@postgresql_only
def test_a_task_without_subtasks_is_completed_the_fast_way(alice_api, monkeypatch):
    swapped = []
    swap = writing._swapped

    def watched(fast: Any, before: Any, *others: Any) -> Any:
        swapped.append(before.text)
        return swap(fast, before, *others)

    monkeypatch.setattr(writing, "_swapped", watched)
    parent = made(alice_api, "parent")
    made(alice_api, "sub", parent_id=parent["id"])
    made(alice_api, "single")
    for task in listed(alice_api):
        for change in ({"text": f"{task['text']}!"}, {"completed": True}):
            assert alice_api.patch(f"/tasks/{task['id']}", change).status_code == 200
    assert swapped == ["single", "single!", "sub", "sub!", "parent"]


@postgresql_only
def test_a_list_of_subtasks_reads_an_index():
    parent = Task.objects.create(user_id=ALICE, text="parent")
    many = (Task(user_id=ALICE, text=f"{n}") for n in range(20_000))
    models.QuerySet(Task).bulk_create(stamped(many), 1000)
    Task.objects.create(user_id=ALICE, text="sub", parent=parent)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE tasks_task")
    mine = Task.objects.filter(user_id=ALICE).order_by("-created_at")
    assert "task_parent" in mine.filter(parent=parent)[:50].explain()
