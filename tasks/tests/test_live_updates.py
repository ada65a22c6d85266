"""Live events, over real sockets to a real server."""

import json
import re
import time
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from socket import create_connection
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from websockets import Origin
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from conftest import (
    ALICE,
    BOB,
    OTHER_SECRET,
    PAGE_ORIGIN,
    Server,
    both_servers,
    call,
    hash_in_earnest,
    sign,
)
from tasks.models import Event, Task
from tasks.resources.forms import OPENED

pytestmark = both_servers

SECONDS = 5


def received(socket: ClientConnection) -> Any:
    message = json.loads(socket.recv(timeout=SECONDS))
    return message


@contextmanager
def opened(server: Server, token: str, **options):
    """A socket that has been greeted."""
    with connect(f"{server.socket_url}?token={token}", **options) as socket:
        assert received(socket)["type"] == "ready"
        yield socket


def newest_seq(server: Server, token: str) -> int:
    with connect(f"{server.socket_url}?token={token}") as socket:
        return int(received(socket)["seq"])


def receives_nothing(socket: ClientConnection) -> bool:
    """Whether a ping is answered next, with nothing before it."""
    socket.send('{"type": "ping"}')
    return bool(received(socket) == {"type": "pong"})


def offering(token: str) -> dict[str, Any]:
    return {"subprotocols": ["bearer", token]}


def close_code(socket: ClientConnection) -> int:
    """How the server closes the socket, once everything before is read."""
    try:
        while True:
            socket.recv(timeout=SECONDS)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 1006


def test_the_greeting_says_until_when_the_token_is_good(server):
    token = sign("nobody-yet", exp=4102444800)
    with connect(f"{server.socket_url}?token={token}") as socket:
        greeting = {"type": "ready", "seq": 0, "expires_at": "2100-01-01T00:00:00Z"}
        assert received(socket) == greeting | {"epoch": epoch_at(server, token)}


def test_create_update_and_delete_arrive_with_the_task_as_rest_shows_it(server):
    token = sign(ALICE)
    with opened(server, token) as socket:
        _, _, created = call(server, token, "POST", "/tasks", {"text": "naïve ☕", "order": 7})
        event = received(socket)
        assert event.keys() == {"seq", "type", "at", "data"}
        assert (event["type"], event["data"]) == ("task.created", created)
        assert event["at"].endswith("Z")

        path = f"/tasks/{created['id']}"
        _, _, changed = call(server, token, "PATCH", path, {"completed": True})
        event = received(socket)
        assert (event["type"], event["data"]) == ("task.updated", changed)

        call(server, token, "DELETE", path)
        event = received(socket)
        assert (event["type"], event["data"]) == ("task.deleted", {"id": created["id"]})


def test_all_sockets_of_the_owner_hear_and_nobody_elses(server):
    alice, bob = sign(ALICE), sign(BOB)
    with opened(server, alice) as one, opened(server, alice) as two, opened(server, bob) as other:
        call(server, alice, "POST", "/tasks", {"text": "for both of my windows"})
        assert received(one) == received(two)
        assert receives_nothing(other)
        call(server, bob, "POST", "/tasks", {"text": "mine"})
        assert received(other)["data"]["user_id"] == BOB
        assert receives_nothing(one) and receives_nothing(two)


def test_a_refused_change_is_no_event(server):
    alice, bob = sign(ALICE), sign(BOB)
    with opened(server, alice) as socket:
        _, _, task = call(server, alice, "POST", "/tasks", {"text": "keep"})
        received(socket)
        path = f"/tasks/{task['id']}"
        assert call(server, bob, "PATCH", path, {"text": "taken"})[0] == 403
        assert call(server, bob, "DELETE", path)[0] == 403
        assert call(server, alice, "PATCH", path, {"text": " "})[0] == 400
        assert receives_nothing(socket)


@pytest.mark.parametrize("place", ["query", "header", "subprotocol"])
def test_the_token_may_come_in_three_places(server, place):
    token = sign()
    places: dict[str, dict[str, Any]] = {
        "query": {"uri": f"{server.socket_url}?token={token}"},
        "header": {"additional_headers": {"Authorization": f"bearer {token}"}},
        "subprotocol": offering(token),
    }
    with connect(**{"uri": server.socket_url, **places[place]}) as socket:
        assert socket.subprotocol == ("bearer" if place == "subprotocol" else None)
        assert received(socket)["type"] == "ready"


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("garbage", id="garbage"),
        pytest.param(sign(key=OTHER_SECRET), id="another secret"),
        pytest.param(sign(exp=1), id="expired"),
        pytest.param(sign(without=("sub",)), id="nobody"),
    ],
)
def test_a_bad_token_is_accepted_and_then_closed_with_4001(server, token):
    url = server.socket_url if token is None else f"{server.socket_url}?token={token}"
    with connect(url) as socket:
        assert close_code(socket) == 4001


def test_a_bad_token_in_the_subprotocol_is_answered_like_a_good_one_and_closed(server):
    with connect(server.socket_url, **offering(sign(exp=1))) as socket:
        assert socket.subprotocol == "bearer"
        assert close_code(socket) == 4001


def test_the_socket_closes_when_the_token_expires(server):
    expires_at = int(time.time()) + 2
    with opened(server, sign(exp=expires_at)) as socket:
        assert close_code(socket) == 4001
        assert 0 <= time.time() - expires_at < 1


def test_a_warning_comes_a_minute_before_and_at_once_if_less_is_left(server):
    in_61_seconds, in_30_seconds = (int(time.time()) + left for left in (62, 30))
    with opened(server, sign(exp=in_61_seconds)) as socket:
        event = received(socket)  # within a second or two: no `SECONDS` could wait a minute
        assert event["type"] == "auth.expiring"
        assert 58 < in_61_seconds - time.time() <= 60
    with opened(server, sign(exp=in_30_seconds)) as socket:
        assert received(socket)["type"] == "auth.expiring"


def test_a_new_token_of_the_same_person_lets_the_socket_live_on(server):
    with opened(server, sign(exp=int(time.time()) + 2)) as socket:
        assert received(socket)["type"] == "auth.expiring"
        socket.send(json.dumps({"type": "auth", "token": sign(exp=4102444800)}))
        assert received(socket) == {"type": "auth.ok", "expires_at": "2100-01-01T00:00:00Z"}
        time.sleep(2.2)
        assert receives_nothing(socket)


@pytest.mark.parametrize(
    "token", [sign(BOB), sign(exp=1), "garbage", "", None, 7], ids=lambda token: str(token)[:8]
)
def test_anything_else_instead_of_a_new_token_closes(server, token):
    with opened(server, sign(ALICE)) as socket:
        socket.send(json.dumps({"type": "auth", "token": token}))
        assert close_code(socket) == 4001


def epoch_at(server: Server, token: str) -> str:
    """The epoch, as a poller is told it."""
    epoch: str = call(server, token, "GET", "/events?since=999999")[2]["epoch"]
    return epoch


def ask(server: Server, token: str, since: object) -> ClientConnection:
    return connect(f"{server.socket_url}?token={token}&since={since}")


def test_since_replays_what_came_after_and_goes_on_live(server):
    token = sign("replay")
    for number in range(5):
        call(server, token, "POST", "/tasks", {"text": f"task {number}"})
    with ask(server, token, 2) as socket:
        assert received(socket)["seq"] == 2  # ready
        assert [received(socket)["seq"] for _ in range(3)] == [3, 4, 5]
        call(server, token, "POST", "/tasks", {"text": "live"})
        event = received(socket)
        assert (event["seq"], event["data"]["text"]) == (6, "live")
        assert receives_nothing(socket)


def test_a_long_replay_comes_whole_and_in_order(server, working_on):
    with working_on(server.database_url), transaction.atomic():
        for n in range(450):
            Task(user_id="long", text=str(n)).save()
    with ask(server, sign("long"), 0) as socket:
        assert received(socket)["seq"] == 0
        events = [received(socket) for _ in range(450)]
        assert [event["seq"] for event in events] == list(range(1, 451))
        assert [event["data"]["text"] for event in events] == [str(n) for n in range(450)]
        assert receives_nothing(socket)


def test_without_since_it_is_live_from_now(server):
    token = sign("from-now")
    call(server, token, "POST", "/tasks", {"text": "before"})
    with connect(f"{server.socket_url}?token={token}") as socket:
        assert received(socket)["seq"] == 1
        assert receives_nothing(socket)


@pytest.mark.parametrize(
    "since", ["3", "999999999999999999", "-1", "x", "", "1.0", "9" * 30, "%00"]
)
def test_a_since_that_is_ahead_or_no_number_means_fetch_the_list_again(server, since):
    token = sign("resync")
    while newest_seq(server, token) < 2:
        call(server, token, "POST", "/tasks", {"text": "x"})
    with ask(server, token, since) as socket:
        is_number = since.isdigit() and len(since) < 19
        assert received(socket)["seq"] == (int(since) if is_number else 2)
        assert received(socket) == {
            "type": "resync",
            "seq": 2,
            "epoch": epoch_at(server, token),
        }
        assert receives_nothing(socket)


@pytest.mark.parametrize("since", ["&since=1", "&since=2", "&since=x", ""])
def test_an_epoch_that_is_another_means_fetch_the_list_again_and_go_on(server, since):
    token = sign("epochs")
    while newest_seq(server, token) < 2:
        call(server, token, "POST", "/tasks", {"text": "x"})
    epoch = epoch_at(server, token)
    for other in ("another", "", epoch.upper(), f"{epoch}&epoch=x", "%00"):
        with connect(f"{server.socket_url}?token={token}{since}&epoch={other}") as socket:
            ready = received(socket)
            assert ready["seq"] == (1 if since == "&since=1" else 2)
            assert ready["epoch"] == epoch
            assert received(socket) == {"type": "resync", "seq": 2, "epoch": epoch}
            assert receives_nothing(socket)
    with connect(f"{server.socket_url}?token={token}&since=1&epoch={epoch}") as socket:
        assert received(socket)["type"] == "ready"
        assert received(socket)["seq"] == 2
        assert receives_nothing(socket)


def test_a_since_older_than_the_record_means_fetch_the_list_again_and_go_on(server, working_on):
    token = sign("pruned")
    for _ in range(3):
        call(server, token, "POST", "/tasks", {"text": "x"})
    with working_on(server.database_url):
        old = Event.objects.filter(user_id="pruned", seq__lte=2)
        old.update(at=timezone.now() - timedelta(days=8))
    pruned = server.manage("prune_events")
    assert (pruned.returncode, pruned.stdout) == (0, "2 events dropped\n")
    for since, after_ready in ((0, "resync"), (1, "resync"), (2, "task.created")):
        with ask(server, token, since) as socket:
            assert received(socket)["seq"] == since
            message = received(socket)
            assert (message["type"], message["seq"]) == (after_ready, 3)
    assert call(server, token, "GET", "/events?since=1")[0] == 410
    assert [event["seq"] for event in call(server, token, "GET", "/events?since=2")[2]] == [3]


def test_one_person_may_open_twenty_sockets(server):
    token = sign("many-windows")
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(opened(server, token))
        with connect(f"{server.socket_url}?token={token}") as one_too_many:
            assert close_code(one_too_many) == 4008
    with opened(server, token):  # there is room again
        pass


def test_origins(server):
    with opened(server, sign(), origin=Origin(PAGE_ORIGIN)):
        pass
    for origin in ("https://evil.example.com", "null", PAGE_ORIGIN + ".evil.com"):
        with pytest.raises(InvalidStatus) as refused:
            connect(f"{server.socket_url}?token={sign()}", origin=Origin(origin))
        assert refused.value.response.status_code == 403


def test_paths(server):
    with connect(f"{server.socket_url}/?token={sign()}") as socket:
        assert received(socket)["type"] == "ready"
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{server.port}/ws/elsewhere?token={sign()}")
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    "message",
    [
        *("no JSON", "", "[]", "null", "3", '"ping"', "{}", '{"type": null}', '{"type": []}'),
        *('{"type": "unknown"}', "[" * 60_000, "\x00", b"", b"\x00\xff", b'{"type": "ping"}'),
    ],
)
def test_whatever_a_client_sends_the_socket_stays(server, message):
    with opened(server, sign()) as socket:
        socket.send(message)
        answer = received(socket)
        assert answer.keys() == {"type", "detail"} and answer["type"] == "error"
        assert receives_nothing(socket)


def test_a_frame_over_the_limit_closes_with_1009_or_under_daphne_with_4009(server):
    with opened(server, sign()) as socket:
        socket.send("x" * 65_536)
        assert received(socket)["type"] == "error"
        socket.send("é" * 32_769)  # bytes count, not characters
        assert close_code(socket) == (4009 if server.kind == "daphne" else 1009)


def test_the_reason_is_sent_where_the_server_can(server):
    with connect(f"{server.socket_url}?token={sign(exp=1)}") as socket:
        assert close_code(socket) == 4001
        assert socket.close_reason == ("" if server.kind == "daphne" else "Token has expired")


class Staff:
    """A browser at the admin of one of the staff: keeps cookies, sends the form's CSRF token."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.cookies: SimpleCookie = SimpleCookie()
        self.request("GET", "/admin/login/")
        self.post("/admin/login/", username="staff", password="a long one for tests")

    def request(self, method: str, path: str, body: str | None = None) -> int:
        connection = HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        cookies = "; ".join(f"{name}={value.value}" for name, value in self.cookies.items())
        form = {"Cookie": cookies, "Content-Type": "application/x-www-form-urlencoded"}
        connection.request(method, path, body, form)
        response = connection.getresponse()
        self.page = response.read().decode()
        for header in response.headers.get_all("Set-Cookie", ()):
            self.cookies.load(header)
        connection.close()
        return response.status

    def post(self, path: str, **fields: str) -> None:
        csrf = self.cookies["csrftoken"].value
        body = urlencode({"csrfmiddlewaretoken": csrf, **fields})
        assert self.request("POST", path, body) == 302, path  # elsewhere, when all went well


def make_staff(server: Server, working_on) -> None:
    with working_on(server.database_url):
        password = hash_in_earnest("a long one for tests")
        known = User.objects.filter(username="staff").first() or User(username="staff")
        known.password, known.is_staff, known.is_superuser = password, True, True
        known.save()


def test_staff_see_open_sockets_and_close_them_by_signing_out(server, working_on):
    make_staff(server, working_on)
    person = f"somebody-at-{server.kind}"
    page = f"/admin/tasks/person/{person}/"
    staff = Staff(server)
    with opened(server, sign(person)) as first, opened(server, sign(person)) as second:
        assert staff.request("GET", f"{page}change/") == 200
        shown = r'Open sockets at this server process:</label>\s*<div class="readonly">(\d+)<'
        assert re.findall(shown, staff.page) == ["2"]
        staff.post(f"{page}sign-out/")
        assert [close_code(socket) for socket in (first, second)] == [4001] * 2
        assert first.close_reason == ("" if server.kind == "daphne" else "Signed out")
    assert staff.request("GET", f"{page}change/") == 200
    assert re.findall(shown, staff.page) == ["0"]
    with opened(server, sign(person)):
        pass


def test_what_staff_change_in_the_admin_arrives_too(server, working_on):
    token = sign(ALICE)
    make_staff(server, working_on)
    _, _, task = call(server, token, "POST", "/tasks", {"text": "mispelt"})
    staff = Staff(server)
    with opened(server, token) as socket:
        form = {"text": "misspelt", "order": "0", OPENED: str(task["version"])}
        staff.post(f"/admin/tasks/task/{task['id']}/change/", **form)
        event = received(socket)
        assert (event["type"], event["data"]["text"]) == ("task.updated", "misspelt")
        staff.post(
            "/admin/tasks/task/",
            action="delete_selected",
            post="yes",
            _selected_action=task["id"],
        )
        event = received(socket)
        assert (event["type"], event["data"]) == ("task.deleted", {"id": task["id"]})


def test_what_another_process_writes_arrives_live_or_with_the_next_event(server, settings):
    code = f"from tasks.models import Task; Task(user_id={BOB!r}, text='from a command').save()"
    with opened(server, sign(BOB)) as socket:
        done = server.manage("shell", "-c", code)
        assert done.returncode == 0, done.stderr
        if not settings.REDIS_URL:
            call(server, sign(BOB), "POST", "/tasks", {"text": "the next event"})
        assert received(socket)["data"]["text"] == "from a command"


def test_another_deployment_on_the_same_redis_is_not_heard(server, settings):
    if not settings.REDIS_URL:
        pytest.skip("There is no Redis to share in this run")
    token = sign("two-deployments")
    code = (
        "from asgiref.sync import async_to_sync; from channels.layers import get_channel_layer\n"
        "from tasks.events.bell import PROCESSES\n"
        """event = '{"seq":1,"type":"task.deleted","at":"","data":{"id":"elsewhere"}}'\n"""
        "async_to_sync(get_channel_layer().group_send)(PROCESSES,"
        " {'type': 'bell.ring', 'texts': [['two-deployments', 1, event]]})"
    )
    other = server.database_url + "-of-another-deployment"
    with opened(server, token) as socket:
        said = server.manage("shell", "-v0", "-c", code, DATABASE_URL=other)
        assert said.returncode == 0, said.stderr
        _, _, task = call(server, token, "POST", "/tasks", {"text": "here"})
        assert received(socket)["data"] == task


def test_a_message_of_megabytes_is_told_too_big(server):
    with opened(server, sign()) as socket:
        socket.send("x" * 1_100_000)
        assert close_code(socket) == 1009


def test_a_header_too_long_for_the_server_is_answered(server):
    with create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"GET /me HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 70_000)
        assert client.recv(100)[:13] in (b"HTTP/1.1 400 ", b"HTTP/1.1 431 ")


@pytest.mark.parametrize("token", [b"y" * 20_000, b"\xff", b"\xc3\xa9", b"%FF", b"%00", b"{}[]<>"])
def test_a_handshake_with_an_odd_url_is_answered(server, token):
    with create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(
            b"GET /ws/notifications?token=" + token + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        status = int(client.recv(100).split()[1])
        assert status == 101 or 400 <= status < 500
    assert b"Traceback" not in server.log.read_bytes()


@pytest.mark.parametrize(("method", "expected"), [("PATCH", 200), ("PUT", 200), ("POST", 405)])
def test_a_chunked_body_is_read(server, method, expected):
    token = sign("chunks")
    _, _, task = call(server, token, "POST", "/tasks", {"text": "before"})
    connection = HTTPConnection("127.0.0.1", server.port, timeout=20)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    chunks = iter([b'{"text": ', b'"after"}'])
    connection.request(method, f"/tasks/{task['id']}", chunks, headers, encode_chunked=True)
    assert connection.getresponse().status == expected
    connection.close()
    text = call(server, token, "GET", f"/tasks/{task['id']}")[2]["text"]
    assert text == ("after" if expected == 200 else "before")


def test_a_chunked_body_over_the_limit_is_413(server):
    connection = HTTPConnection("127.0.0.1", server.port, timeout=20)
    headers = {"Authorization": f"Bearer {sign()}", "Content-Type": "application/json"}
    chunks = iter([b"x" * 65_536] * 17)
    connection.request("POST", "/tasks", chunks, headers, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()
