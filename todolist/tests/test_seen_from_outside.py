"""What an operator sees of a server, and says to it, from outside."""

import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import timedelta
from http.client import HTTPConnection, HTTPResponse
from importlib import import_module
from itertools import pairwise
from operator import mul
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import connect
from websockets.typing import Origin

from accounts.outages import Outage
from conftest import (
    ROOT,
    Server,
    both_servers,
    environment_for,
    free_port,
    manage,
    new_database,
    running_server,
    sign,
)
from tasks.models import Task
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
def behind_a_proxy(start_shared_server: Any) -> Server:
    started: Server = start_shared_server(
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


# Request ids

ID = "abc-DEF_0.9"
EVERYWHERE = [
    ("GET", "/me", 200),
    ("GET", "/tasks", 200),
    ("POST", "/tasks", 400),
    ("GET", f"/tasks/{ID}", 404),
    ("GET", "/nowhere", 404),
    ("PUT", "/me", 405),
    ("OPTIONS", "/tasks", 204),
    ("HEAD", "/tasks", 200),
    ("GET", "/health/live", 200),
    ("GET", "/health/ready", 200),
    ("GET", "/schema", 200),
    ("GET", "/admin/login/", 200),
    ("GET", "/admin/tasks/task/", 302),
    ("GET", "/admin/nowhere/", 302),
    ("GET", "/static/todolist/docs.js", 200),
    ("GET", "/static/nothing.js", 404),
    ("GET", "/%ff", 404),
]


@pytest.mark.parametrize(("method", "path", "status"), EVERYWHERE)
def test_every_answer_carries_the_id_of_its_request(server, method, path, status):
    answer, _ = answered(server, path, method, Authorization=TOKEN, X_Request_ID=ID)
    assert (answer.status, answer.headers.get_all("X-Request-ID")) == (status, [ID])
    made = [
        answered(server, path, method, Authorization=TOKEN)[0].headers["X-Request-ID"]
        for _ in range(2)
    ]
    assert made[0] != made[1] and all(re.fullmatch("[A-Za-z0-9._-]{1,128}", id) for id in made)


@both_servers
def test_refusals_carry_it_too(server):
    refused = {"X_Request_ID": ID}
    assert answered(server, "/tasks", **refused)[0].headers["X-Request-ID"] == ID
    large = "x" * 1_100_000
    sent = refused | {"Authorization": TOKEN, "Content_Type": "application/json"}
    answer, _ = answered(server, "/tasks", "POST", large, **sent)
    assert (answer.status, answer.headers["X-Request-ID"]) == (413, ID)
    answer, _ = answered(server, "/me", Host="evil.example.com", **refused)
    assert (answer.status, answer.headers["X-Request-ID"]) == (400, ID)


@pytest.mark.parametrize(
    "sent", ["", "a b", "a" * 129, "é", "a\tb", "<script>", "a,b", 'a"b', "a%0Ab"]
)
def test_an_id_that_is_none_is_not_taken_over(server, sent):
    head = f"GET /me HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Request-ID: {sent}\r\nConnection: close\r\n"
    answer = raw(server, head + "\r\n")
    (id,) = re.findall(r"(?im)^x-request-id: (.*?)\r$", answer)
    assert id != sent and re.fullmatch("[0-9a-f]{16}", id)


def test_of_two_ids_neither_is_taken_over(server):
    both = (
        "GET /me HTTP/1.1\r\nHost: x\r\nX-Request-ID: a\r\nX-Request-ID: a\r\nConnection: close\r\n"
    )
    (id,) = re.findall(r"(?im)^x-request-id: (.*?)\r$", raw(server, f"{both}\r\n"))
    assert re.fullmatch("[0-9a-f]{16}", id)


def test_the_longest_id_is_taken_over(server):
    answer, _ = answered(server, "/me", X_Request_ID="x" * 128)
    assert answer.headers["X-Request-ID"] == "x" * 128


@pytest.mark.parametrize(
    ("request_", "status"),
    [("nonsense\r\n\r\n", 400), (f"GET / HTTP/1.1\r\nx: {'y' * 70_000}\r\n\r\n", 431)],
)
def test_what_never_became_a_request_has_an_id_of_its_own(server, request_, status):
    answer = raw(server, request_)
    assert answer.startswith(f"HTTP/1.1 {status} ")
    assert len(re.findall(r"\r\nX-Request-ID: [0-9a-f]{16}\r\n", answer)) == 1


def test_every_log_line_of_a_request_carries_its_id(start_server):
    for kind, form in (("uvicorn", "text"), ("uvicorn", "json"), ("daphne", "json")):
        server = start_server(kind, LOG_FORMAT=form)
        answered(server, "/tasks", X_Request_ID="rest-1")
        answered(server, "/nowhere", X_Request_ID="rest-2", Authorization=TOKEN)
        with (
            suppress(WebSocketException),
            connect(
                f"{server.socket_url}?token=x", additional_headers={"X-Request-ID": "socket-1"}
            ) as client,
        ):
            client.recv(timeout=30)
        with connect(
            f"{server.socket_url}?token={sign()}", additional_headers={"X-Request-ID": "socket-2"}
        ) as client:
            assert client.response is not None
            if kind == "uvicorn":  # daphne sends no headers of ours
                assert client.response.headers["X-Request-ID"] == "socket-2"
            client.recv(timeout=30)
            client.send('{"type": "auth", "token": "x"}')
            with suppress(WebSocketException):
                client.recv(timeout=30)
        answered(server, "/health/live")
        lines = wait_for(server, "another|socket-2")
        for id, words in (
            ("rest-1", "Refused GET /tasks: Authentication required"),
            ("rest-2", "Not Found: /nowhere"),
            ("socket-1", "Refused WebSocket /ws/notifications: Invalid token: not a JWT"),
            ("socket-2", "Refused WebSocket /ws/notifications: Invalid token: not a JWT"),
        ):
            (line,) = [line for line in lines if words in line and id in line]
            if form == "json":
                assert json.loads(line)["request_id"] == id
                assert json.loads(line)["level"] == "INFO"
            else:
                assert re.fullmatch(rf"[-\d]+ [:,\d]+ INFO [\w.]+ {id} {words}.*", line)


@pytest.mark.parametrize(
    "kind",
    ["uvicorn", "daphne", "plain uvicorn", "hypercorn", "granian", "gunicorn, its ASGI worker"],
)
def test_a_handshake_that_is_refused_carries_it_too(start_server, kind):
    """Under `serve`; the others send no headers of ours, and make no fuss about them."""
    server = start_server(kind, LOG_FORMAT="json")
    with pytest.raises(InvalidStatus) as refused:
        connect(
            f"{server.socket_url}?token={sign()}",
            additional_headers={"X-Request-ID": ID},
            origin=Origin("https://evil.example.com"),
        )
    answer = refused.value.response
    assert answer.status_code == 403
    assert answer.headers.get("X-Request-ID") == (ID if kind == "uvicorn" else None)
    lines = wait_for(server, "its origin is not among")
    (line,) = [line for line in lines if "its origin" in line]
    assert json.loads(line)["request_id"] == ID
    log = server.log.read_text()
    assert not [word for word in ("ERROR", "Traceback", "color_message") if word in log]


def test_a_token_is_no_id_that_reaches_a_log(start_server):
    server = start_server()
    short = sign("a", without=("iat",))
    assert len(short) <= 128 or "." in short
    answered(server, "/tasks", X_Request_ID=short[:128])
    wait_for(server, "Refused")
    assert short[:100] not in server.log.read_text()


def raw(server: Server, request: str) -> str:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        client.sendall(request.encode())
        answer = b""
        while part := client.recv(65536):
            answer += part
    return answer.decode("latin-1")


def wait_for(server: Server, pattern: str) -> list[str]:
    """The lines of its log, once one of them fits."""
    deadline = time.monotonic() + 10
    while not re.search(pattern, text := server.log.read_text()):
        assert time.monotonic() < deadline, text
        time.sleep(0.05)
    return text.splitlines()


# What is logged, and how often


def test_what_a_client_did_wrong_is_no_warning(start_server):
    server = start_server()
    begin = server.log.stat().st_size
    sent = {"Content_Type": "application/json", "Authorization": TOKEN}
    for method, path, body, headers, status in (
        ("GET", "/tasks", None, {}, 401),
        ("GET", "/nowhere", None, {}, 404),
        ("POST", "/tasks", "{", sent, 400),
        ("PATCH", "/tasks", "{}", sent, 405),
        ("POST", "/tasks", "{}", {**sent, "Content_Type": "text/plain"}, 415),
        ("GET", "/tasks", None, {"Host": f"{'x' * 3000}.example.com"}, 400),
        ("POST", "/admin/login/", "username=a", {}, 403),
    ):
        assert answered(server, path, method, body, **headers)[0].status == status
    time.sleep(0.2)
    lines = server.log.read_bytes()[begin:].decode().splitlines()
    assert len(lines) >= 6 and all(" INFO " in line and len(line) < 700 for line in lines), lines


def test_an_outage_is_two_lines_however_many_fail(caplog, monkeypatch):
    monkeypatch.setattr("accounts.outages.QUIET", 0.2)
    logger = logging.getLogger("todolist.tests.outage")
    outage = Outage(logger, "It fails: %s", "It works")
    for _ in range(2):
        caplog.clear()
        threads = [threading.Thread(target=outage.failed, args=(f"{n}",)) for n in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(caplog.messages) == 1 and caplog.messages[0].startswith("It fails: ")
        deadline = time.monotonic() + 10
        while len(caplog.messages) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert caplog.messages[1:] == ["It works. It failed 50 times in 0 s."]


def test_a_database_that_is_away_is_one_line(start_server):
    nowhere = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    server = start_server(DATABASE_URL=nowhere, LOG_FORMAT="json")
    begin = server.log.stat().st_size
    with ThreadPoolExecutor(20) as clients:  # each waits for the database for a while
        asked = [clients.submit(answered, server, "/tasks", Authorization=TOKEN) for _ in range(20)]
    assert {each.result()[0].status for each in asked} == {503}
    said = [json.loads(line) for line in server.log.read_bytes()[begin:].decode().splitlines()]
    assert len(said) < 5, said  # with those of others who have noticed
    (begun,) = [line for line in said if line["logger"] == "todolist.database"]
    assert begun["level"] == "ERROR"
    assert begun["message"].startswith("The database does not answer: ")
    lines = wait_for(server, "It failed")
    assert re.search(r"It failed \d\d times", lines[-1])


# The worker


def test_the_worker_says_that_it_lives_in_json_too(tmp_path):
    with (
        new_database(tmp_path) as url,
        subprocess.Popen(
            [sys.executable, "manage.py", "send_reminders", "--loop", "--interval", "0.2"],
            cwd=ROOT,
            env=environment_for(url, LOG_FORMAT="json", REDIS_URL=""),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as worker,
    ):
        assert worker.stdout is not None
        lines = [worker.stdout.readline() for _ in range(3)]
        worker.terminate()
        lines.append(worker.stdout.read())
    checks, first, second = map(json.loads, lines[:3])
    assert checks["level"] == "WARNING" and "todolist.W010" in checks["message"]
    assert first["message"].startswith(f"todolist {__version__}: reminders every")
    assert second["message"].startswith("Reminders: alive, passes 1,")
    assert worker.returncode == 0 and lines[3] == ""


# Metrics


def numbers(server: Server) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer, text = answered(server, "/metrics", Authorization="Bearer nonsense")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def total(server: Server, name: str, **labels: str) -> float:
    return sum(
        value
        for (found, its), value in numbers(server).items()
        if found == f"todolist_{name}" and labels.items() <= dict(its).items()
    )


def until(what: Callable[[], float], wanted: float) -> None:
    deadline = time.monotonic() + 10
    while (found := what()) != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


@pytest.fixture(scope="module")
def measured(start_shared_server: Any) -> Server:
    started: Server = start_shared_server(
        METRICS="True", ACCESS_LOG="True", LOG_FORMAT="json", workers=2
    )
    return started


def test_metrics_are_there_only_where_they_are_wanted(server, measured):
    answer, body = answered(server, "/metrics")
    assert (answer.status, json.loads(body)["code"]) == (404, "not_found")
    answer, body = answered(measured, "/metrics", "POST", Accept="application/openmetrics-text")
    assert (answer.status, json.loads(body)["code"]) == (405, "method_not_allowed")
    assert answered(measured, "/metrics", Accept="application/openmetrics-text")[0].status == 200


def test_requests_are_counted_by_route_over_all_processes(measured):
    def asked(**labels: str) -> float:
        return total(measured, "request_seconds_count", **labels)

    refused = total(measured, "refused_total", door="http", reason="Authentication required")
    # Each of a sort that no other test asks for: what those asked may be told of during this one.
    for number in range(40):  # each over a connection of its own: both processes have some
        answered(measured, f"/labels/made-up-{number}", Authorization=TOKEN)
        answered(measured, f"/made-up-{number}?{number}")
    answered(measured, "/tasks", "PROPFIND", Authorization=TOKEN)
    answered(measured, "/tasks")
    # The other process tells of its requests within a second.
    until(lambda: asked(route="/labels/{id}", status="404"), 40)
    until(lambda: asked(route="other", status="404"), 40)
    until(lambda: asked(method="other"), 1)
    reasons = {"door": "http", "reason": "Authentication required"}
    assert total(measured, "refused_total", **reasons) == refused + 1
    labels = {value for name, its in numbers(measured) for _, value in its}
    assert not [value for value in labels if "made-up" in value or "PROPFIND" in value]


def test_sockets_events_and_limits_are_counted(measured):
    sent = total(measured, "events_sent_total")
    person = sign("metrics")
    headers = {"Authorization": f"Bearer {person}", "Content_Type": "application/json"}
    with connect(f"{measured.socket_url}?token={person}") as client:
        client.recv(timeout=30)
        assert total(measured, "sockets") == 1
        made, _ = answered(measured, "/tasks", "POST", '{"text": "x"}', **headers)
        assert made.status == 201
        assert json.loads(client.recv(timeout=30))["type"] == "task.created"
        until(lambda: total(measured, "events_sent_total"), sent + 1)
    until(lambda: total(measured, "sockets"), 0)
    with connect(f"{measured.socket_url}?token={person}&since=0") as client:
        for _ in range(2):
            client.recv(timeout=30)
        assert total(measured, "events_replayed_total") >= 1
        until(lambda: total(measured, "connections") >= 1, True)
    with connect(f"{measured.socket_url}?token={person}&since=99") as client:
        for _ in range(2):
            client.recv(timeout=30)
    until(lambda: total(measured, "resyncs_total"), 1)
    large = total(measured, "limits_total", limit="431")
    raw(measured, f"GET / HTTP/1.1\r\nx: {'y' * 70_000}\r\n\r\n")
    assert total(measured, "limits_total", limit="431") == large + 1
    assert total(measured, "version", version=__version__) == 1


def test_durations_fall_into_the_buckets_that_they_belong_to(measured):
    for _ in range(20):
        answered(measured, "/health/live")
    route = {"route": "/health/live", "status": "200"}
    until(lambda: total(measured, "request_seconds_count", **route) >= 20, True)
    found = {
        (name, dict(its).get("le", "")): value
        for (name, its), value in numbers(measured).items()
        if route.items() <= dict(its).items()
    }
    name = "todolist_request_seconds"
    bounds = sorted(float(le) for bucket, le in found if bucket == f"{name}_bucket")
    assert bounds == [*import_module("todolist.observing.metrics").BUCKETS, float("inf")]
    up_to = [value for _, value in sorted((float(le), n) for (_, le), n in found.items() if le)]
    assert up_to == sorted(up_to) and up_to[-1] == found[f"{name}_count", ""]
    # No request takes less than the bound below its bucket, and none more than the one above.
    each = [now - before for before, now in pairwise([0, *up_to])]
    least = sum(number * bound for number, bound in zip(each, [0, *bounds], strict=False))
    assert least <= found[f"{name}_sum", ""] <= sum(map(mul, each[:-1], bounds)) + each[-1] * 60


def test_a_worker_that_dies_leaves_its_counts_and_no_sockets(start_server):
    server = start_server(METRICS="True", workers=2)
    for _ in range(20):
        answered(server, "/me", Authorization=TOKEN)
    with connect(f"{server.socket_url}?token={sign()}") as client:
        client.recv(timeout=30)
        assert total(server, "sockets") == 1
        until(lambda: total(server, "request_seconds_count", route="/me"), 20)
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
        lines = wait_for(server, "process [0-9]+")
        pids = {int(number) for line in lines for number in re.findall(r", process (\d+)", line)}
        assert pids <= {*map(int, children.read_text().split())}
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while True:
        try:
            assert total(server, "request_seconds_count", route="/me") == 20
            if total(server, "sockets") == 0:
                break
        except OSError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_the_files_of_the_numbers_are_gone_with_the_server(start_server, tmp_path):
    with new_database(tmp_path) as url:
        environment = environment_for(url, METRICS="True", TMPDIR=str(tmp_path))
        with running_server(tmp_path, environment, workers=2) as server:
            answered(server, "/me")
            assert list(tmp_path.glob("todolist-metrics-*/*.db"))
        assert not list(tmp_path.glob("todolist-metrics-*"))


def test_reminders_that_nobody_makes_are_seen(start_server, working_on):
    server = start_server(METRICS="True")
    assert total(server, "reminders_lag_seconds") == 0
    headers = {"Authorization": TOKEN, "Content_Type": "application/json"}
    body = json.dumps({"text": "x", "deadline": "2020-01-01T00:00:00Z"})
    assert answered(server, "/tasks", "POST", body, **headers)[0].status == 201
    assert 0 < total(server, "reminders_lag_seconds") < 1000  # not since 2020
    with working_on(server.database_url):  # nobody has made it for an hour
        Task.objects.update_unrecorded(updated_at=timezone.now() - timedelta(hours=1))
    assert 3600 < total(server, "reminders_lag_seconds") < 5000
    assert manage("send_reminders", environment=server.environment).returncode == 0
    assert total(server, "reminders_lag_seconds") == 0
    if server.environment["REDIS_URL"]:
        assert total(server, "reminders_last_pass_timestamp_seconds") > time.time() - 60


def test_every_query_of_the_dashboard_is_about_something_that_is_measured(measured):
    board = json.loads((ROOT / "deploy" / "grafana" / "todolist.json").read_text())
    import_module("todolist.observing.metrics")  # which registers them
    known = {metric.name for metric in REGISTRY.collect()}
    known |= {name for name, _ in numbers(measured)}  # what is asked when somebody wants to know it
    known |= {f"{name}{end}" for name in known for end in ("_bucket", "_count", "_total")}
    known |= {"todolist_reminders_last_pass_timestamp_seconds"}  # with Redis
    asked = {
        name
        for panel in board["panels"]
        for target in panel["targets"]
        for name in re.findall(r"todolist_\w+", target["expr"])
    }
    assert asked <= known and len(asked) > 12
    labels = {"method", "route", "status", "le", "door", "reason", "code", "limit", "outcome"}
    for panel in board["panels"]:
        for target in panel["targets"]:
            for listed in re.findall(r"by \(([^)]*)\)", target["expr"]):
                assert set(listed.split(", ")) <= labels | {"instance", "version"}


# The access log


def test_a_line_for_each_request_where_it_is_wanted(server, measured):
    begin = measured.log.stat().st_size
    headers = {"Authorization": TOKEN, "X_Request_ID": "line-1"}
    answer, body = answered(measured, "/tasks/made-up?token=abc", **headers)
    assert answer.status == 404
    answered(measured, "/tasks", **(headers | {"X_Request_ID": "line-2"}))
    answered(measured, "/tasks", X_Request_ID="line-3")
    wait_for(measured, "line-3.*todolist.access|todolist.access.*line-3")
    log = measured.log.read_bytes()[begin:].decode()
    lines = [json.loads(line) for line in log.splitlines() if '"todolist.access"' in line]
    first, second, third = (line for line in lines if line["request_id"].startswith("line-"))
    assert first.items() >= {"method": "GET", "route": "/tasks/{id}", "status": 404}.items()
    assert (first["request_id"], first["bytes"]) == ("line-1", len(body))
    assert first["ms"] > 0 and re.fullmatch("[0-9a-f]{16}", first["user"])
    assert (second["user"], second["status"]) == (first["user"], 200)
    assert (third["user"], third["status"]) == (None, 401)
    assert "alice" not in log and "abc" not in log and "made-up" not in "".join(map(str, lines))
    answered(server, "/me", Authorization=TOKEN)
    assert "todolist.access" not in server.log.read_text()
