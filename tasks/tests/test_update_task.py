"""`PUT /tasks/{id}` replaces a task, `PATCH` changes what is sent."""

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
from django.db import connection

from conftest import ALICE, BOB, client_with, sign
from tasks.models import Task
from tasks.resources.fields import RecordedSerializer
from tasks.tests.calls import listed, made

pytestmark = pytest.mark.django_db

FULL: dict[str, Any] = {
    "text": "Buy milk",
    "description": "two litres",
    "completed": True,
    "deadline": "2030-05-01T12:00:00Z",
    "order": 5,
}
READ_ONLY = {
    "id": "00000000-0000-7000-8000-000000000000",
    "user_id": BOB,
    "completed_at": "2001-01-01T00:00:00Z",
    "created_at": "2001-01-01T00:00:00Z",
    "updated_at": "2001-01-01T00:00:00Z",
    "version": 77,
    "search_text": "planted",
}


MISTAKES: dict[str, list[Any]] = {
    "text": ["", "  ", "x" * 501, "\x00", None, [], {}],
    "description": ["x" * 2001, "\x00", None, []],
    "completed": ["maybe", "", None, [], {}],
    "order": [2**31, -(2**31) - 1, 1.5, 10**400, True, None, ""],
    "deadline": ["2030-05-01", "tomorrow", "", 0, True, [], {}],
}


@pytest.fixture
def task(alice_api):
    return made(alice_api, **FULL)


@pytest.fixture
def path(task):
    return f"/tasks/{task['id']}"


def test_patch_works(alice_api, task, path):
    response = alice_api.patch(path, {"text": "Buy bread"})

    assert response.status_code == 200
    assert response.json() == {
        **task,
        "text": "Buy bread",
        "version": 2,
        "updated_at": response.json()["updated_at"],
    }
    assert alice_api.get(path).json() == response.json()


def test_put_works(alice_api, task, path):
    new = {
        "text": "Buy bread",
        "description": "white",
        "completed": False,
        "deadline": "2031-01-01T00:00:00Z",
        "order": -1,
    }
    response = alice_api.put(path, new)

    assert response.status_code == 200
    assert response.json() == {
        **task,
        **new,
        "completed_at": None,
        "version": 2,
        "updated_at": response.json()["updated_at"],
    }
    assert alice_api.get(path).json() == response.json()


def test_put_gives_what_is_left_out_its_default(alice_api, task, path):
    replaced = alice_api.put(path, {"text": "Buy milk"}).json()

    assert replaced == {
        **task,
        "description": "",
        "completed": False,
        "completed_at": None,
        "deadline": None,
        "order": 0,
        "version": 2,
        "updated_at": replaced["updated_at"],
    }


@pytest.mark.parametrize("body", [{}, {"description": "of nothing"}])
def test_put_needs_a_text(alice_api, task, path, body):
    response = alice_api.put(path, body)

    assert response.status_code == 400
    assert response.json() == {"text": ["This field is required."]}
    assert alice_api.get(path).json() == task


def test_what_was_read_can_be_put_back(alice_api, task, path):
    put = alice_api.put(path, task).json()

    assert put == {**task, "version": 2, "updated_at": put["updated_at"]}


@pytest.mark.parametrize("body", [{}, {"unknown": 1}, READ_ONLY])
def test_a_patch_of_nothing_changes_nothing(alice_api, task, path, body):
    response = alice_api.patch(path, body)

    assert response.status_code == 200
    assert response.json() == {**task, "version": 2, "updated_at": response.json()["updated_at"]}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", "🦊" * 500),
        ("description", ""),
        ("completed", False),
        ("deadline", None),
        ("deadline", "9999-12-31T23:59:59.999999Z"),
        ("order", -(2**31)),
    ],
)
def test_a_patch_changes_only_what_is_sent(alice_api, task, path, field, value):
    changed = alice_api.patch(path, {field: value}).json()

    follows = {"version", "updated_at"} | ({"completed_at"} if field == "completed" else set())
    assert changed[field] == value
    assert {name for name in task if changed[name] != task[name]} == {field} | follows


@pytest.mark.parametrize("method", ["put", "patch"])
def test_updated_at_moves_and_created_at_does_not(alice_api, task, path, method):
    once = getattr(alice_api, method)(path, FULL).json()
    twice = getattr(alice_api, method)(path, FULL).json()

    assert task["updated_at"] < once["updated_at"] < twice["updated_at"]
    assert task["created_at"] == once["created_at"] == twice["created_at"]


@pytest.mark.parametrize("method", ["put", "patch"])
def test_a_task_cannot_be_moved_to_somebody_else(alice_api, bob_api, task, path, method):
    response = getattr(alice_api, method)(path, {**FULL, **READ_ONLY})

    assert response.status_code == 200
    assert response.json() == {**task, "version": 2, "updated_at": response.json()["updated_at"]}
    assert listed(alice_api) == [response.json()]
    assert listed(bob_api) == []


# Completion


@pytest.mark.parametrize("method", ["put", "patch"])
def test_the_server_says_when_a_task_was_completed(alice_api, method):
    task = made(alice_api)
    change = getattr(alice_api, method)
    path = f"/tasks/{task['id']}"

    done = change(path, {"text": "x", "completed": True}).json()
    assert done["completed"] is True
    assert done["completed_at"] == done["updated_at"] > task["created_at"]

    undone = change(path, {"text": "x", "completed": False}).json()
    assert undone["completed"] is False
    assert undone["completed_at"] is None

    again = change(path, {"text": "x", "completed": True}).json()
    assert again["completed_at"] > done["completed_at"]


@pytest.mark.parametrize("method", ["put", "patch"])
@pytest.mark.parametrize("fields", [{"completed": True}, {"completed": True, "order": 9}])
def test_completing_again_does_not_move_the_moment(alice_api, task, path, method, fields):
    changed = getattr(alice_api, method)(path, {"text": "Buy bread", **fields}).json()

    assert changed["text"] == "Buy bread"
    assert changed["completed_at"] == task["completed_at"] is not None


def test_another_change_leaves_completion_alone(alice_api, task, path):
    assert alice_api.patch(path, {"order": 1}).json()["completed_at"] == task["completed_at"]


# Refusals


@pytest.mark.parametrize("method", ["put", "patch"])
@pytest.mark.parametrize(
    ("field", "value"),
    [(field, value) for field, values in MISTAKES.items() for value in values],
)
def test_one_mistake_and_nothing_changes(alice_api, task, path, method, field, value):
    response = getattr(alice_api, method)(path, {"text": "Buy bread", "order": 1, field: value})

    assert response.status_code == 400
    assert response.json().keys() == {field}
    assert alice_api.get(path).json() == task


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize(
    "body", ["[]", "null", '"text"', "{", "", "[" * 100_000, '{"order": NaN}', b"\xff"]
)
def test_a_body_that_is_no_object_changes_nothing(alice_api, task, path, method, body):
    response = alice_api.generic(method, path, body, content_type="application/json")

    if (method, body) == ("PATCH", ""):  # nothing sent is nothing to change
        task |= {"version": 2, "updated_at": response.json()["updated_at"]}
    else:
        assert response.status_code == 400
        assert isinstance(response.json(), dict)
    assert alice_api.get(path).json() == task


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_media_type_and_size_are_checked_as_for_creation(alice_api, task, path, method):
    form = "application/x-www-form-urlencoded"
    large = '{"text": "Buy bread", "unknown": "' + "x" * 1024 * 1024 + '"}'

    assert alice_api.generic(method, path, "text=x", content_type=form).status_code == 415
    assert (
        alice_api.generic(method, path, large, content_type="application/json").status_code == 413
    )
    assert alice_api.get(path).json() == task


@pytest.mark.parametrize("method", ["put", "patch"])
@pytest.mark.parametrize("body", [{"text": "stolen"}, {"text": ""}, {}, []])
def test_another_persons_task_is_refused_before_the_body_is_looked_at(
    alice_api, bob_api, task, path, method, body
):
    response = getattr(bob_api, method)(path, body)

    assert response.status_code == 403
    assert response.json() == {"detail": "Access denied", "code": "not_yours"}
    assert alice_api.get(path).json() == task


# Two at a time


@pytest.fixture
def shared_by_threads(transactional_db, tmp_path, monkeypatch):
    """A database that connections of several threads can wait for.

    In memory SQLite's connections fail where they should wait for each other; in a file, as a
    deployment has it, they wait. Other databases are what they are.
    """
    if connection.vendor != "sqlite":
        return
    file = tmp_path / "shared.sqlite3"
    connection.ensure_connection()
    with sqlite3.connect(file) as copy:
        connection.connection.backup(copy)
    copy.close()
    monkeypatch.setitem(connection.settings_dict, "NAME", str(file))  # for new connections


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Make all the calls at the same time, each on a thread with a connection of its own."""

    def alone(call: Callable[[], Any]) -> Any:
        try:
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=len(calls)) as threads:
        return list(threads.map(alone, calls))


@pytest.mark.django_db(transaction=True)
def test_two_changes_at_once_both_survive(shared_by_threads, monkeypatch):
    """The second starts anew from what the first has left, instead of from what it read before."""
    both_have_read = Barrier(2)

    validate = RecordedSerializer.run_validation

    def wait_for_the_other(self, *arguments):
        with suppress(BrokenBarrierError):
            both_have_read.wait(timeout=1)
        both_have_read.abort()  # whoever comes a second time need not wait
        return validate(self, *arguments)

    (task,) = at_once(lambda: made(client_with(sign(ALICE))))
    path = f"/tasks/{task['id']}"
    monkeypatch.setattr(RecordedSerializer, "run_validation", wait_for_the_other)

    responses = at_once(
        lambda: client_with(sign(ALICE)).patch(path, {"text": "Buy bread"}),
        lambda: client_with(sign(ALICE)).patch(path, {"completed": True, "order": 7}),
    )

    assert [response.status_code for response in responses] == [200, 200]
    (now,) = at_once(lambda: client_with(sign(ALICE)).get(path).json())
    assert (now["text"], now["completed"], now["order"]) == ("Buy bread", True, 7)


@pytest.mark.django_db(transaction=True)
def test_a_task_changed_and_deleted_at_once_stays_deleted(shared_by_threads):
    (task,) = at_once(lambda: made(client_with(sign(ALICE))))
    path = f"/tasks/{task['id']}"

    deleted, changed = at_once(
        lambda: client_with(sign(ALICE)).delete(path),
        lambda: client_with(sign(ALICE)).patch(path, {"text": "Buy bread"}),
    )

    assert deleted.status_code == 204
    assert changed.status_code in (200, 404)
    assert at_once(Task.objects.exists) == [False]


@pytest.mark.django_db(transaction=True)
def test_many_tasks_created_at_once_are_all_there(shared_by_threads):
    calls = [
        lambda number=number: made(client_with(sign(ALICE)), str(number)) for number in range(8)
    ]
    tasks = at_once(*calls)

    assert len({task["id"] for task in tasks}) == 8
    (found,) = at_once(lambda: listed(client_with(sign(ALICE))))
    assert sorted(found, key=lambda task: task["text"]) == tasks
