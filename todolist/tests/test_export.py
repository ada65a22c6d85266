"""Taking along everything of one's own: the document, as REST and a command write it."""

import json
import re
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from conftest import ALICE, BOB, call, client_with, sign
from tasks.models import Task
from tasks.own import export
from todolist.tests.people import furnish, make

pytestmark = pytest.mark.django_db

KINDS = ["projects", "labels", "tasks", "notifications", "trash"]


def exported(user_id: str = ALICE) -> Any:
    response = client_with(sign(user_id)).get("/export")
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert response["Content-Disposition"] == 'attachment; filename="todolist.json"'
    return json.loads(response.getvalue())


def test_it_holds_what_rest_shows_and_nothing_of_others(capsys, monkeypatch):
    monkeypatch.setattr(export, "BATCH", 2)
    api = client_with(sign(ALICE))
    theirs = furnish(BOB)
    label = api.post("/labels", {"name": "Ärger\u2028“"}).json()["id"]
    project = api.post("/projects", {"name": "Garden"}).json()["id"]
    ids = [
        api.post(
            "/tasks",
            {
                "text": f'{n} ☕\n"\\',
                "label_ids": [label] * (n % 2),
                "project_id": project,
                "due_on": "2030-02-01",
            },
        ).json()["id"]
        for n in range(5)
    ]
    api.post("/tasks", {"text": "below", "parent_id": ids[1], "priority": 3})
    for gone in ids[3:]:
        assert api.delete(f"/tasks/{gone}").status_code == 204
    make(Task, ALICE)
    api.patch("/preferences", {"time_zone": "Europe/Berlin"})

    found = exported()

    assert (found.pop("format"), found.pop("version")) == ("todolist", 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", found["exported_at"])
    assert found["preferences"] == api.get("/preferences").json()
    for kind in KINDS:
        listed = api.get(f"/{kind}").json()
        assert sorted(found[kind], key=lambda row: row["id"]) == sorted(
            listed, key=lambda row: row["id"]
        )
    assert len(found["tasks"]) == 5 and len(found["trash"]) == 2
    created = [row["created_at"] for row in found["tasks"]]
    assert created == sorted(created)
    assert not any(mark in json.dumps(found, ensure_ascii=False) for mark in theirs.marks)

    call_command("export_user", ALICE)
    printed = json.loads(capsys.readouterr().out)
    assert {**printed, "exported_at": None} == {
        **found,
        "format": "todolist",
        "version": 1,
        "exported_at": None,
    }


def test_of_somebody_who_has_nothing():
    found = exported()
    assert found["preferences"] == client_with(sign(ALICE)).get("/preferences").json()
    assert all(found[kind] == [] for kind in KINDS)


def test_it_is_written_a_batch_at_a_time(monkeypatch):
    monkeypatch.setattr(export, "BATCH", 3)
    api = client_with(sign(ALICE))
    for _ in range(10):
        api.post("/tasks", {"text": "x" * 100})
    pieces: list[str] = []
    sizes = [0]  # of what is written between two statements

    def write(text: str) -> None:
        pieces.append(text)
        sizes[-1] += len(text)

    def read(run: Any, sql: str, *rest: Any) -> Any:
        sizes.append(0)
        return run(sql, *rest)

    with connection.execute_wrapper(read):
        export.write_document(ALICE, write)
    assert len(json.loads("".join(pieces))["tasks"]) == 10
    assert max(sizes) < 4 * 700


@pytest.mark.parametrize("user_id", ["", "x" * 256])
def test_the_command_refuses_what_is_no_id(user_id):
    with pytest.raises(CommandError, match="USER_ID"):
        call_command("export_user", user_id)


def test_a_server_sends_it_whole(server):
    token = sign(f"export-{server.port}")
    texts = [f"{n} {'long ' * 90}" for n in range(30)]
    for text in texts:
        body = {"text": text, "description": "d" * 2000}
        assert call(server, token, "POST", "/tasks", body).status == 201
    for path in ("/export", "/export/"):
        answer = call(server, token, "GET", path)
        assert answer.status == 200
        assert [row["text"] for row in answer.body["tasks"]] == [text.strip() for text in texts]
