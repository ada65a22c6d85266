"""Erasing all of a person: nothing of them is left anywhere, and nothing of others is lost."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

import pytest
import redis
from django.conf import settings as django_settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from accounts import erasures
from accounts.models import Erasure
from accounts.signout import sign_out
from conftest import ALICE, BOB, both_kinds, call, client_with, sign
from tasks.events.record import position_of
from tasks.own import erasing
from todolist.tests.people import PEOPLE, database, furnish, make_task, secret_of

pytestmark = pytest.mark.django_db
committed = pytest.mark.django_db(transaction=True)


def erase(user_id: str = ALICE, **query: str) -> Any:
    confirm = quote(query.get("confirm", user_id), safe="")
    return client_with(sign(user_id)).delete(f"/me?confirm={confirm}")


def cells() -> Iterator[tuple[str, str]]:
    """Everything in the database, as text, but what `migrate` writes: each cell, with its column."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608
            columns = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                yield from (
                    (f"{table}.{name}", str(value))
                    for name, value in zip(columns, row, strict=True)
                )


def in_redis() -> dict[str, str]:
    """What is in there by now, by key: other tests leave things of theirs."""
    if not django_settings.REDIS_URL:
        return {}
    store = redis.Redis.from_url(django_settings.REDIS_URL)
    return {repr(key): f"{key!r} {store.dump(key)!r}" for key in store.scan_iter()}


def traces(marks: frozenset[str], before: Any = ()) -> list[tuple[str, str]]:
    """Where any of these is found, also as JSON has it, or keys without their hyphens.

    In Redis only under keys that were not there before.
    """
    spellings = {*marks, *(json.dumps(mark)[1:-1] for mark in marks)}
    spellings |= {mark.replace("-", "") for mark in marks if re.fullmatch("[0-9a-f-]{36}", mark)}
    stored = [("redis", text) for key, text in in_redis().items() if key not in before]
    places = [*cells(), *stored]
    return [(place, text) for place, text in places if any(mark in text for mark in spellings)]


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("staff"))
    return client


@pytest.mark.parametrize("way", ["rest", "command"])
def test_nothing_of_a_person_is_left_in_any_table_nor_in_redis(way, staff, monkeypatch, capsys):
    monkeypatch.setattr(erasing, "BATCH", 2)
    before = in_redis()
    theirs = {owner: furnish(owner) for owner in PEOPLE}
    api = client_with(sign(ALICE))
    parent = api.post("/tasks", {"text": secret_of(ALICE)}).json()["id"]
    for _ in range(3):
        assert api.post("/tasks", {"text": "below", "parent_id": parent}).status_code == 201
    staff.get(f"/admin/tasks/person/{ALICE}/change/")
    for owner in (ALICE, BOB):
        page = f"/admin/tasks/task/{make_task(owner).pk}/delete/"
        assert staff.post(page, {"post": "yes"}).status_code == 302
    marks = theirs[ALICE].marks | {parent}
    others = {owner: len(traces(theirs[owner].marks)) for owner in PEOPLE if owner != ALICE}
    found = {place.partition(".")[0] for place, _ in traces(marks)}
    assert found >= {model._meta.db_table for model in erasing.owned_models()}
    assert {"tasks_stream", "django_admin_log"} <= found

    if way == "rest":
        assert erase().status_code == 204
    else:
        call_command("erase_user", ALICE)
        assert capsys.readouterr().out == "Erased\n"

    assert traces(marks, before) == []
    assert {owner: len(traces(theirs[owner].marks)) for owner in others} == others
    digest = erasures.names_of(ALICE)
    assert [(place, text) for place, text in cells() if digest in text] == [
        ("accounts_erasure.person", digest),
        *[
            (place, text)
            for place, text in cells()
            if place.startswith("django_admin_log") and digest in text
        ],
    ]
    of_staff = LogEntry.objects.filter(object_repr="erased")
    assert {entry.user.username for entry in of_staff} == {"staff"}
    assert len(of_staff) == 2
    (viewed,) = of_staff.filter(object_id=digest)
    assert viewed.get_change_message() == "Viewed."
    assert staff.get("/admin/").status_code == 200  # which shows what staff did of late


def test_a_replay_of_their_token_finds_an_empty_person():
    furnish(ALICE)
    token = sign(ALICE)
    api = client_with(token)
    assert api.get("/tasks").json() != []
    assert erase().status_code == 204
    for path in ("/tasks", "/projects", "/labels", "/notifications", "/events"):
        assert api.get(path).json() == [], path
    assert api.get("/preferences").json()["version"] == 1
    assert api.get("/me").json()["id"] == ALICE
    made = api.post("/tasks", {"text": "anew"})
    assert made.status_code == 201
    assert [event["seq"] for event in api.get("/events").json()] == [1]
    assert erase().status_code == 204
    assert erase().status_code == 204
    assert api.get("/tasks").json() == []


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?confirm=",
        f"?confirm={BOB}",
        f"?confirm={ALICE.lower()}",
        f"?confirm={ALICE}&confirm={ALICE}",
    ],
)
def test_without_the_right_id_nothing_is_erased(query):
    furnish(ALICE)
    before = database()
    refused = client_with(sign(ALICE)).delete(f"/me{query}")
    assert refused.status_code == 400
    assert refused.json()["detail"].startswith("confirm: ")
    assert database() == before


@pytest.mark.parametrize("user_id", ["a/b?c#d%2F_&é+=", " blanks ", "☕" * 200, "<b>'\"\\"])
def test_whatever_the_id_is(user_id):
    api = client_with(sign(user_id))
    assert api.post("/tasks", {"text": "mine"}).status_code == 201
    assert erase(user_id).status_code == 204
    assert api.get("/tasks").json() == []


def test_numbers_of_before_are_of_another_epoch():
    api = client_with(sign(ALICE))
    for _ in range(3):
        api.post("/tasks", {"text": "before"})
    before, others = api.get("/tasks"), position_of(BOB)
    assert erase().status_code == 204
    for _ in range(5):
        api.post("/tasks", {"text": "after"})
    epoch = before["X-Events-Epoch"]
    gone = api.get(f"/events?since=3&epoch={epoch}")
    assert (gone.status_code, gone.json()["seq"]) == (410, 5)
    assert gone.json()["epoch"] == api.get("/tasks")["X-Events-Epoch"] != epoch
    assert api.get(f"/events?since=3&epoch={gone.json()['epoch']}").status_code == 200
    assert position_of(BOB) == others
    plain = api.get("/tasks?label=0198c5a0-7d2f-7c3a-9f54-2b1e8d60c7aa&completed=true")
    assert plain["X-Events-Epoch"] == gone.json()["epoch"]


def test_the_epoch_outlives_a_rotation_of_the_key(settings):
    erase()
    epoch = position_of(ALICE).epoch
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-" + "0123456789abcdefghij" * 3
    assert position_of(ALICE).epoch == epoch
    assert erasures.epochs_of([ALICE, BOB]) == {ALICE: erasures.part_of(epoch)}
    erase()
    assert position_of(ALICE).epoch != epoch
    assert Erasure.objects.count() == 1


@committed
def test_the_moment_of_signing_out_outlives_it():
    old = client_with(sign(ALICE))
    sign_out(ALICE)
    erase()
    assert old.get("/tasks").status_code == 401


def test_what_is_known_of_an_erasure_is_dropped_with_the_last_token(capsys):
    erase()
    Erasure.objects.update(moment=1)
    call_command("prune_events")
    assert "1 erasures dropped" in capsys.readouterr().out
    assert not Erasure.objects.exists()


@pytest.mark.parametrize("user_id", ["", " ", "x" * 256])
def test_the_command_refuses_what_is_no_id(user_id):
    with pytest.raises(CommandError, match="USER_ID"):
        call_command("erase_user", user_id)


def received(socket: ClientConnection) -> Any:
    return json.loads(socket.recv(timeout=30))


@both_kinds
def test_sockets_of_every_process_close_and_may_come_back(start_server, kind):
    first = start_server(kind)
    servers = [first, start_server(kind, DATABASE_URL=first.database_url)]
    token = sign(ALICE)
    with ExitStack() as stack:

        def opened(server: Any, token: str, tail: str = "") -> tuple[ClientConnection, Any]:
            socket = stack.enter_context(connect(f"{server.socket_url}?token={token}{tail}"))
            return socket, received(socket)

        assert call(first, token, "POST", "/tasks", {"text": "before"}).status == 201
        theirs = [opened(server, token) for server in servers]
        others = [opened(server, sign(BOB))[0] for server in servers]

        assert call(servers[1], token, "DELETE", f"/me?confirm={ALICE}").status == 204

        for socket, _ in theirs:
            with pytest.raises(ConnectionClosed) as closed:
                received(socket)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4001
            assert closed.value.rcvd.reason == ("Erased" if kind == "uvicorn" else "")
        for socket in others:
            socket.send('{"type": "ping"}')
            assert received(socket) == {"type": "pong"}
        was = theirs[0][1]
        for _ in range(3):
            assert call(first, token, "POST", "/tasks", {"text": "after"}).status == 201
        again, ready = opened(first, token, f"&since=1&epoch={was['epoch']}")
        assert ready["epoch"] != was["epoch"]
        assert received(again) == {"type": "resync", "seq": 3, "epoch": ready["epoch"]}
        assert call(servers[1], token, "POST", "/tasks", {"text": "live"}).status == 201
        assert received(again)["seq"] == 4
        fresh, ready = opened(servers[1], token, f"&since=2&epoch={ready['epoch']}")
        assert [received(fresh)["seq"] for _ in range(2)] == [3, 4]
    for server in servers:
        assert ALICE not in server.log.read_text()
