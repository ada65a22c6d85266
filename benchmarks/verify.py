"""Whether a server does the job at all: without that, its speed says nothing."""

import http.client
import json
from typing import Any
from uuid import uuid4

from benchmarks.data import TASKS, WIRE, administrator, token, user_id
from benchmarks.servers import Server


class WrongAnswer(Exception):
    pass


def verify(server: Server) -> None:
    """Ask everything that will be measured, and compare with the database.

    Raises `WrongAnswer`.
    """
    table = "tasks_task" if server.ours else "task"
    # People whose tokens are not in the rotation, so that everybody measured has as many tasks.
    alice, bob = user_id(998), user_id(999)
    with administrator(server.database) as connection:

        def rows(user: str) -> list[str]:
            found = connection.execute(
                f"SELECT id FROM {table} WHERE user_id = %s"  # type: ignore[arg-type]  # noqa: S608
                " ORDER BY created_at DESC, id DESC",
                [user],
            )
            return [str(row[0]) for row in found]

        expected = rows(alice)
        before = len(expected)
        _same("number of tasks", before >= TASKS, True)

        status, body = _ask(server, alice, "GET", "/me")
        _same("GET /me", (status, body["id"]), (200, alice))

        status, body = _ask(server, alice, "GET", "/tasks?limit=50")
        body = body["results"] if isinstance(body, dict) else body
        _same("list", (status, [task["id"] for task in body]), (200, expected[:50]))
        _same("owners in the list", {task["user_id"] for task in body}, {alice})
        _same("missing fields", set(WIRE) - set(body[0]), set())
        if not server.ours:  # ours may show more, and pays for it
            _same("additional fields", set(body[0]) - set(WIRE), set())

        mine, others = expected[10], rows(bob)[10]
        status, body = _ask(server, alice, "GET", f"/tasks/{mine}")
        _same("one task", (status, body["id"], body["user_id"]), (200, mine, alice))
        _same("another's", _ask(server, alice, "GET", f"/tasks/{others}")[0] in (403, 404), True)
        _same("unknown", _ask(server, alice, "GET", f"/tasks/{uuid4()}")[0], 404)
        _same("no token", _ask(server, None, "GET", "/tasks")[0] in (401, 403), True)

        change = {"text": "Changed", "completed": not body["completed"]}
        status, body = _ask(server, alice, "PATCH", f"/tasks/{mine}", change)
        _same("change", (status, body["text"], body["id"]), (200, "Changed", mine))
        _same("completed_at", body["completed_at"] is not None, change["completed"])
        status, _ = _ask(server, alice, "PATCH", f"/tasks/{others}", {"text": "Stolen"})
        _same("changing another's", status in (403, 404), True)
        written = connection.execute(
            f"SELECT id, text FROM {table} WHERE id = ANY(%s) ORDER BY text = 'Changed' DESC",  # type: ignore[arg-type]  # noqa: S608
            [[mine, others]],
        ).fetchall()
        _same("changed row", (str(written[0][0]), written[0][1]), (mine, "Changed"))
        _same("another's row", written[1][1].startswith("Water"), True)

        status, body = _ask(server, alice, "POST", "/tasks", {"text": "New", "user_id": bob})
        _same("create", (status, body["text"], body["user_id"]), (201, "New", alice))
        after = rows(alice)
        _same("created row", (len(after), after[0]), (before + 1, body["id"]))


def _ask(
    server: Server, user: str | None, method: str, path: str, body: Any = None
) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    headers = {} if user is None else {"Authorization": f"Bearer {token(user)}"}
    if body is not None:
        headers["Content-Type"] = "application/json"
        body = json.dumps(body)
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    try:
        return response.status, json.loads(content)
    except ValueError:
        return response.status, content


def _same(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise WrongAnswer(f"{what}: {found!r:.300} instead of {expected!r:.300}")
