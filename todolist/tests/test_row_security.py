"""PostgreSQL's row-level security: on for whoever it binds, and said aloud where it is void."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import product
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.db import DataError, ProgrammingError, connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.owned import acting
from accounts.owned.acting import acting_as, acting_as_everyone
from accounts.owned.models import OwnedModel
from accounts.owned.row_security import exists
from accounts.users import CurrentUser
from conftest import ALICE, BOB, ROLE, ROOT, call, client_with, new_database, sign
from tasks.due import send_due
from tasks.events.record import newest_seqs, replay
from tasks.models import Event, Notification, Stream, Task
from tasks.rules.ids import uuid7

pytestmark = [
    pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL has it"),
    pytest.mark.django_db(transaction=True),
]

alice, bob = CurrentUser(ALICE), CurrentUser(BOB)


@pytest.fixture
def hers() -> Task:
    task = Task(user_id=ALICE, text="hers")
    task.save()
    return task


def for_nobody(question: Callable[[], Any]) -> Any:
    """What a thread that answers requests is told, before it says for whom it asks."""

    def ask() -> Any:
        try:
            return question()
        finally:
            connection.close()

    with ThreadPoolExecutor(1, initializer=acting.act_for_nobody) as thread:
        return thread.submit(ask).result()


def test_every_table_with_an_owner_is_secured_even_from_its_owner():
    """Whatever its model is: the columns of the tables are asked, and no list of models."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, relrowsecurity AND relforcerowsecurity AND polname IS NOT NULL"
            " FROM information_schema.columns JOIN pg_class ON oid = table_name::regclass"
            " LEFT JOIN pg_policy ON polrelid = pg_class.oid"
            " WHERE column_name = 'user_id' AND data_type = 'character varying'"
            " AND table_schema = current_schema()"
        )
        secured = dict(cursor.fetchall())
    owned = [model._meta.db_table for model in apps.get_models() if issubclass(model, OwnedModel)]
    assert {*owned, "tasks_stream", "tasks_event", "tasks_keptanswer"} <= secured.keys()
    assert [table for table, is_secured in secured.items() if not is_secured] == []


def test_the_suite_runs_as_a_role_that_is_bound():
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchone() == (False,)


def test_who_acts_for_nobody_sees_and_changes_nothing(hers):
    assert for_nobody(Task.objects.count) == 0
    assert for_nobody(Event.objects.count) == 0
    assert for_nobody(Stream.objects.count) == 0
    assert for_nobody(lambda: Task.objects.filter(pk=hers.pk).delete()[0]) == 0
    with pytest.raises(ProgrammingError, match="row-level security"):
        for_nobody(Task(user_id=ALICE, text="x").save)
    assert Task.objects.count() == 1


def test_a_query_that_forgets_the_owner_finds_the_callers_rows_only(hers):
    def everybodys(user) -> list[str]:
        with acting_as(user):
            return list(Task.objects.values_list("text", flat=True))

    assert for_nobody(lambda: everybodys(alice)) == ["hers"]
    assert for_nobody(lambda: everybodys(bob)) == []
    assert for_nobody(lambda: everybodys(None)) == []


def test_a_statement_of_its_own_acts_for_its_reader_only(hers):
    def read(owner: str) -> tuple[int, int]:
        answer = client_with(sign(owner)).get(f"/tasks/{hers.pk}")
        return answer.status_code, Task.objects.count()

    assert for_nobody(lambda: read(ALICE)) == (200, 0)
    assert for_nobody(lambda: read(BOB)) == (403, 0)


def crowd(others: int) -> None:
    """That many tasks of other people, of whom the planner knows."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO tasks_task (id, user_id, text, description, completed, "
            '"order", created_at, updated_at, search_text)'
            " SELECT gen_random_uuid(), 'other ' || mod(number, 50), 'x', '', false, 0, now(), now(), ''"
            " FROM generate_series(1, %s) AS number",
            [others],
        )
        cursor.execute("ANALYZE")


@pytest.mark.parametrize("others", [0, 3, 60, 3000])
@pytest.mark.parametrize("deadline", [None, "2030-01-01T00:00:00Z"])
def test_however_few_rows_there_are_a_change_is_two_statements(others, deadline):
    """Whatever plan is chosen, the statement says for whom it acts before a policy is asked."""
    api = client_with(sign(ALICE))
    task = for_nobody(lambda: api.post("/tasks", {"text": "hers", "deadline": deadline}).json())
    crowd(others)

    def complete() -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            answer = api.patch(f"/tasks/{task['id']}", {"completed": True})
        assert answer.status_code == 200
        return [query["sql"].split()[0] for query in captured.captured_queries]

    assert for_nobody(complete) == ["SELECT", "WITH"]


@pytest.mark.parametrize("others", [0, 3000])
def test_what_no_longer_holds_is_withdrawn_on_behalf_of_its_owner(others):
    api = client_with(sign(ALICE))
    deadline = datetime(2030, 1, 1, tzinfo=UTC)
    body = {"text": "hers", "deadline": deadline.isoformat()}
    task = for_nobody(lambda: api.post("/tasks", body).json())
    crowd(others)
    assert sum(send_due(deadline)) == Notification.objects.count() == 1
    url = f"/tasks/{task['id']}"
    assert for_nobody(lambda: api.patch(url, {"completed": True}).status_code) == 200
    assert Notification.objects.count() == 0


@pytest.mark.parametrize(
    "off",
    [
        ["nestloop"],
        ["indexscan", "bitmapscan"],
        ["nestloop", "indexscan", "bitmapscan"],
        ["nestloop", "indexscan", "bitmapscan", "hashjoin"],
    ],
)
def test_whatever_the_plan_ones_own_is_found_and_changed(hers, off):
    api, url = client_with(sign(ALICE)), f"/tasks/{hers.pk}"

    def ask() -> list[object]:
        with connection.cursor() as cursor:
            for kind in off:
                cursor.execute(f"SET enable_{kind} = off")
        return [
            len(api.get("/tasks").json()),
            api.get(url).status_code,
            api.patch(url, {"completed": True}).status_code,
            api.delete(url).status_code,
        ]

    assert for_nobody(ask) == [1, 200, 200, 204]


def test_statements_keep_owners_apart_without_it(hers):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tasks_task NO FORCE ROW LEVEL SECURITY")
        assert Task.objects.count() == 1
        with acting_as(bob):
            assert Task.objects.count() == 1  # so the policy is out of the way
        for owner, found, status in ((BOB, 0, 403), (ALICE, 1, 200)):
            api, url = client_with(sign(owner)), f"/tasks/{hers.pk}"
            assert len(api.get("/tasks").json()) == found
            assert api.get(url).status_code == status
            assert api.patch(url, {"text": owner}).status_code == status
        assert Task.objects.get().text == ALICE
        transaction.set_rollback(True)


def test_nobody_writes_in_anothers_name(hers):
    def in_anothers_name() -> None:
        with acting_as(bob):
            Task(user_id=ALICE, text="x").save()

    with pytest.raises(ProgrammingError, match="row-level security"):
        for_nobody(in_anothers_name)

    def give_away() -> None:
        with acting_as(alice):
            Task.objects.filter(pk=hers.pk).update_unrecorded(user_id=BOB)

    with pytest.raises(ProgrammingError, match="row-level security"):
        for_nobody(give_away)


def test_whom_one_acted_for_is_over_with_the_transaction(hers):
    def ask() -> list[int]:
        counts = []
        for acts in (acting_as(alice), acting_as_everyone()):
            with acts:
                counts.append(Task.objects.count())
            counts.append(Task.objects.count())
        with pytest.raises(RuntimeError), acting_as(alice):
            raise RuntimeError
        return [*counts, Task.objects.count()]

    assert for_nobody(ask) == [1, 0, 1, 0, 0]


def test_inside_a_larger_transaction_it_is_over_as_well(hers):
    def ask() -> list[int]:
        with transaction.atomic():
            with acting_as(alice):
                inside = Task.objects.count()
            return [inside, Task.objects.count()]

    assert for_nobody(ask) == [1, 0]


def acts_for() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting(%s, true)", [acting.SETTING])
        return cursor.fetchone()[0] or ""


def fails() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 / 0")


def as_bob() -> None:
    with acting_as(bob):
        assert acts_for() == BOB


def as_bob_and_failing() -> None:
    with pytest.raises(DataError), acting_as(bob):
        fails()


def as_bob_and_undone() -> None:
    with acting_as(bob):
        transaction.set_rollback(True)


def as_bob_in_a_part_undone() -> None:
    with pytest.raises(RuntimeError), transaction.atomic(), acting_as(bob):
        raise RuntimeError


def as_everyone() -> None:
    with acting_as_everyone():
        assert acts_for() == acting.EVERYONE and acting.acting_owner() == ""


def through_the_api(method: str, path: str = "", **body: Any) -> Callable[[], None]:
    def ask() -> None:
        key = Task.objects.values_list("pk", flat=True).first()
        answer = getattr(client_with(sign(BOB)), method)(f"/tasks{path}".format(key=key), body)
        assert answer.status_code < 500

    return ask


def a_statement_that_fails() -> None:
    sql = f"SELECT 1 / 0 WHERE {acting.ACTING}"
    with pytest.raises(DataError), transaction.atomic():
        acting.fetch_acting(BOB, sql, [BOB])


NESTED: list[Callable[[], Any]] = [
    *(as_bob, as_bob_and_failing, as_bob_and_undone, as_bob_in_a_part_undone, as_everyone),
    lambda: replay(BOB, 0, 10),
    lambda: newest_seqs([ALICE, BOB]),
    lambda: exists(Task, uuid7()),
]
# These say it in the statement, in a transaction of its own as a rule.
BY_STATEMENT: list[Callable[[], Any]] = [
    *(through_the_api("get"), through_the_api("get", "/{key}"), a_statement_that_fails),
    *(through_the_api("post", text="x"), through_the_api("patch", "/{key}", text="x")),
]


@pytest.mark.parametrize(
    ("outside", "for_somebody_else"),
    [
        *product([lambda: acting_as(alice), acting_as_everyone], NESTED + BY_STATEMENT),
        *product([transaction.atomic], NESTED),
    ],
)
def test_after_acting_for_somebody_else_everything_is_as_before(hers, outside, for_somebody_else):
    def ask() -> tuple[tuple[str, str], ...]:
        told = []
        with outside():
            told.append((acts_for(), acting.acting_owner()))
            for_somebody_else()
            told.append((acts_for(), acting.acting_owner()))
        return (*told, (acts_for(), acting.acting_owner()))

    before, after, in_the_end = for_nobody(ask)
    assert after == before
    assert in_the_end == ("", "")


def test_a_transaction_that_is_ended_by_hand_goes_on_for_whom_it_acted(hers):
    def ask() -> list[object]:
        transaction.set_autocommit(False)
        with acting_as(alice):
            inside = Task.objects.count()
        answer = [inside, Task.objects.count(), acts_for()]
        transaction.rollback()
        return answer

    assert for_nobody(ask) == [1, 0, ""]


def test_the_newest_numbers_of_many_people_are_read_by_who_acts_for_nobody(hers):
    his = Task(user_id=BOB, text="his")
    his.save()
    his.save()
    assert for_nobody(lambda: newest_seqs([ALICE, BOB, "nobody"])) == {ALICE: 1, BOB: 2}


def test_nobody_reads_or_moves_the_number_of_another(hers):
    def ask() -> list[int]:
        with acting_as(bob):
            moved = Stream.objects.filter(pk=ALICE).update(last_seq=7)
            return [moved, Stream.objects.count()]

    assert for_nobody(ask) == [0, 0]
    assert Stream.objects.get().last_seq == 1


def test_whether_a_row_exists_is_told_and_nothing_stays_open(hers):
    def ask() -> list[object]:
        with acting_as(bob):
            return [exists(Task, hers.pk), Task.objects.count()]

    assert for_nobody(ask) == [True, 0]
    assert for_nobody(lambda: [exists(Task, hers.pk), Task.objects.count()]) == [True, 0]


# The setting


def start(server, **changes: str) -> subprocess.CompletedProcess[str]:
    """Load the application as a server does."""
    return subprocess.run(
        [sys.executable, "-c", "import todolist.asgi"],
        cwd=ROOT,
        env={**server.environment, **changes},
        capture_output=True,
        text=True,
        timeout=60,
    )


def as_superuser(server) -> str:
    """The same database, asked by PostgreSQL's own superuser."""
    url: str = server.database_url
    if f"//{ROLE}" not in url:
        pytest.skip("the suite was not started by a superuser")
    return url.replace(f"//{ROLE}", "//postgres")


def test_a_role_that_is_above_it_is_warned_of(server):
    started = start(server, DATABASE_URL=as_superuser(server))
    assert started.returncode == 0
    assert "todolist.W014" in started.stderr


def test_asked_for_and_void_the_server_does_not_start(server):
    started = start(server, DATABASE_URL=as_superuser(server), DATABASE_RLS="True")
    assert started.returncode != 0
    assert "todolist.E014" in started.stderr and "BYPASSRLS" in started.stderr
    bound = start(server, DATABASE_RLS="True")
    assert bound.returncode == 0 and "014" not in bound.stderr


@pytest.mark.parametrize(
    ("query", "code", "said"),
    [
        ("application_nom=x", 1, "(todolist.E021) DATABASE_URL has options"),
        ("connect_timeout=soon", 1, "(todolist.E021) DATABASE_URL has options"),
        ("sslmode=banana", 0, "(todolist.W024) The database of DATABASE_URL does not answer"),
    ],
)
def test_what_the_driver_says_of_the_options_is_told_at_start(server, query, code, said):
    separator = "&" if "?" in server.database_url else "?"
    started = start(server, DATABASE_URL=f"{server.database_url}{separator}{query}")
    assert started.returncode == code
    assert said in started.stderr and query.partition("=")[0] in started.stderr


def test_switched_off_everything_works_without_it(start_server):
    server = start_server(DATABASE_RLS="False")
    hers = call(server, sign(ALICE), "POST", "/tasks", {"text": "hers"}).body
    assert call(server, sign(ALICE), "GET", "/tasks").body == [hers]
    assert call(server, sign(BOB), "GET", f"/tasks/{hers['id']}").status == 403
    with psycopg.connect(server.database_url) as unscoped:
        assert unscoped.execute("SELECT count(*) FROM tasks_task").fetchone() == (0,)
    assert django_settings.DATABASE_RLS


def test_events_may_be_partitioned_by_time(tmp_path, working_on):
    """By the file that is shipped: nothing in the code has to change for it."""
    with new_database(tmp_path) as url, working_on(url):
        api = client_with(sign(ALICE))
        assert api.post("/tasks", {"text": "before"}).status_code == 201
        connection.close()
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute((ROOT / "deploy/postgresql/partition_events.sql").read_bytes())
        made = api.post("/tasks", {"text": "after"}).json()
        assert api.patch(f"/tasks/{made['id']}", {"completed": True}).status_code == 200
        assert [event["seq"] for event in api.get("/events?since=0").json()] == [1, 2, 3]
        assert client_with(sign(BOB)).get("/events?since=0").json() == []
        with psycopg.connect(url, autocommit=True) as owner:
            (seen,) = owner.execute("SELECT count(*) FROM tasks_event").fetchone() or ()
            assert seen == 0  # the policy holds, for who acts for nobody
            owner.execute("DROP TABLE tasks_event_before")
        gone = api.get("/events?since=0")
        assert (gone.status_code, gone.json()["seq"]) == (410, 3)
        assert api.post("/tasks", {"text": "later"}).status_code == 201
        assert [event["seq"] for event in api.get("/events?since=3").json()] == [4]
