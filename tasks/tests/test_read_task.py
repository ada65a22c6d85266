"""`GET /tasks/{id}`: one task."""

from uuid import UUID

import pytest
from django.db import connection

from tasks.tests.calls import made

pytestmark = pytest.mark.django_db


def test_it_works(alice_api):
    task = made(alice_api, description="two litres", order=3, deadline="2030-05-01T12:00:00Z")

    response = alice_api.get(f"/tasks/{task['id']}")

    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert response.json() == task


def test_reading_changes_nothing(alice_api):
    task = made(alice_api)
    path = f"/tasks/{task['id']}"

    assert alice_api.get(path).json() == alice_api.get(path).json() == task


def test_an_id_may_be_written_in_capitals(alice_api):
    """RFC 9562 section 4: the hexadecimal digits of a UUID are case-insensitive on input."""
    task = made(alice_api)

    assert alice_api.get(f"/tasks/{task['id'].upper()}").json() == task


def test_it_takes_one_query(alice_api, django_assert_num_queries):
    task = made(alice_api)

    with django_assert_num_queries(1 if connection.vendor == "postgresql" else 2):  # its labels
        alice_api.get(f"/tasks/{task['id']}")


def test_an_unknown_id_is_404(alice_api):
    task = made(alice_api)
    neighbour = UUID(int=UUID(task["id"]).int ^ 1)

    response = alice_api.get(f"/tasks/{neighbour}")

    assert response.status_code == 404
    assert response.json() == {"detail": "Task not found", "code": "not_found"}


@pytest.mark.parametrize(
    "task_id",
    [
        *("1", "0", "-1", "abc", "None", "null", "undefined", "%00", "%ff", "%20", "'", "%25"),
        *("1.5", "task.json", ".hidden", "☕", "x" * 5000, "%0d%0aX:1", "9" * 5000),
        "00000000-0000-0000-0000-00000000000g",
        "00000000-0000-7000-8000-000000000000-",
    ],
)
def test_an_id_that_is_no_uuid_is_404(alice_api, task_id):
    response = alice_api.get(f"/tasks/{task_id}")

    assert response.status_code == 404
    assert response.json() == {"detail": "Task not found", "code": "not_found"}


def test_another_persons_task_is_refused(alice_api, bob_api):
    task = made(alice_api)

    response = bob_api.get(f"/tasks/{task['id']}")

    assert response.status_code == 403
    assert response.json() == {"detail": "Access denied", "code": "not_yours"}
