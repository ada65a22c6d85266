"""Client generators meet `/schema` of a real server: what they make compiles, and its answers fit."""

import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import jwt
import pytest
from servers import BLANK, ROOT, SECRET, Server, backend_environment, free_port, migrate

from conftest import give_up

HERE = Path(__file__).resolve().parent
MADE = HERE / "made"
README = (ROOT / "README.md").read_text()
UNKNOWN = "00000000-0000-7000-8000-000000000000"
ENVIRONMENT = {
    **os.environ,
    "NODE_OPTIONS": "--max-old-space-size=1024",  # MiB
    "REDOCLY_TELEMETRY": "off",
    "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
}


def run(command, folder=HERE, **options):
    """What a pinned program says; fails, with that, where it fails."""
    done = subprocess.run(
        ["npx", "--no-install", *command],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )
    assert done.returncode == 0, f"{shlex.join(command)}:\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with a database of its own, whose key server is nowhere."""
    if shutil.which("npx") is None:
        give_up("npm is missing: install Node.js 20 or newer with npm.")
    if not (HERE / "node_modules" / "orval").is_dir():
        give_up("The generators are missing: run `npm ci` in the folder e2e/generators.")
    folder = tmp_path_factory.mktemp("server")
    database = folder / "db.sqlite3"
    migrate(database)
    with serving(folder, database, BETTER_AUTH_URL=f"http://127.0.0.1:{free_port()}") as running:
        yield running


@pytest.fixture
def ready_server(server, tmp_path):
    """Another server, which has all the keys that it needs."""
    with serving(tmp_path, server.database) as running:
        yield running


@contextmanager
def serving(folder, database, **environment):
    port = free_port()
    running = Server(
        [sys.executable, "manage.py", "serve", f"127.0.0.1:{port}"],
        folder=ROOT,
        environment={
            **backend_environment(database),
            "BETTER_AUTH_SECRET": SECRET,
            **environment,
        },
        ready_at=f"http://127.0.0.1:{port}/health/live",
        log=folder / "server.log",
    )
    running.url, running.database = f"http://127.0.0.1:{port}", database
    running.start()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def document(server):
    """The document, of which the generators have made their clients by the commands of the README."""
    shutil.rmtree(MADE, ignore_errors=True)
    MADE.mkdir()
    with urllib.request.urlopen(f"{server.url}/schema") as answer:
        (MADE / "schema.json").write_bytes(answer.read())
    commands = re.findall(r"^npx (.+)$", README, re.MULTILINE)
    assert len(commands) == 3
    with ThreadPoolExecutor(len(commands)) as together:
        addressed = [
            shlex.split(one.replace("http://127.0.0.1:8000", server.url)) for one in commands
        ]
        list(together.map(lambda command: run(command, MADE), addressed))
    return json.loads((MADE / "schema.json").read_text())


def test_redocly_finds_no_error(document):
    run(["redocly", "lint", "made/schema.json"])


def test_what_is_made_is_text(document):
    files = [file for file in MADE.rglob("*.ts") if "js" not in file.parts]
    assert len(files) >= 5
    for file in files:
        assert not re.search(
            r"[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u2028-\u202e\ufeff]", file.read_text()
        )


@pytest.mark.parametrize("project", ["tsconfig.json", "tsconfig.exact.json"])
def test_what_is_made_compiles_with_the_calls_of_the_readme(document, project):
    run(["tsc", "--project", project])


def test_no_name_shadows_one_of_the_language_or_of_browsers(document):
    folder = HERE / "node_modules" / "typescript" / "lib"
    known = "".join(file.read_text() for file in folder.glob("lib.*.d.ts"))
    names = set(
        re.findall(r"^(?:declare )?(?:var|let|interface|class|function|type) (\w+)", known, re.M)
    )
    assert {"Notification", "Event", "Error", "Request"} <= names
    assert names.isdisjoint(document["components"]["schemas"])


# A round trip of every kind of answer


class Client:
    """Calls a server as one person, and keeps what it answers."""

    def __init__(self, server, document, kept, token=None):
        self.server, self.document, self.kept, self.token = server, document, kept, token

    def __call__(self, status, method, path, body=None, **headers):
        """The body of an answer, which has this status."""
        if self.token is not None:
            headers["authorization"] = f"Bearer {self.token}"
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        request = urllib.request.Request(
            self.server.url + path,
            data,
            {"content-type": "application/json"}
            | {name.replace("_", "-"): value for name, value in headers.items()},
            method=method,
        )
        try:
            answer = urllib.request.urlopen(request, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            text = answer.read()
        assert answer.status == status, (method, path, answer.status, text)
        operation = self._operation(method, path)
        documented = operation["responses"][str(status)]
        for name, said in documented.get("headers", {}).items():
            assert not said.get("required") or name in answer.headers, (name, method, path)
        if "content" not in documented:
            assert text == b""
            return None
        self.kept[operation["operationId"], status] = True
        schema = documented["content"]["application/json"]["schema"]
        name = schema.get("$ref", "").rpartition("/")[2]
        # Where it is no component, it is the answer of an operation.
        operation_id = operation["operationId"]
        made = f"z{name}" if name else f"z{operation_id[0].upper()}{operation_id[1:]}Response"
        found = json.loads(text)
        self.kept.answers.append({"schema": made, "body": found})
        return found

    def _operation(self, method, path):
        parts = path.partition("?")[0].split("/")
        for template, operations in self.document["paths"].items():
            named = template.split("/")
            if len(named) == len(parts) and all(
                one[:1] == "{" or one == other for one, other in zip(named, parts, strict=True)
            ):
                best = operations
                if template == "/".join(parts):
                    break
        return best[method.lower()]


class Kept(dict):
    """Which operations answered with which status, and what."""

    def __init__(self):
        self.answers = []


def token(sub, **claims):
    return jwt.encode({"sub": sub, "exp": time.time() + 600, **claims}, SECRET)


def manage(server, *arguments):
    subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**os.environ, **BLANK, **server.environment},
        capture_output=True,
        check=True,
    )


def sort(alice, task):
    """Projects, labels, days, an order, and many at once."""
    one = f"/tasks/{task['id']}"
    for kind, name in (("projects", "Garden"), ("labels", "shady")):
        made = alice(201, "POST", f"/{kind}", {"name": name, "color": "#22aa44"})
        other = alice(201, "POST", f"/{kind}", {"name": f"{name} 2", "id": str(uuid.uuid4())})
        place = f"/{kind}/{made['id']}"
        alice(409, "POST", f"/{kind}", {"name": "again", "id": other["id"]})
        alice(200, "GET", f"/{kind}")
        alice(200, "GET", place)
        alice(200, "PATCH", place, {"color": ""})
        alice(200, "PUT", place, {"name": f"{name} 3"})
        alice(200, "POST", f"{place}/move", {"after": other["id"]})
        reference = (
            {"project_id": other["id"]} if kind == "projects" else {"label_ids": [other["id"]]}
        )
        alice(200, "PATCH", one, reference | {"due_on": "2030-05-01", "priority": 4})
        alice(200, "GET", "/tasks/counts")
        alice(204, "DELETE", f"/{kind}/{other['id']}")
    alice(200, "POST", f"{one}/move", {"to": "top"})
    repeating = {
        "text": "Weekly",
        "due_on": "2030-05-01",
        "recurrence": "FREQ=WEEKLY",
        "parent_id": None,
    }
    operations = [
        {"op": "create", "body": repeating},
        {"op": "update", "id": task["id"], "body": {"priority": 0}},
        {"op": "move", "id": task["id"], "to": "bottom"},
    ]
    alice(200, "POST", "/tasks/bulk", {"operations": operations})
    alice(200, "GET", "/preferences")
    alice(200, "PATCH", "/preferences", {"time_zone": "Asia/Kathmandu", "remind_before": 60})


def throw_away(alice):
    """What is deleted, restored, and deleted for good."""
    for _ in range(2):
        task = alice(201, "POST", "/tasks", {"text": "x"})
        alice(204, "DELETE", f"/tasks/{task['id']}")
        alice(200, "GET", "/trash")
        alice(200, "POST", f"/trash/{task['id']}/restore")
        alice(204, "DELETE", f"/tasks/{task['id']}")
        alice(204, "DELETE", f"/trash/{task['id']}")
    alice(204, "DELETE", "/trash")


def take_along(alice, nobody):
    """A document of everything, a guest's things, and a calendar."""
    guest = Client(alice.server, alice.document, alice.kept, token("guest", isAnonymous=True))
    guest(201, "POST", "/tasks", {"text": "A guest's"})
    alice(200, "POST", "/me/adopt", {"token": guest.token})
    exported = alice(200, "GET", "/export")
    someone = Client(alice.server, alice.document, alice.kept, token("someone"))
    someone(200, "POST", "/import", exported)
    someone(204, "DELETE", "/me?confirm=someone")
    made = alice(201, "POST", "/calendar")
    nobody(404, "GET", "/calendar/unknown.ics")
    assert urllib.request.urlopen(made["url"], timeout=30).status == 200
    alice(204, "DELETE", "/calendar")


def test_every_kind_of_answer_is_what_its_zod_schema_has(server, ready_server, document):
    kept = Kept()
    alice, bob, nobody, expired, garbage = (
        Client(server, document, kept, each)
        for each in (token("alice"), token("bob"), None, token("alice", exp=1), "garbage")
    )
    published = "eyJhbGciOiJFZERTQSIsImtpZCI6IngifQ.e30.AAAA"  # EdDSA, with a key that nobody has
    unchecked = Client(server, document, kept, published)

    task = alice(201, "POST", "/tasks", {"text": "Water the plants"}, idempotency_key="a")
    one = f"/tasks/{task['id']}"
    alice(
        201,
        "POST",
        "/tasks",
        {"text": "x\u2028 ☕ \U0001f600", "deadline": "2030-05-01T12:30:00.5+02:00"},
    )
    late = alice(
        201, "POST", "/tasks", {"text": "Late", "deadline": "2020-02-29T12:30Z", "order": -1}
    )
    manage(server, "send_reminders")
    (told,) = alice(200, "GET", "/notifications?status=unread")
    alice(200, "GET", "/notifications/unread-count")
    alice(200, "PATCH", one, {"completed": True}, if_match='"1"')
    alice(200, "PUT", one, {"text": "Water them", "deadline": "2031-01-01T00:00:00Z"})
    alice(200, "GET", one)
    alice(304, "GET", one, if_none_match="*")
    alice(200, "PATCH", f"/tasks/{late['id']}", {"deadline": None})  # withdraws the notification
    alice(200, "PATCH", f"/tasks/{late['id']}", {"deadline": told["deadline"]})
    manage(server, "send_reminders")
    (told,) = alice(200, "GET", "/notifications")
    alice(200, "POST", f"/notifications/{told['id']}/read")
    alice(200, "POST", "/notifications/read-all")
    for query in ("", "?limit=1", "?ordering=-deadline&completed=false&search=late"):
        alice(200, "GET", f"/tasks{query}")
    bob(200, "GET", "/tasks")
    gone = alice(201, "POST", "/tasks", {"text": "x"})
    alice(204, "DELETE", f"/tasks/{gone['id']}")
    sort(alice, task)
    throw_away(alice)
    take_along(alice, nobody)
    events = alice(200, "GET", "/events?since=0")
    mapping = document["components"]["schemas"]["LiveEvent"]["discriminator"]["mapping"]
    assert {event["type"] for event in events} == mapping.keys()
    alice(200, "GET", "/me")
    nobody(200, "GET", "/health/live")
    nobody(503, "GET", "/health/ready")
    Client(ready_server, document, kept, None)(200, "GET", "/health/ready")

    for client in (nobody, expired, garbage):
        client(401, "GET", "/tasks")
        client(401, "GET", "/me")
    alice(400, "POST", "/tasks", {"text": " ", "order": "x"})
    alice(400, "POST", "/tasks", [])
    alice(400, "POST", "/tasks", b"{")
    alice(400, "PATCH", one, {"completed": 1})
    alice(400, "GET", "/tasks?limit=0")
    alice(400, "GET", "/events?since=-1")
    bob(403, "GET", one)
    bob(403, "POST", f"/notifications/{told['id']}/read")
    alice(404, "DELETE", f"/tasks/{UNKNOWN}")
    alice(404, "POST", f"/notifications/{UNKNOWN}/read")
    alice(406, "GET", "/tasks", accept="text/html")
    alice(410, "GET", "/events?since=4711")
    alice(412, "PATCH", one, {}, if_match='"4711"')
    alice(413, "POST", "/tasks", b" " * (2**20 + 1))
    alice(415, "POST", "/tasks", b"{}", content_encoding="gzip")
    alice(422, "POST", "/tasks", {"text": "other"}, idempotency_key="a")
    unchecked(503, "GET", "/tasks")
    with sqlite3.connect(server.database, isolation_level=None) as others:
        others.execute("BEGIN IMMEDIATE")  # so that the first of two waits
        with ThreadPoolExecutor(1) as aside:
            body, again = {"text": "twice"}, {"idempotency_key": "b"}
            first = aside.submit(alice, 201, "POST", "/tasks", body, **again)
            time.sleep(1)
            alice(409, "POST", "/tasks", body, **again)
            others.execute("ROLLBACK")
            first.result(timeout=30)

    statuses = {status for _, status in kept}
    assert statuses == {200, 201, 400, 401, 403, 404, 406, 409, 410, 412, 413, 415, 422, 503}
    successes = {
        operation["operationId"]
        for path in document["paths"].values()
        for operation in path.values()
        for status in ("200", "201")
        if "application/json" in operation["responses"].get(status, {}).get("content", ())
    }
    assert {operation for operation, status in kept if status < 300} == successes
    run(["tsc", "--project", "tsconfig.run.json"])
    checked = subprocess.run(
        ["node", "made/js/roundtrip.js"],
        cwd=HERE,
        env=ENVIRONMENT,
        input=json.dumps(kept.answers),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert int(checked.stdout) == len(kept.answers) > 40
