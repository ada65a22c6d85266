"""`Idempotency-Key` on `POST /tasks`: retries lose nothing and double nothing (docs/api.md section 3)."""

import json
import time
import tracemalloc
from bisect import bisect_left
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import timedelta
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from psycopg.conninfo import make_conninfo

from accounts.owned import acting
from conftest import ALICE, PAGE_ORIGIN, Server, client_with, sign
from tasks.models import Event, Task
from tasks.resources.idempotency import KEPT_FOR, KeptAnswer
from tasks.tests.calls import listed, made
from tasks.tests.holding import PATIENCE, Answer, ask, writers_waiting

pytestmark = pytest.mark.django_db

BODY: dict[str, Any] = {"text": "Buy milk", "description": "two litres ☕", "order": 1}


def post(api: Any, body: Any = BODY, key: str = "key-1", **headers: str) -> Any:
    return api.post("/tasks", body, HTTP_IDEMPOTENCY_KEY=key, **headers)


def post_raw(api: Any, body: str, key: str = "key-1") -> Any:
    return api.generic(
        "POST", "/tasks", body, content_type="application/json", HTTP_IDEMPOTENCY_KEY=key
    )


def same(first: Any, again: Any) -> bool:
    """Whether these are the same answer to a creation, byte for byte."""
    headers = ("Content-Type", "Location", "ETag")
    return (
        first.status_code == again.status_code == 201
        and first.content == again.content
        and [first[name] for name in headers] == [again[name] for name in headers]
    )


def as_if_kept_for(age: timedelta) -> None:
    KeptAnswer.objects.update(created_at=timezone.now() - age)


# Repeats


def test_a_repeat_answers_the_first_answer_and_creates_nothing(alice_api):
    first = post(alice_api)

    for _ in range(3):
        assert same(first, post(alice_api))

    assert first.json() == alice_api.get(first["Location"]).json()
    assert listed(alice_api) == [first.json()]
    assert Event.objects.count() == 1


def test_also_when_the_task_was_changed_meanwhile(alice_api):
    first = post(alice_api)
    changed = alice_api.patch(first["Location"], {"text": "Buy bread"}).json()

    assert same(first, post(alice_api))
    assert listed(alice_api) == [changed]


def test_also_when_the_task_was_deleted_meanwhile(alice_api):
    first = post(alice_api)
    alice_api.delete(first["Location"])

    assert same(first, post(alice_api))
    assert listed(alice_api) == []


def test_also_with_another_token_of_the_same_person(alice_api):
    first = post(alice_api)

    assert same(first, post(client_with(sign(ALICE, name="Renamed"))))


def test_an_answer_looks_the_same_with_a_key_and_without(alice_api):
    with_key = post(alice_api)
    without = alice_api.post("/tasks", BODY)

    assert with_key.headers.keys() == without.headers.keys()
    assert post(alice_api).headers.keys() == without.headers.keys()
    assert list(with_key.json()) == list(without.json())
    assert alice_api.get(with_key["Location"]).content == with_key.content


def test_another_key_and_no_key_create_another_task(alice_api):
    responses = [
        post(alice_api, key="key-1"),
        post(alice_api, key="key-2"),
        post(alice_api, key="KEY-1"),
        alice_api.post("/tasks", BODY),
        alice_api.post("/tasks", BODY),
    ]

    assert {response.status_code for response in responses} == {201}
    assert len({response.json()["id"] for response in responses}) == 5


def test_two_people_may_use_the_same_key(alice_api, bob_api):
    alices, bobs = post(alice_api), post(bob_api)

    assert bobs.status_code == 201
    assert bobs.json()["id"] != alices.json()["id"]
    assert same(alices, post(alice_api))
    assert same(bobs, post(bob_api))
    assert listed(bob_api) == [bobs.json()]


def test_other_methods_and_paths_know_no_key(alice_api):
    task = made(alice_api)
    path = f"/tasks/{task['id']}"

    for order in (1, 2):
        changed = alice_api.patch(path, {"order": order}, HTTP_IDEMPOTENCY_KEY="key-1")
        assert (changed.status_code, changed.json()["order"]) == (200, order)
    assert alice_api.get(path, HTTP_IDEMPOTENCY_KEY="").status_code == 200
    assert not KeptAnswer.objects.exists()


def test_without_the_header_nothing_is_asked_of_the_database(alice_api):
    with CaptureQueriesContext(connection) as captured:
        alice_api.post("/tasks", BODY)

    statements = " ".join(query["sql"] for query in captured.captured_queries)
    assert "tasks_task" in statements
    assert "keptanswer" not in statements and "advisory" not in statements


# Bodies, compared as JSON values


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ('{"text": "x", "order": 1}', '{"order":1,"text":"x"}'),
        ('{"text": "x", "order": 1}', '\n{ "text" :\t"x" ,\r\n"order": 1 }\n'),
        ('{"text": "é☕🦊"}', '{"text": "\\u00e9\\u2615\\uD83E\\uDD8A"}'),
        ('{"text": "a/b"}', '{"\\u0074ext": "a\\/b"}'),
        ('{"text": "x", "order": 1}', '{"text": "x", "order": 1.0}'),
        ('{"text": "x", "a": 100}', '{"text": "x", "a": 1E+2}'),
        ('{"text": "x", "a": 0}', '{"text": "x", "a": -0.0}'),
        ('{"text": "x", "a": 0.5}', '{"text": "x", "a": 5e-1}'),
        ('{"text": "x", "a": {"b": [1, {"c": 2, "d": 3}]}}',) * 2,
        ('{"text": "x", "a": {"b": 1, "c": 2}}', '{"text": "x", "a": {"c": 2.0, "b": 1}}'),
        ('{"text": "y", "text": "x"}', '{"text": "x"}'),  # of two values the last one counts
        ('{"text": "x", "a": "\\ud800"}',) * 2,
        ('{"text": "x", "a": 1e999}',) * 2,
        ('{"text": "x", "a": 1e20}', '{"text": "x", "a": 100000000000000000000}'),
        ('{"text": "x", "a": 1e308}', '{"text": "x", "a": 1' + "0" * 308 + "}"),
        ('{"text": "x", "a": ' + "9" * 4000 + "}",) * 2,
    ],
)
def test_the_same_body_written_differently_is_a_repeat(alice_api, first, again):
    assert same(post_raw(alice_api, first), post_raw(alice_api, again))
    assert Task.objects.count() == 1


@pytest.mark.parametrize(
    ("first", "other"),
    [
        ('{"text": "x"}', '{"text": "y"}'),
        ('{"text": "x"}', '{"text": "x "}'),  # not the task is compared, but what was sent
        ('{"text": "x"}', '{"text": "x", "order": 0}'),
        ('{"text": "x"}', '{"text": "x", "unknown": 1}'),
        ('{"text": "x"}', '{"text": ""}'),
        ('{"text": "x"}', "[]"),
        ('{"text": "x"}', ""),
        ('{"text": "é"}', '{"text": "e\\u0301"}'),
        ('{"text": "x", "a": 1}', '{"text": "x", "a": true}'),
        ('{"text": "x", "a": 0}', '{"text": "x", "a": false}'),
        ('{"text": "x", "a": 0}', '{"text": "x", "a": null}'),
        ('{"text": "x", "a": 1}', '{"text": "x", "a": "1"}'),
        ('{"text": "x", "a": "1.0"}', '{"text": "x", "a": "1"}'),
        ('{"text": "x", "a": 1}', '{"text": "x", "a": 1.5}'),
        ('{"text": "x", "a": [1, 2]}', '{"text": "x", "a": [2, 1]}'),
        ('{"text": "x", "a": []}', '{"text": "x", "a": {}}'),
        ('{"text": "x", "a": 9007199254740993}', '{"text": "x", "a": 9007199254740992.0}'),
        ('{"text": "x", "a": 1' + "0" * 4000 + "}", '{"text": "x", "a": 1' + "0" * 3999 + "1}"),
        ('{"text": "x", "a": "\\" 1.0"}', '{"text": "x", "a": "\\" 1"}'),
    ],
)
def test_another_body_with_the_same_key_is_refused(alice_api, first, other):
    created = post_raw(alice_api, first)
    assert created.status_code == 201

    refused = post_raw(alice_api, other)

    assert refused.status_code == 422
    assert (
        refused.json().keys() == {"detail", "code"}
        and "Idempotency-Key" in refused.json()["detail"]
    )
    assert Task.objects.count() == 1
    assert same(created, post_raw(alice_api, first))


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"b":', "}")])
def test_what_is_nested_as_deeply_as_can_be_is_taken_with_a_key_as_well(
    alice_api, opening, closing
):
    def body(depth: int) -> str:
        return f'{{"text": "x", "a": {opening * depth}1{closing * depth}}}'

    def taken(depth: int) -> bool:
        status: int = alice_api.generic(
            "POST", "/tasks", body(depth), content_type="application/json"
        ).status_code
        assert status in (201, 400)
        return status == 201

    deepest = bisect_left(range(100_000), True, key=lambda depth: not taken(depth)) - 1

    for depth in range(deepest - 8, deepest + 9):
        first = post_raw(alice_api, body(depth), key=f"key-{depth}")
        again = post_raw(alice_api, body(depth), key=f"key-{depth}")
        assert first.status_code in (201, 400)
        assert first.status_code == 201 or depth > deepest - 4  # give or take our own frames
        assert again.content == first.content


@pytest.mark.parametrize("value", ["1e308", "0", '""', "9" * 4000], ids=lambda each: each[:5])
def test_what_a_body_costs_to_compare_is_in_proportion_to_its_length(alice_api, value):
    body = '{"text": "x", "a": [' + ",".join([value] * (1_000_000 // (len(value) + 1))) + "]}"
    post_raw(alice_api, '{"text": "x"}', key="before")
    tracemalloc.start()
    try:
        first = post_raw(alice_api, body)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert same(first, post_raw(alice_api, body))
    assert most < 64 * 1024 * 1024


# Keys


@pytest.mark.parametrize(
    "key",
    [
        *("k", "k" * 255, "a b", '"quoted"', "a,b", "%00", "0"),
        "".join(chr(code) for code in range(0x21, 0x7F)),
    ],
)
def test_keys_that_are_taken(alice_api, key):
    assert same(post(alice_api, key=key), post(alice_api, key=key))
    assert Task.objects.count() == 1


@pytest.mark.parametrize(
    "key", ["", " ", "\t \t", "k" * 256, "k" * 5000, "é", "☕", "a\tb", "\x7f"]
)
def test_keys_that_are_refused(alice_api, key):
    value = key.encode().decode("latin-1")  # as a server hands it on
    response = post(alice_api, key=value)

    assert response.status_code == 400
    assert (
        response.json().keys() == {"detail", "code"}
        and "Idempotency-Key" in response.json()["detail"]
    )
    assert not Task.objects.exists()


def test_blanks_around_a_key_are_not_part_of_it(alice_api):
    """RFC 9110 section 5.5; so a proxy that trims them makes no other key."""
    first = post(alice_api, key="key 1")

    assert same(first, post(alice_api, key=" key 1\t"))
    assert same(post(alice_api, key=f"  {'k' * 255} "), post(alice_api, key="k" * 255))


def test_a_stranger_is_asked_for_a_token_first(anonymous_api):
    assert post(anonymous_api, key="").status_code == 401


# What is not kept


@pytest.mark.parametrize(
    "body", ["{", "", "[]", '{"text": ""}', '{"text": "x", "order": 2147483648}']
)
def test_a_refusal_is_not_kept(alice_api, body):
    assert post_raw(alice_api, body).status_code == 400
    assert not KeptAnswer.objects.exists()

    created = post(alice_api)
    assert created.status_code == 201
    assert same(created, post(alice_api))


def test_refusals_of_type_and_size_are_not_kept(alice_api):
    large = json.dumps({"text": "x", "unknown": "x" * 1024 * 1024})

    assert post_raw(alice_api, large).status_code == 413
    form = alice_api.generic(
        "POST",
        "/tasks",
        "text=x",
        content_type="application/x-www-form-urlencoded",
        HTTP_IDEMPOTENCY_KEY="key-1",
    )
    assert form.status_code == 415
    assert post(alice_api).status_code == 201


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "broken", ["tasks.models.tasks.searchable", "tasks.resources.idempotency.KeptAnswer.save"]
)
def test_a_failure_of_ours_is_not_kept_and_neither_is_half_of_it(alice_api, monkeypatch, broken):
    def fails(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(broken, fails)
        assert post(alice_api).status_code == 500
    assert not Task.objects.exists() and not Event.objects.exists()

    created = post(alice_api)
    assert same(created, post(alice_api))
    assert listed(alice_api) == [created.json()]


# For 24 hours


def test_a_key_is_free_again_after_24_hours(alice_api):
    first = post(alice_api)

    as_if_kept_for(timedelta(hours=24) - timedelta(minutes=1))
    assert same(first, post(alice_api))

    as_if_kept_for(timedelta(hours=24))
    second = post(alice_api, {"text": "Buy bread"})
    assert second.status_code == 201
    assert second.json()["text"] == "Buy bread"
    assert same(second, post(alice_api, {"text": "Buy bread"}))
    assert post(alice_api).status_code == 422
    assert Task.objects.count() == 2


def pruned() -> str:
    out = StringIO()
    call_command("prune_events", stdout=out)
    return out.getvalue()


def test_pruning_drops_answers_whose_keys_are_free_and_no_others(alice_api, monkeypatch):
    monkeypatch.setattr("tasks.resources.idempotency.PRUNE_BATCH", 2)
    for number in range(5):
        post(alice_api, key=f"old-{number}")
    as_if_kept_for(KEPT_FOR)
    kept = post(alice_api, key="new")

    assert "5 answers" in pruned()
    assert [answer.key for answer in KeptAnswer.objects.all()] == ["new"]
    assert same(kept, post(alice_api, key="new"))
    assert "answers" not in pruned()
    assert Task.objects.count() == 6


@pytest.mark.django_db(transaction=True)
def test_pruning_passes_over_what_a_request_is_about_to_replace(alice_api):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has no locks of rows")
    for key in ("held", "free"):
        post(alice_api, key=key)
    as_if_kept_for(KEPT_FOR)
    here = connection.settings_dict
    parts: dict[str, Any] = {
        part: here[name] or None
        for part, name in [("host", "HOST"), ("port", "PORT"), ("user", "USER"), ("dbname", "NAME")]
    }
    conninfo = make_conninfo(**parts, password=here["PASSWORD"] or None)
    with psycopg.connect(conninfo) as other:
        other.execute("SELECT set_config(%s, %s, true)", [acting.SETTING, acting.EVERYONE])
        other.execute("SELECT 1 FROM tasks_keptanswer WHERE key = 'held' FOR UPDATE")
        pruned()
        assert [answer.key for answer in KeptAnswer.objects.all()] == ["held"]
    pruned()
    assert not KeptAnswer.objects.exists()


# While the first one is still running: real servers


def say(server: Server, key: str, body: object = BODY) -> Answer:
    return ask(server, "POST", "/tasks", body, Idempotency_Key=key)


def statuses(calls: set[Future[Answer]]) -> list[int]:
    return sorted(call.result().status for call in calls)


def wait_until_done(calls: list[Future[Answer]], number: int) -> set[Future[Answer]]:
    """The calls that are answered, once there are so many of them."""
    deadline = time.monotonic() + PATIENCE
    done: set[Future[Answer]] = set()
    while len(done) < number and time.monotonic() < deadline:
        done, _ = wait(calls, timeout=1, return_when=FIRST_COMPLETED)
        time.sleep(0.02)
    return done


def test_a_repeat_while_the_first_is_still_running_is_told_to_come_back(server):
    made_first = ask(server, "POST", "/tasks", {"text": "for the lock"})
    before = len(ask(server, "GET", "/tasks").json())
    with ThreadPoolExecutor() as threads:
        with writers_waiting(server):
            calls = [threads.submit(say, server, "running") for _ in range(4)]
            refused = wait_until_done(calls, 3)
            assert statuses(refused) == [409] * 3
            other = ask(
                *(server, "POST", "/tasks", {"text": "another body"}),
                Idempotency_Key="running",
                Origin=PAGE_ORIGIN,
            )
        (first,) = set(calls) - refused
        created = first.result()

    for answer in (*(call.result() for call in refused), other):
        assert answer.status == 409
        assert answer.headers["Retry-After"] == "1"
        assert "Idempotency-Key" in answer.json()["detail"]
    assert other.headers["Access-Control-Allow-Origin"] == PAGE_ORIGIN
    assert (made_first.status, created.status) == (201, 201)
    again = say(server, "running")
    assert (again.status, again.content) == (201, created.content)
    assert [again.headers[name] for name in ("ETag", "Location")] == [
        created.headers[name] for name in ("ETag", "Location")
    ]
    assert len(ask(server, "GET", "/tasks").json()) == before + 1


@pytest.fixture(scope="module")
def twins(start_shared_server) -> list[Server]:
    """Two server processes with one database."""
    first = start_shared_server()
    return [first, start_shared_server(DATABASE_URL=first.database_url)]


def test_processes_know_of_each_other(twins):
    """On PostgreSQL at once; on SQLite the other process waits its turn, and finds the answer."""
    ask(twins[0], "POST", "/tasks", {"text": "for the lock"})
    before = len(ask(twins[0], "GET", "/tasks").json())
    at_once = 1 if twins[0].database_url.startswith("sqlite") else 0
    with ThreadPoolExecutor() as threads:
        with writers_waiting(twins[0]):
            calls = [threads.submit(say, twin, "twins") for twin in twins for _ in range(2)]
            refused = wait_until_done(calls, 3 - at_once)
            assert statuses(refused) == [409] * (3 - at_once)
        created = [call.result() for call in set(calls) - refused]

    assert {answer.status for answer in created} == {201}
    contents = {say(twin, "twins").content for twin in twins}
    assert contents == {answer.content for answer in created}
    assert len(contents) == 1
    assert len(ask(twins[1], "GET", "/tasks").json()) == before + 1


def test_the_keys_of_others_do_not_wait(twins):
    """Only the same key is refused; another one of the same person goes its way."""
    with ThreadPoolExecutor() as threads:
        answers = threads.map(lambda number: say(twins[number % 2], f"own-{number}"), range(16))
        created = list(answers)

    assert {answer.status for answer in created} == {201}
    assert len({answer.json()["id"] for answer in created}) == 16


def test_a_server_killed_in_the_middle_leaves_no_key_behind(start_server):
    doomed = start_server()
    ask(doomed, "POST", "/tasks", {"text": "for the lock"})
    with ThreadPoolExecutor() as threads, writers_waiting(doomed) as wait_for:
        call = threads.submit(say, doomed, "killed")
        wait_for(1)
        doomed.process.kill()
        assert call.exception() is not None
    heir = start_server(DATABASE_URL=doomed.database_url)
    deadline = time.monotonic() + PATIENCE
    while (answer := say(heir, "killed")).status == 409 and time.monotonic() < deadline:
        time.sleep(0.1)  # PostgreSQL has yet to notice

    assert answer.status == 201
    assert say(heir, "killed").content == answer.content
    found = [task["text"] for task in ask(heir, "GET", "/tasks").json()]
    assert sorted(found) == ["Buy milk", "for the lock"]


# CORS


def test_a_page_of_another_origin_sees_these_answers(alice_api):
    answers = [
        post(alice_api, HTTP_ORIGIN=PAGE_ORIGIN),
        post(alice_api, HTTP_ORIGIN=PAGE_ORIGIN),
        post(alice_api, {"text": "other"}, HTTP_ORIGIN=PAGE_ORIGIN),
        post(alice_api, key="", HTTP_ORIGIN=PAGE_ORIGIN),
    ]

    assert [answer.status_code for answer in answers] == [201, 201, 422, 400]
    for answer in answers:
        assert answer["Access-Control-Allow-Origin"] == PAGE_ORIGIN
        exposed = answer["Access-Control-Expose-Headers"]
        assert all(name in exposed for name in ("ETag", "Location", "Retry-After"))
