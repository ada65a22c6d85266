"""`POST /tasks`: what is taken, what is refused, and how the new task looks."""

import gzip
import json
import re
import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from rest_framework.test import APIClient

from conftest import ALICE, BOB
from tasks.models import Task
from tasks.tests.calls import listed, made

pytestmark = pytest.mark.django_db

FIELDS = {
    *("id", "user_id", "version", "text", "description", "completed", "completed_at"),
    *("deadline", "order", "created_at", "updated_at"),
    *("due_on", "priority", "project_id", "label_ids", "position"),
    *("parent_id", "recurrence", "previous_id"),
}
MAX_BODY = 1024 * 1024  # bytes


def post_raw(api: APIClient, body: Any, content_type: str = "application/json") -> Any:
    """A body byte for byte, as no JSON library would write it."""
    return api.generic("POST", "/tasks", body, content_type=content_type)


def refused(response: Any) -> bool:
    """Whether this is a 400 of JSON, and nothing was created."""
    assert response.status_code == 400, response.content
    assert response["Content-Type"] == "application/json"
    assert isinstance(response.json(), dict)
    return not Task.objects.exists()


def test_it_works(alice_api):
    response = alice_api.post("/tasks", {"text": "Buy milk"})

    assert response.status_code == 201
    task = response.json()
    assert task["text"] == "Buy milk"
    assert listed(alice_api) == [task]


def test_location_leads_to_the_task(alice_api):
    response = alice_api.post("/tasks", {"text": "Buy milk"})

    assert response["Location"].endswith(f"/tasks/{response.json()['id']}")
    found = alice_api.get(response["Location"])
    assert found.status_code == 200
    assert found.json() == response.json()


def test_the_whole_wire_form(alice_api):
    before = time.time_ns() // 1_000_000
    task = made(alice_api)
    after = time.time_ns() // 1_000_000

    assert task.keys() == FIELDS
    assert task["user_id"] == ALICE
    assert (task["description"], task["order"]) == ("", 0)
    assert task["completed"] is False
    assert task["completed_at"] is None and task["deadline"] is None

    task_id = UUID(task["id"])
    assert str(task_id) == task["id"]
    assert task_id.version == 7
    assert before <= task_id.int >> 80 <= after

    assert task["created_at"].endswith("Z")
    assert task["created_at"] == task["updated_at"]
    created = datetime.fromisoformat(task["created_at"]).timestamp() * 1000
    assert before - 1 <= created <= after + 1


def test_everything_can_be_given(alice_api):
    given: dict[str, Any] = {
        "text": "Pay rent",
        "description": "By transfer\n  this time\n",
        "deadline": "2030-05-01T12:30:00.25Z",
        "order": -7,
        "completed": False,
    }
    task = made(alice_api, **given)

    assert {name: task[name] for name in given} == {
        **given,
        "deadline": "2030-05-01T12:30:00.25Z",
    }


def test_text_is_trimmed_and_description_is_not(alice_api):
    task = made(alice_api, " \t Buy milk \r\n", description="  as it is \n")

    assert task["text"] == "Buy milk"
    assert task["description"] == "  as it is \n"


def test_read_only_and_unknown_fields_are_ignored(alice_api, bob_api):
    """Nobody creates a task in another's list, nor with a past of their own making."""
    foreign = {
        "position": "a0",
        "user_id": BOB,
        "completed_at": "2001-01-01T00:00:00Z",
        "created_at": "2001-01-01T00:00:00Z",
        "updated_at": "2001-01-01T00:00:00Z",
        "search_text": "planted",
        "pk": 1,
        "owner": BOB,
        "\ud800": {"unknown": [None]},
        "": "",
    }
    response = post_raw(alice_api, json.dumps({"text": "mine", **foreign}))

    assert response.status_code == 201
    task = response.json()
    assert task.keys() == FIELDS
    assert task["user_id"] == ALICE
    assert task["position"] != foreign["position"]
    assert task["completed_at"] is None
    assert task["created_at"] == task["updated_at"] > "2020"
    assert listed(alice_api, search="planted") == []
    assert listed(bob_api) == []


def test_a_task_may_be_created_completed(alice_api):
    task = made(alice_api, completed=True)

    assert task["completed"] is True
    assert task["completed_at"] == task["created_at"]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"text": "x"}, id="one character"),
        pytest.param({"text": "x" * 500}, id="500 characters"),
        # Characters are Unicode's, not bytes and not UTF-16 units as JavaScript counts them.
        pytest.param({"text": "🦊" * 500}, id="500 emoji"),
        pytest.param({"text": "  " + "x" * 500 + "  "}, id="500 characters and blanks around"),
        pytest.param({"text": "a\tb\nc\x1f\x7f\u200b\u202e"}, id="control characters"),
        pytest.param({"description": "🦊" * 2000}, id="2,000 emoji of description"),
        pytest.param({"description": ""}, id="empty description"),
        pytest.param({"order": 2**31 - 1}, id="highest order"),
        pytest.param({"order": -(2**31)}, id="lowest order"),
        pytest.param({"deadline": None}, id="no deadline"),
    ],
)
def test_values_up_to_the_limits_are_kept(alice_api, fields):
    task = made(alice_api, **fields)

    for name, value in fields.items():
        assert task[name] == (value.strip() if name == "text" else value)
    assert alice_api.get(f"/tasks/{task['id']}").json() == task


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", ""),
        ("text", " \t\r\n\u00a0\u3000"),
        ("text", "x" * 501),
        ("text", "🦊" * 501),
        ("text", "a\x00b"),
        ("text", "a\ud800b"),
        ("text", "\udc00"),
        ("text", None),
        ("text", True),
        ("text", []),
        ("text", ["Buy milk"]),
        ("text", {"text": "Buy milk"}),
        ("description", "x" * 2001),
        ("description", "🦊" * 2001),
        ("description", "\x00"),
        ("description", "\udfff"),
        ("description", None),
        ("description", []),
        ("description", {}),
        ("completed", None),
        ("completed", ""),
        ("completed", "maybe"),
        ("completed", "null"),
        ("completed", 2),
        ("completed", 0),
        ("completed", 1),
        ("completed", "true"),
        ("completed", "yes"),
        ("completed", []),
        ("completed", {}),
        ("order", 2**31),
        ("order", -(2**31) - 1),
        ("order", 10**400),
        ("order", 1.5),
        ("order", True),
        ("order", None),
        ("order", ""),
        ("order", "first"),
        ("order", "5"),
        ("order", "9" * 5000),
        ("order", "\ud800"),
        ("order", []),
        ("order", {}),
    ],
)
def test_values_beyond_the_limits_are_refused_by_name(alice_api, field, value):
    response = post_raw(alice_api, json.dumps({"text": "Buy milk", field: value}))

    assert refused(response)
    assert response.json().keys() == {field}
    messages = response.json()[field]
    assert messages and all(isinstance(message, str) for message in messages)


# What shows nothing, though Python takes it for more than white space.
INVISIBLE = [
    *(
        "\ufeff",
        "\u200b",
        "\u2060",
        "\u00ad",
        "\u2800",
        "\u3164",
        "\u200d",
        "\u200e\u200f",
        "\u202e",
    ),
    *("\u115f", "\u1160", "\uffa0", "\u034f", "\u061c", "\u17b4", "\u180e", "\ufe0f", "\U000e0100"),
    *(
        "\U000e0020\U000e007f",
        "\U0001d173",
        "\U0001d159",
        "\u2064",
        "\ufff9",
        "\u0001",
        "\x7f",
        "\x9f",
    ),
    *(" \u200b ", "\u200b\u3000\ufeff", "\ufeff" * 500),
]


@pytest.mark.parametrize("text", INVISIBLE, ids=ascii)
def test_a_text_that_shows_nothing_is_blank(alice_api, text):
    assert refused(alice_api.post("/tasks", {"text": text}))
    url = f"/tasks/{made(alice_api, description=text)['id']}"
    for answer in (
        *(alice_api.put(url, {"text": text}), alice_api.patch(url, {"text": text})),
        alice_api.post("/tags", {"name": text}),
    ):
        assert answer.status_code == 400
        assert list(answer.json().values()) == [["This field may not be blank."]]
    assert alice_api.get(url).json()["description"] == text


@pytest.mark.parametrize(
    "text",
    [
        *(
            "❤\ufe0f",
            "👩\u200d👧",
            "🏴\U000e0067\U000e0062\U000e007f",
            "\u200bx",
            "x\ufeff",
            "\u0645\u06cc\u200c\u062e",
        ),
        *("\u0301", "\u0600", "\ue000", "\ufffd", "\ufffc", "ᄒ\u1160", "."),
    ],
    ids=ascii,
)
def test_a_text_that_shows_anything_is_kept_as_it_is(alice_api, text):
    assert made(alice_api, text)["text"] == text


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1e-1", "0.1", "9" * 5000])
def test_numbers_that_are_no_order_are_refused(alice_api, number):
    """Written out, as Python would not write them: 1e999 reads as infinity."""
    assert refused(post_raw(alice_api, f'{{"text": "Buy milk", "order": {number}}}'))


def test_a_task_needs_a_text(alice_api):
    response = alice_api.post("/tasks", {"description": "of nothing"})

    assert refused(response)
    assert response.json() == {"text": ["This field is required."]}


def test_all_mistakes_are_named_at_once(alice_api):
    response = alice_api.post("/tasks", {"text": "", "order": "first", "deadline": "soon"})

    assert refused(response)
    assert response.json().keys() == {"text", "order", "deadline"}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2030-05-01T12:30:00Z", "2030-05-01T12:30:00Z"),
        ("2030-05-01T12:30:00.123456Z", "2030-05-01T12:30:00.123456Z"),
        ("2030-05-01T12:30:00+02:00", "2030-05-01T10:30:00Z"),
        ("2030-05-01T00:30:00+05:45", "2030-04-30T18:45:00Z"),
        ("2030-05-01T12:30:00-09:30", "2030-05-01T22:00:00Z"),
        # Without an offset it is UTC, whatever the clock on the server's wall says.
        ("2030-05-01T12:30:00", "2030-05-01T12:30:00Z"),
        ("2030-05-01T12:30", "2030-05-01T12:30:00Z"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_deadlines_are_kept_in_utc(alice_api, given, kept):
    task = made(alice_api, deadline=given)

    assert task["deadline"] == kept
    # Read again from the database, and through the ordering that compares deadlines.
    assert alice_api.get(f"/tasks/{task['id']}").json() == task
    assert listed(alice_api, ordering="-deadline") == [task]


@pytest.mark.parametrize(
    "deadline",
    [
        pytest.param("2030-05-01", id="bare date"),
        pytest.param("2030-W18-3", id="week date"),
        pytest.param("2030-W18-3T12:30:00Z", id="week date and time"),
        pytest.param("2030-121T12:30:00Z", id="day of the year"),
        pytest.param("20300501T123000Z", id="basic format"),
        pytest.param("12:30:00Z", id="time alone"),
        pytest.param("2030-05-01T12Z", id="hour alone"),
        # Moments that UTC's calendar from 1 to 9999 does not hold.
        pytest.param("0001-01-01T00:00:00+00:01", id="before year 1"),
        pytest.param("0001-01-01T00:00:00+14:00", id="well before year 1"),
        pytest.param("9999-12-31T23:59:59-00:01", id="after year 9999"),
        pytest.param("9999-12-31T23:59:59.999999-12:00", id="well after year 9999"),
        pytest.param("0000-01-01T00:00:00Z", id="year 0"),
        pytest.param("10000-01-01T00:00:00Z", id="year 10000"),
        pytest.param("-0001-01-01T00:00:00Z", id="negative year"),
        pytest.param("2016-12-31T23:59:60Z", id="leap second"),
        pytest.param("2030-02-29T00:00:00Z", id="day that year lacks"),
        pytest.param("2030-13-01T00:00:00Z", id="thirteenth month"),
        pytest.param("2030-05-01T25:00:00Z", id="hour 25"),
        pytest.param("2030-05-01T12:30:00+24:00", id="offset of a day"),
        pytest.param("2030-05-01T12:30:00+99:99", id="offset of nowhere"),
        pytest.param("2030-05-01T12:30:00 Europe/Berlin", id="name of a zone"),
        pytest.param(
            "\u0662\u0660\u0663\u0660-\u0660\u0665-\u0660\u0661T12:30:00Z", id="other digits"
        ),
        pytest.param(" 2030-05-01T12:30:00Z", id="blank before"),
        pytest.param("2030-05-01T12:30:00Z\n", id="line end after"),
        pytest.param("2030-05-01T12:30:00Z\x00", id="NUL"),
        pytest.param("\ud800", id="lone surrogate"),
        pytest.param("tomorrow", id="word"),
        pytest.param("", id="empty"),
        pytest.param(0, id="zero"),
        pytest.param(1903955400, id="seconds since the epoch"),
        pytest.param(1.5, id="fraction"),
        pytest.param(True, id="true"),
        pytest.param([], id="list"),
        pytest.param(["2030-05-01T12:30:00Z"], id="deadline in a list"),
        pytest.param({}, id="object"),
    ],
)
def test_what_is_no_moment_is_no_deadline(alice_api, deadline):
    response = post_raw(alice_api, json.dumps({"text": "Buy milk", "deadline": deadline}))

    assert refused(response)
    assert response.json().keys() == {"deadline"}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b" ", id="blank"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="array"),
        pytest.param(b'[{"text": "Buy milk"}]', id="array of a task"),
        pytest.param(b'"Buy milk"', id="string"),
        pytest.param(b"3", id="number"),
        pytest.param(b"true", id="true"),
        pytest.param(b'{"text": "Buy milk"', id="cut off"),
        pytest.param(b'{"text": "Buy milk"} {}', id="two values"),
        pytest.param(b"{'text': 'Buy milk'}", id="single quotes"),
        pytest.param(b"text=Buy+milk", id="form"),
        pytest.param(b'{"text": "Buy milk", "order": NaN}', id="NaN"),
        pytest.param(b'{"text": "Buy milk", "order": Infinity}', id="Infinity"),
        pytest.param(b'{"text": "Buy milk", "order": -Infinity}', id="-Infinity"),
        pytest.param(b'{"text": "Buy milk", "unknown": NaN}', id="NaN in an unknown field"),
        pytest.param(b"[" * 100_000, id="100,000 brackets"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, id="100,000 arrays"),
        pytest.param(b'{"text":' * 100_000 + b"1" + b"}" * 100_000, id="100,000 objects"),
        pytest.param(b'{"text": "\xff"}', id="no UTF-8"),
        pytest.param(b'{"text": "\xed\xa0\x80"}', id="surrogate in UTF-8"),
        pytest.param(b'{"text": "\xc3"}', id="half a character"),
        pytest.param('{"text": "Buy milk"}'.encode("utf-16"), id="UTF-16"),
        pytest.param('{"text": "Buy milk"}'.encode("utf-32-le"), id="UTF-32"),
        pytest.param(b"\x1f\x8b\x08\x00", id="gzip"),
        pytest.param(b"\x00", id="NUL"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(alice_api, body):
    assert refused(post_raw(alice_api, body))


WORDS_OF_PYTHON = re.compile(
    "codec|char |sys|recursion|string conversion|float|dict|list|str\\b|int\\b|bool\\b|Expecting|delimiter"
)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"text": "a", "order": %s}' % (b"9" * 5000), "a number has more than 4300 digits"),
        (b'{"text": "a", "unknown": [-%s]}' % (b"9" * 5000), "a number has more than 4300 digits"),
        (b'{"text": "a", "order": NaN}', "NaN is no number of JSON"),
        (b'{"text": "a", "unknown": -Infinity}', "-Infinity is no number of JSON"),
        (b'{"text": "a",\n "order": 1,}', "the body is not JSON, from line 2, column 13 on"),
        (b'{"text": "a", "order": 01}', "the body is not JSON, from line 1, column 25 on"),
        (b'{"text": "\\x"}', "the body is not JSON, from line 1, column 11 on"),
        (b'{"text": "a"} x', "the body is not JSON, from line 1, column 15 on"),
        (b" ", "the body is not JSON, from line 1, column 2 on"),
        (b"[" * 100_000, "the body is nested too deeply"),
        (b'{"text": "\xff"}', "the body is not UTF-8, from byte 11 on"),
        ('{"text": "a"}'.encode("utf-16"), "the body is not UTF-8, from byte 1 on"),
        ('{"text": "a"}'.encode("utf-16-be"), "looks like UTF-16 or UTF-32"),
        ('{"text": "a"}'.encode("utf-32-le"), "looks like UTF-16 or UTF-32"),
        (b"\x1f\x8b\x08\x00", "the body is not UTF-8, from byte 2 on"),
        (b"null", "No data provided"),
        (b"[]", "Expected a JSON object."),
        (b'"text"', "Expected a JSON object."),
        (b"1", "Expected a JSON object."),
        (b"true", "Expected a JSON object."),
        (b'{"text": "a", "order": 1e400}', "A valid integer is required."),
        (b'{"text": "a", "order": true}', "A valid integer is required."),
        (b'{"text": "a", "order": "%s"}' % (b"9" * 5000), "A valid integer is required."),
        (b'{"text": "a", "completed": 0}', "Must be a valid boolean."),
        (b'{"text": "\\ud800"}', "Surrogate characters are not allowed: U+D800."),
        (b'{"text": "a", "deadline": "2030-01-01T00:00:00+99:99"}', "wrong format"),
        (b'{"text": "a", "deadline": "0001-01-01T00:00:00+14:00"}', "out of range"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_wrong_with_a_body_is_said_in_words_of_the_api(alice_api, body, said):
    response = post_raw(alice_api, body)

    assert refused(response)
    assert said in response.content.decode()
    assert not WORDS_OF_PYTHON.search(response.content.decode())


def test_a_byte_order_mark_is_passed_over(alice_api):
    """RFC 8259 section 8.1 lets a parser do so; some editors of scripts write one."""
    assert post_raw(alice_api, b'\xef\xbb\xbf{"text": "Buy milk"}').status_code == 201
    assert post_raw(alice_api, b"\xef\xbb\xbf" * 100_000).status_code == 400


@pytest.mark.parametrize(
    "codings",
    [
        "gzip",
        "GZIP",
        "x-gzip",
        "deflate",
        "br",
        "zstd",
        "identity, gzip",
        "gzip,identity",
        "*",
        "ÿ",
    ],
)
def test_a_body_in_a_coding_is_415(alice_api, codings):
    body = gzip.compress(b'{"text": "Buy milk"}')
    task = made(alice_api)
    calls = [("POST", "/tasks"), ("PUT", f"/tasks/{task['id']}"), ("PATCH", f"/tasks/{task['id']}")]
    for method, path in calls:
        response = alice_api.generic(
            method, path, body, "application/json", headers={"content-encoding": codings}
        )
        assert (response.status_code, response.json()["code"]) == (415, "unsupported_encoding")
        assert response.json()["detail"].startswith("Content-Encoding: ")


@pytest.mark.parametrize("codings", ["identity", "Identity", "identity, identity", "", " ", ","])
def test_no_coding_is_none(alice_api, codings):
    response = alice_api.post("/tasks", {"text": "a"}, headers={"content-encoding": codings})
    assert response.status_code == 201


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "APPLICATION/JSON",
        "application/json; charset=utf-8",
        # JSON is UTF-8 (RFC 8259 section 8.1); what a client claims it to be plays no part.
        "application/json; charset=utf-7",
        "application/json; charset=latin-1",
        "application/json; charset=hex",
        "application/json; charset=rot13",
        "application/json; charset=no-such-charset",
        "application/json; charset=",
        'application/json; charset="',
    ],
)
def test_json_is_utf8_whatever_the_content_type_says(alice_api, content_type):
    body = '{"text": "café ☕ +AGE-"}'.encode()
    response = post_raw(alice_api, body, content_type)

    assert response.status_code == 201, response.content
    assert response.json()["text"] == "café ☕ +AGE-"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", b"text=Buy+milk"),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\n--b--"),
        ("multipart/form-data", b"no boundary"),
        ("text/plain", b'{"text": "Buy milk"}'),
        ("text/json", b'{"text": "Buy milk"}'),
        ("application/xml", b"<text/>"),
        ("application/octet-stream", b'{"text": "Buy milk"}'),
        ("garbage", b'{"text": "Buy milk"}'),
    ],
)
def test_another_content_type_is_415(alice_api, content_type, body):
    response = post_raw(alice_api, body, content_type)

    assert response.status_code == 415
    assert response.json().keys() == {"detail", "code"}
    assert not Task.objects.exists()


def body_of(size: int) -> bytes:
    """A good body, made as long as wanted by a field that is ignored."""
    start, end = b'{"text": "Buy milk", "unknown": "', b'"}'
    return start + b"x" * (size - len(start) - len(end)) + end


def test_a_body_of_one_mebibyte_is_read(alice_api):
    assert post_raw(alice_api, body_of(MAX_BODY)).status_code == 201


@pytest.mark.parametrize("size", [MAX_BODY + 1, 3 * MAX_BODY])
def test_a_larger_body_is_413(alice_api, size):
    response = post_raw(alice_api, body_of(size))

    assert response.status_code == 413
    assert response.json().keys() == {"detail", "code"}
    assert not Task.objects.exists()


STRANGE: list[Any] = [
    "",
    " ",
    "\x00",
    "\ud800",
    "🦊",
    "1",
    0,
    -1,
    1.5,
    10**30,
    True,
    None,
    [],
    {},
    [[]],
]


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_no_value_in_any_field_makes_a_500(alice_api, field):
    taken = []
    for value in STRANGE:
        response = post_raw(alice_api, json.dumps({"text": "Buy milk", field: value}))
        assert response.status_code in (201, 400), value
        if response.status_code == 201:
            taken.append(response.json())

    # Whatever was taken can be shown again.
    assert listed(alice_api, ordering="created_at") == taken


def test_the_moment_of_creation_is_the_servers(alice_api):
    before = datetime.now(UTC)
    task = made(alice_api)

    assert before <= datetime.fromisoformat(task["created_at"]) <= datetime.now(UTC)
