"""One client does its worst; what others ask is answered as if nothing were (docs/servers.md)."""

import asyncio
import json
import resource
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection, connections
from django.test import Client
from rest_framework.response import Response

from conftest import Server, call, connect_as_everyone, sign
from tasks.admin import TaskAdmin
from tasks.api.views import TaskViewSet
from tasks.resources import fast
from todolist.serving.bodies import framing
from todolist.serving.handler import OneHopHandler

PATIENCE = 30.0
MEGABYTE = 1024 * 1024
LOGIN = "/admin/login/"


def head(method: str, path: str, token: str | None = None, **more: object) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    lines += [f"Authorization: Bearer {token}"] if token else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def opened(server: Server, stack: ExitStack, data: bytes) -> socket.socket:
    client = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), PATIENCE))
    client.sendall(data)
    return client


def answer_of(client: socket.socket) -> tuple[HTTPResponse, Any]:
    response = HTTPResponse(client)
    response.begin()
    return response, json.loads(response.read() or "null")


def memory(server: Server) -> int:
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


# Bodies


@pytest.mark.parametrize("token", [None, sign(exp=1), "x.y.z"], ids=["none", "expired", "garbage"])
@pytest.mark.parametrize(
    "more",
    [
        {"Content_Length": 500},
        {"Content_Length": 2 * MEGABYTE},
        {"Transfer_Encoding": "chunked"},
        {"Content_Length": 500, "Connection": "close"},
        {"Content_Length": 500, "Expect": "100-continue"},
    ],
    ids=str,
)
def test_a_bad_token_is_refused_before_the_body(server, token, more):
    with ExitStack() as stack:
        client = opened(server, stack, head("POST", "/tasks", token, **more))
        response, body = answer_of(client)
        assert response.status == 401 and body["code"]


def test_a_body_that_is_announced_as_too_large_is_not_waited_for(server):
    with ExitStack() as stack:
        announced = {"Content_Length": MEGABYTE + 1, "Expect": "100-continue"}
        for more in (announced, {"Content_Length": MEGABYTE + 1}):
            client = opened(server, stack, head("POST", "/tasks", sign("large"), **more))
            response, body = answer_of(client)
            assert (response.status, body["code"]) == (413, "body_too_large")
        # The body is asked for only where it is wanted.
        good = {"Content_Length": 13, "Expect": "100-continue"}
        client = opened(server, stack, head("POST", "/tasks", sign("large"), **good))
        assert client.recv(100).startswith(b"HTTP/1.1 100 ")
        client.sendall(b'{"text": "x"}')
        assert answer_of(client)[0].status == 201


@pytest.mark.parametrize("close", [True, False])
@pytest.mark.parametrize(("token", "status"), [(sign("large"), 413), (None, 401)])
def test_who_is_still_sending_hears_the_answer(server, token, status, close):
    """A connection that is closed on somebody who sends takes the answer with it."""
    with ExitStack() as stack:
        connection = {"Connection": "close"} if close else {}
        announced = {"Content_Length": 20 * MEGABYTE, **connection}
        client = opened(server, stack, head("POST", "/tasks", token, **announced))
        for _ in range(20):
            client.sendall(b" " * MEGABYTE)
        assert answer_of(client)[0].status == status
        if not close:  # and goes on
            client.sendall(head("GET", "/me", sign("large")))
            assert answer_of(client)[0].status == 200


def test_bodies_that_are_never_finished_cost_little_and_hold_up_nobody(start_server):
    server = start_server()
    with ExitStack() as stack:
        for path, token in (("/tasks", sign("never")), (LOGIN, None), ("/tasks", None)):
            for _ in range(100):
                client = opened(
                    server, stack, head("POST", path, token, Content_Length=MEGABYTE - 1)
                )
                client.setblocking(False)
                for _ in range(20):
                    try:
                        client.send(b"x" * 65_536)
                    except (BlockingIOError, ConnectionError):
                        break
        assert call(server, sign("other"), "POST", "/tasks", {"text": "x"}).status == 201
        # Their own reading goes on as well.
        assert call(server, sign("never"), "GET", "/tasks").status == 200
        assert memory(server) < 300 * MEGABYTE


def test_bodies_of_one_person_wait_for_one_another_and_all_arrive(server):
    body = json.dumps({"text": "x", "ignored": "y" * 900_000}).encode()
    statuses: list[int] = []

    def send() -> None:
        with ExitStack() as stack:
            announced = head("POST", "/tasks", sign("much"), Content_Length=len(body))
            client = opened(server, stack, announced)
            client.sendall(body)
            statuses.append(answer_of(client)[0].status)

    threads = [threading.Thread(target=send) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert statuses == [201] * 24


@pytest.mark.django_db
def test_a_length_that_no_body_has_is_refused(server, alice_api):
    for length in ("9" * 19, "9" * 5000, "-1", "x"):
        with ExitStack() as stack:
            ask = head("POST", "/tasks", sign("odd"), Content_Length=length)
            answer = opened(server, stack, ask).recv(1000)
            assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")) or not answer
        declared = {"CONTENT_LENGTH": length, "content_type": "application/json"}
        answered = alice_api.generic("POST", "/tasks", b"{}", **declared)
        assert answered.status_code in (400, 413)
    assert framing({"headers": [(b"transfer-encoding", b"chunked")]}) == (None, False)
    assert framing({"headers": [(b"content-length", b"9" * 5000)]}) == (None, False)


def test_a_form_of_the_admin_is_small(server):
    for size, status in ((60_000, 403), (70_000, 413)):  # 403: without its CSRF token
        with closing(HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)) as connection:
            connection.request("POST", LOGIN, b"a=" + b"x" * size)
            assert connection.getresponse().status == status


# Threads


@contextmanager
def locked_rows(server: Server) -> Iterator[None]:
    """Another transaction has locked all tasks."""
    with connect_as_everyone(server.database_url) as connection:
        connection.execute("SELECT * FROM tasks_task FOR UPDATE")
        yield
        connection.rollback()


def postgresql_alone() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("rows are locked by PostgreSQL alone")


def test_who_keeps_threads_waiting_keeps_nobody_else(start_server):
    postgresql_alone()
    server: Server = start_server()
    greedy, other = sign("greedy"), sign("other")
    task = call(server, greedy, "POST", "/tasks", {"text": "x"}).body
    with ExitStack() as stack:
        stack.enter_context(locked_rows(server))
        patch = head("PATCH", f"/tasks/{task['id']}", greedy, Content_Length=2) + b"{}"
        waiting = [opened(server, stack, patch) for _ in range(30)]
        time.sleep(0.3)
        for _ in range(20):
            begin = time.monotonic()
            assert call(server, other, "GET", "/tasks").status == 200
            assert time.monotonic() - begin < 3
        # Longer than a request may, they wait for nobody; and are told that the server is busy.
        response, body = answer_of(waiting[0])
        assert (response.status, body["code"]) == (503, "busy")
        assert response.headers["Retry-After"]
        assert response.headers["Cache-Control"] == "no-store"


def test_who_has_left_is_not_served(start_server):
    postgresql_alone()
    server: Server = start_server()
    person = sign("leaving")
    task = call(server, person, "POST", "/tasks", {"text": "x"}).body
    with ExitStack() as stack:
        with locked_rows(server):
            patch = head("PATCH", f"/tasks/{task['id']}", person, Content_Length=2) + b"{}"
            staying = [opened(server, stack, patch) for _ in range(2)]
            time.sleep(0.5)  # these have both threads
            create = head("POST", "/tasks", person, Content_Length=16) + b'{"text": "late"}'
            leaving = [opened(server, stack, create) for _ in range(20)]
            time.sleep(0.3)
            for client in leaving:
                client.close()
            time.sleep(0.3)
        assert [answer_of(client)[0].status for client in staying] == [200, 200]
        texts = [each["text"] for each in call(server, person, "GET", "/tasks").body]
        assert texts == ["x"]


def test_more_than_wait_in_line_are_told_that_the_server_is_busy(start_server):
    postgresql_alone()
    server: Server = start_server()
    person = sign("many")
    task = call(server, person, "POST", "/tasks", {"text": "x"}).body
    with ExitStack() as stack:
        with locked_rows(server):
            patch = head("PATCH", f"/tasks/{task['id']}", person, Content_Length=2) + b"{}"
            patch = patch.replace(b"\r\n\r\n", b"\r\nOrigin: https://app.example.com\r\n\r\n", 1)
            clients = [opened(server, stack, patch) for _ in range(2 + 100 + 5)]
            refused = [answer_of(client) for client in clients[-5:]]
        for response, body in refused:
            assert (response.status, body["code"]) == (503, "busy")
            assert response.headers["Retry-After"] == "1"
            assert response.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
        assert answer_of(clients[50])[0].status == 200


def test_sign_ins_to_the_admin_hold_up_nobody(server):
    """Without their CSRF token they cost no password hash; what is tried is that they queue apart."""
    form = b"username=a&password=b"
    with ExitStack() as stack:
        ask = head("POST", LOGIN, Content_Length=len(form)) + form
        clients = [opened(server, stack, ask) for _ in range(150)]
        begin = time.monotonic()
        assert call(server, sign("other"), "GET", "/tasks").status == 200
        assert time.monotonic() - begin < 3
        statuses = {answer_of_page(client) for client in clients}
        assert statuses <= {403, 503}


def answer_of_page(client: socket.socket) -> int:
    response = HTTPResponse(client)
    response.begin()
    response.read()
    return response.status


# Health


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        kept: list[socket.socket] = []

        def take() -> None:
            with ExitStack() as stack:
                while True:
                    try:
                        kept.append(stack.enter_context(listener.accept()[0]))
                    except OSError:
                        return

        threading.Thread(target=take, daemon=True).start()
        yield listener.getsockname()[1]


def test_a_redis_that_hangs_keeps_nobody(start_server, silent):
    server: Server = start_server(REDIS_URL=f"redis://127.0.0.1:{silent}/0")
    with ExitStack() as stack:
        begin = time.monotonic()
        asking = [opened(server, stack, head("GET", "/health/ready")) for _ in range(100)]
        sign_in = [opened(server, stack, head("GET", LOGIN)) for _ in range(2)]
        assert call(server, sign("other"), "GET", "/tasks").status == 200
        assert call(server, sign("other"), "POST", "/tasks", {"text": "x"}).status == 201
        assert time.monotonic() - begin < 3
        for client in asking:
            response, body = answer_of(client)
            assert response.status == 200
            assert (body["database"], body["channel_layer"]) == ("ok", "unreachable")
        assert time.monotonic() - begin < 10
        assert [answer_of_page(client) for client in sign_in] == [200, 200]


async def asked_together(times: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    from todolist.health import questions
    from todolist.health.views import ReadyView

    asked: list[str] = []

    async def layer() -> str:
        asked.append("channel_layer")
        await asyncio.sleep(0.05)
        return "ok"

    def database() -> str:
        asked.append("database")
        return "ok"

    monkeypatch.setattr(questions, "ASK_EVERY", PATIENCE)
    monkeypatch.setattr(questions, "TIMEOUT", PATIENCE)
    monkeypatch.setattr(questions, "channel_layer_state", layer)
    monkeypatch.setattr(questions, "database_state", database)
    scopes: list[dict[str, Any]] = [{} for _ in range(times)]
    await asyncio.gather(*[ReadyView.find_out(scope) for scope in scopes])
    for scope in scopes:
        await ReadyView.find_out(scope)
    assert all(scope == scopes[0] for scope in scopes)
    return asked


@pytest.mark.asyncio
async def test_readiness_is_asked_once_a_second_however_many_want_to_know(monkeypatch):
    assert sorted(await asked_together(50, monkeypatch)) == ["channel_layer", "database"]


@pytest.mark.asyncio
async def test_what_hangs_is_asked_once_and_waited_for_no_longer_than_told(monkeypatch):
    from todolist.health import questions

    go_on = threading.Event()
    asked: list[int] = []

    def database() -> str:
        asked.append(1)
        go_on.wait(PATIENCE)
        return "ok"

    async def layer() -> str:
        return "ok"

    monkeypatch.setattr(questions, "TIMEOUT", 0.05)
    monkeypatch.setattr(questions, "ASK_EVERY", 0)
    monkeypatch.setattr(questions, "database_state", database)
    monkeypatch.setattr(questions, "channel_layer_state", layer)
    asking = questions.Questions()
    for _ in range(5):
        assert await asking.answers() == {"database": "unreachable", "channel_layer": "ok"}
    assert len(asked) == 1
    go_on.set()
    await asyncio.to_thread(time.sleep, 0.2)
    assert (await asking.answers())["database"] == "ok"


# Statements


@pytest.mark.django_db(transaction=True)
def test_commands_take_their_time_and_requests_do_not(settings):
    postgresql_alone()
    from accounts.owned.acting import act_for_nobody

    found: dict[str, str] = {}

    def ask(who: str, prepare: Callable[[], None]) -> None:
        prepare()
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('statement_timeout')")
            found[who] = cursor.fetchone()[0]
        connection.close()

    for who, prepare in (("request", act_for_nobody), ("command", lambda: None)):
        thread = threading.Thread(target=ask, args=(who, prepare))
        thread.start()
        thread.join(PATIENCE)
    assert found == {"request": f"{settings.STATEMENT_TIMEOUT}s", "command": "0"}


# Files


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js", 200),
        ("drf_spectacular_sidecar/swagger-ui-dist/swagger-ui.css", 200),
        ("todolist/docs.js", 200),
        ("admin/css/base.css", 200),
        ("admin/js/vendor/jquery/jquery.min.js", 200),
        ("admin/js/vendor/select2/i18n/de.js", 200),
        ("admin/js/vendor/jquery/jquery.js", 404),
        ("drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js.map", 404),
        ("drf_spectacular_sidecar/redoc/bundles/redoc.standalone.js", 404),
        ("rest_framework/css/bootstrap.min.css", 404),
    ],
)
def test_files_are_served_that_pages_use(server, path, status):
    for _ in range(2):
        with closing(HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)) as connection:
            connection.request("GET", f"/static/{path}")
            response = connection.getresponse()
            assert response.status == status
            if status == 200:
                assert len(response.read()) == int(response.headers["Content-Length"])


def test_a_file_that_nobody_reads_is_not_kept_for_them(start_server):
    server: Server = start_server()
    path = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"
    before = memory(server)
    with ExitStack() as stack:
        for _ in range(100):  # 160 MB, kept whole
            opened(server, stack, head("GET", path))
        assert call(server, sign("other"), "GET", "/tasks").status == 200
        time.sleep(1)
        assert memory(server) - before < 60 * MEGABYTE


SLOW = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
    "postgresql": "SELECT pg_sleep(60)",
}


def from_the_handler(path: str, cookie: str = "") -> list[Any]:
    """What is sent in answer to a request for this path, by threads as a server has them."""
    headers = {b"host": b"testserver", b"authorization": f"Bearer {sign()}".encode()}
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b""}
    scope["headers"] = [*headers.items(), (b"cookie", cookie.encode())]
    said: list[Any] = []

    async def send(message: Any) -> None:
        said.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    handler = OneHopHandler()
    try:
        asyncio.run(handler(scope, receive, send))
    finally:
        asyncio.run(handler._threads.call(connections.close_all))
    return said


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/tasks", "/admin/tasks/task/"])
def test_a_statement_that_takes_too_long_is_503(path, monkeypatch, settings):
    settings.STATEMENT_TIMEOUT = 1
    staff = User.objects.create_superuser("staff", password="x")
    session = Client()
    session.force_login(staff)
    cookie = "; ".join(f"{each.key}={each.value}" for each in session.cookies.values())

    def never_ends(*args: object, **kwargs: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(SLOW[connection.vendor])

    monkeypatch.setattr(TaskViewSet, "list", never_ends)
    monkeypatch.setattr(fast, "way_of", lambda view, base: None)  # which knows the class already
    monkeypatch.setattr(TaskAdmin, "get_queryset", never_ends)
    said = from_the_handler(path, cookie)
    answered = {name.lower(): value for name, value in said[0]["headers"]}
    assert said[0]["status"] == 503
    assert answered[b"retry-after"] == b"1"
    assert b"too long" in said[1]["body"]


SHORT = {
    "sqlite": SLOW["sqlite"].replace(" FROM n)", " FROM n LIMIT 200000)"),
    "postgresql": "SELECT 1",
}


@pytest.mark.django_db(transaction=True)
def test_statements_that_take_long_together_are_answered(monkeypatch, settings):
    """As those of a large import do."""
    settings.STATEMENT_TIMEOUT = 1

    def one_by_one(*args: object, **kwargs: object) -> Response:
        for _ in range(3):
            time.sleep(0.6)
            with connection.cursor() as cursor:
                cursor.execute(SHORT[connection.vendor])
        return Response([])

    monkeypatch.setattr(TaskViewSet, "list", one_by_one)
    monkeypatch.setattr(fast, "way_of", lambda view, base: None)
    assert from_the_handler("/tasks")[0]["status"] == 200


def test_a_database_that_others_have_locked_for_too_long_is_busy():
    """SQLite: there, one transaction writes at a time."""
    from todolist.rest.errors import of_database

    for code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_INTERRUPT):
        cause = sqlite3.OperationalError("database is locked")
        cause.sqlite_errorcode = code
        error = OperationalError(*cause.args)
        error.__cause__ = cause
        assert of_database(error).get_codes() == "busy"
    assert of_database(OperationalError("gone")).get_codes() == "database_unavailable"
