"""What an operator sees of a server, and says to it, from outside."""

import json
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from conftest import ROOT, Server, environment_for, manage, new_database, sign
from todolist import __version__

TOKEN = f"Bearer {sign()}"


def answered(
    server: Server, path: str, method: str = "GET", body: str | None = None, **headers: str
) -> tuple[HTTPResponse, bytes]:
    """Underscores in the names of headers stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        connection.request(method, path, body, named)
        response = connection.getresponse()
        return response, response.read()


def test_the_version_stands_in_one_place_and_is_told_everywhere(server, tmp_path):
    assert json.loads(answered(server, "/health/ready")[1])["version"] == __version__
    assert json.loads(answered(server, "/schema")[1])["info"]["version"] == __version__
    assert f"todolist {__version__}" in server.log.read_text()
    with new_database(tmp_path) as url:
        assert (
            f"todolist {__version__}" in manage("doctor", environment=environment_for(url)).stdout
        )
    written = [
        file
        for app in ("accounts", "tasks", "todolist")
        for file in Path(ROOT, app).glob("**/*.py")
        if f'"{__version__}"' in file.read_text()
    ]
    assert written == [ROOT / "todolist" / "__init__.py"]


# Variables


@pytest.fixture(scope="module")
def behind_a_proxy(start_server: Any) -> Server:
    started: Server = start_server(
        USE_X_FORWARDED_HOST="True", ALLOWED_HOSTS="127.0.0.1,api.example.com", SOCKETS_PER_USER="1"
    )
    return started


def test_links_carry_the_host_that_the_proxy_names(behind_a_proxy):
    outside = {"X_Forwarded_Host": "api.example.com", "Authorization": TOKEN}
    for text in ("one", "two"):
        sent = {**outside, "Content_Type": "application/json"}
        made, _ = answered(behind_a_proxy, "/tasks", "POST", json.dumps({"text": text}), **sent)
        assert made.status == 201
        location = made.headers["Location"]
        assert location.startswith(("/tasks/", "http://api.example.com/tasks/"))
    for _ in range(2):  # hosts are remembered
        listed, _ = answered(behind_a_proxy, "/tasks?limit=1", **outside)
        assert "<http://api.example.com/tasks?" in listed.headers["Link"]
        listed, _ = answered(behind_a_proxy, "/tasks?limit=1", Authorization=TOKEN)
        assert f"<{behind_a_proxy.url}/tasks?" in listed.headers["Link"]
        evil = {"X_Forwarded_Host": "evil.example.com", "Authorization": TOKEN}
        assert answered(behind_a_proxy, "/tasks?limit=1", **evil)[0].status == 400


def test_without_the_variable_nobody_names_another_host(server):
    headers = {"X_Forwarded_Host": "evil.example.com", "Authorization": TOKEN}
    for text in ("one", "two"):
        sent = {**headers, "Content_Type": "application/json"}
        answered(server, "/tasks", "POST", json.dumps({"text": text}), **sent)
    listed, _ = answered(server, "/tasks?limit=1", **headers)
    assert listed.status == 200 and "evil" not in listed.headers["Link"]


def test_sockets_of_one_person(behind_a_proxy):
    url = f"{behind_a_proxy.socket_url}?token={sign()}"
    with connect(url) as first:
        assert json.loads(first.recv(timeout=30))["type"] == "ready"
        with connect(url) as second, pytest.raises(ConnectionClosed) as closed:
            second.recv(timeout=30)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 4008


@pytest.mark.parametrize("number", ["0", "-1", "ten", "10001", "1.5"])
def test_a_number_of_sockets_that_is_none(number):
    done = manage("check", environment=environment_for("", SOCKETS_PER_USER=number))
    assert done.returncode == 1
    assert "SOCKETS_PER_USER is not a whole number from 1 to 10000" in done.stderr
