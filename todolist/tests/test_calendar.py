"""Calendar feeds: what a parser that is not ours reads in them, and that their secrets stay secret."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from icalendar import Calendar

from conftest import ALICE, Server, both_servers, call, client_with, sign
from tasks.models import CalendarFeed, Preferences, Task
from todolist.logs.redaction import redact
from todolist.tests.test_erasing import cells

pytestmark = pytest.mark.django_db


def address(api: Any) -> str:
    made = api.post("/calendar")
    assert made.status_code == 201
    assert list(made.json()) == ["url"]
    url = str(made.json()["url"])
    assert re.fullmatch(r"http://testserver/calendar/[\w-]{43}\.ics", url)
    return urlsplit(url).path


def read(path: str, **headers: str) -> Any:
    response = client_with(None).get(path, headers=headers)
    assert response.status_code == 200, response.content
    assert response["Content-Type"] == "text/calendar; charset=utf-8"
    calendar = Calendar.from_ical(response.content)
    assert not calendar.errors and not any(part.errors for part in calendar.subcomponents)
    lines = response.content.split(b"\r\n")
    assert max(map(len, lines)) <= 75
    return calendar


def parts(calendar: Any, kind: str = "VEVENT") -> dict[str, Any]:
    return {str(part["summary"]): part for part in calendar.walk(kind)}


def add(api: Any, **body: Any) -> str:
    made = api.post("/tasks", body)
    assert made.status_code == 201, made.content
    return str(made.json()["id"])


def test_days_deadlines_and_what_repeats(alice_api):
    alice_api.patch(
        "/preferences", {"time_zone": "Europe/Berlin", "remind_at": "07:30", "remind_before": 45}
    )
    label = alice_api.post("/labels", {"name": "a, b;"}).json()["id"]
    text = "Wäsche; \\ “x”, " + "ganz lang " * 20
    day = add(
        alice_api,
        text="a day",
        due_on="2030-03-30",
        recurrence="FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=3",
        description="two\nlines",
    )
    add(alice_api, text=text, deadline="2030-05-01T12:30:00.5Z", priority=4, label_ids=[label])
    add(
        alice_api,
        text="weekly",
        deadline="2030-03-29T08:00:00Z",
        recurrence="FREQ=WEEKLY;UNTIL=20300601T000000Z",
    )
    add(alice_api, text="no date")
    path = address(alice_api)

    events = parts(read(path))

    assert events.keys() == {"a day", text.strip(), "weekly"}
    one = events["a day"]
    assert (str(one["uid"]), one["dtstart"].dt) == (day, date(2030, 3, 30))
    assert one["rrule"].to_ical() == b"FREQ=MONTHLY;COUNT=3;BYMONTHDAY=-1"
    assert str(one["description"]) == "two\nlines"
    (alarm,) = one.walk("VALARM")
    assert alarm["trigger"].dt == timedelta(hours=7, minutes=30)
    other = events[text.strip()]
    assert other["dtstart"].dt == datetime(2030, 5, 1, 12, 30, tzinfo=UTC)
    assert "TZID" not in other["dtstart"].params and other["priority"] == 1
    assert other["categories"].cats == ["a, b;"]
    (alarm,) = other.walk("VALARM")
    assert alarm["trigger"].dt == timedelta(minutes=-45)
    weekly = events["weekly"]
    assert weekly["dtstart"].params["TZID"] == "Europe/Berlin"
    assert weekly["dtstart"].dt == datetime(2030, 3, 29, 9, tzinfo=ZoneInfo("Europe/Berlin"))
    assert weekly["rrule"]["until"] == [datetime(2030, 6, 1, tzinfo=UTC)]
    (zone,) = read(path).walk("VTIMEZONE")
    assert zone["tzid"] == "Europe/Berlin"
    summer = datetime(2030, 4, 5, 9)  # noqa: DTZ001  on the wall
    assert zone.to_tz().utcoffset(summer) == timedelta(hours=2)


def test_open_ones_and_those_that_were_completed_of_late(alice_api, bob_api):
    add(bob_api, text="another's", due_on="2030-01-01")
    add(alice_api, text="open", due_on="2001-01-01")
    for text, days in (("of late", 29), ("long ago", 31)):
        key = add(alice_api, text=text, due_on="2030-01-01", completed=True)
        Task.objects.filter(pk=key).update_unrecorded(
            completed_at=timezone.now() - timedelta(days=days)
        )
    path = address(alice_api)
    assert parts(read(path)).keys() == {"open", "✓ of late"}
    todos = parts(read(f"{path}?as=todo"), "VTODO")
    assert {name: str(todo["status"]) for name, todo in todos.items()} == {
        "open": "NEEDS-ACTION",
        "of late": "COMPLETED",
    }
    assert todos["open"]["due"].dt == date(2001, 1, 1)
    assert [len(todos[name].walk("VALARM")) for name in ("open", "of late")] == [1, 0]
    assert parts(read(f"{path}?as=event")).keys() == {"open", "✓ of late"}
    assert parts(read(path, accept="text/calendar"))
    assert parts(read(path, authorization="Bearer nonsense"))


def test_no_alarm_where_its_owner_wants_none(alice_api):
    alice_api.patch("/preferences", {"remind_before": None})
    add(alice_api, text="x", deadline="2030-01-01T00:00:00Z")
    assert list(read(address(alice_api)).walk("VALARM")) == []


def test_who_reads_it_writes_nothing(alice_api):
    add(alice_api, text="x", deadline="2030-05-01T12:30:00Z")
    path = address(alice_api)
    with CaptureQueriesContext(connection) as captured:
        read(path)
    words = ("INSERT", "UPDATE", "DELETE", "FOR NO KEY")
    assert [sql for each in captured if any(word in (sql := each["sql"]) for word in words)] == []
    assert not Preferences.objects.exists()


def test_any_text_makes_a_calendar(alice_api):
    texts = [
        "\x07bell\x1b\x7f",
        "BEGIN:VEVENT\r\nEND:VCALENDAR",
        "☕\u2028" * 40 + "!",
        "a" * 500,
        '\\n;,:"',
    ]
    for text in texts:
        add(alice_api, text=text, description=text, due_on="2030-01-01")
    events = list(read(address(alice_api)).walk("VEVENT"))
    assert len(events) == len(texts)
    for event in events:
        assert event["description"] == event["description"]
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", str(event["summary"]))
    assert {str(event["summary"]) for event in events} >= {texts[2], texts[3], texts[4]}


def test_a_new_address_ends_the_old_one(alice_api, bob_api):
    nobody = client_with(None)
    first, second, bobs = address(alice_api), address(alice_api), address(bob_api)
    assert len({first, second, bobs}) == 3
    assert nobody.get(first).status_code == 404
    assert nobody.get(second).status_code == 200
    assert alice_api.delete("/calendar").status_code == 204
    assert alice_api.delete("/calendar").status_code == 204
    assert nobody.get(second).json() == {"detail": "Calendar not found", "code": "not_found"}
    assert nobody.get(bobs).status_code == 200
    assert nobody.post("/calendar").status_code == 401


@pytest.mark.parametrize("query", ["as=x", "as=todo&as=todo", "at=todo"])
def test_bad_parameters_are_named(alice_api, query):
    refused = client_with(None).get(f"{address(alice_api)}?{query}")
    assert refused.status_code == 400
    assert refused.json()["detail"].startswith(f"{query[:2]}: ")


def test_the_secret_is_kept_nowhere(alice_api, caplog):
    path = address(alice_api)
    secret = path.removeprefix("/calendar/").removesuffix(".ics")
    client_with(None).get(path)
    assert [(place, text) for place, text in cells() if secret in text] == []
    assert CalendarFeed.objects.get().user_id == ALICE
    for line in (
        f'"GET {path} HTTP/1.1" 200',
        f"http://x/api{path}?as=todo",
        f"{{'path': '{path}'}}",
    ):
        assert secret not in redact(line)
        assert "/calendar/" in redact(line)


@both_servers
def test_no_log_holds_it(server: Server):
    token = sign(f"calendar-{server.port}")
    assert (
        call(server, token, "POST", "/tasks", {"text": "x", "due_on": "2030-01-01"}).status == 201
    )
    url = call(server, token, "POST", "/calendar").body["url"]
    path = urlsplit(url).path
    secret = path.removeprefix("/calendar/").removesuffix(".ics")
    assert call(server, token, "GET", f"{path}?as=x").status == 400
    assert call(server, token, "GET", f"{path}/").status == 404
    assert call(server, token, "DELETE", "/calendar").status == 204
    assert call(server, token, "GET", path).status == 404
    assert secret not in server.log.read_text()


def test_few_statements_however_many_tasks(alice_api):
    path = address(alice_api)
    needed = []
    for number in (2, 12):
        for n in range(number):
            add(alice_api, text=f"{number} {n}", due_on="2030-01-01")
        with CaptureQueriesContext(connection) as queries:
            assert len(parts(read(path))) >= number
        needed.append(len(queries))
    assert needed[0] == needed[1]
