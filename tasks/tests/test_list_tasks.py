"""`GET /tasks`: whose tasks, which of them, in which order."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

import pytest
from django.db import connection
from django.utils import timezone

from conftest import ALICE, BOB
from tasks.models import Task
from tasks.tests.calls import listed, made, texts

pytestmark = pytest.mark.django_db

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)


def test_it_works(alice_api):
    made(alice_api, "first")
    made(alice_api, "second")
    made(alice_api, "third")

    response = alice_api.get("/tasks")

    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert isinstance(response.json(), list)
    assert [task["text"] for task in response.json()] == ["third", "second", "first"]


def test_the_list_of_somebody_new_is_empty(alice_api):
    response = alice_api.get("/tasks")

    assert (response.status_code, response.json()) == (200, [])
    assert "Link" not in response


def test_a_list_shows_each_task_as_it_shows_alone(alice_api):
    task = made(alice_api, description="d", completed=True, deadline="2030-05-01T12:00:00Z")

    assert listed(alice_api) == [alice_api.get(f"/tasks/{task['id']}").json()]


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"completed": "false"},
        {"search": "secret"},
        {"search": BOB},
        {"deadline_after": "2000-01-01T00:00:00Z"},
        {"deadline_before": "2100-01-01T00:00:00Z"},
        {"ordering": "deadline"},
    ],
)
def test_nobody_elses_tasks_are_listed(alice_api, bob_api, parameters):
    made(bob_api, "bob's secret", deadline="2030-05-01T12:00:00Z")
    mine = made(alice_api, "my secret", description=BOB, deadline="2030-05-01T12:00:00Z")

    assert listed(alice_api, **parameters) == [mine]


# Filters


def test_completed_or_not(alice_api):
    made(alice_api, "done", completed=True)
    made(alice_api, "open")

    assert texts(alice_api, completed="true") == ["done"]
    assert texts(alice_api, completed="false") == ["open"]


def test_deadlines_on_both_sides_are_exclusive(alice_api):
    made(alice_api, "none")
    for text, minutes in [("before", -1), ("noon", 0), ("after", 1)]:
        made(alice_api, text, deadline=(NOON + timedelta(minutes=minutes)).isoformat())

    noon = "2030-05-01T12:00:00Z"
    assert texts(alice_api, deadline_before=noon) == ["before"]
    assert texts(alice_api, deadline_after=noon) == ["after"]
    assert texts(alice_api, deadline_before=noon, deadline_after=noon) == []
    around = {
        "deadline_after": "2030-05-01T11:59:00Z",
        "deadline_before": "2030-05-01T12:00:00.000001Z",
    }
    assert texts(alice_api, **around) == ["noon"]


@pytest.mark.parametrize(
    "noon",
    [
        *("2030-05-01T12:00:00Z", "2030-05-01T12:00:00", "2030-05-01T12:00"),
        *("2030-05-01T14:00:00+02:00", "2030-05-01t12:00:00z", "2030-05-01T02:30:00-09:30"),
    ],
)
def test_a_moment_is_written_here_as_in_a_body(alice_api, noon):
    """`+` is sent as `%2B`, as it must be in a query string."""
    made(alice_api, "just before", deadline="2030-05-01T11:59:59.999999Z")
    made(alice_api, "noon", deadline="2030-05-01T12:00:00Z")

    assert texts(alice_api, deadline_before=noon) == ["just before"]


def test_filters_combine(alice_api):
    made(alice_api, "milk, done", completed=True, deadline="2030-05-01T12:00:00Z")
    made(alice_api, "milk, too late", deadline="2031-05-01T12:00:00Z")
    made(alice_api, "milk, some time")
    made(alice_api, "bread", deadline="2030-05-01T12:00:00Z")
    made(alice_api, "milk, b", deadline="2030-05-01T12:00:00Z", order=2)
    made(alice_api, "milk, a", deadline="2030-05-02T12:00:00Z", order=1)

    everything = {
        "completed": "false",
        "search": "MILK",
        "deadline_after": "2030-01-01T00:00:00Z",
        "deadline_before": "2031-01-01T00:00:00Z",
        "ordering": "order",
    }
    assert texts(alice_api, **everything) == ["milk, a", "milk, b"]
    assert texts(alice_api, **everything, limit=1) == ["milk, a"]
    assert texts(alice_api, completed="true", search="bread") == []


KNOWN = "completed=true&limit=5"


@pytest.mark.parametrize(
    ("path", "name", "near"),
    [
        *(("/tasks", "completd", "completed"), ("/tasks", "Completed", "completed")),
        *(("/tasks", "completed[]", "completed"), ("/tasks", "limt", "limit")),
        *(("/tasks", "order", "ordering"), ("/tasks", "deadlineBefore", "deadline_before")),
        *(("/tasks", "colour", ""), ("/tasks", "page", "parent"), ("/tasks", "format", "")),
        *(("/tasks", "user_id", ""), ("/tasks", "owner", ""), ("/tasks", "text__regex", "")),
        *(
            ("/tasks", "status", ""),
            ("/tasks", "since", ""),
            ("/tasks", "", ""),
            ("/tasks", "é", ""),
        ),
        *(("/tasks", "x" * 3000, ""), ("/tasks", "\x00", ""), ("/tasks", '"><b>', "")),
        *(("/notifications", "stats", "status"), ("/notifications", "completed", "")),
        *(("/notifications/unread-count", "status", ""), ("/notifications", "search", "")),
        *(("/events", "sinse", "since"), ("/events", "cursor", ""), ("/events", "Epoch", "epoch")),
        *(("/notes", "txt", "text"), ("/tags", "text", ""), ("/chores", "efort", "effort")),
    ],
    ids=lambda value: ascii(value)[:20],
)
@pytest.mark.parametrize("value", ["", "true"])
def test_a_parameter_that_a_path_does_not_know_is_refused_and_named(
    alice_api, path, name, near, value
):
    made(alice_api)
    answer = alice_api.get(f"{path}?{urlencode({name: value})}")

    assert answer.status_code == 400
    assert answer.json().keys() == {"detail", "code"}
    assert answer.json()["detail"].startswith(f"{name[:50]}{'…' if len(name) > 50 else ''}: ")
    assert answer.json()["detail"].endswith(f" Is it {near}?" if near else "here.")
    assert alice_api.get(path).status_code == 200
    assert alice_api.head(f"{path}?{urlencode({name: value})}").status_code == 400


def test_unknown_parameters_are_named_beside_known_ones_and_all_at_once(alice_api):
    made(alice_api, completed=True)
    assert len(alice_api.get(f"/tasks?{KNOWN}").json()) == 1
    for query in (f"colour=red&{KNOWN}&completd=", f"{KNOWN}&colour=&completd=1&colour=blue"):
        detail = alice_api.get(f"/tasks?{query}").json()["detail"]
        assert detail.count("colour: ") == detail.count("completd: ") == 1
        assert "limit:" not in detail
    many = alice_api.get("/tasks?" + "&".join(f"unknown{number}=1" for number in range(900)))
    assert many.status_code == 400
    assert len(many.content) < 1000


def test_where_a_row_is_named_or_made_a_query_means_nothing(alice_api):
    task = alice_api.post("/tasks?user_id=x", {"text": "x"}).json()
    assert alice_api.get(f"/tasks/{task['id']}?_=1").json() == task
    assert alice_api.patch(f"/tasks/{task['id']}?x=1", {}).status_code == 200
    assert alice_api.get("/me?x=1").status_code == 200


# Search


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("Buy milk", "milk"),
        ("Buy milk", "BUY"),
        ("Buy milk", "uy mi"),
        ("Buy milk", "Buy milk"),
        ("café", "CAFÉ"),
        ("CAFÉ", "café"),
        ("Straße", "STRASSE"),
        ("STRASSE", "straße"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("ЁЖИК", "ёжик"),
        # The same letters, composed and as letter and accent.
        ("cafe\u0301", "caf\u00e9"),
        ("caf\u00e9", "cafe\u0301"),
        ("CAFE\u0301", "caf\u00e9"),
        ("한국어", "\u1112\u1161\u11ab"),
        ("a 🦊 b", "🦊"),
        ("100% sure", "100%"),
        ("snake_case", "E_C"),
        (r"C:\temp", r"c:\T"),
        ('it\'s "so"', "'s \"S"),
        ("tab\there", "tab\there"),
        ("x" * 500, "X" * 200),
        ("x" * 500, "\n" + "X" * 200 + "  "),
        # Words in any order, with any blanks around and between.
        ("Buy milk", "milk buy"),
        ("Buy milk", " Buy"),
        ("Buy milk", "milk "),
        ("Buy milk", "ilk\tBU"),
        ("Buy milk", "\u3000buy\u00a0\u2003milk\u2028"),
        ("two\nlines", "lines two"),
        ("50% of_it", "of_it 50%"),
        ("milk", "milk MILK il milk"),
        # Capitals of other alphabets.
        ("İstanbul", "istanbul"),
        ("İstanbul", "ISTANBUL"),
        ("istanbul", "İSTANBUL"),
        ("Diyarbak\u0131r", "DIYARBAKIR"),
        ("\u0131sparta", "Isparta"),
        ("I\u0307stanbul", "istan"),
        # What nobody sees.
        ("Kaffee\u00adkanne", "kaffeekanne"),
        ("Kaffeekanne", "kaffee\u00adkanne"),
        ("\ufeffmilk", "milk\u200b"),
        ("a ❤\ufe0f b", "❤"),
        ("👩\u200d👧", "👩\u200d👧"),
        ("x" * 40 + "%_.*[(", "x" * 40 + "%_.*[("),  # long words are sought in another way
    ],
)
def test_search_finds(alice_api, text, term):
    made(alice_api, "something else")
    made(alice_api, text)
    made(alice_api, "elsewhere", description=f"so: {text}.")

    assert texts(alice_api, search=term) == ["elsewhere", text]


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("100 percent", "100%"),
        ("100 percent", "%"),
        ("snake case", "snake_case"),
        ("x", "_"),
        ("abc", r"a\bc"),
        ("abc", "\\"),
        ("aXb", "a%b"),
        ("100% sure", r"100\%"),
        ("[a]", "[b]"),
        ("abc", "a.c"),
        ("Buy milk", "milk bread"),
        ("Buy milk", "buymilk"),
        ("cafe", "café"),
        ("x" * 40 + "abc", "x" * 40 + "a.c"),
        ("x" * 40 + "abc", "x" * 40 + ".*"),
        ("x" * 40 + "abc", "x" * 40 + "a%"),
        ("x" * 40, "(?i)" + "x" * 40),
    ],
)
def test_wildcards_are_literal_and_every_word_counts(alice_api, text, term):
    made(alice_api, text)

    assert texts(alice_api, search=term) == []


def test_words_may_be_in_text_or_description_and_none_reaches_across(alice_api):
    made(alice_api, "one", description="two")

    assert texts(alice_api, search="onetwo") == []
    for term in ("one two", "two ONE", "ne\x1fwo"):
        assert texts(alice_api, search=term) == ["one"]


def test_search_looks_in_nothing_but_text_and_description(alice_api):
    task = made(alice_api, "x")

    for term in (task["id"], ALICE, "2030", "false", "None"):
        assert texts(alice_api, search=term) == []


@pytest.mark.parametrize(
    "term", ["", " ", "  ", "\t\n\u3000", "\u200b", "\ufeff \u00ad", "\x1f", " " * 300]
)
def test_a_blank_search_finds_everything(alice_api, term):
    made(alice_api)

    assert len(listed(alice_api, search=term)) == 1


def test_search_follows_a_change(alice_api):
    task = made(alice_api, "bread", description="white")
    alice_api.patch(f"/tasks/{task['id']}", {"text": "milk"})

    assert texts(alice_api, search="bread") == []
    assert texts(alice_api, search="MILK") == ["milk"]
    assert texts(alice_api, search="White") == ["milk"]


def test_a_long_search_finds_a_long_description(alice_api):
    made(alice_api, "long", description="%🦊" * 1000)

    assert texts(alice_api, search="%🦊" * 100) == ["long"]


def test_a_search_with_many_words_is_answered(alice_api):
    made(alice_api, "alphabet", description=" ".join(map(chr, range(97, 123))))

    assert texts(alice_api, search=" ".join(map(chr, range(97, 123))) + " z" * 60) == ["alphabet"]
    assert texts(alice_api, search="".join(f"{chr(n)} " for n in range(0x400, 0x464))) == []


# Orderings


def test_newest_first_is_the_default(alice_api):
    for text in "abc":
        made(alice_api, text)

    assert texts(alice_api) == texts(alice_api, ordering="-created_at") == ["c", "b", "a"]
    assert texts(alice_api, ordering="created_at") == ["a", "b", "c"]


def test_by_last_change(alice_api):
    oldest = made(alice_api, "oldest")
    made(alice_api, "newest")
    alice_api.patch(f"/tasks/{oldest['id']}", {"order": 1})

    assert texts(alice_api, ordering="-updated_at") == ["oldest", "newest"]
    assert texts(alice_api, ordering="updated_at") == ["newest", "oldest"]


def test_by_order(alice_api):
    for order in (0, 2**31 - 1, -(2**31), -1, 10, 9):
        made(alice_api, str(order), order=order)

    ascending = [str(order) for order in sorted([0, 2**31 - 1, -(2**31), -1, 10, 9])]
    assert texts(alice_api, ordering="order") == ascending
    assert texts(alice_api, ordering="-order") == ascending[::-1]


def test_by_deadline_those_without_come_last_both_ways(alice_api):
    made(alice_api, "none")
    made(alice_api, "late", deadline="9999-12-31T23:59:59.999999Z")
    made(alice_api, "early", deadline="0001-01-01T00:00:00Z")
    made(alice_api, "between", deadline="2030-05-01T12:00:00Z")

    assert texts(alice_api, ordering="deadline") == ["early", "between", "late", "none"]
    assert texts(alice_api, ordering="-deadline") == ["late", "between", "early", "none"]


@pytest.mark.parametrize("key", ["created_at", "updated_at", "order", "deadline"])
def test_ties_are_broken_the_same_way_every_time(alice_api, monkeypatch, key):
    monkeypatch.setattr(timezone, "now", lambda: NOON)
    for deadline in (None, NOON):
        for _ in range(5):
            Task(user_id=ALICE, text="x", deadline=deadline).save()

    once = [task["id"] for task in listed(alice_api, ordering=key)]
    assert once == [task["id"] for task in listed(alice_api, ordering=key)]
    reverse = [task["id"] for task in listed(alice_api, ordering=f"-{key}")]
    if key == "deadline":
        assert reverse == once[4::-1] + once[:4:-1]
    else:
        assert reverse == once[::-1]


# Values that make no sense


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("completed", value) for value in ("maybe", "", "null", "1.0", "truefalse", "\x00")],
        ("search", "\x00"),
        ("search", "milk\x00"),
        ("search", "x" * 201),
        ("search", "ß" * 1000),
        ("search", "x " * 101),
        *[
            (name, value)
            for name in ("deadline_before", "deadline_after")
            for value in (
                *("", "tomorrow", "2030-05-01", "2030-W18-3", "2030-02-30T00:00:00Z"),
                *("0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "1e999", "\x00"),
            )
        ],
        *[
            ("ordering", value)
            for value in (
                *("", "text", "id", "-", "--created_at", "+created_at", "CREATED_AT", "user_id"),
                *("created_at,order", "created_at ", "?", "user_id__x", "\x00", "x" * 10_000),
            )
        ],
        *[
            ("limit", value)
            for value in (
                *("", "0", "-1", "1001", "abc", "1.5", "1e2", "9" * 5000, "null", "\x00", "0x10"),
            )
        ],
    ],
)
def test_a_bad_value_is_400_and_names_the_parameter(alice_api, name, value):
    response = alice_api.get("/tasks", {name: value})

    assert response.status_code == 400
    assert response.json().keys() == {"detail", "code"}
    assert name in response.json()["detail"]


@pytest.mark.parametrize(
    "name",
    [
        *("completed", "search", "deadline_before", "deadline_after"),
        *("ordering", "limit", "cursor"),
    ],
)
def test_a_parameter_given_twice_is_400_and_named(alice_api, name):
    value = {
        "completed": "true",
        "limit": "5",
        "ordering": "order",
        "deadline_before": "2030-05-01T12:00:00Z",
        "deadline_after": "2030-05-01T12:00:00Z",
    }.get(name, "x")
    response = alice_api.get(f"/tasks?{name}={quote(value)}&{name}={quote(value)}")

    assert response.status_code == 400
    assert name in response.json()["detail"]


@pytest.mark.parametrize(
    "query",
    [
        *("%", "%zz", "search=%ff", "search=%ed%a0%80", "search=é", "search", "=", "&&&", "?"),
        *("search=%F0%9F%A6%8A", "search=a+b", "search=;limit=x", "%00=%00", "search=%0d%0aX:1"),
        "&".join(f"unknown{number}=1" for number in range(900)),
    ],
)
def test_no_query_makes_a_500(alice_api, query):
    made(alice_api)

    assert alice_api.get("/tasks", QUERY_STRING=query).status_code in (200, 400)


@pytest.mark.parametrize("charset", ["hex", "utf-7", "utf-16", "no-such-charset"])
def test_a_query_is_utf8_whatever_the_content_type_says(alice_api, charset):
    made(alice_api, "café")

    response = alice_api.get(
        "/tasks", {"search": "CAFÉ"}, CONTENT_TYPE=f"application/json; charset={charset}"
    )
    assert response.status_code == 200
    assert len(response.json()) == 1


# Cost


@pytest.mark.parametrize(
    ("parameters", "queries"),
    [
        ({}, 1),
        ({"completed": "false", "search": "x", "deadline_after": "2000-01-01T00:00:00Z"}, 1),
        ({"ordering": "order"}, 1),
        ({"ordering": "-updated_at", "limit": 3}, 1),
        # Tasks with a deadline, then those without: the second only where the first leave room,
        # and in the plain way with labels of their own.
        ({"ordering": "deadline", "limit": 3}, 1),
        ({"ordering": "deadline"}, 1 if connection.vendor == "postgresql" else 3),
    ],
)
def test_a_list_asks_the_database_once(alice_api, django_assert_num_queries, parameters, queries):
    for number in range(5):
        made(alice_api, "x", order=number, deadline="2030-05-01T12:00:00Z")
        made(alice_api, "y", order=number)

    # The plain way asks for the newest number of events before, and for labels after.
    with django_assert_num_queries(queries + 2 * (connection.vendor != "postgresql")):
        assert listed(alice_api, **parameters)


def test_the_same_question_has_the_same_meaning_every_time(alice_api, bob_api):
    """Parameters are understood once for all who ask alike; what they are shown is theirs."""
    task = made(alice_api, "Buy milk")
    for _ in range(2):
        assert alice_api.get("/tasks?search=MILK&limit=5").json() == [task]
        assert bob_api.get("/tasks?search=MILK&limit=5").json() == []
        assert alice_api.get("/tasks?limit=0").status_code == 400
        assert alice_api.get("/tasks?limit=1&limit=2").status_code == 400
