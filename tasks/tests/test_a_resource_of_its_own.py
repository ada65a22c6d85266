"""A resource that only the tests have: a few declarations, and everything that is promised of it.

Isolation is not here but in `todolist/tests/test_isolation_*.py`, which find it by themselves.
"""

import ast
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client

from accounts.owned.acting import acting_as
from accounts.users import CurrentUser
from conftest import ALICE, BOB, client_with, environment_for, manage, sign
from tasks.models import Event
from tasks.tests.browser import saved
from tasks.tests.calls import made as made_task
from tasks.tests.calls import next_url
from tasks.tests.notes.models import Note, NoteTag, Tag

pytestmark = pytest.mark.django_db

APPLICATION = Path(__file__).parent / "notes"
postgresql_only = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="row-level security is PostgreSQL's"
)


def made(api: Any, kind: str, **fields: Any) -> dict[str, Any]:
    response = api.post(f"/{kind}", fields)
    assert response.status_code == 201, response.content
    row: dict[str, Any] = response.json()
    return row


def events(owner: str = ALICE) -> list[tuple[str, Any, Any]]:
    """What there is on record: type, version and id."""
    rows = Event.objects.filter(user_id=owner).order_by("seq")
    return [(row.type, row.data.get("version"), row.data["id"]) for row in rows]


# What it takes


def code_lines(text: str) -> list[str]:
    """Lines that are neither blank, nor a comment, nor part of a docstring."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    skipped: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            skipped |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return [
        line
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.strip().startswith("#") and number not in skipped
    ]


def test_it_is_declared_in_less_than_sixty_lines():
    """With imports; migrations `makemigrations` writes."""
    lines = [line for file in APPLICATION.glob("*.py") for line in code_lines(file.read_text())]
    assert 30 < len(lines) < 60
    assert all("SQL" not in line for line in lines)


def test_its_migrations_are_those_that_django_writes():
    call_command("makemigrations", check=True, dry_run=True, stdout=StringIO())


def test_the_project_itself_knows_nothing_of_it(tmp_path):
    environment = environment_for(f"sqlite:///{tmp_path / 'db.sqlite3'}")
    answer = manage("makemigrations", "--check", environment=environment)

    assert answer.returncode == 0, answer.stderr
    assert manage("makemigrations", "notes", environment=environment).returncode != 0


# Whose it is, by any id in a body


def test_ids_in_a_body_are_the_callers_own_or_refused_in_the_same_words(alice_api, bob_api):
    mine, theirs = made(alice_api, "tags", name="mine"), made(bob_api, "tags", name="theirs")
    task, their_task = made_task(alice_api), made_task(bob_api)
    note = made(alice_api, "notes", text="one", task=task["id"], tags=[mine["id"]])
    before = events(), events(BOB)

    def refusals(field: str, value: Any) -> set[bytes]:
        url = f"/notes/{note['id']}"
        answers = [
            alice_api.post("/notes", {"text": "two", field: value}),
            alice_api.patch(url, {field: value}),
            alice_api.put(url, {"text": "two", field: value}),
        ]
        assert [answer.status_code for answer in answers] == [400, 400, 400]
        assert all(list(answer.json()) == [field] for answer in answers)
        return {answer.content for answer in answers}

    assert refusals("task", their_task["id"]) == refusals("task", str(uuid4()))
    others = refusals("tags", [mine["id"], theirs["id"]])
    assert others == refusals("tags", [str(uuid4())])
    assert len(others) == 1 and theirs["id"] not in str(others)
    no_ids: tuple[Any, ...] = ("", 1, True, {}, [], "abc", "\0", "9" * 5000)
    for no_id in no_ids:
        assert len(refusals("task", no_id)) == 1
        assert len(refusals("tags", [no_id])) == 1
    assert alice_api.get(f"/notes/{note['id']}").json() == note
    assert (events(), events(BOB)) == before
    assert Note.objects.count() == 1


def test_a_foreign_key_can_be_taken_away(alice_api):
    note = made(alice_api, "notes", text="one", task=made_task(alice_api)["id"])

    assert note["task"] is not None
    assert alice_api.patch(f"/notes/{note['id']}", {"task": None}).json()["task"] is None


def test_another_has_403_and_nobody_404(alice_api, bob_api):
    note = made(alice_api, "notes", text="one")
    for method in ("get", "put", "patch", "delete", "options"):
        for pk, status in ((note["id"], 403), (uuid4(), 404), ("abc", 404)):
            response = getattr(bob_api, method)(f"/notes/{pk}", {"text": "taken"})
            assert response.status_code == status
    assert alice_api.get(f"/notes/{note['id']}").json() == note
    assert bob_api.get("/notes").json() == []


# Events and versions


def test_each_change_is_one_event_with_a_version(alice_api):
    tag = made(alice_api, "tags", name="home")
    note = made(alice_api, "notes", text="one", tags=[tag["id"]])
    url = f"/notes/{note['id']}"
    changed = alice_api.patch(url, {"text": "two"}).json()
    bare = alice_api.patch(url, {"tags": []}).json()
    whole = alice_api.put(url, {"text": "three", "tags": [tag["id"]]}).json()
    assert alice_api.delete(url).status_code == 204

    assert [row["version"] for row in (note, changed, bare, whole)] == [1, 2, 3, 4]
    assert [row["tags"] for row in (note, changed, bare, whole)] == [
        [tag["id"]],
        [tag["id"]],
        [],
        [tag["id"]],
    ]
    assert events() == [
        ("tag.created", 1, tag["id"]),
        ("note.created", 1, note["id"]),
        *(("note.updated", version, note["id"]) for version in (2, 3, 4)),
        ("note.deleted", None, note["id"]),
    ]
    shown = [event["data"] for event in alice_api.get("/events").json()]
    assert shown == [tag, note, changed, bare, whole, {"id": note["id"]}]
    assert not NoteTag.objects.exists()


def test_what_goes_with_another_row_is_on_record_too(alice_api):
    tag, task = made(alice_api, "tags", name="home"), made_task(alice_api)
    note = made(alice_api, "notes", text="one", task=task["id"], tags=[tag["id"]])
    alice_api.delete(f"/tasks/{task['id']}")

    assert sorted(events()[-2:]) == [
        ("note.deleted", None, note["id"]),
        ("task.deleted", None, task["id"]),
    ]


def test_a_tag_that_goes_changes_its_notes(alice_api):
    """Or their ETag would stand for two different answers."""
    tag, kept = made(alice_api, "tags", name="home"), made(alice_api, "tags", name="kept")
    note = made(alice_api, "notes", text="one", tags=[tag["id"], kept["id"]])
    other = made(alice_api, "notes", text="two", tags=[kept["id"]])
    alice_api.delete(f"/tags/{tag['id']}")
    url = f"/notes/{note['id']}"
    now = alice_api.get(url, HTTP_IF_NONE_MATCH='"1"')

    assert now.status_code == 200
    assert (now.json()["tags"], now.json()["version"]) == ([kept["id"]], 2)
    assert sorted(events()[4:], key=str) == [
        ("note.updated", 2, note["id"]),
        ("tag.deleted", None, tag["id"]),
    ]
    assert alice_api.get("/events").json()[-1]["data"] in (now.json(), {"id": tag["id"]})
    assert alice_api.get(f"/notes/{other['id']}").json() == other


def test_tags_that_are_changed_in_djangos_way_are_one_event_each(alice_api):
    tag = made(alice_api, "tags", name="home")
    note = made(alice_api, "notes", text="one")
    row, home = Note.objects.get(), Tag.objects.get()
    own = {"user_id": ALICE}
    row.tags.add(home, through_defaults=own)
    row.tags.remove(home)
    home.note_set.add(row, through_defaults=own)
    row.refresh_from_db()
    row.tags.clear()
    row.tags.set([home], through_defaults=own)

    assert [event for event in events() if event[0] == "note.updated"] == [
        ("note.updated", version, note["id"]) for version in range(2, 7)
    ]
    shown = alice_api.get("/events").json()[-1]["data"]
    assert shown == alice_api.get(f"/notes/{note['id']}").json()
    assert (shown["tags"], shown["version"]) == ([tag["id"]], 6)
    with pytest.raises(NotImplementedError), transaction.atomic():
        home.note_set.clear()
    with pytest.raises(ValueError, match="has no owner"), transaction.atomic():
        row.tags.add(Tag.objects.create(user_id=ALICE, name="another"))


# Conditions and repeats


def test_conditions(alice_api):
    answer = alice_api.post("/notes", {"text": "one"})
    url = f"/notes/{answer.json()['id']}"

    assert answer["ETag"] == alice_api.get(url)["ETag"] == '"1"'
    assert alice_api.get(url, HTTP_IF_NONE_MATCH='"1"').status_code == 304
    assert alice_api.patch(url, {"text": "x"}, HTTP_IF_MATCH='"2"').status_code == 412
    assert alice_api.delete(url, HTTP_IF_MATCH='"2"').status_code == 412
    changed = alice_api.patch(url, {"text": "two"}, HTTP_IF_MATCH='"1"')
    assert (changed.status_code, changed["ETag"]) == (200, '"2"')
    assert alice_api.put(url, {"text": "x"}, HTTP_IF_MATCH='"1"').status_code == 412
    assert alice_api.get(url, HTTP_IF_NONE_MATCH='"1"').json() == changed.json()
    assert alice_api.delete(url, HTTP_IF_MATCH='"2"').status_code == 204


def test_a_repeated_creation_is_answered_again(alice_api, bob_api):
    tag = made(alice_api, "tags", name="home")
    body = {"text": "once", "tags": [tag["id"]]}
    first, again = (alice_api.post("/notes", body, HTTP_IDEMPOTENCY_KEY="k") for _ in range(2))
    other = alice_api.post("/notes", {"text": "another"}, HTTP_IDEMPOTENCY_KEY="k")
    theirs = bob_api.post("/notes", {"text": "once"}, HTTP_IDEMPOTENCY_KEY="k")

    assert (first.status_code, again.status_code) == (201, 201)
    assert (first.content, first["ETag"], first["Location"]) == (
        again.content,
        again["ETag"],
        again["Location"],
    )
    assert (other.status_code, theirs.status_code) == (422, 201)
    assert Note.objects.filter(user_id=ALICE).count() == 1


# Lists


@pytest.mark.parametrize("key", ["created_at", "text", "task"])
@pytest.mark.parametrize("direction", ["", "-"])
def test_a_list_is_whole_through_all_its_pages(alice_api, bob_api, key, direction):
    tasks = [made_task(alice_api)["id"] for _ in range(2)]
    rows = [
        made(alice_api, "notes", text=f"{'keep' if n % 4 else 'skip'} {n % 3}", task=task)
        for n, task in enumerate([*tasks, None] * 3)
    ]
    made(bob_api, "notes", text="keep")
    expected = [row for row in rows if "keep" in row["text"]]
    some = [row for row in expected if row[key] is not None]
    none = [row for row in expected if row[key] is None]
    for part in (some, none):
        part.sort(key=lambda row: (row[key] or "", row["id"]), reverse=bool(direction))

    found: list[dict[str, Any]] = []
    url: str | None = f"/notes?limit=2&text=keep&ordering={direction}{key}"
    while url:
        response = alice_api.get(url)
        assert response.status_code == 200, response.content
        found += response.json()
        url = next_url(response)
    assert found == [*some, *none]


def test_a_page_goes_on_where_the_row_that_its_cursor_names_is_gone(alice_api):
    """A cursor is a place; the task that it names may be gone, or never have been the caller's."""
    notes = [
        made(alice_api, "notes", text="one", task=made_task(alice_api)["id"]) for _ in range(3)
    ]
    following = next_url(alice_api.get("/notes?limit=1&ordering=task"))
    alice_api.delete(f"/tasks/{notes[0]['task']}")

    assert following is not None
    assert alice_api.get(following).json() == [notes[1]]


# The admin


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    return client


def test_staff_see_and_change_it_and_its_owner_is_told(alice_api, staff):
    note = made(alice_api, "notes", text="one")
    tag = made(alice_api, "tags", name="home")

    assert note["id"] in staff.get("/admin/notes/note/").content.decode()
    assert staff.get(f"/admin/notes/note/?q={ALICE}").status_code == 200
    page = f"/admin/notes/note/{note['id']}/change/"
    assert "one" in staff.get(page).content.decode()
    assert saved(staff, page, text="two").status_code == 302
    assert alice_api.get(f"/notes/{note['id']}").json() | {"text": "two", "version": 2} == (
        alice_api.get(f"/notes/{note['id']}").json()
    )
    deleted = staff.post(f"/admin/notes/tag/{tag['id']}/delete/", {"post": "yes"})
    assert deleted.status_code == 302
    assert [event[0] for event in events()[2:]] == ["note.updated", "tag.deleted"]
    assert staff.get("/admin/notes/note/add/").status_code == 403


# Row-level security


@postgresql_only
def test_its_tables_have_the_policy(alice_api):
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename, policyname FROM pg_policies WHERE tablename ~ '^notes_'")
        policies = set(cursor.fetchall())
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relname ~ '^notes_(note|tag|notetag)$' "
            "AND relrowsecurity AND relforcerowsecurity"
        )
        secured = {name for (name,) in cursor.fetchall()}

    assert policies == {(f"notes_{name}", "owner") for name in ("note", "tag", "notetag")}
    assert secured == {"notes_note", "notes_tag", "notes_notetag"}


@postgresql_only
def test_whoever_acts_for_nobody_sees_nothing(alice_api):
    tag = made(alice_api, "tags", name="home")
    made(alice_api, "notes", text="one", tags=[tag["id"]])
    kinds: list[Any] = [Note, Tag, NoteTag]

    def seen() -> list[int]:
        return [kind._base_manager.count() for kind in kinds]

    assert seen() == [1, 1, 1]
    alice_api._act_for("")
    nobody = seen()
    with acting_as(CurrentUser(BOB)):
        bob = seen()
    with acting_as(CurrentUser(ALICE)):
        alice = seen()
    alice_api._act_for("\x01everyone")

    assert (nobody, bob, alice) == ([0, 0, 0], [0, 0, 0], [1, 1, 1])


# Two at once


@pytest.mark.django_db(transaction=True)
def test_of_two_changes_at_once_none_is_lost(alice_api):
    """They change different fields; each is in what stands in the end, and on record."""
    tag = made(alice_api, "tags", name="home")
    note = made(alice_api, "notes", text="one")
    url = f"/notes/{note['id']}"
    bodies: list[dict[str, Any]] = [{"text": "two"}, {"tags": [tag["id"]]}] * 2
    start = Barrier(len(bodies))

    def change(body: dict[str, Any]) -> int:
        start.wait()
        try:
            return int(client_with(sign(ALICE)).patch(url, body).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(bodies)) as threads:
        assert list(threads.map(change, bodies)) == [200] * len(bodies)
    now = alice_api.get(url).json()
    assert now == {**note, "version": 5, "text": "two", "tags": [tag["id"]]}
    assert [version for name, version, _ in events() if name == "note.updated"] == [2, 3, 4, 5]
