"""Projects, labels, priorities, days, and ids of the client's own making."""

import re
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection, models

from conftest import ALICE, BOB
from tasks.models import Event, Project, Task
from tasks.rules.ids import uuid7
from tasks.tests.calls import listed, made, next_url

pytestmark = pytest.mark.django_db


def create(api: Any, kind: str, **fields: Any) -> dict[str, Any]:
    response = api.post(f"/{kind}", fields)
    assert response.status_code == 201, response.content
    row: dict[str, Any] = response.json()
    assert api.get(f"/{kind}/{row['id']}").json() == row
    return row


def texts(api: Any, **query: Any) -> list[str]:
    return [task["text"] for task in listed(api, **query)]


def events(owner: str = ALICE) -> list[str]:
    return list(Event.objects.filter(user_id=owner).order_by("seq").values_list("type", flat=True))


# Projects and labels


def test_projects_are_listed_by_position_with_new_ones_at_the_top(alice_api):
    rows = [create(alice_api, "projects", name=name) for name in "abc"]

    assert alice_api.get("/projects").json() == rows[::-1]
    assert [row["position"] for row in rows] == sorted((r["position"] for r in rows), reverse=True)
    for ordering, names in (("name", "abc"), ("-name", "cba"), ("created_at", "abc")):
        found = alice_api.get("/projects", {"ordering": ordering, "limit": 2})
        assert [row["name"] for row in found.json()] == list(names[:2])
        assert [row["name"] for row in alice_api.get(next_url(found)).json()] == [names[2]]


def test_tasks_are_narrowed_down_by_project_label_and_priority(alice_api, bob_api):
    home, work = (create(alice_api, "projects", name=name) for name in ("home", "work"))
    one, two = (create(alice_api, "labels", name=name) for name in ("one", "two"))
    made(alice_api, text="a", project_id=home["id"], label_ids=[two["id"], one["id"], one["id"]])
    made(alice_api, text="b", project_id=work["id"], label_ids=[one["id"]], priority=4)
    made(alice_api, text="c", priority=1)
    theirs = create(bob_api, "projects", name="theirs")

    assert texts(alice_api, project=home["id"]) == ["a"]
    assert texts(alice_api, project="none") == ["c"]
    assert texts(alice_api, project=theirs["id"]) == texts(alice_api, project=uuid4()) == []
    assert texts(alice_api, label=one["id"]) == ["b", "a"]
    assert texts(alice_api, label=[one["id"], two["id"]]) == ["a"]
    assert texts(alice_api, label=[two["id"], uuid4()]) == []
    assert texts(alice_api, priority=[1, 4]) == ["c", "b"]
    assert texts(alice_api, priority=0) == ["a"]
    assert texts(alice_api, ordering="priority") == ["c", "b", "a"]
    assert texts(alice_api, ordering="-priority") == ["b", "c", "a"]
    for bad in ("project=x", "label=none", "priority=5", "priority=x", "archived=true"):
        answer = alice_api.get(f"/tasks?{bad}")
        assert answer.status_code == 400 and answer.json()["detail"].startswith(bad.split("=")[0])
    (task,) = listed(alice_api, project=home["id"])
    assert task["label_ids"] == sorted([one["id"], two["id"]])


def test_what_is_archived(alice_api):
    create(alice_api, "projects", name="a", archived=True)
    create(alice_api, "projects", name="b")

    for value, names in (("true", ["a"]), ("false", ["b"])):
        found = alice_api.get("/projects", {"archived": value}).json()
        assert [row["name"] for row in found] == names


@pytest.mark.parametrize("field", ["project_id", "label_ids"])
def test_ids_in_a_body_are_ones_own(alice_api, bob_api, field):
    kind = {"project_id": "projects", "label_ids": "labels"}[field]
    theirs = create(bob_api, kind, name="theirs")["id"]
    task = made(alice_api)
    said = set()
    for key in (theirs, str(uuid4()), "abc"):
        body = {"text": "x", field: key if field == "project_id" else [key]}
        for answer in (
            alice_api.post("/tasks", body),
            alice_api.patch(f"/tasks/{task['id']}", body),
            alice_api.put(f"/tasks/{task['id']}", body),
        ):
            assert answer.status_code == 400 and list(answer.json()) == [field]
            said.add(answer.content)
    assert len(said) == 1
    assert listed(alice_api) == [task]


def test_a_project_that_goes_leaves_its_tasks(alice_api):
    project = create(alice_api, "projects", name="home")
    task = made(alice_api, project_id=project["id"])
    assert alice_api.delete(f"/projects/{project['id']}").status_code == 204

    (left,) = listed(alice_api)
    assert (left["project_id"], left["version"]) == (None, task["version"] + 1)
    assert sorted(events()[2:]) == ["project.deleted", "task.updated"]


def test_a_label_that_goes_is_taken_off_its_tasks(alice_api, bob_api):
    gone, kept = (create(alice_api, "labels", name=name) for name in ("gone", "kept"))
    tasks = [made(alice_api, text=t, label_ids=[gone["id"], kept["id"]]) for t in "abc"]
    other = made(alice_api, text="other", label_ids=[kept["id"]])
    assert alice_api.delete(f"/labels/{gone['id']}").status_code == 204

    rows = {task["id"]: task for task in listed(alice_api)}
    for task in tasks:
        now = rows[task["id"]]
        assert (now["label_ids"], now["version"]) == ([kept["id"]], 2)
        told = Event.objects.filter(type="task.updated", data__id=task["id"]).get()
        assert told.data == now
    assert rows[other["id"]] == other
    assert sorted(events()[6:]) == ["label.deleted", *["task.updated"] * 3]
    seqs = [event["seq"] for event in alice_api.get("/events").json()]
    assert seqs == list(range(1, len(seqs) + 1))


def test_a_person_has_one_label_of_a_name(alice_api, bob_api):
    first = create(alice_api, "labels", name="Straße")
    second = create(alice_api, "labels", name="other")
    for name in ("straße", "STRASSE", " Straße ", "Straße"):
        assert list(alice_api.post("/labels", {"name": name}).json()) == ["name"]
        assert alice_api.patch(f"/labels/{second['id']}", {"name": name}).status_code == 400
    assert create(bob_api, "labels", name="Straße")["user_id"] == BOB
    assert alice_api.patch(f"/labels/{first['id']}", {"name": "STRASSE"}).status_code == 200
    composed, apart = "caf\u00e9", "cafe\u0301"
    create(alice_api, "labels", name=composed)
    assert alice_api.post("/labels", {"name": apart}).status_code == 400


@pytest.mark.parametrize("kind", ["projects", "labels"])
def test_colors(alice_api, kind):
    assert create(alice_api, kind, name="a", color="#AbCdEf")["color"] == "#abcdef"
    assert create(alice_api, kind, name="b", color="")["color"] == ""
    for bad in ("red", "#fff", "#gggggg", "#000000\n#", None, 1):
        answer = alice_api.post(f"/{kind}", {"name": "c", "color": bad})
        assert answer.status_code == 400 and list(answer.json()) == ["color"]


def test_at_most_twenty_labels(alice_api):
    ids = [create(alice_api, "labels", name=f"{n}")["id"] for n in range(21)]

    assert made(alice_api, label_ids=ids[:20])["label_ids"] == sorted(ids[:20])
    several: tuple[Any, ...] = (ids, "x", None, {}, [1], [None], [[]])
    for bad in several:
        answer = alice_api.post("/tasks", {"text": "x", "label_ids": bad})
        assert answer.status_code == 400 and list(answer.json()) == ["label_ids"], bad
    for labels, found in (
        (ids[:20] * 20, ["Buy milk"]),
        (ids, []),
        ([uuid4() for _ in range(100)], []),
    ):
        assert texts(alice_api, label=labels) == found


# Days


def test_a_deadline_or_a_day(alice_api):
    moment = "2030-05-01T12:00:00Z"
    both = alice_api.post("/tasks", {"text": "x", "deadline": moment, "due_on": "2030-05-01"})
    assert (both.status_code, list(both.json())) == (400, ["due_on"])
    task = made(alice_api, due_on="2030-05-01")
    url = f"/tasks/{task['id']}"
    later = alice_api.patch(url, {"deadline": moment}).json()
    back = alice_api.patch(url, {"due_on": "2030-05-02", "deadline": None}).json()
    kept = alice_api.patch(url, {"text": "y"}).json()
    whole = alice_api.put(url, {"text": "y"}).json()

    shown = [(row["deadline"], row["due_on"]) for row in (task, later, back, kept, whole)]
    day = "2030-05-02"
    assert shown == [(None, "2030-05-01"), (moment, None), (None, day), (None, day), (None, None)]
    for bad in (
        "2030-5-1",
        "2030-02-30",
        "2030-05-01T00:00:00Z",
        "20300501",
        "2030-W18-3",
        1,
        True,
    ):
        answer = alice_api.post("/tasks", {"text": "x", "due_on": bad})
        assert answer.status_code == 400 and list(answer.json()) == ["due_on"], bad


def test_a_day_ends_in_the_time_zone_of_its_owner(alice_api):
    alice_api.patch("/preferences", {"time_zone": "America/New_York"})
    made(alice_api, text="day", due_on="2030-05-01")
    made(alice_api, text="before", deadline="2030-05-02T03:59:00Z")
    made(alice_api, text="after", deadline="2030-05-02T04:01:00Z")

    assert texts(alice_api, ordering="deadline") == ["before", "day", "after"]
    assert texts(alice_api, deadline_before="2030-05-02T04:00:00Z") == ["before"]
    assert texts(alice_api, deadline_after="2030-05-02T03:59:59Z") == ["after", "day"]
    pages = alice_api.get("/tasks", {"ordering": "deadline", "limit": 1})
    assert alice_api.get(next_url(pages)).json()[0]["text"] == "day"
    before = Event.objects.count()
    alice_api.patch("/preferences", {"time_zone": "Asia/Tokyo"})  # where the day ends sooner
    assert texts(alice_api, ordering="deadline") == ["day", "before", "after"]
    assert Event.objects.count() == before + 1


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/Adak"])
def test_the_first_and_the_last_day_there_is(alice_api, day, zone):
    alice_api.patch("/preferences", {"time_zone": zone})
    task = made(alice_api, due_on=day)
    assert task["due_on"] == day
    assert listed(alice_api, ordering="-deadline") == [task]


# Preferences


def test_preferences(alice_api, bob_api):
    default = alice_api.get("/preferences")
    assert default.json() == {
        "time_zone": "UTC",
        "remind_at": "09:00",
        "remind_before": 30,
        "push": True,
        "version": 1,
    }
    assert default["ETag"] == '"1"'
    changed = alice_api.patch("/preferences", {"remind_before": None, "version": 7})
    assert (changed.status_code, changed["ETag"]) == (200, '"2"')
    assert changed.json() == {**default.json(), "remind_before": None, "version": 2}
    stale = alice_api.patch("/preferences", {"push": False}, HTTP_IF_MATCH='"1"')
    assert (stale.status_code, stale.json()["code"]) == (412, "changed_meanwhile")
    assert alice_api.get("/preferences", HTTP_IF_NONE_MATCH='"2"').status_code == 304
    assert alice_api.get("/preferences").json() == changed.json()
    assert bob_api.get("/preferences").json() == default.json()
    assert events() == ["preferences.updated"] and events(BOB) == []
    bodies: tuple[dict[str, Any], ...] = (
        *({"time_zone": zone} for zone in ("", "Mars/Base", "localtime", "../UTC", "utc", None, 1)),
        *({"remind_at": at} for at in ("9:00", "24:00", "09:60", "09:00:00", None, 9)),
        *({"remind_before": minutes} for minutes in (-1, 10_081, 1.5, "30")),
        *({"push": push} for push in (None, "yes", 1)),
    )
    for bad in bodies:
        answer = alice_api.patch("/preferences", bad)
        assert answer.status_code == 400 and list(answer.json()) == list(bad), bad
    assert alice_api.put("/preferences", {}).status_code == 405


# Ids


@pytest.mark.parametrize("kind", ["tasks", "projects", "labels"])
def test_ids_of_the_clients_own_making(alice_api, bob_api, kind):
    name = "text" if kind == "tasks" else "name"
    for key in (str(uuid4()), str(uuid7())):
        answer = alice_api.post(f"/{kind}", {name: key, "id": key})
        assert (answer.status_code, answer.json()["id"]) == (201, key)
        assert answer["Location"].endswith(f"/{kind}/{key}")
        count = Event.objects.count()
        for api in (alice_api, bob_api):
            again = api.post(f"/{kind}", {name: "again", "id": key})
            assert (again.status_code, again.json()["code"]) == (409, "id_taken")
        assert Event.objects.count() == count
    assert UUID(alice_api.post(f"/{kind}", {name: "null", "id": None}).json()["id"]).version == 7
    upper, one = str(uuid4()).upper(), "c232ab00-9414-11ec-b3c8-9f6bdeced846"
    for bad in (upper, one, "x", 1, "", str(uuid4()) + "\n", f"{{{uuid4()}}}", uuid4().hex):
        answer = alice_api.post(f"/{kind}", {name: "bad", "id": bad})
        assert answer.status_code == 400 and list(answer.json()) == ["id"], bad
    url = f"/{kind}/{key}"
    for other in (str(uuid4()), "x", None):
        assert alice_api.patch(url, {"id": other}).json()["id"] == key
        assert alice_api.put(url, {name: "whole", "id": other}).json()["id"] == key


def test_an_id_and_an_idempotency_key(alice_api):
    body = {"text": "x", "id": str(uuid4())}
    first, again = (alice_api.post("/tasks", body, HTTP_IDEMPOTENCY_KEY="one") for _ in range(2))
    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    assert alice_api.post("/tasks", body, HTTP_IDEMPOTENCY_KEY="two").status_code == 409


# What it costs


def stamped(rows: Any) -> Any:
    for row in rows:
        row.stamp(None)
        row.derive(None)
        yield row


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no such index")
def test_a_list_of_a_project_reads_an_index():
    project = Project.objects.create(user_id=ALICE, name="x")
    many = (Task(user_id=ALICE, text=f"{n}") for n in range(20_000))
    models.QuerySet(Task).bulk_create(stamped(many), 1000)
    some = [Task(user_id=ALICE, text="x", project=project) for _ in range(3)]
    Task.objects.bulk_create(some)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE tasks_task")
    mine = Task.objects.filter(user_id=ALICE).order_by("-created_at")
    plan = mine.filter(project=project)[:50].explain()
    assert re.search("Index Cond:.*project_id = ", plan), plan
