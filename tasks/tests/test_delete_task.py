"""`DELETE /tasks/{id}`: gone, and nothing else with it."""

import pytest

from tasks.models import Task
from tasks.tests.calls import listed, made

pytestmark = pytest.mark.django_db


def test_it_works(alice_api):
    task = made(alice_api)

    response = alice_api.delete(f"/tasks/{task['id']}")

    assert response.status_code == 204
    assert response.content == b""
    assert not Task.objects.exists()


def test_a_deleted_task_is_not_found_whatever_is_asked_of_it(alice_api):
    path = f"/tasks/{made(alice_api)['id']}"
    alice_api.delete(path)

    for response in (
        alice_api.delete(path),
        alice_api.get(path),
        alice_api.put(path, {"text": "back again"}),
        alice_api.patch(path, {"text": "back again"}),
    ):
        assert response.status_code == 404
        assert response.json() == {"detail": "Task not found", "code": "not_found"}
    assert listed(alice_api) == []


def test_the_others_stay(alice_api, bob_api):
    kept, task, theirs = made(alice_api, "kept"), made(alice_api), made(bob_api, "bob's")

    alice_api.delete(f"/tasks/{task['id']}")

    assert listed(alice_api) == [kept]
    assert listed(bob_api) == [theirs]


def test_a_body_is_of_no_interest(alice_api):
    path = f"/tasks/{made(alice_api)['id']}"

    response = alice_api.generic("DELETE", path, "[" * 100_000, content_type="text/plain")

    assert response.status_code == 204


def test_another_persons_task_is_refused_and_stays(alice_api, bob_api):
    task = made(alice_api)

    response = bob_api.delete(f"/tasks/{task['id']}")

    assert response.status_code == 403
    assert response.json() == {"detail": "Access denied", "code": "not_yours"}
    assert listed(alice_api) == [task]
