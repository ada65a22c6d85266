"""Notifications over REST, and the command that makes them (docs/api.md sections 4, 5 and 6)."""

import io
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import IntegrityError, connection, transaction
from rest_framework.test import APIClient

from conftest import ALICE, ROOT, environment_for, new_database
from tasks.models import Event, Notification, Task
from tasks.tests.calls import listed, made, next_url
from tasks.tests.holding import until_somebody_waits

pytestmark = pytest.mark.django_db

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)


def minutes(number: int) -> timedelta:
    return timedelta(minutes=number)


def remind(at: datetime) -> int:
    """Run a pass as of `at`; how many notifications it says it made."""
    output = io.StringIO()
    call_command("send_reminders", "--at", at.isoformat(), stdout=output)
    return int(output.getvalue().split()[0])


def kinds(api: APIClient) -> list[str]:
    """The types of somebody's notifications, oldest first."""
    return [note["type"] for note in reversed(api.get("/notifications").json())]


def change(api: APIClient, task: dict[str, Any], **fields: Any) -> None:
    assert api.patch(f"/tasks/{task['id']}", fields).status_code == 200


@pytest.fixture
def task(alice_api) -> dict[str, Any]:
    """A task of Alice that is due at noon."""
    return made(alice_api, "Water the plants", deadline=NOON.isoformat())


def test_each_kind_comes_in_its_time_and_once(alice_api, task):
    assert remind(NOON - minutes(31)) == 0
    for at, kind in ((-30, "deadline_reminder"), (0, "deadline_reached"), (60, "task_overdue")):
        assert remind(NOON + minutes(at)) == 1
        assert remind(NOON + minutes(at)) == 0
        assert kinds(alice_api)[-1] == kind
    assert len(kinds(alice_api)) == 3


def test_the_wire_form(alice_api, task):
    remind(NOON)
    (note,) = alice_api.get("/notifications").json()
    assert list(note) == [
        *("id", "task_id", "type", "title", "message", "deadline", "due_on"),
        *("read_at", "created_at"),
    ]
    assert note["deadline"] == task["deadline"] == "2030-05-01T12:00:00Z"
    assert note["task_id"] == task["id"] and note["read_at"] is note["due_on"] is None
    assert "Water the plants" in note["message"] and note["title"]
    assert note["created_at"].endswith("Z") and note["id"][14] == "7"
    event = Event.objects.order_by("seq").last()
    assert event is not None and (event.type, event.data) == ("notification.created", note)


def test_a_night_without_a_worker_is_caught_up_in_one_pass_with_one_each(alice_api, task):
    assert remind(NOON + timedelta(hours=9)) == 1
    assert kinds(alice_api) == ["task_overdue"]


def test_a_task_that_is_done_gets_none(alice_api, task):
    change(alice_api, task, completed=True)
    assert remind(NOON + minutes(90)) == 0
    change(alice_api, task, completed=False)
    assert remind(NOON + minutes(90)) == 1


def test_moving_the_deadline_arms_it_again(alice_api, task):
    remind(NOON)
    later = NOON + timedelta(days=1)
    change(alice_api, task, deadline=later.isoformat())
    assert kinds(alice_api) == []  # withdrawn: it was unread and holds no more
    assert remind(later - minutes(30)) == 1
    assert kinds(alice_api) == ["deadline_reminder"]


def test_one_that_was_read_stays_when_the_deadline_moves(alice_api, task):
    remind(NOON)
    assert alice_api.post("/notifications/read-all").json() == {"updated": 1}
    change(alice_api, task, deadline=None)
    assert kinds(alice_api) == ["deadline_reached"]


def test_other_changes_withdraw_nothing(alice_api, task):
    remind(NOON)
    change(alice_api, task, text="Water them well")
    assert kinds(alice_api) == ["deadline_reached"]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_one_that_is_made_while_a_change_waits_for_it_is_withdrawn_too(alice_api, task):
    def finish() -> None:
        try:
            change(alice_api, task, completed=True)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as aside:
        with transaction.atomic():
            assert remind(NOON) == 1  # and the task is locked until the end of this transaction
            changing = aside.submit(finish)
            until_somebody_waits()
        changing.result()
    assert kinds(alice_api) == []


def test_a_deadline_already_past_gives_the_one_kind_that_fits(alice_api):
    made(alice_api, deadline=(NOON - minutes(10)).isoformat())
    made(alice_api, deadline=(NOON - minutes(70)).isoformat())
    assert remind(NOON) == 2
    assert sorted(kinds(alice_api)) == ["deadline_reached", "task_overdue"]


def of_three_kinds(api: APIClient) -> list[str]:
    """The ids of three notifications of a task, the first of which was read, as they were made."""
    for at in (-30, 0, 60):
        remind(NOON + minutes(at))
        if at < 0:
            api.post("/notifications/read-all")
    return [note["id"] for note in reversed(api.get("/notifications").json())]


def told(api: APIClient) -> list[tuple[str, Any]]:
    """The events since the last notification was made: their types, and the ids they are about."""
    events = [(event["type"], event["data"]) for event in api.get("/events").json()]
    made = max(number for number, (kind, _) in enumerate(events) if kind == "notification.created")
    for kind, data in events:
        if kind in ("notification.withdrawn", "task.deleted"):
            assert data.keys() == {"id"}
    return [(kind, data["id"]) for kind, data in events[made + 1 :]]


def test_deleting_a_task_withdraws_its_notifications(alice_api, task):
    ids = of_three_kinds(alice_api)
    assert alice_api.delete(f"/tasks/{task['id']}").status_code == 204
    assert kinds(alice_api) == []
    *before, last = told(alice_api)
    assert sorted(before) == [("notification.withdrawn", id) for id in sorted(ids)]
    assert last == ("task.deleted", task["id"])


@pytest.mark.parametrize(
    "fields", [{"completed": True}, {"deadline": None}, {"deadline": "2031-01-01T00:00:00Z"}]
)
@pytest.mark.parametrize("method", ["put", "patch"])
def test_those_that_no_longer_hold_are_withdrawn_with_an_event_each(
    alice_api, task, fields, method
):
    read, *unread = of_three_kinds(alice_api)
    body = {"text": "x", "deadline": NOON.isoformat(), **fields}
    assert getattr(alice_api, method)(f"/tasks/{task['id']}", body).status_code == 200
    *withdrawn, last = told(alice_api)
    assert sorted(withdrawn) == [("notification.withdrawn", id) for id in sorted(unread)]
    assert last == ("task.updated", task["id"])
    assert [note["id"] for note in alice_api.get("/notifications").json()] == [read]
    assert alice_api.get("/notifications/unread-count").json() == {"count": 0}


def test_many_tasks_deleted_at_once_withdraw_theirs(alice_api, bob_api):
    for api in (alice_api, bob_api, alice_api):
        made(api, deadline=NOON.isoformat())
    remind(NOON)
    Task.objects.all().delete()
    for api, times in ((alice_api, 2), (bob_api, 1)):
        kinds_told = [kind for kind, _ in told(api)]
        assert kinds_told == times * ["notification.withdrawn"] + times * ["task.deleted"]


def test_a_reminder_is_no_change_of_the_task(alice_api, task):
    remind(NOON)
    assert listed(alice_api) == [task]


def test_the_database_refuses_a_second_one_of_a_kind(alice_api, task):
    remind(NOON)
    note = Notification.objects.get()
    with pytest.raises(IntegrityError), transaction.atomic():
        Notification(
            user_id=ALICE,
            task_id=note.task_id,
            type=note.type,
            title="again",
            message="again",
            deadline=note.deadline,
        ).save()


# REST


@pytest.fixture
def three(alice_api) -> list[dict[str, Any]]:
    """Three notifications of Alice, newest first."""
    for number in range(3):
        made(alice_api, str(number), deadline=NOON.isoformat())
        remind(NOON)
    notes: list[dict[str, Any]] = alice_api.get("/notifications").json()
    return notes


def test_newest_first_and_a_page_at_a_time(alice_api, three):
    assert [note["created_at"] for note in three] == sorted(
        (note["created_at"] for note in three), reverse=True
    )
    seen, url = [], "/notifications?limit=2"
    while url:
        page = alice_api.get(url)
        seen += page.json()
        url = next_url(page) or ""
    assert seen == three


@pytest.mark.parametrize("clock", ["running", "standing still"])
def test_of_one_pass_they_stand_in_the_order_of_their_events(alice_api, monkeypatch, clock):
    for number in range(30):  # of all kinds, not in the order in which they are due
        made(alice_api, str(number), deadline=(NOON - minutes(number * 37 % 100 - 20)).isoformat())
    if clock != "running":
        monkeypatch.setattr("tasks.rules.moments.timezone.now", lambda: NOON)
    assert remind(NOON) == 30
    notes = alice_api.get("/notifications?limit=1000").json()
    events = [event["data"] for event in alice_api.get("/events").json()]
    assert notes == events[:-31:-1]
    assert len({note["type"] for note in notes}) == 3
    for name in ("created_at", "id"):
        assert [note[name] for note in notes] == sorted({note[name] for note in notes})[::-1]


def test_marking_one_read(alice_api, three):
    path = f"/notifications/{three[1]['id']}/read"
    read = alice_api.post(path)
    assert read.status_code == 200 and read.json()["read_at"].endswith("Z")
    assert read.json() == three[1] | {"read_at": read.json()["read_at"]}
    assert alice_api.post(f"{path}/").json() == read.json()  # once is enough
    unread = alice_api.get("/notifications?status=unread").json()
    assert unread == [three[0], three[2]]
    assert alice_api.get("/notifications/unread-count").json() == {"count": 2}
    events = Event.objects.filter(type="notification.read")
    assert [event.data for event in events] == [read.json()]


def test_marking_all_read_makes_an_event_for_each(alice_api, bob_api, three):
    assert bob_api.post("/notifications/read-all").json() == {"updated": 0}
    assert alice_api.post("/notifications/read-all").json() == {"updated": 3}
    assert alice_api.post("/notifications/read-all").json() == {"updated": 0}
    assert alice_api.get("/notifications/unread-count").json() == {"count": 0}
    assert alice_api.get("/notifications?status=unread").json() == []
    assert Event.objects.filter(type="notification.read").count() == 3


@pytest.mark.parametrize("query", ["status=read", "status=", "limit=0", "cursor=x"])
def test_a_bad_parameter_is_named(alice_api, query):
    answer = alice_api.get(f"/notifications?{query}")
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(query.partition("=")[0])


def test_anothers_notification_is_refused_and_stays_unread(bob_api, three):
    answer = bob_api.post(f"/notifications/{three[0]['id']}/read")
    assert (answer.status_code, answer.json()) == (
        403,
        {"detail": "Access denied", "code": "not_yours"},
    )
    assert bob_api.get("/notifications").json() == []
    assert Notification.objects.filter(read_at=None).count() == 3


@pytest.mark.parametrize("id", ["01a20acc-7502-74ee-8b22-585be5cfff4b", "nonsense"])
def test_an_unknown_one_is_404(alice_api, id):
    answer = alice_api.post(f"/notifications/{id}/read")
    assert (answer.status_code, answer.json()) == (
        404,
        {"detail": "Notification not found", "code": "not_found"},
    )


# The command


@pytest.mark.parametrize("at", ["tomorrow", "2030-05-01", ""])
def test_a_moment_that_is_none_is_refused(at):
    with pytest.raises(CommandError, match="--at"):
        call_command("send_reminders", "--at", at)


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "86401"])
def test_a_loop_that_never_pauses_or_never_comes_back_is_refused(seconds):
    with pytest.raises(CommandError, match="--interval"):
        call_command("send_reminders", "--loop", "--interval", seconds)


def test_a_program_that_calls_the_command_keeps_its_own_signal_handlers():
    own = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    call_command("send_reminders", stdout=io.StringIO())
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == own


def test_more_than_one_batch(alice_api):
    for number in range(450):
        Task(user_id=f"person-{number % 7}", text=str(number), deadline=NOON).save()
    assert remind(NOON) == 450
    assert remind(NOON) == 0


def test_four_workers_at_once_make_each_notification_once(tmp_path, working_on):
    """Really at once on PostgreSQL; SQLite works with one."""
    shared = connection.vendor == "postgresql"
    total, workers = (2000, 4) if shared else (200, 1)
    passed = datetime(2026, 1, 1, tzinfo=UTC)
    with new_database(tmp_path) as url, working_on(url):
        running = [
            subprocess.Popen(
                [sys.executable, "manage.py", "send_reminders", "--loop", "--interval", "0.2"],
                cwd=ROOT,
                env=environment_for(url),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(workers)
        ]
        for worker in running:
            assert worker.stderr is not None
            assert any("reminders every" in line for line in worker.stderr)
        with transaction.atomic():
            for n in range(total):
                Task(user_id=f"person-{n % 50}", text=str(n), deadline=passed).save()
        deadline = time.monotonic() + 120
        while Notification.objects.count() < total and time.monotonic() < deadline:
            time.sleep(0.1)
        for worker in running:
            worker.terminate()
        outputs = [worker.communicate(timeout=20) for worker in running]
        assert [worker.returncode for worker in running] == [0] * workers
        assert "Traceback" not in "".join(errors for _, errors in outputs)
        said = sum(int(line.split()[0]) for out, _ in outputs for line in out.splitlines())
        assert said == total
        assert Notification.objects.count() == total
        assert Notification.objects.values("task").distinct().count() == total
        assert Event.objects.filter(type="notification.created").count() == total


# The admin


@pytest.mark.parametrize("path", ["notification", "event"])
def test_staff_look_at_them_and_change_nothing(client, alice_api, three, path):
    client.force_login(User.objects.create_superuser("staff"))
    page = client.get(f"/admin/tasks/{path}/")
    assert page.status_code == 200 and ALICE in page.content.decode()
    assert client.get(f"/admin/tasks/{path}/", {"q": ALICE}).status_code == 200
    assert client.get(f"/admin/tasks/{path}/add/").status_code == 403
    row = page.context["cl"].result_list[0]
    one = client.get(f"/admin/tasks/{path}/{row.pk}/change/")
    assert one.status_code == 200 and 'name="_save"' not in one.content.decode()
    assert client.post(f"/admin/tasks/{path}/{row.pk}/change/", {}).status_code == 403
    assert client.post(f"/admin/tasks/{path}/{row.pk}/delete/", {"post": "yes"}).status_code == 403


def test_staff_may_delete_a_task_that_has_notifications(client, three):
    client.force_login(User.objects.create_superuser("staff"))
    task = three[0]["task_id"]
    gone = client.post(f"/admin/tasks/task/{task}/delete/", {"post": "yes"})
    assert gone.status_code == 302 and not Task.objects.filter(pk=task).exists()
    assert Notification.objects.count() == 2
    types = list(Event.objects.order_by("-seq").values_list("type", flat=True)[:2])
    assert types == ["task.deleted", "notification.withdrawn"]
