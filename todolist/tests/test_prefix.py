"""Below a path prefix all of it works alike, whether or not the proxy in front takes it off."""

import re
from collections.abc import Iterator
from urllib.request import Request, urlopen

import pytest
from websockets.sync.client import connect

from conftest import Server, call, environment_for, new_database, running_server, sign

SERVERS = {
    "serve": ("serve 127.0.0.1:{port} --root-path /api/", {}),
    "plain uvicorn": ("uvicorn --port {port} --root-path /api todolist.asgi:application", {}),
    "daphne": ("daphne -p {port} --root-path /api todolist.asgi:application", {}),
    "hypercorn": ("hypercorn -b 127.0.0.1:{port} --root-path /api todolist.asgi:application", {}),
    "a setting": ("serve 127.0.0.1:{port}", {"DJANGO_SETTINGS_MODULE": "todolist.tests.below_api"}),
    "WSGI": ("gunicorn -b 127.0.0.1:{port} todolist.tests.below_api_wsgi:application", {}),
    "WSGI, a setting": (
        "gunicorn -b 127.0.0.1:{port} todolist.wsgi:application",
        {"DJANGO_SETTINGS_MODULE": "todolist.tests.below_api"},
    ),
}


@pytest.fixture(scope="module", params=SERVERS)
def below_api(request, tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("prefix")
    command, changes = SERVERS[request.param]
    with (
        new_database(folder) as url,
        running_server(folder, environment_for(url, **changes), command) as server,
    ):
        yield server


def text_of(server: Server, path: str) -> str:
    with urlopen(Request(server.url + path), timeout=30) as answer:  # noqa: S310
        return str(answer.read().decode(errors="replace"))


@pytest.mark.parametrize("sent", ["", "/api"], ids=["taken off", "left there"])
def test_everything_carries_the_prefix(below_api, sent):
    server, token = below_api, sign("prefixed")
    for path in ("/health/live", "/health/ready/"):
        assert call(server, "made-up", "GET", sent + path).status == 200
    created = call(server, token, "POST", f"{sent}/tasks", {"text": "x"})
    assert created.status == 201
    assert created.headers["Location"] == f"{server.url}/api/tasks/{created.body['id']}"
    call(server, token, "POST", f"{sent}/tasks", {"text": "y"})
    link = call(server, token, "GET", f"{sent}/tasks?limit=1").headers["Link"]
    assert link.startswith(f"<{server.url}/api/tasks?limit=1&")
    assert call(server, token, "GET", f"{sent}/schema").body["servers"] == [{"url": "/api"}]
    assert call(server, token, "GET", f"{sent}/nothing").status == 404
    for page in ("/docs", "/admin/login/"):
        html = text_of(server, sent + page)
        named = re.findall(r'(?:href|src|action|data-schema)="([^"#]+)"', html)
        assert len(named) > 3
        for path in named:
            assert path.startswith("/api/"), (page, path)
            assert text_of(server, path) and text_of(server, path.removeprefix("/api"))


@pytest.mark.parametrize("sent", ["", "/api"], ids=["taken off", "left there"])
def test_sockets_are_below_the_prefix_too(below_api, sent):
    if "gunicorn" in below_api.kind:
        pytest.skip("WSGI knows no sockets")
    url = f"ws://127.0.0.1:{below_api.port}{sent}/ws/notifications?token={sign('prefixed')}"
    with connect(url) as client:
        assert '"ready"' in client.recv(timeout=30)


def test_the_prefix_is_no_beginning_of_a_longer_word(below_api):
    assert call(below_api, sign(), "GET", "/apitasks").status == 404
    assert call(below_api, sign(), "GET", "/api/api/api/tasks").status == 404
