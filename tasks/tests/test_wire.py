"""One wire form: what the database writes is what the serializer writes, in answers and events."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework import serializers

from conftest import client_with, sign
from tasks.api.serializers import NotificationSerializer, TaskSerializer
from tasks.events.protocol import encode
from tasks.models import Event, Notification, Task
from tasks.resources.wire import row_as_json
from tasks.tests.calls import made, next_url
from tasks.tests.plans import plan_of

pytestmark = pytest.mark.django_db

# Whatever a database can store: no NUL, no lone surrogates.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
MOMENTS = st.datetimes(
    min_value=datetime(1, 1, 2),  # noqa: DTZ001  hypothesis adds the zone
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@settings(
    max_examples=75,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    owner=TEXT.filter(str.strip),
    text=TEXT.filter(bool),
    description=TEXT,
    completed=st.booleans(),
    deadline=st.none() | MOMENTS,
    order=st.integers(-(2**31), 2**31 - 1),
)
def test_everybody_writes_a_task_alike(owner, text, description, completed, deadline, order):
    task = Task(user_id=owner, text=text, description=description, order=order)
    task.completed, task.deadline = completed, deadline
    task.save()
    for version in (1, 2):
        task = Task.objects.get(pk=task.pk)
        expected = dict(TaskSerializer(task).data)
        assert expected["version"] == version
        assert Event.objects.filter(user_id=owner).latest("seq").data == expected
        assert by_database(task, TaskSerializer) in (encode(expected), None)

        task.completed = not task.completed
        task.save()


def by_database(row: Any, serializer: Any) -> str | None:
    """What PostgreSQL makes of a row; `None` from other databases."""
    if connection.vendor != "postgresql":
        return None
    found = type(row).objects.filter(pk=row.pk).values_list(row_as_json(serializer), flat=True)
    return str(found.get())


@pytest.mark.parametrize("read_at", [None, datetime(2030, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC)])
@pytest.mark.parametrize("fraction", [0, 1, 10, 123_456, 500_000])
def test_everybody_writes_a_notification_alike(read_at, fraction):
    task = Task(user_id="alice", text="x")
    task.save()
    notification = Notification(
        user_id="alice",
        task=task,
        type="task_overdue",
        title='“quoted” \\ "',
        message="two\nlines\ttabbed \x01 \u2028",
        deadline=datetime(2030, 1, 1, tzinfo=UTC),
        read_at=read_at,
    )
    notification.save()
    moment = datetime(2030, 1, 1, microsecond=fraction, tzinfo=UTC)
    Notification.objects.filter(pk=notification.pk).delete()
    notification.created_at = moment
    notification.save_base(force_insert=True)
    notification.refresh_from_db()

    shown = encode(dict(NotificationSerializer(notification).data))
    assert by_database(notification, NotificationSerializer) in (shown, None)


def test_a_field_that_only_python_can_show_is_not_passed_over():
    class Shouting(TaskSerializer):
        text = serializers.SerializerMethodField()

        def get_text(self, task: Task) -> str:
            return task.text.upper()

    class Trimmed(serializers.CharField):
        def to_representation(self, value: Any) -> str:
            return super().to_representation(value).strip()

    class Trimming(TaskSerializer):
        description = Trimmed()

    assert row_as_json(TaskSerializer) is not None
    assert row_as_json(Shouting) is row_as_json(Trimming) is None


def test_validation_keeps_nothing_of_one_request_for_the_next(alice_api):
    assert made(alice_api, "x", order=7)["order"] == 7
    assert made(alice_api, "y")["order"] == 0


# What the hot requests ask the database


def statements(call) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        assert 200 <= call().status_code < 300
    return [query["sql"] for query in captured.captured_queries]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="others go the plain way")
def test_hot_requests_are_one_statement_each(alice_api):
    task = made(alice_api)
    assert len(statements(lambda: alice_api.get("/me"))) == 0
    assert len(statements(lambda: alice_api.get("/tasks?limit=50"))) == 1
    assert len(statements(lambda: alice_api.get(f"/tasks/{task['id']}"))) == 1
    assert len(statements(lambda: alice_api.post("/tasks", {"text": "x"}))) == 1


@pytest.mark.skipif(connection.vendor != "postgresql", reason="others go the plain way")
@pytest.mark.parametrize("deadline", [None, "2030-01-01T00:00:00Z"])
@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("completed", [False, True])
def test_a_change_reads_and_swaps(alice_api, deadline, conditional, completed):
    task = made(alice_api, deadline=deadline, completed=completed)
    path = f"/tasks/{task['id']}"
    headers = {"HTTP_IF_MATCH": alice_api.get(path)["ETag"]} if conditional else {}
    changes = {"completed": not completed, "text": "x"}
    found = statements(lambda: alice_api.patch(path, changes, **headers))
    assert [sql.split()[0] for sql in found] == ["SELECT", "WITH"]


ORDERINGS = {
    "-created_at": "task_newest",
    "created_at": "task_newest",
    "updated_at": "task_updated",
    "-updated_at": "task_updated",
    "order": "task_order",
    "-order": "task_order",
    "deadline": "task_due",
    "-deadline": "task_due",
}


FEW_ROWS = ("seqscan", "bitmapscan", "sort")  # what a few rows would be read by


@pytest.mark.skipif(connection.vendor != "postgresql", reason="plans of PostgreSQL")
@pytest.mark.parametrize(("ordering", "index"), ORDERINGS.items())
def test_every_page_is_read_from_its_index(ordering, index):
    api = client_with(sign("reader"))
    for number in range(4):
        made(api, deadline=f"2030-01-0{number + 1}T00:00:00Z", order=number)
    url = f"/tasks?ordering={ordering}&limit=2"
    following = next_url(api.get(url))
    assert following is not None
    for page in (url, following):
        (sql, *_) = statements(lambda page=page: api.get(page))
        plan = plan_of(sql, without=FEW_ROWS)
        assert plan.count(f"using {index} on tasks_task") == 1, plan  # and not for each column
        assert "Sort" not in plan and "Seq Scan on tasks_task" not in plan, plan
        of_tasks = plan[plan.index(f"using {index}") :]
        condition = of_tasks[of_tasks.index("Index Cond") :].splitlines()[0]
        assert "user_id" in condition, plan
        if page == following:
            assert "ROW(" in condition, plan  # it jumps to its place


@pytest.mark.skipif(connection.vendor != "postgresql", reason="plans of PostgreSQL")
def test_one_task_is_read_by_its_key():
    api = client_with(sign("reader"))
    task = made(api)
    (sql,) = statements(lambda: api.get(f"/tasks/{task['id']}"))
    plan = plan_of(sql, without=FEW_ROWS)
    # With few rows several indexes will do.
    assert " using " in plan and "Seq Scan" not in plan and "(id = " in plan, plan


def fill(people: int, each: int) -> None:
    """Many people with so many tasks each, as far as the planner is concerned."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO tasks_task (id, user_id, text, description, completed, "
            '"order", created_at, updated_at, search_text)'
            " SELECT gen_random_uuid(), 'person ' || person || ' of ' || %s, 'x', '', false,"
            " 0, at, at, 'x'"
            " FROM generate_series(1, %s) AS person, generate_series(1, %s) AS number,"
            " LATERAL (SELECT now() - number * interval '1 minute' AS at) AS moment",
            [people, people, each],
        )
        cursor.execute("ANALYZE tasks_task")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="plans of PostgreSQL")
@pytest.mark.parametrize("crowd", [[(60, 150)], [(400, 5), (1, 5000)]], ids=["alike", "one busy"])
def test_a_page_is_read_from_its_index_by_choice_of_the_planner(crowd):
    # Row-level security takes part, as the suite's role is bound by it.
    for people, each in crowd:
        fill(people, each)
    api = client_with(sign(f"person 1 of {people}"))
    url = "/tasks?limit=50"
    following = next_url(api.get(url))
    for page in (url, following):
        (sql,) = statements(lambda page=page: api.get(page))
        plan = plan_of(sql)
        assert "using task_newest on tasks_task" in plan, plan
        assert "WHEN user_id" in plan and "Sort" not in plan, plan
