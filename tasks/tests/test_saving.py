"""Everything that Django can do with a model is on record, once and in order, or is refused."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError, IntegrityError, connection, models, transaction
from django.db.models import F, Value
from django.db.models.functions import Concat, Upper
from django.db.models.signals import ModelSignal, post_delete, post_save, pre_delete, pre_save

from conftest import ALICE, BOB
from tasks.events.record import replay
from tasks.models import Event, Notification, Stream, Task
from tasks.resources.querysets import source_of, values_of
from tasks.resources.wire import shown
from tasks.rules.search import searchable
from tasks.tests.chores.models import Chore
from tasks.tests.notes.models import Note, NoteTag, Tag

pytestmark = pytest.mark.django_db


@contextmanager
def connected(
    signal: ModelSignal, receive: Callable[..., None], sender: Any = Task
) -> Iterator[None]:
    signal.connect(receive, sender=sender)
    try:
        yield
    finally:
        signal.disconnect(receive, sender=sender)


@pytest.fixture
def task() -> Task:
    return Task.objects.create(user_id=ALICE, text="one")


def events(since: int = 0, owner: str = ALICE) -> list[tuple[str, Any]]:
    """Types and versions; and that the newest event of a row shows it as it is stored."""
    messages = [json.loads(message) for message in replay(owner, since, 1000).events]
    newest = {message["data"]["id"]: message for message in messages}
    for message in newest.values():
        model: Any = {"task": Task, "note": Note, "chore": Chore, "tag": Tag}[
            message["type"].partition(".")[0]
        ]
        row = model.objects.filter(pk=message["data"]["id"]).first()
        if message["type"].endswith(".deleted"):
            assert row is None
        elif row is not None:
            assert row.version == message["data"]["version"]
            assert shown(row) == message["data"]
    return [(message["type"], message["data"].get("version")) for message in messages]


CREATED = ("task.created", 1)


def updated(*versions: int) -> list[tuple[str, int]]:
    return [("task.updated", version) for version in versions]


# One row


def test_create():
    made = Task.objects.create(user_id=ALICE, text="one", completed=True)

    assert (made.version, made.completed_at) == (1, made.created_at)
    assert Task.objects.get().search_text == made.search_text != ""
    assert events() == [CREATED]


def test_without_an_owner_nothing_is_made():
    for make in (
        lambda: Task.objects.create(text="one"),
        lambda: Task.objects.bulk_create([Task(text="one")]),
        lambda: Task.objects.get_or_create(text="one"),
    ):
        with pytest.raises(ValueError, match="has no owner"), transaction.atomic():
            make()
    assert not Task.objects.exists() and not Event.objects.exists()


def test_get_or_create_and_update_or_create():
    for _ in range(2):
        made, new = Task.objects.get_or_create(user_id=ALICE, text="one", defaults={"order": 3})
    assert (made.order, new) == (3, False)
    for order in (4, 5):
        made, new = Task.objects.update_or_create(
            user_id=ALICE, text="one", defaults={"order": order}
        )
    assert (made.order, made.version, new) == (5, 3, False)
    other, new = Task.objects.update_or_create(
        user_id=ALICE, text="two", defaults={"order": 1}, create_defaults={"order": 2}
    )
    assert (other.order, new) == (2, True)
    assert events() == [CREATED, *updated(2, 3), CREATED]


@pytest.mark.parametrize("adding", [True, False])
def test_a_copy_is_a_row_of_its_own(task, adding):
    task.order = 2
    task.save()
    first, created = task.pk, task.created_at
    task.pk = None
    if adding:
        task._state.adding = True
    task.text = "copy"
    task.save()

    assert task.pk != first and task.created_at > created
    assert (task.version, task.order) == (1, 2)
    assert [row.text for row in Task.objects.order_by("created_at")] == ["one", "copy"]
    assert events() == [CREATED, *updated(2), CREATED]


def test_save_with_update_fields_writes_these_and_what_follows_from_them(task):
    task.completed, task.text, task.order = True, "not this", 9
    task.save(update_fields=["completed"])
    stored = Task.objects.get()

    assert (stored.completed, stored.text, stored.order) == (True, "one", 0)
    assert stored.completed_at == task.completed_at == stored.updated_at
    assert stored.search_text == searchable("one", "")
    task.save(update_fields=[])
    assert events() == [CREATED, *updated(2)]
    with pytest.raises(ValueError, match="nothing"), transaction.atomic():
        task.save(update_fields=["nothing"])
    with pytest.raises(ValueError, match="both insert"), transaction.atomic():
        task.save(force_insert=True, force_update=True)


def test_save_of_a_row_that_is_gone(task):
    stale = Task.objects.get()
    task.delete()
    ways: list[Any] = [{"update_fields": ["text"]}, {"force_update": True}]
    for how in ways:
        with pytest.raises(DatabaseError), transaction.atomic():
            stale.save(**how)
    assert events() == [CREATED, ("task.deleted", None)]
    stale.save()  # as Django has it, that makes it anew
    assert events()[2:] == [CREATED]


def test_a_row_is_inserted_once(task):
    again = Task(pk=task.pk, user_id=ALICE, text="again")
    ways: list[Any] = [{}, {"force_insert": True}]
    for how in ways:
        with pytest.raises(IntegrityError), transaction.atomic():
            again.save(**how)
    assert events() == [CREATED]


@pytest.mark.parametrize(
    "loaded", [lambda rows: rows.only("text"), lambda rows: rows.defer("text", "completed")]
)
def test_save_of_a_row_that_is_loaded_in_part(task, loaded):
    part = loaded(Task.objects).get()
    part.order, part.deadline = 5, datetime(2030, 1, 1, tzinfo=UTC)
    Task.objects.filter(pk=task.pk).update(description="meanwhile")
    part.save()
    stored = Task.objects.get()

    assert (stored.text, stored.order, stored.version) == ("one", 5, 3)
    assert stored.next_reminder_at is not None
    assert events() == [CREATED, *updated(2, 3)]
    assert Task.objects.search("meanwhile").exists() is (stored.description == "meanwhile")
    assert stored.search_text == searchable(stored.text, stored.description)


def test_expressions_are_worked_out_by_the_database(task):
    task.order, task.text = F("order") + 5, Concat(Upper(F("text")), Value("!"))
    task.save()
    stored = Task.objects.get()

    assert (stored.order, stored.text, stored.version) == (5, "ONE!", 2)
    assert Task.objects.search("one!").get() == stored
    (_, event) = replay(ALICE, 0, 10).events
    assert json.loads(event)["data"]["text"] == "ONE!"
    stored.order = F("order") + 1
    stored.save(update_fields=["order"])
    stored.refresh_from_db()
    assert (stored.order, stored.version) == (6, 3)
    assert events() == [CREATED, *updated(2, 3)]


def test_what_django_takes_for_a_moment_is_one(task):
    task.deadline = "2030-01-01T00:00:00Z"
    task.save()
    rows = Task.objects.bulk_create([Task(user_id=ALICE, text="two", deadline="2030-01-01 00:00Z")])

    assert Task.objects.filter(deadline=datetime(2030, 1, 1, tzinfo=UTC)).count() == 2
    assert Task.objects.get(pk=rows[0].pk).next_reminder_at is not None
    assert events() == [CREATED, *updated(2), CREATED]


def test_refresh_and_another_owners_stream(task):
    other = Task.objects.create(user_id=BOB, text="theirs")
    Task.objects.filter(pk=task.pk).update(text="changed")
    task.refresh_from_db()

    assert (task.text, task.version) == ("changed", 2)
    task.refresh_from_db(fields=["order"])
    other.save()
    assert (events(), events(owner=BOB)) == ([CREATED, *updated(2)], [CREATED, *updated(2)])


def test_a_row_that_is_deleted_twice_is_deleted_once(task):
    stale = Task.objects.get()

    assert task.delete() == (1, {"tasks.Task": 1})
    assert stale.delete()[0] == 0
    assert events() == [CREATED, ("task.deleted", None)]


def test_a_locked_row_is_saved_like_any_other(task):
    with transaction.atomic():
        locked = Task.objects.select_for_update().get()
        locked.text = "two"
        locked.save()
        locked.order = 1
        locked.save()
    assert events() == [CREATED, *updated(2, 3)]


def test_what_is_rolled_back_is_not_on_record(task):
    tag = Tag.objects.create(user_id=ALICE, name="home")
    before = Stream.objects.get().last_seq
    changes: list[Callable[[Task], object]] = [
        lambda task: task.save(),
        lambda task: task.delete(),
        lambda task: Task.objects.all().update(order=2),
        lambda task: Task.objects.bulk_create([Task(user_id=ALICE, text="two")]),
        lambda task: Note.objects.create(user_id=ALICE, text="one").tags.add(
            tag, through_defaults={"user_id": ALICE}
        ),
    ]
    for change in changes:
        with transaction.atomic():
            change(Task.objects.get())
            assert Stream.objects.get().last_seq > before
            transaction.set_rollback(True)
    assert Stream.objects.get().last_seq == before
    task.save()
    assert task.version == 2
    assert events(before) == updated(2)


# Many rows


def test_update():
    for text in ("one", "two"):
        Task.objects.create(user_id=ALICE, text=text)
    theirs = Task.objects.create(user_id=BOB, text="theirs")

    assert Task.objects.filter(user_id=ALICE).update(completed=True, text="done") == 2
    assert Task.objects.filter(text="nothing").update(order=1) == 0
    assert all(row.completed_at for row in Task.objects.filter(user_id=ALICE))
    assert Task.objects.search("done").count() == 2
    assert Task.objects.order_by("-text").update(order=3) == 3
    assert events() == [CREATED, CREATED, *updated(2, 2, 3, 3)]
    assert events(owner=BOB) == [CREATED, *updated(2)]
    theirs.refresh_from_db()
    assert (theirs.order, theirs.completed) == (3, False)


def test_bulk_create_and_bulk_update():
    rows = Task.objects.bulk_create(
        [Task(user_id=owner, text=text) for text in "ab" for owner in (ALICE, BOB)], batch_size=3
    )
    for row in rows:
        row.text += "!"
        row.order = F("order") + 1

    assert Task.objects.bulk_update(rows, ["text", "order"], batch_size=3) == 4
    assert Task.objects.search("!").filter(order=1, version=2).count() == 4
    assert events() == events(owner=BOB) == [CREATED, CREATED, *updated(2, 2)]
    texts = [json.loads(one)["data"]["text"] for one in replay(ALICE, 0, 9).events]
    assert (texts[:2], sorted(texts[2:])) == (["a", "b"], ["a!", "b!"])
    assert Task.objects.bulk_create([]) == []


@pytest.mark.parametrize(
    "write",
    [
        lambda task: task.save(),
        lambda task: Task.objects.bulk_update([task], ["text"]),
        lambda task: Task.objects.filter(pk=task.pk).update(text=task.text),
        lambda task: Task.objects.write_unrecorded([task], ["text"]),
        lambda task: Task.objects.bulk_create([Task(user_id=BOB, text=task.text)]),
    ],
)
def test_a_field_prepares_what_is_stored_whoever_writes(task, monkeypatch, write):
    shouted = type(
        "Shouted", (models.CharField,), {"get_prep_value": lambda _, value: value.upper()}
    )
    monkeypatch.setattr(Task._meta.get_field("text"), "__class__", shouted)
    task.text = "changed"

    write(task)
    assert Task.objects.get(text__iexact="changed").text == "CHANGED"


@pytest.mark.skipif(connection.vendor != "postgresql", reason="others write by Django's own way")
@pytest.mark.parametrize("value", [{"a": [1, None, "ü"]}, "text", 1.5, True, []])
def test_a_column_of_json_is_written_as_it_is(value):
    field = models.JSONField()
    field.set_attributes_from_name("data")
    row = SimpleNamespace(data=value)

    with connection.cursor() as cursor:
        cursor.execute(source_of([field], connection), [values_of([field], [row], connection)])
        ((stored,),) = cursor.fetchall()
    assert json.loads(stored) == row.data


@pytest.mark.parametrize(
    "write",
    [
        lambda: Task.objects.update(order=F("order") + 1),
        lambda: Task.objects.bulk_create([Task(user_id=ALICE, text="a")], ignore_conflicts=True),
        lambda: Task.objects.bulk_create([Task(user_id=ALICE, text="a")], None, True),
        lambda: Task.objects.bulk_create(
            [Task(user_id=ALICE, text="a")],
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=["text"],
        ),
        lambda: Tag.objects.get().note_set.clear(),
    ],
)
def test_what_nobody_could_put_on_record_is_refused(task, write):
    Tag.objects.create(user_id=ALICE, name="home")
    before = events()
    with pytest.raises(NotImplementedError), transaction.atomic():
        write()
    assert events() == before
    assert Task.objects.count() == 1


def test_delete_many():
    made = [Task.objects.create(user_id=owner, text="one") for owner in (ALICE, BOB, ALICE)]
    Note.objects.create(user_id=ALICE, text="goes along", task=made[0])

    assert Task.objects.filter(user_id=ALICE).delete()[0] == 3
    assert sorted(events()[3:]) == [("note.deleted", None), *[("task.deleted", None)] * 2]
    assert events(owner=BOB) == [CREATED]
    assert Task.objects.get().delete()[0] == 1


# Relations


def test_managers_of_related_rows_record_what_they_change(task):
    other = Task.objects.create(user_id=ALICE, text="other")
    note = task.note_set.create(user_id=ALICE, text="one")
    other.note_set.add(note)
    note.refresh_from_db()
    assert (note.task, note.version) == (other, 2)
    other.note_set.remove(note)
    task.note_set.set([note])
    task.note_set.clear()
    task.note_set.set([note], clear=True)
    task.note_set.update(text="two")
    assert task.note_set.all().delete()[0] == 1

    names = [("note.updated", version) for version in range(2, 8)]
    assert events(2) == [("note.created", 1), *names, ("note.deleted", None)]


def test_a_key_that_is_set_to_null_is_a_change(task):
    """Also where the other side has no name for it (`related_name="+"`)."""
    chore = Chore.objects.create(user_id=ALICE, text="one", task=task)
    task.delete()
    chore.refresh_from_db()

    assert (chore.task, chore.version) == (None, 2)
    assert events(2) == [("chore.updated", 2), ("task.deleted", None)]


def test_many_to_many_relations(task):
    tags = [Tag.objects.create(user_id=ALICE, name=name) for name in "ab"]
    note = Note.objects.create(user_id=ALICE, text="one")
    own = {"user_id": ALICE}
    since = 4
    note.tags.add(*tags, through_defaults=own)
    note.tags.add(*tags, through_defaults=own)
    note.tags.remove(tags[0])
    note.tags.set(tags, through_defaults=own)
    note.tags.clear()
    tagged: Any = note.tags
    tagged.create(user_id=ALICE, name="c", through_defaults=own)
    tags[0].note_set.add(note, through_defaults=own)
    tags[0].note_set.remove(note)
    tags[0].note_set.set([note], through_defaults=own)

    names = [name for name, _ in events(since) if name == "note.updated"]
    assert len(names) == Note.objects.get().version - 1 == 8
    assert NoteTag.objects.count() == 2


# Signals


def test_signals_are_sent_as_by_any_model(task):
    seen: list[tuple[Any, ...]] = []

    def note(name: str) -> Callable[..., None]:
        def receive(instance: Any, **kwargs: Any) -> None:
            seen.append((name, instance.text, kwargs.get("created"), kwargs.get("raw")))

        return receive

    receivers = [(pre_save, note("pre")), (post_save, note("post"))]
    receivers += [(pre_delete, note("going")), (post_delete, note("gone"))]
    for signal, receive in receivers:
        signal.connect(receive, sender=Task)
    try:
        made = Task.objects.create(user_id=ALICE, text="a")
        made.text = "b"
        made.save(update_fields=["text"])
        Task.objects.filter(pk=made.pk).update(text="c")
        Task.objects.filter(pk=made.pk).delete()
    finally:
        for signal, receive in receivers:
            signal.disconnect(receive, sender=Task)

    assert seen == [
        ("pre", "a", None, False),
        ("post", "a", True, False),
        *[("pre", "b", None, False), ("post", "b", False, False)],
        *[("pre", "c", None, False), ("post", "c", False, False)],
        *[("going", "c", None, None), ("gone", "c", None, None)],
    ]


def test_a_receiver_that_saves_again_makes_a_change_of_its_own():
    def again(instance: Task, created: bool, **kwargs: Any) -> None:
        if created:
            instance.order = 7
            instance.save(update_fields=["order"])
            Task.objects.filter(pk=instance.pk).update(description="and again")

    with connected(post_save, again):
        made = Task.objects.create(user_id=ALICE, text="one")
    assert events() == [CREATED, *updated(2, 3)]
    assert [json.loads(one)["data"]["order"] for one in replay(ALICE, 0, 9).events] == [
        0,
        7,
        7,
    ]
    made.refresh_from_db()
    assert (made.order, made.description) == (7, "and again")


def test_a_receiver_that_changes_what_is_saved_is_heard(task):
    def shout(instance: Task, **kwargs: Any) -> None:
        instance.text = instance.text.upper()
        instance.completed = True

    with connected(pre_save, shout):
        task.text = "two"
        task.save()
    stored = Task.objects.get()

    assert (stored.text, stored.completed, task.text) == ("TWO", True, "TWO")
    assert stored.completed_at is not None
    assert Task.objects.search("two").exists()
    assert events() == [CREATED, *updated(2)]


def test_a_receiver_that_fails_undoes_the_change(task):
    def fail(**kwargs: Any) -> None:
        raise ZeroDivisionError

    task.text = "two"
    with connected(post_save, fail), pytest.raises(ZeroDivisionError), transaction.atomic():
        task.save()
    assert Task.objects.get().text == "one"
    assert events() == [CREATED]


# Fixtures


def test_fixtures_are_loaded_as_they_are_and_say_nothing(task, tmp_path: Path):
    tag = Tag.objects.create(user_id=ALICE, name="home")
    note = Note.objects.create(user_id=ALICE, text="one", task=task)
    note.tags.add(tag, through_defaults={"user_id": ALICE})
    file = tmp_path / "everything.json"
    call_command("dumpdata", "tasks", "notes", output=str(file))
    state = stored()
    for model in (Task, Tag):
        model._base_manager.all().delete()
    for silent in (Event, Stream):
        silent._base_manager.all().delete()
    call_command("loaddata", str(file), verbosity=0)
    call_command("loaddata", str(file), verbosity=0)  # over what is there

    assert stored() == state
    task.save()
    assert task.version == 2


MODELS: list[Any] = [Task, Notification, Tag, Note, NoteTag, Event, Stream]


def stored() -> str:
    """Every row, to the millisecond, as fixtures have them."""
    rows = [list(model._base_manager.order_by("pk").values()) for model in MODELS]
    return json.dumps(rows, cls=DjangoJSONEncoder)
