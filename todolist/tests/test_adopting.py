"""Taking over what a guest has: all of it, once, and nothing of anybody else's."""

import json
from datetime import date
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from accounts.signout import sign_out
from conftest import ALICE, BOB, OTHER_SECRET, call, client_with, sign
from tasks.models import Notification, PushSubscription, Task
from todolist.tests.people import database, furnish
from todolist.tests.test_erasing import traces

pytestmark = pytest.mark.django_db
committed = pytest.mark.django_db(transaction=True)

GUEST = "guest-Qp81LxTm4Zr7Ks0Wd2"


def guests_token(guest: str = GUEST) -> str:
    return sign(guest, isAnonymous=True)


def adopted(api: Any, token: str) -> Any:
    response = api.post("/me/adopt", {"token": token})
    assert response.status_code == 200, response.content
    return response.json()


def test_everything_becomes_the_callers(alice_api):
    guest = client_with(guests_token())
    there = alice_api.post("/labels", {"name": "Errand"}).json()["id"]
    project = guest.post("/projects", {"name": "Garden"}).json()["id"]
    labels = [guest.post("/labels", {"name": n}).json()["id"] for n in ("ERRAND", "new")]
    body = {"text": "one", "project_id": project, "label_ids": labels, "due_on": "2030-01-01"}
    parent = guest.post("/tasks", body).json()["id"]
    child = guest.post("/tasks", {"text": "two", "parent_id": parent}).json()["id"]
    gone = guest.post("/tasks", {"text": "three", "label_ids": labels}).json()["id"]
    guest.delete(f"/tasks/{gone}")
    guest.patch("/preferences", {"time_zone": "Asia/Tokyo"})
    alice_api.patch("/preferences", {"time_zone": "America/New_York"})
    about = {"user_id": GUEST, "type": "deadline_reached", "title": "x", "message": "x"}
    notification = Notification.objects.create(**about, task_id=parent, due_on=date(2030, 1, 1)).pk
    keys = {"endpoint_digest": "d", "p256dh": "p", "auth": "a"}
    PushSubscription.objects.create(user_id=GUEST, endpoint="https://example.com", **keys)
    others = furnish(BOB)
    before = {key: row for key, row in database().items() if row.get("user_id") == BOB}
    shown = {row["id"]: row for row in guest.get("/tasks").json()}
    seq = int(alice_api.get("/tasks")["X-Events-Seq"])

    assert adopted(alice_api, guests_token()) == {"projects": 1, "labels": 1, "tasks": 2}

    rows = {row["id"]: row for row in alice_api.get("/tasks").json()}
    assert rows.keys() == shown.keys() >= {parent, child}
    mine = sorted([there, labels[1]])
    for key, row in rows.items():
        was = shown[key]
        expected = {
            **was,
            "user_id": ALICE,
            "version": was["version"] + 1,
            "updated_at": row["updated_at"],
            "label_ids": mine if was["label_ids"] else [],
        }
        assert row == expected
        assert row["updated_at"] > was["updated_at"]
    assert {row["id"] for row in alice_api.get("/labels").json()} == {*mine}
    (trashed,) = alice_api.get("/trash").json()
    assert (trashed["id"], trashed["user_id"], trashed["label_ids"]) == (gone, ALICE, mine)
    assert alice_api.post(f"/trash/{gone}/restore").json()["label_ids"] == mine
    assert alice_api.get("/preferences").json()["time_zone"] == "America/New_York"
    assert str(Task.objects.get(pk=parent).due_at) == "2030-01-02 05:00:00+00:00"
    assert [row["id"] for row in alice_api.get("/notifications").json()] == [str(notification)]
    events = alice_api.get(f"/events?since={seq}").json()[:-1]
    assert [event["seq"] for event in events] == list(range(seq + 1, seq + 6))
    types = [event["type"] for event in events]
    assert {*types[:2]} == {"project.created", "label.created"}  # before what refers to them
    assert types[2:] == ["task.created"] * 2 + ["notification.created"]
    for event in events:
        if event["type"] == "task.created":
            assert event["data"] == rows[event["data"]["id"]]

    assert traces(frozenset({GUEST})) == []
    assert guest.get("/tasks").json() == guest.get("/trash").json() == []
    assert guest.get("/preferences").json()["version"] == 1
    assert {key: row for key, row in database().items() if row.get("user_id") == BOB} == before
    assert others
    assert adopted(alice_api, guests_token()) == {"projects": 0, "labels": 0, "tasks": 0}


@pytest.mark.parametrize(
    "claims",
    [
        {"isAnonymous": False}, {"isAnonymous": None}, {"isAnonymous": "true"}, {"isAnonymous": 1},
        {"without": ("isAnonymous",)}, {"exp": 1}, {"key": OTHER_SECRET}, {"sub": None}, {"sub": ALICE},
    ],
)  # fmt: skip
def test_only_a_good_token_of_a_guest_will_do(alice_api, claims):
    client_with(guests_token()).post("/tasks", {"text": "theirs"})
    before = database()
    token = sign(**{"sub": GUEST, "isAnonymous": True, **claims})
    refused = alice_api.post("/me/adopt", {"token": token})
    assert (refused.status_code, list(refused.json())) == (400, ["token"])
    assert token not in refused.content.decode()
    assert database() == before


@pytest.mark.parametrize(
    "body", [{}, {"token": None}, {"token": 7}, {"token": ""}, {"token": "é" * 9}]
)
def test_what_is_no_token_is_named(alice_api, body):
    refused = alice_api.post("/me/adopt", body)
    assert (refused.status_code, list(refused.json())) == (400, ["token"])


@committed
def test_nor_will_one_that_was_signed_out(alice_api):
    token = guests_token()
    sign_out(GUEST)
    assert alice_api.post("/me/adopt", {"token": token}).json() == {"token": ["Signed out"]}


def test_sockets_of_the_guest_close_and_the_callers_are_told(server):
    token, guest = sign(f"adopter-{server.port}"), guests_token(f"{GUEST}-{server.port}")
    assert call(server, guest, "POST", "/tasks", {"text": "theirs"}).status == 201
    with (
        connect(f"{server.socket_url}?token={guest}") as theirs,
        connect(f"{server.socket_url}?token={token}") as mine,
    ):
        for socket in (theirs, mine):
            assert json.loads(socket.recv(timeout=30))["type"] == "ready"
        assert call(server, token, "POST", "/me/adopt", {"token": guest}).status == 200
        event = json.loads(mine.recv(timeout=30))
        assert (event["type"], event["data"]["text"]) == ("task.created", "theirs")
        with pytest.raises(ConnectionClosed) as closed:
            theirs.recv(timeout=30)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 4001
    assert guest not in server.log.read_text()
