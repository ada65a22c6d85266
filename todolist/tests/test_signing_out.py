"""Signing a person out refuses the tokens that they have then, everywhere, and no others."""

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from accounts.models import SignOut
from accounts.signout import KEPT, SignOuts, prune, sign_out, sign_outs
from accounts.users import digests_of
from conftest import (
    ALICE,
    BOB,
    OTHER_SERVERS,
    Server,
    both_kinds,
    call,
    client_with,
    free_port,
    sign,
)

committed = pytest.mark.django_db(transaction=True)  # what is told is told after the commit

REFUSED = {"detail": "Signed out", "code": "signed_out"}
WITHIN = 30  # seconds


def asked(token: str) -> Any:
    return client_with(token).get("/tasks")


# Which tokens


@committed
def test_tokens_of_before_are_refused_and_one_fetched_right_after_is_good():
    before, another = sign(ALICE), sign(BOB)
    assert asked(before).status_code == 200

    sign_out(ALICE)

    refused = asked(before)
    assert (refused.status_code, refused.json()) == (401, REFUSED)
    challenge = 'Bearer error="invalid_token", error_description="Signed out"'
    assert refused["WWW-Authenticate"] == challenge
    assert asked(sign(ALICE)).status_code == 200
    assert asked(another).status_code == 200


@committed
def test_the_second_of_signing_out_tells_before_from_after():
    while time.time() % 1 > 0.5:  # late in a second both would come from different ones anyway
        time.sleep(0.05)
    old = sign(ALICE, iat=time.time())
    _, moment = sign_out(ALICE)
    assert moment <= time.time() < moment + 1
    assert asked(old).json() == REFUSED
    assert asked(sign(ALICE, iat=moment - 1)).json() == REFUSED
    assert asked(sign(ALICE, iat=moment - 0.001)).json() == REFUSED
    assert asked(sign(ALICE, iat=moment)).status_code == 200


@committed
@pytest.mark.parametrize("claims", [{"without": ("iat",)}, {"iat": -1e300}, {"iat": 0}])
def test_a_token_that_does_not_say_when_it_was_issued_is_an_old_one(claims):
    token = sign(ALICE, **claims)
    assert asked(token).status_code == 200
    sign_out(ALICE)
    assert asked(token).json() == REFUSED
    assert asked(sign(ALICE, **claims, name="never seen before")).json() == REFUSED


@committed
def test_signed_out_again_after_a_new_sign_in():
    assert sign_out(ALICE)[0] is None
    second = sign(ALICE)
    assert asked(second).status_code == 200
    before, moment = sign_out(ALICE)
    assert before is not None and before < moment
    assert asked(second).json() == REFUSED
    assert asked(sign(ALICE)).status_code == 200


@committed
def test_a_token_that_has_expired_is_said_to_have():
    sign_out(ALICE)
    assert asked(sign(ALICE, iat=1, exp=2)).json()["code"] == "token_expired"


@committed
def test_an_id_is_taken_byte_for_byte():
    sign_out(ALICE.upper())
    assert asked(sign(ALICE)).status_code == 200


# What is kept of it


@committed
def test_no_request_asks_the_database(django_assert_num_queries):
    sign_out(ALICE)
    api = client_with(sign(BOB))
    with django_assert_num_queries(0):
        assert api.get("/me").status_code == 200
        assert client_with(sign(ALICE, iat=1)).get("/me").status_code == 401


@committed
def test_whose_moment_it_is_cannot_be_read_from_the_table(settings):
    sign_out(ALICE)
    (row,) = SignOut.objects.values()
    assert ALICE not in str(row)
    settings.SECRET_KEY = "another-key-" * 4
    assert row["person"] != digests_of(ALICE)[0].hex()


@committed
def test_it_holds_when_the_secret_key_is_changed(settings):
    sign_out(ALICE)
    old = settings.SECRET_KEY
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another-key-" * 4, [old]
    assert asked(sign(ALICE, iat=1)).json() == REFUSED


@pytest.mark.django_db
def test_another_process_reads_what_is_new():
    token = sign(ALICE)
    there = SignOuts()
    first, second = digests_of(ALICE)[0], digests_of(BOB)[0]
    told: list[bool] = []
    there.on_change = lambda: told.append(True)
    there.read()
    assert (there.moments, told) == ({}, [])
    SignOut.objects.create(person=first.hex(), moment=1000)
    there.read()
    SignOut.objects.create(person=second.hex(), moment=900)  # of a clock that lags behind
    SignOut.objects.update(moment=5000)
    SignOut.objects.filter(pk=second.hex()).update(moment=4000)
    there.read()
    there.read()
    assert there.moments == {first: 5000, second: 4000}
    assert len(told) == 2
    there.add({first: 10})
    assert there.moments[first] == 5000  # it never goes back

    SignOut.objects.update(moment=int(time.time()) + 1)
    assert asked(token).status_code == 200
    sign_outs.read()
    assert asked(token).json() == REFUSED


@pytest.mark.django_db
def test_moments_are_kept_for_a_year(capsys):
    now = time.time()
    SignOut.objects.create(person="0" * 32, moment=int(now - KEPT.total_seconds() - 60))
    SignOut.objects.create(person="1" * 32, moment=int(now - timedelta(days=364).total_seconds()))
    call_command("prune_events")
    assert "1 sign-out" in capsys.readouterr().out
    assert [row.person for row in SignOut.objects.all()] == ["1" * 32]
    assert prune(now) == 0


@pytest.mark.django_db
def test_who_was_signed_out_goes_on_being_so_while_the_database_is_away(monkeypatch, caplog):
    here = SignOuts()
    here.add({b"somebody": 1})
    pauses: list[float] = []

    def fails() -> None:
        raise OperationalError("away")

    class Stopped(BaseException):
        pass

    def wait(pause: float) -> None:
        pauses.append(pause)
        if len(pauses) == 3:
            raise Stopped

    monkeypatch.setattr(here, "read", fails)
    monkeypatch.setattr(here._due, "wait", wait)
    monkeypatch.setattr(connection, "close", lambda: None)
    monkeypatch.setattr("accounts.signout.act_for_nobody", lambda: None)
    with pytest.raises(Stopped):
        here._read_on()
    assert here.moments == {b"somebody": 1}
    assert [record.getMessage() for record in caplog.records] == [
        "Who was signed out cannot be read: OperationalError('away')"
    ]


# The command


@pytest.mark.parametrize("user_id", ["", " ", "a\0b", "x" * 256])
def test_the_command_refuses_what_no_user_id_can_be(user_id):
    with pytest.raises(CommandError, match="USER_ID: "):
        call_command("sign_out", user_id)


@committed
def test_doctor_tells_of_a_token_that_was_signed_out(capsys):
    token = sign(ALICE)
    call_command("sign_out", ALICE)
    assert "Signed out: tokens issued before 2" in capsys.readouterr().out
    sign_outs.forget()  # as in a process of its own
    with pytest.raises(SystemExit):
        call_command("doctor", token)
    assert "signed this person out since" in capsys.readouterr().out


# Real servers


def refused_within(server: Server, token: str, seconds: float = WITHIN) -> float:
    """In how many seconds a server refuses the token; there is no answer that is neither."""
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        status, _, body = call(server, token, "GET", "/me")
        if status == 401:
            assert body == REFUSED
            return time.monotonic() - began
        assert status == 200
        time.sleep(0.1)
    pytest.fail(f"Still let in after {seconds} s")


def received(socket: ClientConnection) -> Any:
    return json.loads(socket.recv(timeout=WITHIN))


def end_of(socket: ClientConnection) -> tuple[int, str]:
    """Code and reason of the close, before which nothing is sent."""
    try:
        message = socket.recv(timeout=WITHIN)
    except ConnectionClosed as closed:
        return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")
    pytest.fail(f"Not closed, but sent {message!r}")


@pytest.fixture
def pair(start_server) -> Callable[..., tuple[Server, Server]]:
    def started(kind: str, **options: Any) -> tuple[Server, Server]:
        first = start_server(kind, **options)
        return first, start_server(kind, DATABASE_URL=first.database_url, **options)

    return started


@both_kinds
def test_every_process_refuses_and_closes_the_sockets(pair, kind):
    servers = pair(kind)
    old, another = sign(ALICE), sign(BOB)
    closed = (4001, "Signed out" if kind == "uvicorn" else "")
    with ExitStack() as stack:

        def opened(server: Server, token: str) -> ClientConnection:
            socket = stack.enter_context(connect(f"{server.socket_url}?token={token}"))
            assert received(socket)["type"] == "ready"
            return socket

        theirs = [opened(server, old) for server in servers]
        others = [opened(server, another) for server in servers]
        for server in servers:
            assert call(server, old, "GET", "/me").status == 200

        done = servers[0].manage("sign_out", ALICE)
        assert done.returncode == 0, done.stderr
        new = sign(ALICE)
        began = time.monotonic()

        assert [end_of(socket) for socket in theirs] == [closed] * 2
        if servers[0].environment["REDIS_URL"]:
            assert (
                time.monotonic() - began < 4
            )  # they were told, and have not waited for the next look
        for server in servers:
            refused_within(server, old)
            assert call(server, new, "GET", "/tasks").status == 200
        with connect(f"{servers[1].socket_url}?token={old}") as late:
            assert end_of(late) == closed

        fresh = opened(servers[1], new)
        fresh.send(json.dumps({"type": "auth", "token": old}))
        assert end_of(fresh) == closed
        renewed = opened(servers[0], new)
        renewed.send(json.dumps({"type": "auth", "token": sign(ALICE, name="again")}))
        assert received(renewed)["type"] == "auth.ok"
        for socket in others:
            socket.send('{"type": "ping"}')
            assert received(socket) == {"type": "pong"}
    assert old not in servers[0].log.read_text()


@pytest.mark.parametrize("kind", ["plain uvicorn", "the same, preloaded", "gunicorn, WSGI"])
def test_other_servers_refuse_within_seconds(start_server, kind):
    assert kind in OTHER_SERVERS
    server = start_server(kind, REDIS_URL="")
    old = sign(ALICE)
    assert call(server, old, "GET", "/me").status == 200
    assert server.manage("sign_out", ALICE).returncode == 0
    refused_within(server, old)
    assert call(server, sign(ALICE), "GET", "/me").status == 200


def test_every_worker_refuses(start_server):
    server = start_server(workers=2)
    old = sign(ALICE)
    for _ in range(20):
        assert call(server, old, "GET", "/me").status == 200
    assert server.manage("sign_out", ALICE).returncode == 0
    deadline, since = time.monotonic() + WITHIN, 0
    while since < 30:  # answers in a row; each connection is anybody's
        assert time.monotonic() < deadline
        since = since + 1 if call(server, old, "GET", "/me").status == 401 else 0
        time.sleep(0.02)


def test_a_process_that_starts_later_knows_it_from_the_first_request(start_server):
    first = start_server()
    old = sign(ALICE)
    assert first.manage("sign_out", ALICE).returncode == 0
    for kind in ("uvicorn", "gunicorn, WSGI"):
        later = start_server(kind, DATABASE_URL=first.database_url)
        assert call(later, old, "GET", "/me").body == REFUSED


def test_without_a_database_everybody_is_who_they_say(start_server):
    away = f"postgresql://nobody@127.0.0.1:{free_port()}/todolist"
    server = start_server(DATABASE_URL=away, REDIS_URL="")
    for _ in range(3):
        assert call(server, sign(ALICE), "GET", "/me").status == 200
    time.sleep(2.5)
    assert server.log.read_text().count("Who was signed out cannot be read") == 1
