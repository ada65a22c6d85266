"""What the database itself holds tasks to, ids, and what search compares."""

import time
from datetime import UTC, datetime
from typing import Any
from uuid import RFC_4122, UUID

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import F, QuerySet

from accounts.owned.acting import acting_as
from accounts.users import CurrentUser
from conftest import ALICE
from tasks.models import Event, Task
from tasks.rules.ids import uuid7
from tasks.rules.search import fold

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)


def saved(**fields: Any) -> Task:
    task = Task(**{"user_id": ALICE, "text": "Buy milk", **fields})
    task.save()
    return task


# Columns that follow from others


@pytest.mark.django_db
def test_saving_keeps_the_columns_that_follow_up_to_date():
    task = saved(text="Café", description="SCHWARZ")
    assert task.created_at == task.updated_at
    assert Task.objects.search("café").get() == task

    created = task.created_at
    task.completed = True
    task.description = "weiß"
    task.save(update_fields=["completed", "description"])

    task.refresh_from_db()
    assert task.created_at == created
    assert task.completed_at == task.updated_at > created
    assert Task.objects.search("WEISS").get() == task
    assert not Task.objects.search("schwarz").exists()


@pytest.mark.django_db
def test_completed_at_follows_completed_whoever_writes():
    task = saved(completed=False, completed_at=NOON)
    assert task.completed_at is None

    task.completed = True
    task.completed_at = NOON
    task.save()
    assert task.completed_at == NOON


def test_a_task_reads_as_its_text():
    assert str(Task(text="Buy milk")) == "Buy milk"


# Constraints, for writers that know nothing of the model


@pytest.mark.django_db
@pytest.mark.parametrize(
    "values",
    [
        {"text": ""},
        {"completed": True, "completed_at": None},
        {"completed": False, "completed_at": NOON},
        {"user_id": None},
        {"text": None},
        {"order": None},
    ],
)
def test_the_database_refuses_what_no_task_may_be(values):
    saved()

    with pytest.raises(IntegrityError), transaction.atomic():
        QuerySet.update(Task.objects.all(), **values)


@pytest.mark.django_db
def test_the_database_refuses_an_empty_text_in_sql():
    saved()

    with (
        pytest.raises(IntegrityError, match="task_text_not_empty"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("UPDATE tasks_task SET text = ''")


@pytest.mark.django_db
def test_the_database_refuses_a_completion_without_its_moment_in_sql():
    saved()

    with (
        pytest.raises(IntegrityError, match="task_completed_at_fits_completed"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("UPDATE tasks_task SET completed = %s", [True])


@pytest.mark.django_db
def test_the_database_refuses_the_same_id_twice():
    task = saved()

    with pytest.raises(IntegrityError), transaction.atomic():
        saved(id=task.id)


@pytest.mark.django_db
def test_texts_that_are_too_long_for_their_column_do_not_get_in():
    with pytest.raises(ValidationError, match="text"), transaction.atomic():
        saved(text="x" * 501)


# Bulk writes


def recorded() -> list[tuple[str, Any]]:
    events = Event.objects.order_by("user_id", "seq")
    return [(event.type, event.data.get("text")) for event in events]


@pytest.mark.django_db
def test_changing_many_records_each_of_them():
    saved(), saved(text="Buy bread"), saved(text="kept")
    before = len(recorded())

    assert Task.objects.exclude(text="kept").update(text="x", completed=True) == 2

    assert recorded()[before:] == [("task.updated", "x")] * 2
    assert Task.objects.search("x").filter(completed_at__isnull=False, version=2).count() == 2
    assert Task.objects.get(text="kept").version == 1


@pytest.mark.django_db
def test_saving_many_records_each_of_them():
    tasks = [saved(), saved(text="Buy bread")]
    for number, task in enumerate(tasks):
        task.text, task.order = str(number), number
    before = len(recorded())

    assert Task.objects.bulk_update(tasks, ["text"]) == 2

    assert sorted(recorded()[before:]) == [("task.updated", "0"), ("task.updated", "1")]
    assert set(Task.objects.values_list("order", "version")) == {(0, 2)}


@pytest.mark.django_db
def test_inserting_many_records_each_of_them():
    Task.objects.bulk_create([Task(user_id=ALICE, text=text) for text in "ab"])

    assert recorded() == [("task.created", "a"), ("task.created", "b")]
    assert Task.objects.search("B").get().created_at is not None


@pytest.mark.django_db
@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda: Task.objects.update(order=F("order") + 1), id="expression"),
        pytest.param(
            lambda: Task.objects.bulk_create(
                [Task(user_id=ALICE, text="x")], ignore_conflicts=True
            ),
            id="conflicts",
        ),
    ],
)
def test_bulk_writes_of_which_nobody_could_tell_are_refused(write):
    saved()

    with pytest.raises(NotImplementedError, match="one by one"):
        write()
    assert Task.objects.get().text == "Buy milk"


@pytest.mark.django_db
def test_nothing_is_saved_without_an_owner():
    with pytest.raises(ValueError, match="no owner"):
        Task(text="x").save()
    with pytest.raises(ValueError, match="no owner"):
        Task.objects.bulk_create([Task(text="x")])
    with acting_as(CurrentUser(ALICE)):
        Task.objects.create(text="x")
    assert Task.objects.get().user_id == ALICE


# Ids


def test_an_id_is_a_uuid_of_version_7():
    for _ in range(1000):
        made = uuid7()
        assert made.version == 7
        assert made.variant == RFC_4122


def test_an_id_begins_with_the_time_it_was_made():
    before = time.time_ns() // 1_000_000
    made = uuid7()
    after = time.time_ns() // 1_000_000

    assert before <= made.int >> 80 <= after


def test_ids_sort_by_the_time_they_were_made(monkeypatch):
    moments = [0, 1, 1_700_000_000_000, 1_700_000_000_001, 4_102_444_800_000, 2**48 - 1]
    ids = []
    for moment in moments:
        monkeypatch.setattr(time, "time_ns", lambda moment=moment: moment * 1_000_000)
        ids.append(uuid7())

    assert ids == sorted(ids)
    assert [str(made) for made in ids] == sorted(map(str, ids))
    assert [made.int >> 80 for made in ids] == moments


def test_all_other_bits_are_random(monkeypatch):
    """74 of them, also within a millisecond: the neighbours of a known id cannot be guessed."""
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_000_000_000)
    ids = [uuid7() for _ in range(200)]

    fixed = 0b1111 << 76 | 0b11 << 62  # version and variant
    ever_set = ever_unset = 0
    for made in ids:
        ever_set |= made.int
        ever_unset |= ~made.int
    varying = ever_set & ever_unset & (1 << 80) - 1
    assert varying == (1 << 80) - 1 & ~fixed
    assert varying.bit_count() == 74
    assert len(set(ids)) == len(ids)
    assert ids != sorted(ids)  # no counter


@pytest.mark.django_db
def test_a_task_has_its_id_before_it_is_saved():
    task = Task(user_id=ALICE, text="x")
    given = task.id
    assert isinstance(given, UUID)

    task.save()
    assert Task.objects.get().id == given


# Folding


@pytest.mark.parametrize(
    "spellings",
    [
        ("café", "CAFÉ", "Café", "cafe\u0301", "CAFE\u0301"),
        ("straße", "STRASSE", "STRAßE", "STRAẞE"),
        ("σίσυφος", "ΣΊΣΥΦΟΣ"),
        ("ёжик", "ЁЖИК", "\u0435\u0308жик"),
        ("ﬁn", "FIN", "fin"),
        ("k", "K", "\u212a"),  # the Kelvin sign
        ("å", "Å", "\u212b", "A\u030a"),  # the Ångström sign
        (
            "i",
            "I",
            "\u0130",
            "\u0131",
            "i\u0307",
            "I\u0307",
        ),  # the Turkish two, with dot and without
        ("milk", "mi\u00adlk", "\ufeffmilk", "milk\u200b\u2060"),
        # An iota subscript under an accent: needs decomposing before the case is dropped.
        ("\u1f84", "\u1f8c", "\u03b1\u0313\u0301\u0345", "\u03b1\u0345\u0313\u0301"),
        # Two accents in either order.
        ("ậ", "Ậ", "a\u0323\u0302", "a\u0302\u0323"),
        ("한글", "\u1112\u1161\u11ab\u1100\u1173\u11af"),
    ],
    ids=lambda spellings: ascii(spellings[0]),
)
def test_spellings_of_the_same_fold_to_the_same(spellings):
    assert len({fold(spelling) for spelling in spellings}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [("cafe", "café"), ("a", "ä"), ("l", "1"), ("①", "1"), ("milk", "milk ")],
)
def test_what_differs_by_more_stays_different(one, other):
    assert fold(one) != fold(other)


@pytest.mark.parametrize("text", ["", "100%_\\", "🦊", "tab\tnew\nline", "漢字"])
def test_what_has_no_case_stays_as_it_is(text):
    assert fold(text) == text


def test_folding_twice_is_folding_once():
    """Else a stored text and a search term might never meet."""
    for number in (*range(0xD800), *range(0xE000, 0x20000)):
        once = fold(chr(number))
        assert fold(once) == once
    for text in ("I\u0307\u0307", "i\u00ad\u0307", "e\u034f\u0301", "a\u0323\u200d\u0302"):
        assert fold(fold(text)) == fold(text)
