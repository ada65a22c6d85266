"""The deployment that the shipped files make: who may do what, and what nginx adds and takes away."""

import socket
import subprocess
import sys
import threading
from contextlib import suppress
from http.client import HTTPConnection

import psycopg
import pytest
from parts import ROOT, wait_until
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect


def request(cluster, method, path, headers=(), body=None):
    connection = HTTPConnection("127.0.0.1", cluster.port, timeout=20)
    try:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE tasks_task DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE tasks_task NO FORCE ROW LEVEL SECURITY",
        "DROP TABLE tasks_task",
        "TRUNCATE tasks_task CASCADE",
        "CREATE TABLE another (id int)",
        "CREATE TEMPORARY TABLE another (id int)",
        "CREATE SCHEMA another",
        "CREATE POLICY everything ON tasks_task USING (true)",
        "SET ROLE todolist_owner",
        "CREATE ROLE another",
        "ALTER ROLE todolist_server BYPASSRLS",
    ],
)
def test_the_role_of_the_servers_reads_and_writes_rows_and_no_more(cluster, statement):
    with (
        psycopg.connect(cluster.server_url) as database,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        database.execute(statement)


def test_row_level_security_holds_for_both_roles(cluster, person):
    assert person.ask("POST", "/tasks", {"text": "Mine"})[0] == 201
    for url in (cluster.server_url, cluster.owner_url):
        with psycopg.connect(url) as database:
            assert database.execute("SELECT count(*) FROM tasks_task").fetchone() == (0,)


def test_making_the_roles_again_changes_passwords_and_nothing_else(cluster, person):
    cluster.make_roles()
    assert person.ask("POST", "/tasks", {"text": "Mine"})[0] == 201


def test_no_log_has_a_token(cluster, person):
    """Of requests that succeed, that are refused, and that no server answers."""
    token = person.token
    socket_url = f"ws://127.0.0.1:{cluster.port}/ws/notifications?token={token}"

    def send_it_everywhere():
        statuses = []
        for path in (
            f"/tasks?token={token}",
            f"/tasks/{token}",
            f"/ws/notifications?token={token}",
        ):
            headers = {"Authorization": f"Bearer {token}", "Referer": f"http://x/?token={token}"}
            statuses.append(request(cluster, "GET", path, headers)[0])
            too_much = {**headers, "Content-Length": str(50 * 1024 * 1024)}
            statuses.append(request(cluster, "POST", path, too_much)[0])
        return statuses

    with connect(socket_url) as client:
        client.recv()
    assert 413 in send_it_everywhere()
    for server in cluster.servers:
        server.stop()
    try:
        assert 503 in send_it_everywhere()
        with pytest.raises(InvalidStatus):
            connect(socket_url)
    finally:
        for server in cluster.servers:
            server.start()
        wait_until(cluster.all_ready, 30)
    logs = [*cluster.folder.glob("*.log"), *cluster.folder.glob("nginx/*.log")]
    assert len(logs) >= 7
    for log in logs:
        assert token.split(".")[1] not in log.read_text(errors="replace"), log.name
    assert "/ws/notifications" in (cluster.folder / "nginx/access.log").read_text()


def test_no_server_at_all_is_503_in_json(cluster):
    for server in cluster.servers:
        server.stop()
    try:
        status, headers, body = request(cluster, "GET", "/tasks")
    finally:
        for server in cluster.servers:
            server.start()
        wait_until(cluster.all_ready, 30)
    assert (status, headers["Content-Type"], headers["Retry-After"]) == (
        503,
        "application/json",
        "1",
    )
    assert body == b'{"detail": "No server answers", "code": "unavailable"}'


class Dying:
    """Servers in place of the cluster's, of which each reads a request and ends without an answer."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.read = []

    def __enter__(self):
        for server in self.cluster.servers:
            server.stop()
        self.sockets = [socket.create_server(("127.0.0.1", p)) for p in self.cluster.server_ports]
        for each in self.sockets:
            threading.Thread(target=self._serve, args=(each,), daemon=True).start()
        return self

    def __exit__(self, *_):
        for each in self.sockets:
            each.shutdown(socket.SHUT_RDWR)
            each.close()
        for server in self.cluster.servers:
            server.start()
        wait_until(self.cluster.all_ready, 30)

    def _serve(self, listener):
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    self.read.append(connection.recv(65536))


def test_what_a_server_had_in_hand_when_it_died_is_sent_again_where_it_may_be_done_twice(cluster):
    key, version = {"Idempotency-Key": "1 a:b"}, {"If-Match": '"3"'}
    asked = [
        ("GET", {}, 2),
        ("PUT", {}, 2),
        ("DELETE", {}, 2),
        ("POST", {}, 1),
        ("POST", version, 1),
        ("POST", key, 2),
        ("PATCH", {}, 1),
        ("PATCH", key, 1),
        ("PATCH", {"If-Match": "*"}, 1),
        ("PATCH", {"If-Match": '"3", "4"'}, 1),
        ("PATCH", version, 2),
    ]
    found = []
    with Dying(cluster) as dying:
        for method, headers, _ in asked:
            before = len(dying.read)
            status, answered, body = request(cluster, method, "/tasks/x%2Fy?z=%20", headers, b"{}")
            assert (status, answered["Retry-After"]) == (503, "1")
            assert body == b'{"detail": "No server answers", "code": "unavailable"}'
            found.append((method, headers, len(dying.read) - before))
    assert found == asked
    assert {read.split(b" ", 2)[1] for read in dying.read} == {b"/tasks/x%2Fy?z=%20"}
    log = (cluster.folder / "nginx/access.log").read_text()
    assert log.count('"path": "/tasks/x/y"') == len(asked)


def test_what_may_be_sent_again_is_sent_as_it_is(cluster, person):
    """A large body of which nginx says that it may come, and none at all."""
    text = "x" * 400_000
    with socket.create_connection(("127.0.0.1", cluster.port), timeout=20) as client:
        client.sendall(
            b"POST /tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Expect: 100-continue\r\nConnection: close\r\nIdempotency-Key: large\r\n"
            + f"Authorization: Bearer {person.token}\r\n".encode()
            + f"Content-Length: {len(text) + 13}\r\n\r\n".encode()
        )
        assert client.recv(100).startswith(b"HTTP/1.1 100 ")
        client.sendall(f'{{"text": "{text}"}} '.encode())
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")  # the text is too long, and was read
    assert b'"text"' in answer
    status, _ = person.ask("POST", "/tasks", {"text": "x"}, {"Idempotency-Key": "small"})
    assert status == 201


def test_nginx_leaves_it_to_the_application_what_is_too_large(cluster, person):
    headers = {"Authorization": f"Bearer {person.token}", "Content-Type": "application/json"}
    status, answered, body = request(
        cluster, "POST", "/tasks", headers, b'{"text": "' + b"x" * 2_000_000 + b'"}'
    )
    assert (status, answered["Content-Type"]) == (413, "application/json")
    assert b'"code"' in body
    # A head that nginx would refuse by itself, were its buffers as large as by default.
    long = {**headers, "Cookie": "x" * 30_000}
    assert request(cluster, "GET", "/me", long)[0] == 200
    assert request(cluster, "GET", "/tasks?search=" + "x" * 30_000, headers)[0] != 414


def test_etags_stay_strong(cluster, person):
    _, task = person.ask("POST", "/tasks", {"text": "Mine"})
    headers = {"Authorization": f"Bearer {person.token}", "Accept-Encoding": "gzip"}
    _, answered, _ = request(cluster, "GET", f"/tasks/{task['id']}", headers)
    assert answered["ETag"] == '"1"'


def test_metrics_are_not_for_the_outside(cluster):
    assert request(cluster, "GET", "/metrics")[0] == 404


@pytest.mark.parametrize("how", ["subprotocol", "query"])
def test_sockets_pass(cluster, person, how):
    url = f"ws://127.0.0.1:{cluster.port}/ws/notifications"
    query, offered = (
        ("", ["bearer", person.token]) if how == "subprotocol" else (f"?token={person.token}", None)
    )
    with connect(url + query, subprotocols=offered) as client:
        assert '"ready"' in client.recv()
        client.send('{"type": "ping"}')
        assert '"pong"' in client.recv()
    with connect(url) as client, pytest.raises(ConnectionClosed) as closed:
        client.recv()
    assert closed.value.rcvd.code == 4001


def test_the_worker_tells_systemd_that_it_lives(cluster, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        worker = subprocess.Popen(
            [sys.executable, "manage.py", "send_reminders", "--loop", "--interval", "0.5"],
            cwd=ROOT,
            env={**cluster.environment, "NOTIFY_SOCKET": str(tmp_path / "notify")},
        )
        try:
            said = [systemd.recv(100) for _ in range(3)]
        finally:
            worker.terminate()
            worker.wait(20)
    assert said == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
