"""`POST /tasks/bulk`: all of it or nothing, in order, each change an event (docs/api.md section 4)."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction

from conftest import ALICE, BOB
from tasks.models import Event, Project, Task
from tasks.resources import fast
from tasks.tests.calls import listed, made
from tasks.tests.holding import until_somebody_waits
from tasks.tests.test_wire import statements

pytestmark = pytest.mark.django_db

WAYS = ["as it comes", "one by one"]


@pytest.fixture(params=WAYS, autouse=True)
def way(request, monkeypatch) -> str:
    """Both ways, where there are two."""
    if request.param == "one by one":
        if connection.vendor != "postgresql":
            pytest.skip("there is one way")
        monkeypatch.setattr(fast, "write_all", lambda *args: None)
    return str(request.param)


def bulk(api: Any, *operations: Any, status: int = 200, **headers: str) -> Any:
    answer = api.post("/tasks/bulk", {"operations": list(operations)}, **headers)
    assert answer.status_code == status, answer.content
    return answer.json()["results"] if status == 200 else answer.json()


def create(**body: Any) -> dict[str, Any]:
    return {"op": "create", "body": body}


def update(row: Any, **body: Any) -> dict[str, Any]:
    return {"op": "update", "id": row["id"], "body": body}


def events(owner: str = ALICE) -> list[tuple[str, Any]]:
    rows = Event.objects.filter(user_id=owner).order_by("seq")
    return list(rows.values_list("type", "data"))


def test_each_operation_is_answered_as_by_itself_and_recorded_in_order(alice_api):
    old, gone = made(alice_api, "old"), made(alice_api, "gone")
    before = len(events())
    results = bulk(
        alice_api,
        create(text="first", deadline="2030-05-01T12:00:00Z", priority=2),
        update(old, completed=True, description="done"),
        create(text="second"),
        {"op": "delete", "id": gone["id"]},
        {"op": "move", "id": old["id"], "to": "top"},
    )
    assert [each["status"] for each in results] == [201, 200, 201, 204, 200]
    first, changed, second, nothing, moved = (each["body"] for each in results)
    assert nothing is None
    assert (changed["completed"], changed["version"], moved["version"]) == (True, 2, 3)
    assert listed(alice_api) == [second, first, moved]
    assert listed(alice_api, ordering="position") == [moved, second, first]
    assert events()[before:] == [
        ("task.created", first),
        ("task.updated", changed),
        ("task.created", second),
        ("task.deleted", {"id": gone["id"]}),
        ("task.updated", moved),
    ]


def test_many_of_one_kind_are_what_they_are_one_by_one(alice_api, bob_api):
    rows = [made(alice_api, str(n), deadline="2030-05-01T12:00:00Z") for n in range(5)]
    others = [made(bob_api, str(n), deadline="2030-05-01T12:00:00Z") for n in range(5)]
    body = {"completed": True, "text": "\u2028 \x7f ☂", "due_on": None, "priority": 3}
    results = bulk(alice_api, *(update(row, **body) for row in rows), create(text="new"))

    def without_chance(row: Any) -> Any:
        named = ("id", "user_id", "created_at", "updated_at", "completed_at", "position")
        return {name: value for name, value in row.items() if name not in named}

    for result, row, other in zip(results, rows, others, strict=False):
        alone = bob_api.patch(f"/tasks/{other['id']}", body).json()
        assert without_chance(result["body"]) == without_chance(alone)
        assert alice_api.get(f"/tasks/{row['id']}").json() == result["body"]
    stored = Task.objects.filter(user_id=ALICE, completed=True).values("search_text", "rank")
    alone = Task.objects.filter(user_id=BOB, completed=True).values("search_text", "rank")
    assert list(stored) == list(alone)
    assert [data for _, data in events()[5:]] == [result["body"] for result in results]


def test_many_are_deleted_at_once(alice_api, bob_api):
    rows = [made(alice_api, str(n)) for n in range(5)]
    below = made(alice_api, "below", parent_id=rows[0]["id"])
    kept, theirs = made(alice_api, "kept"), made(bob_api, "theirs")
    deletions = [{"op": "delete", "id": row["id"], "if_version": 1} for row in rows[1:]]
    parent = {"op": "delete", "id": rows[0]["id"]}
    for bad in (
        {"op": "delete", "id": theirs["id"]},
        {"op": "delete", "id": kept["id"], "if_version": 2},
        {"op": "delete", "id": below["id"]},
        deletions[0],
        {"op": "delete", "id": "x"},
    ):
        assert bulk(alice_api, parent, *deletions, bad, status=409)["index"] == 5
    before = len(events())
    results = bulk(alice_api, parent, *deletions)
    assert results == [{"status": 204, "body": None}] * 5
    gone = {row["id"] for row in [*rows, below]}
    assert {data["id"] for kind, data in events()[before:] if kind == "task.deleted"} == gone
    assert len(events()) == before + 6
    assert listed(alice_api) == [kept]
    assert {row["id"] for row in alice_api.get("/trash").json()} == gone
    alice_api.post(f"/trash/{rows[0]['id']}/restore")
    assert {row["text"] for row in listed(alice_api)} == {"0", "below", "kept"}


def test_an_operation_may_name_what_one_before_it_made(alice_api):
    key = str(uuid4())
    results = bulk(
        alice_api,
        create(id=key, text="a"),
        {"op": "update", "id": key, "if_version": 1, "body": {"text": "b"}},
        {"op": "update", "id": key, "if_version": 2, "body": {"text": "c"}},
        create(text="d"),
        {"op": "move", "id": key, "to": "top"},
    )
    assert [each["status"] for each in results] == [201, 200, 200, 201, 200]
    assert [task["text"] for task in listed(alice_api, ordering="position")] == ["c", "d"]
    assert [data.get("text") for _, data in events()] == ["a", "b", "c", "d", "c"]


def test_the_first_that_fails_undoes_all(alice_api, bob_api):
    own, theirs = made(alice_api, "own"), made(bob_api, "theirs")
    missing = str(uuid4())
    rows, told = listed(alice_api), (events(), events(BOB))
    bad: list[tuple[Any, int, str]] = [
        (update(theirs, text="x"), 403, "not_yours"),
        ({"op": "delete", "id": theirs["id"]}, 403, "not_yours"),
        ({"op": "delete", "id": missing}, 404, "not_found"),
        ({"op": "update", "id": "x", "body": {}}, 404, "not_found"),
        ({**update(own, text="x"), "if_version": 7}, 412, "changed_meanwhile"),
        ({"op": "delete", "id": own["id"], "if_version": 7}, 412, "changed_meanwhile"),
        (create(id=theirs["id"], text="x"), 409, "id_taken"),
        (update(own, text=" "), 400, "text"),
        (create(), 400, "text"),
        (create(text="x", project_id=missing), 400, "project_id"),
        ({"op": "move", "id": own["id"], "after": theirs["id"]}, 400, "after"),
        ({"op": "move", "id": own["id"]}, 400, "non_field_errors"),
        ({"op": "burn"}, 400, "op"),
        ({"op": "update", "body": {}}, 400, "id"),
        ({"op": "update", "id": own["id"]}, 400, "body"),
        ({"op": "update", "id": own["id"], "body": 7}, 400, "non_field_errors"),
        ({"op": "update", "id": 7, "body": {}}, 400, "id"),
        ({**update(own), "if_version": "1"}, 400, "if_version"),
        ("x", 400, "non_field_errors"),
        (None, 400, "non_field_errors"),
    ]
    for operation, status, said in bad:
        answer = bulk(
            alice_api,
            *(create(text="new"), update(own, text="y"), operation, {"op": "?"}),
            status=409,
        )
        told_of = (answer["code"], answer["index"], answer["status"])
        assert told_of == ("bulk_failed", 2, status), operation
        assert set(answer) == {"detail", "code", "index", "status", "body"}
        assert answer["body"].get("code", next(iter(answer["body"]))) == said
        assert (listed(alice_api), (events(), events(BOB))) == (rows, told)


@pytest.mark.parametrize("operations", [[], None, {}, "x", [create(text="x")] * 101])
def test_there_are_1_to_100(alice_api, operations):
    answer = alice_api.post("/tasks/bulk", {"operations": operations})
    assert answer.status_code == 400 and list(answer.json()) == ["operations"]
    assert alice_api.post("/tasks/bulk", {}).status_code == 400
    assert listed(alice_api) == []
    assert len(bulk(alice_api, *[create(text="x")] * 100)) == len(listed(alice_api)) == 100


def test_a_repeat_with_its_key_does_nothing_again(alice_api):
    path, body = "/tasks/bulk", {"operations": [create(text="x")]}
    first, again = (alice_api.post(path, body, HTTP_IDEMPOTENCY_KEY="k") for _ in range(2))
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert (first.status_code, len(listed(alice_api))) == (200, 1)
    assert alice_api.post("/tasks", body, HTTP_IDEMPOTENCY_KEY="k").status_code == 422
    named = {"name": "x"}
    assert alice_api.post("/labels", named, HTTP_IDEMPOTENCY_KEY="n").status_code == 201
    assert alice_api.post("/projects", named, HTTP_IDEMPOTENCY_KEY="n").status_code == 422
    failing = {"operations": [{"op": "delete", "id": str(uuid4())}]}
    assert alice_api.post(path, failing, HTTP_IDEMPOTENCY_KEY="f").status_code == 409
    assert alice_api.post(path, body, HTTP_IDEMPOTENCY_KEY="f").status_code == 200


@pytest.mark.skipif(connection.vendor != "postgresql", reason="others go the plain way")
def test_however_many_take_as_many_statements(alice_api, way):
    rows = [made(alice_api, str(n)) for n in range(20)]
    operations = [
        *(update(row, completed=True) for row in rows),
        *(create(id=str(uuid4()), text="new", label_ids=[], project_id=None) for _ in range(20)),
    ]
    few, many = (
        len(statements(lambda some=some: alice_api.post("/tasks/bulk", {"operations": some})))
        for some in ([operations[0], operations[-1]], operations[:-1])
    )
    assert few == many <= 8 if way == WAYS[0] else few < many


@pytest.mark.django_db(transaction=True)
def test_what_it_refers_to_is_locked_in_the_order_of_everybody(alice_api):
    """Tasks before projects, wherever they are named: so two never wait for each other."""
    if connection.vendor != "postgresql":
        pytest.skip("one writes at a time")
    parent = made(alice_api)
    project = alice_api.post("/projects", {"name": "Garden"}).json()
    operations = [create(text="x", project_id=project["id"], parent_id=parent["id"])]

    def run() -> Any:
        try:
            return bulk(alice_api, *operations)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Task.objects.select_for_update().get(pk=parent["id"])
            waiting = pool.submit(run)
            until_somebody_waits()
            Project.objects.select_for_update(nowait=True).get(pk=project["id"])
        assert [each["status"] for each in waiting.result(30)] == [201]
