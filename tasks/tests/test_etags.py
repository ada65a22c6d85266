"""`ETag` on every single task; `If-Match` and `If-None-Match` (docs/api.md section 3, RFC 9110)."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from conftest import PAGE_ORIGIN
from tasks.models import Event, Task
from tasks.tests.calls import listed, made
from tasks.tests.holding import ask, writers_waiting

pytestmark = pytest.mark.django_db

CHANGES: list[tuple[str, Any]] = [
    ("put", {"text": "Buy bread"}),
    ("patch", {"text": "Buy bread"}),
    ("delete", None),
]
every_change = pytest.mark.parametrize(("method", "body"), CHANGES)
STALE = '"0"'


@pytest.fixture
def path(alice_api):
    return f"/tasks/{made(alice_api)['id']}"


def change(api: Any, method: str, path: str, body: Any, **headers: str) -> Any:
    return getattr(api, method)(path, body, **headers)


def refused(response: Any) -> bool:
    return bool(response.status_code == 412 and response.json().keys() == {"detail", "code"})


# The ETag


def test_every_answer_with_one_task_has_the_etag_of_the_task(alice_api):
    created = alice_api.post("/tasks", {"text": "Buy milk"})
    path = f"/tasks/{created.json()['id']}"
    assert alice_api.get(path)["ETag"] == created["ETag"]
    assert alice_api.head(path)["ETag"] == created["ETag"]

    for method in ("put", "patch"):
        changed = getattr(alice_api, method)(path, {"text": "Buy bread"})
        assert alice_api.get(path)["ETag"] == changed["ETag"]


def test_it_is_strong(alice_api, path):
    assert re.fullmatch(r'"[\x21\x23-\x7e]+"', alice_api.get(path)["ETag"])


def test_lists_and_refusals_have_none(alice_api, bob_api, path):
    assert "ETag" not in alice_api.get("/tasks")
    assert "ETag" not in bob_api.get(path)
    assert "ETag" not in alice_api.patch(path, {"text": ""})


@pytest.mark.parametrize("body", [{"text": "Buy bread"}, {"completed": True}, {}])
def test_a_change_changes_it_and_reading_does_not(alice_api, path, body):
    before = alice_api.get(path)["ETag"]
    assert alice_api.get(path)["ETag"] == before

    assert alice_api.patch(path, body)["ETag"] != before


@pytest.mark.parametrize("step", [timedelta(0), timedelta(seconds=-30)])
def test_it_changes_though_the_clock_does_not_move_on(alice_api, path, monkeypatch, step):
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
    seen = [alice_api.get(path)]
    for number in range(3):
        now += step
        seen.append(alice_api.patch(path, {"order": number}))

    moments = [response.json()["updated_at"] for response in seen]
    assert moments == sorted(set(moments))
    assert len({response["ETag"] for response in seen}) == 4


def test_whoever_writes_changes_it(alice_api, path, monkeypatch):
    """Also with a copy of the task that was read long ago, and only some of its columns."""
    old_copy = Task.objects.get()
    monkeypatch.setattr(timezone, "now", lambda: old_copy.updated_at)
    before = alice_api.patch(path, {"order": 1})["ETag"]

    old_copy.text = "Buy bread"
    old_copy.save(update_fields=["text"])

    after = alice_api.get(path)
    assert (after.json()["text"], after.json()["order"]) == ("Buy bread", 1)
    assert after["ETag"] != before


def test_it_is_the_version_which_grows_by_one_with_every_change(alice_api, path):
    assert (alice_api.get(path)["ETag"], alice_api.get(path).json()["version"]) == ('"1"', 1)
    for version in (2, 3):
        changed = alice_api.patch(path, {"order": version})
        assert (changed["ETag"], changed.json()["version"]) == (f'"{version}"', version)
    assert alice_api.get("/tasks").json()[0]["version"] == 3
    assert Event.objects.latest("seq").data["version"] == 3


# If-Match


@every_change
def test_a_change_of_what_was_read_is_made(alice_api, path, method, body):
    current = alice_api.get(path)["ETag"]

    response = change(alice_api, method, path, body, HTTP_IF_MATCH=current)

    assert response.status_code in (200, 204)
    assert [task["text"] for task in listed(alice_api)] in (["Buy bread"], [])


@every_change
def test_a_change_of_what_has_changed_is_refused_and_nothing_happens(alice_api, path, method, body):
    read = alice_api.get(path)["ETag"]
    changed = alice_api.patch(path, {"order": 1})
    events = Event.objects.count()

    assert refused(change(alice_api, method, path, body, HTTP_IF_MATCH=read))

    assert alice_api.get(path).json() == changed.json()
    assert alice_api.get(path)["ETag"] == changed["ETag"]
    assert Event.objects.count() == events


@pytest.mark.parametrize(
    ("header", "matches"),
    [
        ("*", True),
        (" * ", True),
        ("{etag}", True),
        (" {etag}\t", True),
        ('"one", {etag}, "two"', True),
        ('"one",{etag}', True),
        ('W/"weak", {etag}', True),
        (",{etag},,", True),  # RFC 9110 section 5.6.1.2: empty elements are to be ignored
        ('"one", "two"', False),
        ("W/{etag}", False),  # section 13.1.1: strong comparison
        ("w/{etag}", False),
        ('"*"', False),
        # Section 13.1.1: what is neither * nor a list of ETags makes the condition false.
        ("", False),
        (",", False),
        ("{bare}", False),
        ("'{bare}'", False),
        ('"{bare}', False),
        ('{bare}"', False),
        ("{etag}{etag}", False),
        ("null", False),
        ("**", False),
        ("\xff", False),
        ('"' + "x" * 5000 + '"', False),
    ],
)
@every_change
def test_the_forms_of_if_match(alice_api, path, method, body, header, matches):
    current = alice_api.get(path)["ETag"]
    value = header.format(etag=current, bare=current.strip('"'))

    response = change(alice_api, method, path, body, HTTP_IF_MATCH=value)

    if matches:
        assert response.status_code in (200, 204), response.content
    else:
        assert refused(response)
        assert alice_api.get(path)["ETag"] == current


@every_change
@pytest.mark.parametrize("header", ["*", STALE, "garbage", ""])
def test_isolation_comes_first(alice_api, bob_api, path, method, body, header):
    before = alice_api.get(path)

    theirs = change(bob_api, method, path, body, HTTP_IF_MATCH=header)
    assert (theirs.status_code, theirs.json()) == (
        403,
        {"detail": "Access denied", "code": "not_yours"},
    )

    nobodys = change(
        alice_api, method, "/tasks/00000000-0000-7000-8000-000000000000", body, HTTP_IF_MATCH=header
    )
    assert (nobodys.status_code, nobodys.json()) == (
        404,
        {"detail": "Task not found", "code": "not_found"},
    )

    assert alice_api.get(path).json() == before.json()


def test_anothers_etag_is_no_way_in(alice_api, bob_api, path):
    current = alice_api.get(path)["ETag"]

    assert bob_api.patch(path, {"text": "x"}, HTTP_IF_MATCH=current).status_code == 403
    assert bob_api.get(path, HTTP_IF_NONE_MATCH=current).status_code == 403


@pytest.mark.parametrize("method", ["put", "patch"])
def test_the_condition_comes_before_the_body(alice_api, path, method):
    """RFC 9110 section 13.2.1: it is evaluated before the content is processed."""
    assert refused(change(alice_api, method, path, {"text": ""}, HTTP_IF_MATCH=STALE))


def test_options_knows_no_conditions(alice_api, path):
    response = alice_api.options(path, HTTP_IF_MATCH=STALE, HTTP_IF_NONE_MATCH="*")

    assert response.status_code == 204


# If-None-Match


def test_what_is_known_already_is_not_sent_again(alice_api, path):
    current = alice_api.get(path)["ETag"]

    for method in ("get", "head"):
        response = getattr(alice_api, method)(path, HTTP_IF_NONE_MATCH=current)
        assert (response.status_code, response.content) == (304, b"")
        assert response["ETag"] == current

    changed = alice_api.patch(path, {"order": 1})
    response = alice_api.get(path, HTTP_IF_NONE_MATCH=current)
    assert (response.status_code, response.json()) == (200, changed.json())


@pytest.mark.parametrize(
    ("header", "known"),
    [
        ("*", True),
        ("W/{etag}", True),  # section 13.1.2: weak comparison
        ('"one", {etag}', True),
        ('"one"', False),
        ("", False),
        ("{bare}", False),
        ("\xff", False),
    ],
)
def test_the_forms_of_if_none_match(alice_api, path, header, known):
    current = alice_api.get(path)["ETag"]
    value = header.format(etag=current, bare=current.strip('"'))

    assert alice_api.get(path, HTTP_IF_NONE_MATCH=value).status_code == (304 if known else 200)


@every_change
def test_a_change_of_anything_but_what_is_there_is_refused(alice_api, path, method, body):
    """Section 13.1.2: for other methods than GET and HEAD it is 412."""
    current = alice_api.get(path)["ETag"]

    assert refused(change(alice_api, method, path, body, HTTP_IF_NONE_MATCH="*"))
    assert refused(change(alice_api, method, path, body, HTTP_IF_NONE_MATCH=current))
    assert alice_api.get(path)["ETag"] == current
    response = change(alice_api, method, path, body, HTTP_IF_NONE_MATCH=STALE)
    assert response.status_code in (200, 204)


@every_change
def test_of_two_conditions_both_count(alice_api, path, method, body):
    current = alice_api.get(path)["ETag"]
    both = {"HTTP_IF_MATCH": current, "HTTP_IF_NONE_MATCH": current}

    assert refused(change(alice_api, method, path, body, **both))


def test_a_page_of_another_origin_sees_these_answers(alice_api, path):
    current = alice_api.get(path)["ETag"]

    for response in (
        alice_api.get(path, HTTP_ORIGIN=PAGE_ORIGIN),
        alice_api.get(path, HTTP_ORIGIN=PAGE_ORIGIN, HTTP_IF_NONE_MATCH=current),
        alice_api.patch(path, {"order": 1}, HTTP_ORIGIN=PAGE_ORIGIN, HTTP_IF_MATCH=STALE),
    ):
        assert response.status_code in (200, 304, 412)
        assert response["Access-Control-Allow-Origin"] == PAGE_ORIGIN
        assert "ETag" in response["Access-Control-Expose-Headers"]


# Over real HTTP, two at a time


@pytest.mark.parametrize(
    "pair",
    [
        [("PATCH", {"order": 1}), ("PATCH", {"order": 2})],
        [("PUT", {"text": "Buy bread"}), ("PATCH", {"order": 2})],
        [("PATCH", {"order": 1}), ("DELETE", None)],
    ],
)
def test_of_two_changes_at_once_of_the_same_version_one_is_made(server, pair):
    """They are made to overlap: both have arrived before either can write."""
    created = ask(server, "POST", "/tasks", {"text": "Buy milk"})
    path = f"/tasks/{created.json()['id']}"

    with ThreadPoolExecutor() as threads:
        with writers_waiting(server) as wait_for:
            calls = [
                threads.submit(ask, server, method, path, body, If_Match=created.headers["ETag"])
                for method, body in pair
            ]
            wait_for(2)
        answers = [call.result() for call in calls]

    won, lost = sorted(answers, key=lambda answer: answer.status)
    assert won.status in (200, 204)
    assert lost.status == (404 if won.status == 204 else 412)
    after = ask(server, "GET", path)
    assert (after.status, after.content) in [(200, won.content), (404, lost.content)]


def test_304_over_http_has_no_body(server):
    created = ask(server, "POST", "/tasks", {"text": "Buy milk"})

    answer = ask(
        server, "GET", f"/tasks/{created.json()['id']}", If_None_Match=created.headers["ETag"]
    )

    assert (answer.status, answer.content) == (304, b"")
    assert answer.headers["ETag"] == created.headers["ETag"]
