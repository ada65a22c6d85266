"""Lists tell as of which event they were read, so that nothing is missed (docs/api.md section 3)."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from conftest import ALICE, BOB, PAGE_ORIGIN, client_with, sign
from tasks.events.record import epoch_of, prune
from tasks.models import Epoch
from tasks.rules.moments import now
from tasks.tests.calls import made, next_url

pytestmark = pytest.mark.django_db

LISTS = ["/tasks", "/notifications", "/notifications?status=unread", "/events", "/notes", "/chores"]


def told(answer: Any) -> tuple[int, str]:
    """The position that a list tells."""
    assert answer.status_code == 200, answer.content
    return int(answer["X-Events-Seq"]), answer["X-Events-Epoch"]


@pytest.mark.parametrize("path", LISTS)
def test_every_list_tells_the_newest_number_of_its_owner(alice_api, bob_api, path):
    epoch = Epoch.objects.get().value
    assert len(epoch) == 32
    assert told(alice_api.get(path)) == (0, epoch)
    task = made(alice_api)
    made(alice_api)
    alice_api.patch(f"/tasks/{task['id']}", {"completed": True})
    made(bob_api)

    assert told(alice_api.get(path)) == told(alice_api.head(path)) == (3, epoch)
    assert told(bob_api.get(path)) == (1, epoch)
    alice_api.delete(f"/tasks/{task['id']}")
    assert told(alice_api.get(path)) == (4, epoch)


def test_every_page_tells_it(alice_api):
    for _ in range(3):
        made(alice_api)
    url: str | None = "/tasks?limit=1"
    pages = []
    while url:
        answer = alice_api.get(url)
        pages.append(told(answer)[0])
        url = next_url(answer)
        made(alice_api, "meanwhile")
    assert pages == [3, 4, 5]
    first = alice_api.get("/events?limit=1")
    assert (told(first)[0], [event["seq"] for event in first.json()]) == (6, [1])


def test_nothing_else_tells_it_and_pages_of_other_origins_may_read_it(alice_api):
    task = made(alice_api)
    for answer in (
        *(alice_api.get(f"/tasks/{task['id']}"), alice_api.post("/tasks", {"text": "x"})),
        *(alice_api.get("/notifications/unread-count"), alice_api.get("/tasks?limit=0")),
    ):
        assert "X-Events-Seq" not in answer and "X-Events-Epoch" not in answer
    exposed = alice_api.get("/tasks", HTTP_ORIGIN=PAGE_ORIGIN)["Access-Control-Expose-Headers"]
    assert {"X-Events-Seq", "X-Events-Epoch"} <= set(exposed.split(", "))


def test_whoever_fetches_and_then_polls_misses_nothing(alice_api):
    made(alice_api)
    seq, epoch = told(alice_api.get("/tasks"))
    assert alice_api.get(f"/events?since={seq}&epoch={epoch}").json() == []
    task = made(alice_api)
    (event,) = alice_api.get(f"/events?since={seq}&epoch={epoch}").json()
    assert event["data"] == task


def test_polling_that_can_not_go_on_is_told_where_to_begin_again(alice_api, bob_api):
    for _ in range(3):
        made(alice_api)
    epoch = epoch_of(ALICE)
    gone = {
        "detail": "These events are not on record. Fetch the list again.",
        "code": "events_gone",
        "seq": 3,
        "epoch": epoch,
    }
    ahead, another, blank = "since=4", "since=3&epoch=another", "epoch="
    for query in (ahead, another, blank, f"since=4&epoch={epoch}", f"epoch={epoch.upper()}"):
        answer = alice_api.get(f"/events?{query}")
        assert (answer.status_code, answer.json()) == (410, gone), query
    assert bob_api.get("/events?since=1").json() == gone | {"seq": 0}
    for _ in prune(before=now()):
        pass
    answer = alice_api.get("/events")
    assert (answer.status_code, answer.json()) == (410, gone)
    again = alice_api.get(f"/events?since={answer.json()['seq']}&epoch={answer.json()['epoch']}")
    assert (again.json(), told(again)) == ([], (3, epoch))


@pytest.mark.parametrize("query", ["epoch=a&epoch=a", "epoch=%00", "sinse=1"])
def test_a_bad_parameter_of_events_is_named(alice_api, query):
    answer = alice_api.get(f"/events?{query}")
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(f"{query.partition('=')[0]}: ")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_the_number_is_never_ahead_of_the_rows(alice_api, request):
    """Each task is one event, so there are as many of both."""
    reading = True

    def write() -> None:
        api = client_with(sign(ALICE))
        try:
            while reading:
                made(api)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as aside:
        writer = aside.submit(write)
        try:
            answers = [alice_api.get("/tasks") for _ in range(60)]
        finally:
            reading = False
        writer.result(timeout=30)
    seqs, rows = [told(each)[0] for each in answers], [len(each.json()) for each in answers]
    if "plain" in request.node.callspec.id:
        assert all(seq <= count for seq, count in zip(seqs, rows, strict=True))
    else:  # by one statement
        assert seqs == rows
    assert all(before <= after for before, after in pairwise(seqs))
    assert len(set(seqs)) > 1


@pytest.mark.django_db(transaction=True)
def test_emptied_tables_begin_another_history(alice_api):
    made(alice_api)
    _, epoch = told(alice_api.get("/tasks"))
    call_command("flush", interactive=False, verbosity=0)

    assert told(alice_api.get("/tasks")) != (0, epoch)
    assert alice_api.get(f"/events?since=0&epoch={epoch}").status_code == 410
    assert alice_api.get(f"/events?since=0&epoch={epoch_of(BOB)}").json() == []
    call_command("migrate", verbosity=0)
    assert told(alice_api.get("/tasks")) == (0, epoch_of(ALICE))
