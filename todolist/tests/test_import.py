"""Bringing projects, labels and tasks: ids and references, what is kept, and all or nothing."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from conftest import ALICE, BOB, call, sign
from tasks.models import Task
from tasks.own import forms, importing
from todolist.tests.people import database

pytestmark = pytest.mark.django_db

OLD = "2020-01-02T03:04:05.678901Z"


def exported(api: Any) -> Any:
    return json.loads(api.get("/export").getvalue())


def imported(api: Any, **document: Any) -> Any:
    response = api.post("/import", document)
    assert response.status_code == 200, response.content
    return response.json()


def refused(api: Any, **document: Any) -> Any:
    before = database()
    response = api.post("/import", document)
    assert response.status_code == 400, response.content
    assert database() == before
    return response.json()


def listed(api: Any, kind: str) -> dict[str, Any]:
    rows = api.get(f"/{kind}").json()
    return {row["id"]: row for row in rows}


SERVERS_OWN = ("user_id", "version", "updated_at")


def without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def a_life(api: Any) -> None:
    """Some of everything that can be imported."""
    label, other = (api.post("/labels", {"name": n, "color": "#00ff00"}).json()["id"] for n in "ab")
    project = api.post("/projects", {"name": "Garden", "archived": True}).json()["id"]
    ids = []
    for body in (
        {"text": "one", "label_ids": [label, other], "project_id": project},
        {"text": "two", "due_on": "2030-01-31", "recurrence": "FREQ=MONTHLY;BYMONTHDAY=-1"},
        {"text": "three", "deadline": "2030-01-31T12:00:00Z", "priority": 4, "order": -3},
        {"text": "four", "description": " as it is \n"},
    ):
        made = api.post("/tasks", body)
        assert made.status_code == 201, made.content
        ids.append(made.json()["id"])
    for n in range(3):
        body = {"text": f"below {n}", "parent_id": ids[0], "label_ids": [label]}
        assert api.post("/tasks", body).status_code == 201
    assert api.patch(f"/tasks/{ids[1]}", {"completed": True}).status_code == 200
    assert api.patch(f"/tasks/{ids[0]}", {"completed": True}).status_code == 200


def test_what_was_taken_along_comes_back_as_it_was(alice_api):
    a_life(alice_api)
    document = exported(alice_api)
    assert alice_api.delete(f"/me?confirm={ALICE}").status_code == 204

    answer = imported(alice_api, **document)

    kinds = ("projects", "labels", "tasks")
    assert {kind: answer[kind] for kind in kinds} == {"projects": 1, "labels": 2, "tasks": 8}
    again = exported(alice_api)
    for kind in kinds:
        was, is_now = (
            [without(row, *SERVERS_OWN) for row in each[kind]] for each in (document, again)
        )
        assert is_now == was
        assert all(answer["ids"][row["id"]] == row["id"] for row in was)
        assert {row["version"] for row in again[kind]} == {1}
    events = alice_api.get("/events").json()
    assert [event["seq"] for event in events] == list(range(1, 12))
    shown = {event["data"]["id"]: event["data"] for event in events}
    assert {event["type"] for event in events} == {
        "project.created",
        "label.created",
        "task.created",
    }
    for kind in kinds:
        assert all(shown[key] == row for key, row in listed(alice_api, kind).items())


def test_ids_that_are_taken_become_others_and_references_follow(alice_api, bob_api):
    a_life(alice_api)
    gone = alice_api.post("/tasks", {"text": "in the trash"}).json()["id"]
    document = exported(alice_api)
    alice_api.delete(f"/tasks/{gone}")
    untouched = exported(alice_api)

    answer = imported(bob_api, **document)

    ids = answer["ids"]
    for kind in ("projects", "labels", "tasks"):
        rows = listed(bob_api, kind)
        assert len(rows) == len(document[kind]) == answer[kind]
        for row in document[kind]:
            new = rows[ids[row["id"]]]
            assert new["id"] != row["id"] and UUID(new["id"]).version == 7
            assert new["user_id"] == BOB
            refers = ("id", "project_id", "parent_id", "previous_id", "label_ids")
            assert without(new, *refers, *SERVERS_OWN) == without(row, *refers, *SERVERS_OWN)
            for name in refers[1:4]:
                assert new.get(name) == (row.get(name) and ids[row[name]])
            assert new.get("label_ids", []) == sorted(ids[key] for key in row.get("label_ids", []))
    assert without(exported(alice_api), "exported_at") == without(untouched, "exported_at")


def test_ids_of_other_programs_and_none_at_all(alice_api):
    answer = imported(
        alice_api,
        projects=[{"id": "p1", "name": "Garden"}],
        labels=[{"id": "l1", "name": "a"}, {"id": "l2", "name": "A "}, {"name": "b"}],
        tasks=[
            {"id": "2", "text": "child", "parent_id": "1"},
            {"id": "1", "text": "parent", "project_id": "p1", "label_ids": ["l1", "l2", "l1"]},
            {"text": "nameless", "id": None},
            {"id": str(uuid4()).upper(), "text": "upper case"},
        ],
    )
    assert (answer["projects"], answer["labels"], answer["tasks"]) == (1, 2, 4)
    ids = answer["ids"]
    assert ids["l1"] == ids["l2"]
    tasks = listed(alice_api, "tasks")
    child, parent = tasks[ids["2"]], tasks[ids["1"]]
    assert child["parent_id"] == parent["id"]
    assert child["project_id"] == parent["project_id"] == ids["p1"]
    assert parent["label_ids"] == [ids["l1"]]
    assert alice_api.patch(f"/tasks/{parent['id']}", {"completed": True}).status_code == 200
    assert alice_api.get(f"/tasks/{child['id']}").json()["completed"] is True


def test_labels_of_a_name_that_is_there_are_that_label(alice_api, bob_api):
    bob_api.post("/labels", {"name": "Straße"})
    there = alice_api.post("/labels", {"name": "STRASSE", "color": "#123456"}).json()
    key = str(uuid4())
    answer = imported(
        alice_api,
        labels=[{"id": key, "name": "straße", "color": "#ffffff"}],
        tasks=[{"text": "x", "label_ids": [key]}],
    )
    assert answer == {"projects": 0, "labels": 0, "tasks": 1, "ids": {key: there["id"]}}
    assert list(listed(alice_api, "labels").values()) == [there]
    assert alice_api.get("/tasks").json()[0]["label_ids"] == [there["id"]]


def test_a_part_may_refer_to_what_is_there(alice_api):
    project = alice_api.post("/projects", {"name": "Garden"}).json()["id"]
    label = alice_api.post("/labels", {"name": "a"}).json()["id"]
    parent = alice_api.post("/tasks", {"text": "parent", "project_id": project}).json()["id"]
    tasks = [
        {"text": "below", "parent_id": parent},
        {"text": "beside", "project_id": project.upper(), "label_ids": [label]},
    ]
    imported(alice_api, tasks=tasks)
    found = {row["text"]: row for row in alice_api.get("/tasks").json()}
    assert (found["below"]["parent_id"], found["below"]["project_id"]) == (parent, project)
    assert (found["beside"]["project_id"], found["beside"]["label_ids"]) == (project, [label])
    alice_api.delete(f"/tasks/{parent}")
    assert {row["text"] for row in alice_api.get("/tasks").json()} == {"beside"}


def test_moments_and_places_are_kept_and_others_made(alice_api):
    done = {"completed": True, "completed_at": OLD}
    imported(
        alice_api,
        tasks=[
            {"text": "kept", "created_at": OLD, "position": "a5", **done},
            {"text": "made", "completed": True},
            {"text": "open", "completed_at": OLD},
            {"text": "to come", "created_at": "9999-12-31T23:59:59.999999Z"},
        ],
    )
    rows = {row["text"]: row for row in alice_api.get("/tasks").json()}
    assert rows["kept"]["created_at"] == rows["kept"]["completed_at"] == OLD
    assert rows["kept"]["position"] == "a5"
    assert rows["kept"]["updated_at"] > "2026"
    assert rows["made"]["completed_at"] == rows["made"]["updated_at"]
    assert rows["open"]["completed_at"] is None


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ({"tasks": [{"text": "x"}] * 17 + [{"text": " "}]}, ["tasks.17.text"]),
        ({"tasks": [{}, 7, {"text": "x", "deadline": "soon"}]}, ["tasks.0.text", "tasks.1", "tasks.2.deadline"]),
        ({"tasks": {}}, ["tasks"]),
        ({"tasks": None}, ["tasks"]),
        ({"tasks": [{"text": "x"}] * 10_001}, ["tasks"]),
        ({"format": "other"}, ["format"]),
        ({"version": 2}, ["version"]),
        ({"projects": [{"name": "x" * 101}]}, ["projects.0.name"]),
        ({"labels": [{"name": "a", "color": "red"}]}, ["labels.0.color"]),
        ({"tasks": [{"id": "1", "text": "x"}, {"id": "1", "text": "x"}]}, ["tasks.1.id"]),
        ({"tasks": [{"id": 7, "text": "x"}]}, ["tasks.0.id"]),
        ({"tasks": [{"text": "x", "position": "?"}]}, ["tasks.0.position"]),
        ({"tasks": [{"text": "x", "created_at": "2020-01-01"}]}, ["tasks.0.created_at"]),
        ({"tasks": [{"text": "x", "project_id": "1"}]}, ["tasks.0.project_id"]),
        ({"tasks": [{"text": "x", "parent_id": "1"}]}, ["tasks.0.parent_id"]),
        ({"tasks": [{"text": "x", "label_ids": [str(uuid4())]}]}, ["tasks.0.label_ids"]),
        ({"tasks": [{"text": "x", "label_ids": [7]}]}, ["tasks.0.label_ids.0"]),
        ({"tasks": [{"id": "1", "text": "x", "parent_id": "1"}]}, ["tasks.0.parent_id"]),
        (
            {"tasks": [{"id": "1", "text": "x", "parent_id": "2"}, {"id": "2", "text": "x", "parent_id": "3"}, {"id": "3", "text": "x"}]},
            ["tasks.0.parent_id"],
        ),
        ({"tasks": [{"text": "x", "due_on": "2030-01-01", "deadline": OLD}]}, ["tasks.0.due_on"]),
        ({"tasks": [{"text": "y"}, {"text": "x", "recurrence": "FREQ=DAILY"}]}, ["tasks.1.recurrence"]),
        ({"tasks": [{"text": "x", "due_on": "2030-01-01", "recurrence": "FREQ=HOURLY"}]}, ["tasks.0.recurrence"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_where_it_is_and_nothing_is_made(alice_api, document, where):
    given = {"projects": [{"id": "p", "name": "good"}], **document}
    assert sorted(refused(alice_api, **given)) == where


def test_what_is_somebody_elses_is_unknown(alice_api, bob_api):
    theirs = {
        "project_id": bob_api.post("/projects", {"name": "x"}).json()["id"],
        "parent_id": bob_api.post("/tasks", {"text": "x"}).json()["id"],
        "label_ids": [bob_api.post("/labels", {"name": "x"}).json()["id"]],
    }
    for name, value in theirs.items():
        unknown = [str(uuid4())] if isinstance(value, list) else str(uuid4())
        said = refused(alice_api, tasks=[{"text": "x", name: value}])
        assert said == refused(alice_api, tasks=[{"text": "x", name: unknown}])
    imported(alice_api, tasks=[{"text": "x", "previous_id": theirs["parent_id"]}])
    assert alice_api.get("/tasks").json()[0]["previous_id"] is None


def test_a_body_that_is_no_object(alice_api):
    for body in ("[]", "7", "null"):
        answer = alice_api.generic("POST", "/import", body, "application/json")
        assert (answer.status_code, list(answer.json())) == (400, ["non_field_errors"])
    for nothing in ({}, {"format": "todolist", "version": 1}):
        assert list(refused(alice_api, **nothing)) == ["non_field_errors"]
    nothing = {"projects": 0, "labels": 0, "tasks": 0, "ids": {}}
    assert imported(alice_api, tasks=[]) == nothing


def test_of_many_mistakes_it_tells_a_hundred(alice_api):
    assert len(refused(alice_api, tasks=[{}] * 500)) == forms.TOLD


def test_a_repeat_with_a_key_gets_the_first_answer(alice_api):
    document = {"tasks": [{"text": "once"}], "labels": [{"name": "once", "id": "1"}]}
    first, second = (
        alice_api.post("/import", document, headers={"Idempotency-Key": "k"}) for _ in range(2)
    )
    assert first.status_code == second.status_code == 200
    assert first.content == second.content
    assert len(listed(alice_api, "tasks")) == 1
    other = alice_api.post("/import", {"tasks": []}, headers={"Idempotency-Key": "k"})
    assert other.status_code == 422


def test_who_takes_an_id_at_the_same_moment_wins(alice_api, monkeypatch):
    """Another one comes between the look at the ids and the writing."""
    document = {"tasks": [{"id": str(uuid4()), "text": "theirs"}]}
    imported(alice_api, **document)
    told = iter([set(), {UUID(document["tasks"][0]["id"])}])
    monkeypatch.setattr(Task, "taken", classmethod(lambda cls, keys: next(told)))
    answer = imported(alice_api, **document)
    assert answer["tasks"] == 1
    assert len(listed(alice_api, "tasks")) == 2


def test_few_statements_however_many_there_are(alice_api, monkeypatch):
    monkeypatch.setattr(importing, "BATCH", 50)

    def statements(size: int) -> int:
        tasks = [
            {
                "id": f"{n}",
                "text": "x",
                "due_on": "2030-01-01",
                "parent_id": f"{n - n % 5}" if n % 5 else None,
                "label_ids": ["l"],
                "project_id": "p",
            }
            for n in range(size)
        ]
        with CaptureQueriesContext(
            connection,
        ) as queries:
            imported(
                alice_api,
                tasks=tasks,
                labels=[{"id": "l", "name": "l"}],
                projects=[{"id": "p", "name": "p"}],
            )
        return len(queries)

    small, large = statements(20), statements(45)
    assert large <= small + 4


def test_bodies_of_up_to_sixteen_mebibytes(server):
    token = sign(f"import-{server.port}")
    task = {"text": "x", "description": "d" * 2000}
    answer = call(server, token, "POST", "/import", {"tasks": [task] * 600})
    assert (answer.status, answer.body["tasks"]) == (200, 600)
    large = call(server, token, "POST", "/import", {"tasks": [task] * 8500})
    assert (large.status, large.body["code"]) == (413, "body_too_large")
    assert large.body["detail"] == "Request body is larger than 16 MiB"
    other = call(server, token, "POST", "/tasks", {"text": "x", "more": "x" * 2**20})
    assert (other.status, other.body["detail"]) == (413, "Request body is larger than 1 MiB")
    assert call(server, token, "GET", "/tasks/counts").body["open"] == 600
