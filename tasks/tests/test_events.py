"""The record of events: numbers, atomicity, polling (docs/api.md sections 3 and 5)."""

import json
import threading
from datetime import datetime

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from conftest import ALICE, BOB, client_with, sign
from tasks.events.record import newest_seqs, record, replay
from tasks.models import Event, Stream, Task
from tasks.tests.calls import made, next_url

pytestmark = pytest.mark.django_db


def seqs(user_id: str = ALICE) -> list[int]:
    return list(Event.objects.filter(user_id=user_id).order_by("seq").values_list("seq", flat=True))


def test_each_change_is_an_event_with_the_next_number(alice_api):
    task = made(alice_api, "one")
    changed = alice_api.patch(f"/tasks/{task['id']}", {"completed": True}).json()
    alice_api.delete(f"/tasks/{task['id']}")
    events = alice_api.get("/events").json()
    assert [(event["seq"], event["type"]) for event in events] == [
        (1, "task.created"),
        (2, "task.updated"),
        (3, "task.deleted"),
    ]
    assert [event["data"] for event in events] == [task, changed, {"id": task["id"]}]
    assert all(event["at"].endswith("Z") for event in events)
    assert all(event.keys() == {"seq", "type", "at", "data"} for event in events)


def test_everybody_has_numbers_and_events_of_their_own(alice_api, bob_api):
    made(alice_api)
    made(bob_api)
    made(alice_api)
    assert (seqs(ALICE), seqs(BOB)) == ([1, 2], [1])
    assert {event["data"]["user_id"] for event in bob_api.get("/events").json()} == {BOB}


def test_an_event_is_the_task_as_it_was_written(alice_api):
    task = made(alice_api, 'naïve "☕"\n', deadline="2030-01-01T00:00:00Z")
    (event,) = replay(ALICE, 0, 10).events
    sent = json.loads(event)
    assert list(sent) == ["seq", "type", "at", "data"]
    assert (sent["seq"], sent["type"], sent["data"]) == (1, "task.created", task)
    assert datetime.fromisoformat(sent["at"]) >= datetime.fromisoformat(task["created_at"])


def test_the_newest_numbers_of_many_people_whatever_their_ids_hold():
    odd = ["a'b", 'a"b', "a,b", "{}", "\\", "NULL", "null", "é", " x", "a%sb", "(a)", "1"]
    for user_id in odd:
        Stream.objects.create(user_id=user_id, last_seq=len(user_id))
    assert newest_seqs([*odd, "nobody"]) == {user_id: len(user_id) for user_id in odd}
    assert newest_seqs(["é"]) == {"é": 1}
    assert newest_seqs([]) == {}


def test_a_refused_change_is_no_event(alice_api, bob_api):
    task = made(alice_api)
    bob_api.patch(f"/tasks/{task['id']}", {"text": "mine"})
    alice_api.patch(f"/tasks/{task['id']}", {"text": ""})
    assert (seqs(ALICE), seqs(BOB)) == ([1], [])


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_rolls_back_leaves_no_event_and_no_gap():
    Task(user_id=ALICE, text="kept").save()
    with transaction.atomic():
        Task(user_id=ALICE, text="lost").save()
        transaction.set_rollback(True)
    Task(user_id=ALICE, text="kept too").save()
    assert seqs() == [1, 2]
    assert [task.text for task in Task.objects.order_by("created_at")] == ["kept", "kept too"]


@pytest.mark.django_db(transaction=True)
def test_a_change_whose_event_cannot_be_written_is_not_made():
    # The number that the event would get is taken.
    Event(user_id=ALICE, seq=1, type="task.created", at=timezone.now(), data={}).save()
    with pytest.raises(IntegrityError):
        Task(user_id=ALICE, text="x").save()
    assert not Task.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_outside_a_transaction_nothing_can_be_recorded():
    with pytest.raises(transaction.TransactionManagementError):
        record(ALICE, "task.created", {})


@pytest.mark.django_db(transaction=True)
def test_numbers_are_given_in_the_order_of_the_commits():
    """A writer that is late to commit keeps the next one of the same person waiting."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite lets one writer in at a time anyway")
    first_has_number, may_commit, second_done = (threading.Event() for _ in range(3))

    def first() -> None:
        with transaction.atomic():
            Task(user_id=ALICE, text="first").save()
            first_has_number.set()
            may_commit.wait(10)
        connection.close()

    def second() -> None:
        first_has_number.wait(10)
        Task(user_id=ALICE, text="second").save()
        second_done.set()
        connection.close()

    threads = [threading.Thread(target=run) for run in (first, second)]
    for thread in threads:
        thread.start()
    assert first_has_number.wait(10)
    assert not second_done.wait(0.3)
    may_commit.set()
    for thread in threads:
        thread.join(10)
    texts = Event.objects.order_by("seq").values_list("data__text", flat=True)
    assert list(texts) == ["first", "second"]


def test_a_task_and_its_event_are_one_statement(alice_api, django_assert_num_queries):
    made(alice_api)
    if connection.vendor == "postgresql":  # the plain way takes more
        with django_assert_num_queries(1):
            made(alice_api)
    assert Event.objects.count() == Task.objects.count()


def test_polling_goes_on_where_it_stopped(alice_api):
    for number in range(5):
        made(alice_api, str(number))
    page = alice_api.get("/events", {"since": 1, "limit": 2})
    assert [event["seq"] for event in page.json()] == [2, 3]
    url = next_url(page)
    assert url is not None
    page = alice_api.get(url)
    assert [event["seq"] for event in page.json()] == [4, 5]
    assert next_url(page) is None
    assert alice_api.get("/events/", {"since": 5}).json() == []


def test_before_the_first_event_there_are_none(alice_api):
    assert alice_api.get("/events").json() == []
    assert alice_api.get("/events", {"since": 0}).json() == []


def test_a_number_ahead_of_us_is_gone(alice_api):
    made(alice_api)
    answer = alice_api.get("/events", {"since": 2})
    assert answer.status_code == 410 and answer.json()["detail"]


@pytest.mark.parametrize(
    "query",
    [
        "since=-1",
        "since=x",
        "since=",
        "since=1&since=2",
        "limit=0",
        "limit=1001",
        "since=" + "9" * 30,
    ],
)
def test_a_bad_parameter_is_named(alice_api, query):
    answer = alice_api.get(f"/events?{query}")
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(query.partition("=")[0])


def test_nobody_reads_events_without_a_token(anonymous_api):
    assert anonymous_api.get("/events").status_code == 401
    assert client_with(sign(exp=1)).get("/events").status_code == 401


def test_a_gap_in_the_record_is_never_passed_over_in_silence(alice_api):
    for _ in range(4):
        made(alice_api)
    Event.objects.filter(seq=2).delete()  # as if pruned while somebody reads
    assert replay(ALICE, 1, 10).complete is False
    assert replay(ALICE, 2, 10).complete is True
    Event.objects.all().delete()
    assert replay(ALICE, 2, 10).complete is False
    assert Stream.objects.get(pk=ALICE).last_seq == 4


def test_a_deletion_of_many_takes_its_owners_in_order():
    """So that no two of them wait for each other in a circle."""
    for owner in ("c", "a", "b", "a", "c"):
        Task(user_id=owner, text="x").save()
    assert Task.objects.all().delete() == (5, {"tasks.Task": 5})
    gone = Event.objects.filter(type="task.deleted").order_by("pk")
    assert list(gone.values_list("user_id", flat=True)) == ["a", "a", "b", "c", "c"]


def test_a_page_of_events_is_bounded_in_bytes_too(alice_api):
    Task.objects.bulk_create(
        [Task(user_id=ALICE, text=f"{number}", description="\x01" * 2000) for number in range(300)]
    )
    url: str | None = "/events"
    seen: list[int] = []
    while url:
        response = alice_api.get(url)
        assert len(response.content) <= 1024 * 1024
        seen += [event["seq"] for event in response.json()]
        url = next_url(response)
        assert not url or len(response.content) > 1024 * 1024 - 14_000
    assert seen == list(range(1, 301))
