"""What HTTP promises on every path: slashes, methods, media types, errors, CORS, health, headers."""

import asyncio
import json
import re
import socket
import struct
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any, NoReturn

import pytest
from channels.layers import channel_layers
from django.contrib.auth.models import User
from django.core.exceptions import BadRequest, PermissionDenied
from django.db import InterfaceError, OperationalError, connection
from django.http import Http404
from django.urls import URLResolver, get_resolver
from django.urls import path as django_path
from django.urls.resolvers import RegexPattern
from django.utils.module_loading import import_string
from rest_framework.test import APIClient

from conftest import ALICE, PAGE_ORIGIN, both_servers, client_with, sign
from tasks.models import Task
from tasks.tests.calls import made
from todolist import urls
from todolist.health import questions
from todolist.tests.people import keep_no_statements

pytestmark = pytest.mark.django_db

FOREIGN_ORIGIN = "https://evil.example.com"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
STRANGE_METHODS = (
    *("TRACE", "CONNECT", "PROPFIND", "QUERY", "X", "OPTIONS2"),
    # Names that a view has for other purposes.
    *("INITIAL", "DISPATCH", "get_queryset", "http_method_not_allowed", "__CLASS__"),
)
SENT = {
    *("authorization", "content-type", "idempotency-key", "if-match", "if-none-match"),
    *("cache-control", "x-request-id", "traceparent", "tracestate", "sentry-trace", "baggage"),
}
EXPOSED = {
    *("link", "location", "etag", "www-authenticate", "retry-after"),
    *("x-request-id", "x-events-seq", "x-events-epoch"),
}


def words(header: str) -> set[str]:
    """The comma-separated names in a header, which know no case."""
    return {word.strip().lower() for word in header.split(",")}


# Slashes


@pytest.mark.parametrize("path", ["/tasks", "/me", "/health/live", "/health/ready"])
def test_a_trailing_slash_makes_no_difference(alice_api, path):
    plain, slashed = alice_api.get(path), alice_api.get(f"{path}/")

    assert plain.status_code == slashed.status_code == 200
    assert plain.json() == slashed.json()


def test_every_call_works_with_a_slash_and_keeps_its_body(alice_api):
    created = alice_api.post("/tasks/", {"text": "Buy milk"})
    assert created.status_code == 201
    assert created.json()["text"] == "Buy milk"

    path = f"/tasks/{created.json()['id']}/"
    assert alice_api.get(path).json() == created.json()
    assert alice_api.put(path, {"text": "one"}).json()["text"] == "one"
    assert alice_api.patch(path, {"text": "two"}).json()["text"] == "two"
    assert alice_api.delete(path).status_code == 204


def test_the_query_is_kept_with_a_slash(alice_api):
    made(alice_api, "one")
    made(alice_api, "two")

    assert len(alice_api.get("/tasks/?limit=1").json()) == 1


@pytest.mark.parametrize(
    "path", ["/tasks//", "//tasks", "/tasks/.", "/Tasks", "/tasks/a/b", "/me/x"]
)
def test_no_other_spelling_is_a_route(alice_api, path):
    response = alice_api.generic("GET", path)

    assert response.status_code == 404
    assert response.json().keys() == {"detail", "code"}


# Methods


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/tasks", {"get", "post"}),
        ("/tasks/{id}", {"get", "put", "patch", "delete"}),
        ("/me", {"get", "delete"}),
        ("/health/live", {"get"}),
        ("/health/ready", {"get"}),
    ],
)
def test_another_method_is_405_and_says_which_there_are(alice_api, path, allowed):
    path = path.format(id=made(alice_api)["id"])

    for method in {*METHODS, *STRANGE_METHODS} - {word.upper() for word in allowed}:
        response = alice_api.generic(method, path, "{}", content_type="application/json")

        assert response.status_code == 405, method
        assert response.json().keys() == {"detail", "code"}
        assert words(response["Allow"]) - {"head", "options"} == allowed


@pytest.mark.parametrize("path", ["/tasks", "/tasks/{id}", "/me", "/health/live", "/health/ready"])
def test_head_is_get_without_a_body(alice_api, path):
    path = path.format(id=made(alice_api)["id"])

    get, head = alice_api.get(path), alice_api.head(path)

    assert head.status_code == get.status_code == 200
    assert head.content == b""
    assert head["Content-Type"] == get["Content-Type"]


@pytest.mark.parametrize("path", ["/tasks", "/tasks/{id}"])
def test_options_tells_the_methods(alice_api, path):
    path = path.format(id=made(alice_api)["id"])

    response = alice_api.options(path)

    assert response.status_code in (200, 204)
    assert words(response["Allow"]) >= {"get", "options"}


# Media types


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "text/html;q=0.9, image/*"])
@pytest.mark.parametrize("path", ["/tasks", "/me", "/health/live", "/tasks/unknown"])
def test_only_json_can_be_had(alice_api, path, accept):
    response = alice_api.get(path, HTTP_ACCEPT=accept)

    assert response.status_code == 406
    assert response["Content-Type"] == "application/json"
    assert response.json().keys() == {"detail", "code"}


@pytest.mark.parametrize(
    "accept",
    [
        *("application/json", "*/*", "application/*", "APPLICATION/JSON"),
        *("text/html, */*;q=0.1", "application/json; charset=utf-8", "application/json, garbage"),
    ],
)
def test_whoever_takes_json_gets_it(alice_api, accept):
    response = alice_api.get("/tasks", HTTP_ACCEPT=accept)

    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "accept", ["", "garbage", ";", ",", "/", "a/b/c", "\x00", "ÿ", "x" * 10_000]
)
def test_no_accept_header_makes_a_500(alice_api, accept):
    assert alice_api.get("/tasks", HTTP_ACCEPT=accept).status_code in (200, 406)


def test_a_parameter_does_not_choose_the_format(alice_api):
    for parameter in ("format", "_format"):
        answer = alice_api.get("/tasks", {parameter: "html"})
        assert (answer.status_code, answer["Content-Type"]) == (400, "application/json")


# Unknown paths


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize(
    "path", ["/", "/unknown", "/unknown/", "/tasks.json", "/adminx", "/%00", "/%ff", "/api/tasks"]
)
def test_an_unknown_path_is_404_in_json_for_every_method(settings, debug, path):
    """Also with CSRF checks, as a browser meets them, and without a token."""
    settings.DEBUG = debug
    browser = APIClient(raise_request_exception=False, enforce_csrf_checks=True)

    for method in (*METHODS, "OPTIONS", "PROPFIND"):
        response = browser.generic(method, path, "{}", content_type="application/json")

        assert response.status_code == 404, method
        assert response["Content-Type"] == "application/json"
        assert response.json().keys() == {"detail", "code"}


def test_csrf_is_of_no_concern_where_no_cookie_signs_in():
    browser = APIClient(enforce_csrf_checks=True)
    browser.credentials(HTTP_AUTHORIZATION=f"Bearer {sign()}", HTTP_ORIGIN=PAGE_ORIGIN)

    assert browser.post("/tasks", {"text": "Buy milk"}, format="json").status_code == 201


def test_a_mistake_of_ours_is_a_500_in_json_that_a_page_can_read(alice_api, monkeypatch):
    def fails(*texts):
        raise RuntimeError("something with a secret in it")

    monkeypatch.setattr("tasks.models.tasks.searchable", fails)
    response = alice_api.post("/tasks", {"text": "x"}, HTTP_ORIGIN=PAGE_ORIGIN)

    assert response.status_code == 500
    assert response.json().keys() == {"detail", "code"}
    assert b"secret" not in response.content
    assert response["Access-Control-Allow-Origin"] == PAGE_ORIGIN
    assert not Task.objects.exists()


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Http404, 404, "not_found"),
        (PermissionDenied, 403, "permission_denied"),
        (BadRequest, 400, "bad_request"),
        (RuntimeError, 500, "server_error"),
    ],
)
def test_what_other_views_raise_is_answered_in_the_same_form(
    settings, no_check_of_routes, error, status, code
):
    """Below /admin, in Django's own."""

    def fails(request: Any) -> NoReturn:
        raise error("words")

    routes = [django_path("plain", fails), django_path("admin/plain", fails), *urls.urlpatterns]
    names = ("handler400", "handler403", "handler404", "handler500")
    handlers = {name: getattr(urls, name) for name in names}
    settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": routes, **handlers})
    client = APIClient(raise_request_exception=False)

    answer = client.get("/plain")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json().keys() == {"detail", "code"}
    page = client.get("/admin/plain")
    assert page.status_code == status
    if status in (403, 404):
        assert page["Content-Type"].startswith("text/html")


@both_servers
def test_what_never_reaches_a_view_is_refused_in_the_same_form(server):
    heads = {
        b"GET /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n": (404, "not_found"),
        b"PROPFIND /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n": (404, "not_found"),
        b"GET /static/nothing HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n": (404, "not_found"),
        b"GET /ws/notifications HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n": (404, "not_found"),
        b"PROPFIND /tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n\r\n"
        % sign().encode(): (405, "method_not_allowed"),
        b"GET /tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: \xff\xfe\r\n\r\n": (
            401,
            "not_authenticated",
        ),
    }
    for head, (status, code) in heads.items():
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
            answer = asked(client, head, until=b"}")
        line, _, rest = answer.partition(b"\r\n")
        fields, _, body = rest.partition(b"\r\n\r\n")
        assert (int(line.split()[1]), json.loads(body)["code"]) == (status, code), head
        assert b"content-type: application/json" in fields.lower(), head


# CORS


@pytest.mark.parametrize("path", ["/tasks", "/tasks/some-id", "/me", "/health/live", "/unknown"])
def test_a_preflight_is_answered_without_a_token(anonymous_api, path):
    response = anonymous_api.options(
        path,
        HTTP_ORIGIN=PAGE_ORIGIN,
        HTTP_ACCESS_CONTROL_REQUEST_METHOD="PATCH",
        HTTP_ACCESS_CONTROL_REQUEST_HEADERS=",".join(sorted(SENT)),
    )

    assert response.status_code in (200, 204)
    assert response["Access-Control-Allow-Origin"] == PAGE_ORIGIN
    assert words(response["Access-Control-Allow-Methods"]) >= words(",".join(METHODS))
    assert words(response["Access-Control-Allow-Headers"]) == SENT
    assert "origin" in words(response["Vary"])


def test_cookies_of_a_page_are_not_asked_for(anonymous_api):
    response = anonymous_api.get("/health/live", HTTP_ORIGIN=PAGE_ORIGIN)

    assert "Access-Control-Allow-Credentials" not in response


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/tasks", "", 200),
        ("POST", "/tasks", '{"text": "Buy milk"}', 201),
        ("POST", "/tasks", "{}", 400),
        ("GET", "/tasks?limit=0", "", 400),
        ("GET", "/tasks/00000000-0000-7000-8000-000000000000", "", 404),
        ("GET", "/unknown", "", 404),
        ("DELETE", "/tasks", "", 405),
        ("POST", "/tasks", " " * (1024 * 1024 + 1), 413),
    ],
)
def test_a_page_sees_every_answer(alice_api, method, path, body, status):
    response = alice_api.generic(
        method, path, body, content_type="application/json", HTTP_ORIGIN=PAGE_ORIGIN
    )

    assert response.status_code == status
    assert response["Access-Control-Allow-Origin"] == PAGE_ORIGIN
    assert words(response["Access-Control-Expose-Headers"]) == EXPOSED


@pytest.mark.parametrize(
    "token", [None, sign(exp=1), "garbage"], ids=["none", "expired", "garbage"]
)
def test_a_page_sees_a_401_as_a_401(token):
    response = client_with(token).get("/tasks", HTTP_ORIGIN=PAGE_ORIGIN)

    assert response.status_code == 401
    assert response["Access-Control-Allow-Origin"] == PAGE_ORIGIN
    assert words(response["Access-Control-Expose-Headers"]) == EXPOSED


def test_a_page_sees_a_403_and_a_415(alice_api, bob_api):
    path = f"/tasks/{made(alice_api)['id']}"
    refused = bob_api.get(path, HTTP_ORIGIN=PAGE_ORIGIN)
    form = alice_api.post("/tasks", "x", content_type="text/plain", HTTP_ORIGIN=PAGE_ORIGIN)

    for response, status in [(refused, 403), (form, 415)]:
        assert response.status_code == status
        assert response["Access-Control-Allow-Origin"] == PAGE_ORIGIN


NOT_OURS = [
    *(FOREIGN_ORIGIN, "null", "http://app.example.com", "https://app.example.com:8443"),
    *("https://app.example.com.evil.com", "https://evil.com/https://app.example.com"),
    *("https://xapp.example.com", "https://app.example.com@evil.com", "*", "file://"),
    *("http://[", "http://[::1", "//", "://", "\x00", "ÿ", "http://\ud7ff", "x" * 10_000, ""),
    "https://app.example.com:port",
]


@pytest.mark.parametrize("origin", NOT_OURS, ids=ascii)
def test_another_origin_gets_no_permission_and_no_500(alice_api, anonymous_api, origin):
    actual = alice_api.get("/tasks", HTTP_ORIGIN=origin)
    preflight = anonymous_api.options(
        "/tasks", HTTP_ORIGIN=origin, HTTP_ACCESS_CONTROL_REQUEST_METHOD="POST"
    )
    created = alice_api.post("/tasks", {"text": "x"}, HTTP_ORIGIN=origin)
    unknown = alice_api.post("/unknown", {}, HTTP_ORIGIN=origin)

    assert (actual.status_code, created.status_code, unknown.status_code) == (200, 201, 404)
    assert preflight.status_code < 500
    for response in (actual, preflight, created, unknown):
        assert "Access-Control-Allow-Origin" not in response


def test_pages_have_no_business_in_the_admin(anonymous_api):
    for call in (anonymous_api.get, anonymous_api.options):
        response = call(
            "/admin/login/", HTTP_ORIGIN=PAGE_ORIGIN, HTTP_ACCESS_CONTROL_REQUEST_METHOD="GET"
        )
        assert "Access-Control-Allow-Origin" not in response


# Health


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
@pytest.mark.parametrize(
    "authorization", [None, "Bearer garbage", "Basic x", f"Bearer {sign(exp=1)}"]
)
def test_health_is_for_everybody(path, authorization):
    client = APIClient()
    if authorization is not None:
        client.credentials(HTTP_AUTHORIZATION=authorization)

    response = client.get(path)

    assert response.status_code == 200
    assert response.json()["status"] == "ok"


@pytest.fixture
def broken_database(monkeypatch, request):
    """A database to which no connection can be had, or whose connection broke."""

    def fails(*args, **kwargs):
        raise request.param("a sentence with the password in it")

    monkeypatch.setattr(connection, "ensure_connection", fails)
    # Already open, it is asked for a cursor without being opened once more.
    monkeypatch.setattr(connection, "create_cursor", fails)


@pytest.mark.parametrize("broken_database", [OperationalError, InterfaceError], indirect=True)
def test_without_its_database_the_server_is_alive_and_not_ready(anonymous_api, broken_database):
    ready = anonymous_api.get("/health/ready", HTTP_ORIGIN=PAGE_ORIGIN)
    live = anonymous_api.get("/health/live")

    assert ready.status_code == 503
    assert "database" in ready.json()["detail"]
    assert ready.json()["code"] == "not_ready"
    assert "password" not in json.dumps(ready.json())
    assert ready["Access-Control-Allow-Origin"] == PAGE_ORIGIN
    assert live.status_code == 200


@pytest.fixture
def broken_channel_layer(monkeypatch):
    """A channel layer whose Redis nobody can reach: nothing listens on port 1."""
    layer = import_string("channels_redis.pubsub.RedisPubSubChannelLayer")
    nowhere = layer(hosts=["redis://127.0.0.1:1"])
    monkeypatch.setitem(channel_layers.backends, "default", nowhere)


def test_without_its_channel_layer_the_server_is_ready_and_says_so(
    anonymous_api, broken_channel_layer
):
    ready = anonymous_api.get("/health/ready")

    assert ready.status_code == 200
    assert (ready.json()["status"], ready.json()["channel_layer"]) == ("ok", "unreachable")


def test_a_channel_layer_that_hangs_does_not_hang_the_question(anonymous_api, monkeypatch):
    async def hangs(*args):
        await asyncio.sleep(60)

    monkeypatch.setattr(channel_layers["default"], "group_send", hangs)
    monkeypatch.setattr(questions, "CHANNEL_LAYER_TIMEOUT", 0.05)

    assert anonymous_api.get("/health/ready").json()["channel_layer"] == "unreachable"


@pytest.mark.django_db(transaction=True)
def test_without_its_channel_layer_the_server_still_writes(alice_api, broken_channel_layer):
    """What is committed is answered as done; sockets fill the gap when the layer is back."""
    task = made(alice_api)

    assert alice_api.patch(f"/tasks/{task['id']}", {"order": 1}).status_code == 200
    assert alice_api.delete(f"/tasks/{task['id']}").status_code == 204


# The caller


def test_me():
    response = client_with(sign("some one", email="a@example.com", name="Ann")).get("/me")

    assert response.status_code == 200
    assert response.json() == {"id": "some one", "email": "a@example.com", "name": "Ann"}


@pytest.mark.parametrize("claims", [{}, {"email": None, "name": None}, {"email": 1, "name": []}])
def test_me_without_a_name(claims):
    response = client_with(sign(ALICE, **claims)).get("/me")

    assert response.json() == {"id": ALICE, "email": "", "name": ""}


def test_me_wants_a_token_and_no_database(anonymous_api, alice_api, django_assert_num_queries):
    response = anonymous_api.get("/me")
    assert response.status_code == 401
    assert response.json() == {"detail": "Authentication required", "code": "not_authenticated"}
    assert response["WWW-Authenticate"] == "Bearer"

    with django_assert_num_queries(0):
        assert alice_api.get("/me").status_code == 200


# Headers


def every_path() -> Iterator[str]:
    """An example of every route there is, below /admin too."""
    for path in _paths(get_resolver().url_patterns, ""):
        yield "/" + re.sub(r"<[^>]*>", "1", path)
    yield from ("/unknown", "/admin", "/admin/unknown")


def _paths(patterns: Any, prefix: str) -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern.pattern, RegexPattern):
            # `^tasks/(?P<pk>[^/.]+)/?$`: the first spelling that such a pattern matches.
            path = re.sub(r"\(\?P<\w+>[^()]*\)", "1", str(pattern.pattern))
            path = re.sub(r"\(\?!.*|/\?\$|[\^$?\\]|/\?$", "", path)
        else:
            path = str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _paths(pattern.url_patterns, prefix + path)
        else:
            yield prefix + path


PATHS = sorted(set(every_path()))


def test_paths_are_really_those_of_the_routes():
    assert {"/tasks", "/tasks/1", "/me", "/health/live", "/admin/tasks/task/"} <= set(PATHS)
    assert len(PATHS) > 40


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_has_the_headers_that_protect_it(path, client):
    staff = User.objects.create_superuser("staff")
    client.force_login(staff)
    client.raise_request_exception = False
    callers = [client_with(None), client_with(sign()), client]
    for caller in callers:
        for method in ("GET", "POST", "OPTIONS"):
            response = caller.generic(method, path, "{}", "application/json", secure=True)
            assert response.status_code < 500
            assert response["X-Content-Type-Options"] == "nosniff"
            assert response["Referrer-Policy"] == "same-origin"
            assert response["Cross-Origin-Opener-Policy"] == "same-origin"
            assert response["Strict-Transport-Security"].startswith("max-age=31536000")
            caching = response["Cache-Control"]
            assert "no-store" in caching, (method, path, caching)
            if path.startswith("/admin") and response.status_code == 200:
                assert response["X-Frame-Options"] == "DENY"
                assert "default-src 'self'" in response["Content-Security-Policy"]
            if response.streaming:
                response.getvalue()  # closes what it is read from


def test_nothing_promises_tls_where_there_is_none(alice_api):
    assert "Strict-Transport-Security" not in alice_api.get("/tasks")


def test_files_of_the_admin_may_be_kept(server):
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", "/static/admin/css/base.css")
    response = connection.getresponse()
    assert response.status == 200
    assert "max-age" in (response.getheader("Cache-Control") or "")
    assert response.getheader("X-Content-Type-Options") == "nosniff"
    connection.close()


DATA_SEGMENTS_IN = 152  # where the kernel counts them in `struct tcp_info` (linux/tcp.h)


def asked(client: socket.socket, request: bytes, *, until: bytes) -> bytes:
    """What the server answers, up to and with this end."""
    client.sendall(request)
    answer = b""
    while not answer.endswith(until):
        answer += client.recv(65536) or pytest.fail(f"cut off after {answer!r}")
    return answer


def test_an_answer_is_sent_at_once_and_in_one_piece(server):
    request = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        for _ in range(3):
            asked(client, request, until=b"}")
        counted = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    assert struct.unpack_from("I", counted, DATA_SEGMENTS_IN) == (3,)


def test_whoever_waits_before_the_body_is_told_to_go_on(server):
    """RFC 9110 section 10.1.1. What is held back until there is more would be held back for ever."""
    head = (
        f"POST /tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {sign('patient')}\r\n"
        "Content-Type: application/json\r\nContent-Length: 15\r\nExpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        asked(client, head.encode(), until=b"HTTP/1.1 100 Continue\r\n\r\n")
        assert asked(client, b'{"text": "Go"} ', until=b"}").startswith(b"HTTP/1.1 201")


def test_requests_that_come_together_are_answered_in_their_order(server):
    head = b"HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    requests = b"HEAD /health/live %s" % head + b"GET /unknown %s" % head + b"GET /me %s" % head
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        answers = asked(client, requests, until=b'"code":"not_authenticated"}')
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200", b"404", b"401"]


def test_the_api_sets_no_cookie(alice_api):
    for response in (alice_api.get("/tasks"), alice_api.post("/tasks", {"text": "x"})):
        assert not response.cookies


@pytest.mark.parametrize(
    "host", ["evil.example.com", "testserver.evil.example.com", "a b", "http://[", "\x00", "ÿ", "@"]
)
@pytest.mark.parametrize("path", ["/tasks", "/docs", "/unknown"])
def test_another_host_is_refused_in_json(alice_api, host, path):
    response = alice_api.get(path, HTTP_HOST=host)

    assert response.status_code == 400
    assert response["Content-Type"] == "application/json"
    assert response.json().keys() == {"detail", "code"}


@pytest.mark.parametrize(
    "path", ["/health/live", "/health/ready", "/health/live/", "/health/ready/"]
)
def test_probes_come_by_address(server, path):
    hosts = ["10.0.0.5:8000", "[::1]", "evil.example.com", "a b", "", "@", "\x80", "x" * 9000]
    lines = [f"HTTP/1.1\r\nHost: {host}" for host in hosts]
    for line in (*lines, "HTTP/1.1", "HTTP/1.0"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
            client.sendall(f"GET {path} {line}\r\nConnection: close\r\n\r\n".encode("latin-1"))
            assert client.recv(12) == b"HTTP/1.1 200", line


@pytest.mark.django_db
@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_while_the_database_does_not_answer_callers_are_told_to_come_back(
    alice_api, monkeypatch, error
):
    def fail(*args: object, **kwargs: object) -> None:
        raise error("server closed the connection unexpectedly")

    monkeypatch.setattr("tasks.resources.lists.paging.KeysetPagination.plan", fail)
    keep_no_statements(monkeypatch)
    answer = alice_api.get("/tasks", HTTP_ORIGIN=PAGE_ORIGIN)
    assert (answer.status_code, answer["Retry-After"]) == (503, "1")
    assert "unexpectedly" not in answer.json()["detail"]
    assert answer["Access-Control-Allow-Origin"] == PAGE_ORIGIN
