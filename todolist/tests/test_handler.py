"""Routes and connections, as the handler keeps them."""

import asyncio
import gc
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.urls import ResolverMatch
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.signin.authentication import who_asks
from accounts.signin.errors import InvalidToken
from conftest import sign
from tasks.events.bell import Bell
from todolist.serving.bodies import Rooms
from todolist.serving.handler import OneHopHandler
from todolist.serving.lifespan import lifespan


def test_only_views_that_say_so_are_answered_on_the_event_loop():
    paths = ("/me", "/health/live", "/health/ready")
    assert OneHopHandler()._at_once.keys() == {*paths, *(f"{path}/" for path in paths)}


@pytest.mark.django_db(transaction=True)
def test_a_thread_gives_up_a_connection_that_is_too_old():
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/health/live",
        "headers": [(b"host", b"testserver")],
    }
    connection.ensure_connection()
    connection.close_at = 0

    status, _, _ = OneHopHandler()._answer_on_thread(scope, b"")

    assert status == 200
    assert connection.connection is None


def scope_of(method: str, path: str, body: bytes = b"", **more: Any) -> dict[str, Any]:
    """Alice's request, as a server hands it on."""
    headers = [
        (b"host", b"testserver"),
        (b"authorization", f"Bearer {sign()}".encode()),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    path, _, query = path.partition("?")
    found = {"type": "http", "method": method, "path": path, "query_string": query.encode()}
    return {**found, "headers": headers, **more}


@pytest.mark.django_db
def test_urls_are_where_the_server_says_that_we_are():
    handler = OneHopHandler()
    body = b'{"text": "x"}'
    for root_path in ("", "/below", ""):
        scope = scope_of("POST", f"{root_path}/tasks", body, root_path=root_path)
        status, answered, _ = handler._answer(scope, body)
        assert status == 201
        assert dict(answered)[b"Location"].startswith(
            f"http://testserver{root_path}/tasks/".encode()
        )


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/me", 200),
        ("GET", "/tasks?limit=50", 200),
        ("POST", "/tasks", 201),
        ("GET", "/tasks/x", 404),
        ("GET", "/nothing", 404),
    ],
)
def test_an_answer_leaves_nothing_for_the_garbage_collector(method, path, status):
    if path.startswith("/tasks") and connection.vendor != "postgresql":
        pytest.skip("The plain way leaves some of its own")
    handler = OneHopHandler()
    body = b'{"text": "x"}'
    scope = scope_of(method, path, body)
    handler._answer(scope, body)  # what is made once is made
    gc.collect()
    gc.disable()
    try:
        assert handler._answer(scope, body)[0] == status
        assert gc.collect() == 0
    finally:
        gc.enable()


async def receive_nothing() -> dict[str, Any]:
    return {"type": "http.request"}


def never_gone() -> Any:
    """What a server hands on of a client that stays: the end of the body, and then nothing."""
    told = False

    async def receive() -> dict[str, Any]:
        nonlocal told
        if told:
            await asyncio.Event().wait()
        told = True
        return {"type": "http.request"}

    return receive


@pytest.mark.asyncio
async def test_what_is_open_to_everybody_waits_for_no_keys(monkeypatch):
    asked: list[str] = []

    async def who_asks(scope: Any) -> None:
        asked.append(scope["path"])

    monkeypatch.setattr("todolist.serving.handler.who_asks", who_asks)
    handler = OneHopHandler()
    statuses = []

    async def send(message: Any) -> None:
        statuses.append(message.get("status"))

    for asked_for in ("/health/live", "/me"):
        headers = [(b"host", b"testserver"), (b"authorization", b"Bearer x.y.z")]
        await handler(
            {"type": "http", "method": "GET", "path": asked_for, "headers": headers},
            receive_nothing,
            send,
        )
    assert statuses == [200, None, 401, None]
    assert asked == ["/me"]


async def forget(message: Any) -> None:
    pass


@pytest.mark.asyncio
async def test_events_are_told_from_the_loop_that_serves_until_it_ends(monkeypatch):
    bell, stopped = Bell(), asyncio.Event()

    async def stop() -> None:
        stopped.set()

    hub = SimpleNamespace(stop=stop)
    monkeypatch.setattr("todolist.serving.lifespan.bell", bell)
    monkeypatch.setattr("todolist.serving.lifespan.current_hub", lambda: hub)
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    said: list[str] = []

    async def receive() -> Any:
        if said:
            assert bell._home() is asyncio.get_running_loop()
        return messages.pop(0)

    async def send(message: Any) -> None:
        said.append(message["type"])

    scope: Any = {"type": "lifespan"}
    await lifespan(scope, receive, send)
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert stopped.is_set()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("methods", "at_once"),
    [(("GET", "HEAD", "OPTIONS"), 2), (("POST", "PUT", "PATCH", "DELETE"), 6)],
)
async def test_more_changes_than_reads_are_worked_on_at_one_time(monkeypatch, methods, at_once):
    monkeypatch.setattr("todolist.serving.threads.HELD_UP", 600)  # nobody takes over
    for method in methods:
        handler = OneHopHandler()
        started, go_on = threading.Semaphore(0), threading.Event()

        def wait(*_: Any, started: Any = started, go_on: Any = go_on) -> Any:
            started.release()
            go_on.wait(30)
            return 204, [], b""

        monkeypatch.setattr(handler, "_answer_on_thread", wait)
        asked = {"type": "http", "method": method, "path": "/tasks", "headers": []}
        people = [asked | {"client": (f"127.0.0.{number}", 1)} for number in range(8)]
        calls = [asyncio.create_task(handler(one, never_gone(), forget)) for one in people]
        for _ in range(at_once):
            assert await asyncio.to_thread(started.acquire, timeout=30), method
        assert not await asyncio.to_thread(started.acquire, timeout=0.2), method
        go_on.set()
        await asyncio.gather(*calls)


def test_where_nothing_is_served_events_are_told_from_a_thread_beside():
    bell = Bell()

    async def serve_once() -> None:
        bell.serve_on(asyncio.get_running_loop())

    asyncio.run(serve_once())
    home = bell._home()
    assert asyncio.run_coroutine_threadsafe(asyncio.sleep(0, "rung"), home).result(30) == "rung"
    home.call_soon_threadsafe(home.stop)
    while home.is_running():
        time.sleep(0.01)
    home.close()


@pytest.mark.asyncio
@pytest.mark.parametrize(("times", "checked"), [(0, 0), (1, 1), (2, 0), (50, 0)])
async def test_of_several_authorization_headers_none_is_checked(monkeypatch, times, checked):
    seen: list[str] = []

    async def verify(raw: str) -> Any:
        seen.append(raw)
        raise InvalidToken("malformed")

    monkeypatch.setattr("accounts.signin.authentication.verify_async", verify)
    headers = [(b"host", b"testserver"), *[(b"authorization", b"Bearer x.y.z")] * times]
    statuses: list[int] = []

    async def send(message: Any) -> None:
        statuses.append(message.get("status"))

    scope = {"type": "http", "method": "GET", "path": "/me", "headers": headers}
    await OneHopHandler()(scope, receive_nothing, send)
    assert statuses == [401, None]
    assert len(seen) == checked


@pytest.mark.asyncio
async def test_a_token_that_expires_while_its_request_waits_is_no_longer_good(monkeypatch):
    scope = scope_of("GET", "/me")
    assert await who_asks(scope) is not None
    later = time.time() + 7200
    monkeypatch.setattr("accounts.signin.authentication.time.time", lambda: later)
    status, _, content = OneHopHandler()._answer(scope, b"")
    assert status == 401 and b"expired" in content


def test_what_was_seen_of_a_header_is_no_word_about_another():
    scope = scope_of("GET", "/me")
    asyncio.run(who_asks(scope))
    headers = [each for each in scope["headers"] if each[0] != b"authorization"]
    for others in ([], [(b"authorization", b"Bearer x.y.z")]):
        changed = {**scope, "headers": [*headers, *others]}
        assert OneHopHandler()._answer(changed, b"")[0] == 401


class Hook(APIView):
    """What a deployment may add: it lets in whom it likes, and reads what they send."""

    authentication_classes = []
    permission_classes = []

    def post(self, request: Any) -> Response:
        return Response(request.data)


@pytest.mark.asyncio
@pytest.mark.parametrize(("method", "limit"), [("POST", 2**20), ("PUT", 0), ("GET", 0)])
async def test_bodies_for_views_with_another_door_are_read(monkeypatch, method, limit):
    handler = OneHopHandler()
    handler._matches["/hook"] = ResolverMatch(Hook.as_view(), (), {})
    assert handler._limit_for_strangers(method, "/hook") == limit
    assert handler._limit_for_strangers(method, "/tasks") == 0
    assert handler._limit_for_strangers(method, "/nowhere") == 0
    assert handler._limit_for_strangers(method, "/tasks/x") == 0


@pytest.mark.asyncio
async def test_room_for_bodies_is_given_in_turn_and_back():
    rooms, big = Rooms(), 3 * 2**20
    await rooms.enter("a", big)
    await rooms.enter("b", big)  # everybody has their own
    waiting = [asyncio.create_task(rooms.enter("a", big)) for _ in range(3)]
    small = asyncio.create_task(rooms.enter("a", 1))
    await asyncio.sleep(0)
    assert not any(task.done() for task in (*waiting, small))
    waiting[0].cancel()
    rooms.leave("a", big)
    await asyncio.wait_for(waiting[1], 30)
    assert not waiting[2].done() and not small.done()
    rooms.leave("a", big)
    await asyncio.wait_for(asyncio.gather(waiting[2], small), 30)
    rooms.leave("a", big)
    rooms.leave("a", 1)
    rooms.leave("b", big)
    assert rooms._taken == rooms._waiting == {}
