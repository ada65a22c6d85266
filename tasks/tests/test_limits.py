"""What a column holds is the same on either database, whoever writes (docs/api.md section 3)."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import DatabaseError, DataError, connection, transaction
from django.db.models import F
from django.test import Client

from conftest import ALICE
from tasks.due import send_due
from tasks.models import Event, Task
from tasks.rules.moments import now
from tasks.tests.browser import saved
from tasks.tests.calls import next_url

pytestmark = pytest.mark.django_db

BEFORE_THE_CALENDAR = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=2)))
AFTER_IT = datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(-timedelta(hours=2)))
BAD = [
    *(("order", 2**31), ("order", -(2**31) - 1), ("order", 10**30), ("order", str(2**31))),
    *(("text", "x" * 501), ("text", "a\0b"), ("text", "\ud800")),
    *(("description", "x" * 2001), ("description", "\0"), ("description", "x\udfff")),
    *(("deadline", BEFORE_THE_CALENDAR), ("deadline", AFTER_IT)),
    *(("user_id", "x" * 256), ("user_id", "\0")),
]
GOOD = [
    *(("order", 2**31 - 1), ("order", -(2**31)), ("text", "x" * 500), ("description", "x" * 2000)),
    *(
        ("deadline", datetime.min.replace(tzinfo=UTC)),
        ("deadline", datetime.max.replace(tzinfo=UTC)),
    ),
    *(("text", "\U0010ffff"), ("text", "\x01"), ("order", F("order") + 1)),
]


def saves(name: str, value: Any) -> None:
    task = Task.objects.get()
    setattr(task, name, value)
    task.save()


def saves_a_part(name: str, value: Any) -> None:
    task = Task.objects.get()
    setattr(task, name, value)
    task.save(update_fields=[name])


def creates(name: str, value: Any) -> None:
    Task.objects.create(**{"user_id": ALICE, "text": "new", name: value})


def creates_many(name: str, value: Any) -> None:
    Task.objects.bulk_create([Task(**{"user_id": ALICE, "text": "new", name: value})])


def updates(name: str, value: Any) -> None:
    Task.objects.all().update(**{name: value})


def updates_many(name: str, value: Any) -> None:
    task = Task.objects.get()
    setattr(task, name, value)
    Task.objects.bulk_update([task], [name])


def gets_or_updates(name: str, value: Any) -> None:
    Task.objects.update_or_create(text="one", defaults={name: value})


WRITERS = [
    *(saves, saves_a_part, creates, creates_many, updates, updates_many, gets_or_updates),
]


@pytest.fixture
def task() -> Task:
    return Task.objects.create(user_id=ALICE, text="one")


def everything() -> list[Any]:
    return [list(Task.objects.values()), Event.objects.count()]


@pytest.mark.parametrize(("name", "value"), BAD, ids=str)
@pytest.mark.parametrize("write", WRITERS)
def test_whoever_writes_what_no_column_holds_is_told_which_field_it_is(
    task: Task, write: Callable[[str, Any], None], name: str, value: Any
) -> None:
    before = everything()
    with pytest.raises(ValidationError) as raised, transaction.atomic():
        write(name, value)
    assert list(raised.value.message_dict) == [name]
    assert everything() == before


@pytest.mark.parametrize(("name", "value"), GOOD, ids=str)
@pytest.mark.parametrize("write", [saves, saves_a_part])
def test_the_ends_of_the_ranges_are_within_them(
    task: Task, write: Callable[[str, Any], None], name: str, value: Any
) -> None:
    write(name, value)
    stored = getattr(Task.objects.get(), name)
    assert stored == (1 if name == "order" and hasattr(value, "as_sql") else value)


def test_expressions_are_held_to_it_as_well(task: Task) -> None:
    Task.objects.filter(pk=task.pk).update(order=2**31 - 1)
    before = everything()
    # PostgreSQL refuses by itself what the other would keep.
    with pytest.raises((ValidationError, DataError)), transaction.atomic():
        saves("order", F("order") + 1)
    assert everything() == before


@pytest.mark.parametrize(("name", "value"), [*BAD[:2], *BAD[4:6]], ids=str)
def test_a_fixture_that_breaks_it_is_not_loaded(
    task: Task, tmp_path: Path, name: str, value: Any
) -> None:
    file = tmp_path / "tasks.json"
    call_command("dumpdata", "tasks.task", output=str(file))
    (row,) = json.loads(file.read_text())
    row["fields"][name] = value
    file.write_text(json.dumps([row]))
    with pytest.raises(ValidationError, match=name), transaction.atomic():
        call_command("loaddata", str(file), verbosity=0)
    assert Task.objects.values().get() == {
        field.attname: getattr(task, field.attname) for field in Task._meta.concrete_fields
    }


# What was stored all the same: by an older version, or past the models

LAST = "9999-12-31 23:59:59.999999"
ODD = [
    *({"order": 2**31}, {"order": -(2**63)}, {"order": 2**63 - 1}, {"version": 2**31}),
    *({"text": "a\0b"}, {"text": "\0"}, {"text": "x" * 100_000}, {"text": "\u200b"}),
    *({"description": "x" * 3000 + "\0"}, {"search_text": "\0"}),
    *({"deadline": "0001-01-01 00:00:00"}, {"deadline": LAST}, {"created_at": LAST}),
    {"deadline": "0999-12-31 00:00:00"},
]


SQLITE = connection.vendor == "sqlite"


def stored(where: str, **values: Any) -> bool:
    """Write these values into rows by SQL; false where the database refuses them."""
    assignments = ", ".join(f'"{name}" = %s' for name in values)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE tasks_task SET {assignments} WHERE {where}", [*values.values()])  # noqa: S608
    except (DatabaseError, ValueError):
        return False
    return True


def stored_past_the_models(rows: int = 3, **values: Any) -> list[Task]:
    """Rows with these values, all of one time; none where the database refuses them."""
    tasks = [Task.objects.create(user_id=ALICE, text=f"row {number}") for number in range(rows)]
    return tasks if stored("true", **values) else []


@pytest.mark.parametrize("values", ODD, ids=str)
def test_whatever_is_stored_is_shown(alice_api: Any, values: dict[str, Any]) -> None:
    tasks = stored_past_the_models(**values)
    ids = {str(task.pk) for task in tasks}
    staff = Client()
    staff.force_login(User.objects.create_superuser("staff"))
    for ordering in ("created_at", "deadline", "order", "updated_at"):
        for sign in ("", "-"):
            seen: list[str] = []
            url: str | None = f"/tasks?limit=1&ordering={sign}{ordering}"
            while url and len(seen) <= len(ids):
                page = alice_api.get(url)
                assert page.status_code == 200
                seen += [task["id"] for task in page.json()]
                url = next_url(page)
            assert set(seen) == ids or not ids
    assert staff.get("/admin/tasks/task/").status_code == 200
    for number, task in enumerate(tasks):
        path, page_of = f"/tasks/{task.pk}", f"/admin/tasks/task/{task.pk}"
        assert alice_api.get(path).status_code == 200
        for tail in ("change", "delete", "history"):
            assert staff.get(f"{page_of}/{tail}/").status_code == 200
        assert saved(staff, f"{page_of}/change/").status_code == 302
        assert saved(staff, f"{page_of}/change/", completed="on").status_code == 302
        assert alice_api.patch(path, {"completed": False}).status_code == 200
        if number:
            assert alice_api.delete(path).status_code == 204
    assert alice_api.get("/events").status_code == 200
    assert sum(send_due(now())) >= 0


JUNK = [
    *(
        "abc",
        "",
        2**63 - 1,
        -1,
        1.5,
        1e308,
        float("inf"),
        b"\xff\x00",
        "a\0b",
        "NaN",
        "{",
        "\u0663",
    ),
    *("2030-02-30 00:00:00", "0000-01-01 00:00:00", "10000-01-01 00:00:00", "2030-01-01", LAST),
    *("infinity", "-infinity", "0001-01-01 00:00:00+05:00", "4713-01-01 00:00:00 BC", 2**31 - 1),
]


# Cursors are made of the column that a list is sorted by; of the others one order tells all.
ORDERED_BY = {"deadline": "-deadline", "order": "order", "updated_at": "-updated_at"}


@pytest.mark.parametrize("column", [field.column for field in Task._meta.concrete_fields])
def test_no_stored_value_makes_an_error_of_the_server(alice_api: Any, column: str) -> None:
    """By SQL, which on SQLite puts anything into any column: each value in a row of its own."""
    staff = Client(raise_request_exception=False)
    staff.force_login(User.objects.create_superuser("staff"))
    tasks = [
        (junk, task)
        for junk in JUNK
        for task in [Task.objects.create(user_id=ALICE, text="row")]
        if stored(f"id = '{task.pk.hex}'" if SQLITE else f"id = '{task.pk}'", **{column: junk})
    ]
    for junk, answer in answers(alice_api, staff, tasks, ORDERED_BY.get(column, "created_at")):
        assert answer.status_code in (200, 204, 302, 403, 404), (junk, answer)
    list(send_due(now()))


def answers(
    api: Any, staff: Client, tasks: list[tuple[Any, Task]], by: str
) -> Iterator[tuple[Any, Any]]:
    url: str | None = f"/tasks?limit=1&ordering={by}"
    for _ in tasks:
        if url:
            yield url, (page := api.get(url))
            url = next_url(page)
    for path in ("/tasks?search=row&deadline_before=2040-01-01T00:00:00Z", "/events"):
        yield path, api.get(path)
    yield "list", staff.get("/admin/tasks/task/")
    for junk, task in tasks:
        path, page_of = f"/tasks/{task.pk}", f"/admin/tasks/task/{task.pk}"
        yield junk, api.get(path)
        for tail in ("change", "delete"):
            yield junk, staff.get(f"{page_of}/{tail}/")
        yield junk, api.patch(path, {"description": "new", "completed": True})
        yield junk, api.delete(path)


def test_what_was_kept_of_old_is_mended_by_its_owner(alice_api: Any) -> None:
    for task in stored_past_the_models(1, order=2**31, description="x" * 3000):
        path = f"/tasks/{task.pk}"
        assert alice_api.patch(path, {"completed": True}).json()["order"] == 2**31
        assert alice_api.patch(path, {"order": 2**31}).status_code == 400
        assert alice_api.patch(path, {"order": 3}).json()["order"] == 3
