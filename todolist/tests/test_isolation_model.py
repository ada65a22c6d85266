"""Isolation over any sequence of calls: everybody sees what a plain model in memory says.

Of tasks and their notifications it knows every rule; of whatever else is routed with a
`RecordedViewSet`, what its serializer and its foreign keys say.

The owners are made to be mistaken for one another. The same sequences every time, so that a run
never fails for chance; `ISOLATION_EXAMPLES=1000` makes as many, and new ones each time.
"""

import os
import unicodedata
from collections.abc import Sequence
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from django.db.models import SET_NULL
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from rest_framework import serializers
from rest_framework.test import APIClient

from accounts.checks.walk import http_routes
from conftest import client_with, sign
from tasks.api.views import TaskViewSet
from tasks.due import send_due
from tasks.models import Label, Task
from tasks.resources.viewsets import RecordedViewSet
from tasks.tests.calls import next_url
from tasks.tests.test_ownership import ANY_OWNER

SIMPLIFY = [Phase.shrink, Phase.explain]
MORE = int(os.environ.get("ISOLATION_EXAMPLES", "0"))

Json = dict[str, Any]

# Made to be mistaken for one another, by people or by databases.
FAMILIES = {
    "case, blanks and prefixes": ["alice", "Alice", "alice ", " alice", "alic"],
    "letters that look alike": ["alice", "\u0430lice", "al\u0131ce", "alicé", "alice\u0301"],
    "wildcards": ["alice", "ali%", "ali_e", "%", "_"],
    "quotes": ["'", '"', "' OR '1'='1", "\\", "\\%"],
    "emoji and foldings": ["\U0001f98a", "\U0001f98a\ufe0f", "ß", "ss", "SS"],
    "length and numbers": ["a" * 255, "a" * 254, "1", "01", "1.0"],
}

TEXTS = ["milk", "MILK 100%", "under_score", 'it\'s "quoted"', "\U0001f600", "Ünï", "ünï a\\b", "%"]
TERMS = ["milk", "%", "_", "'", '"', "\U0001f600", "ÜN", "\\", "k 1", "nothing has this"]
# Overdue for long, or not for long: whichever pass of `send_reminders` comes first makes one.
PAST = ["2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z"]
DEADLINES = [None, *PAST, "2100-01-01T00:00:00Z"]
ORDERINGS = [
    sign + key for key in ("created_at", "updated_at", "order", "deadline") for sign in ("", "-")
]

FIELDS = st.fixed_dictionaries(
    {"text": st.sampled_from(TEXTS)},
    optional={
        "description": st.sampled_from(TEXTS),
        "completed": st.booleans(),
        "deadline": st.sampled_from(DEADLINES),
        "order": st.integers(-2, 2),
        "user_id": st.just("somebody else"),
    },
)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "text": st.sampled_from(TEXTS),
        "completed": st.booleans(),
        "deadline": st.sampled_from(DEADLINES),
        "order": st.integers(-2, 2),
    },
)
DEFAULTS: Json = {
    "description": "",
    "completed": False,
    "deadline": None,
    "order": 0,
    "parent_id": None,
    "recurrence": "",
}
YEARLY = "FREQ=YEARLY"  # all deadlines are at the beginning of a year
WRITABLE = ("text", *DEFAULTS)


class Resource(NamedTuple):
    """Something that people own besides tasks: where it is, and what may be written of it."""

    path: str
    model: Any
    fields: dict[str, Any]

    def event(self, what: str) -> str:
        return f"{self.model._meta.model_name}.{what}"


def resources() -> list[Resource]:
    found = []
    for route in http_routes():
        view = route.view_class
        if not (isinstance(view, type) and issubclass(view, RecordedViewSet)):
            continue
        if not route.parameters and view is not TaskViewSet:
            form: Any = view.serializer_class
            fields = {
                name: field
                for name, field in form().fields.items()
                if not field.read_only and name != "id"
            }
            found.append(Resource(route.path(), form.Meta.model, fields))
    return found


RESOURCES = resources()


def values_of(field: Any, ids: list[str]) -> st.SearchStrategy[Any]:
    """Values that a serializer's field takes, where ids are those of its owner."""
    if isinstance(field, serializers.ManyRelatedField):
        return st.lists(st.sampled_from(ids), max_size=2, unique=True)
    if isinstance(field, serializers.RelatedField):
        return st.sampled_from([None, *ids])
    if field.field_name == "color":
        return st.sampled_from(["", "#00ff00"])
    if isinstance(field, serializers.CharField):
        return st.sampled_from(TEXTS)
    if isinstance(field, serializers.BooleanField):
        return st.booleans()
    if isinstance(field, serializers.IntegerField):
        return st.none() | st.integers(-2, 2) if field.allow_null else st.integers(-2, 2)
    raise TypeError(f"Say here what {field!r} takes.")


def model_of(field: Any) -> Any:
    """The model whose ids a serializer's field takes; `None` where it takes none."""
    rows: Any = getattr(getattr(field, "child_relation", field), "queryset", None)
    return getattr(rows, "model", None)


WHO = st.integers(0, 5)  # of the people there are, modulo their number
WHICH = st.integers(0, 20)  # of the tasks there are, modulo their number
LIMIT = st.integers(1, 4)


def fold(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def unordered(row: Json) -> Json:
    """A row as it is shown, with ids of many-to-many relations in one order."""
    return {
        name: sorted(value) if isinstance(value, list) else value for name, value in row.items()
    }


class Person:
    """What one person must see."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.api: APIClient = client_with(sign(owner, exp=4102444800))
        self.tasks: dict[str, Json] = {}
        self.notifications: dict[tuple[str, str], Json] = {}  # by task and deadline
        self.trash: dict[str, tuple[Json, str | None]] = {}  # with the task that it went with
        self.kept: dict[str, tuple[str, str | None]] = {}  # rules of completed tasks, and the next
        self.events: list[tuple[str, Json]] = []
        self.rows: dict[Any, dict[str, Json]] = {resource.model: {} for resource in RESOURCES}
        self.rows[Task] = self.tasks

    def listed(self, tasks: list[Json], ordering: str) -> list[Json]:
        key, backwards = ordering.lstrip("-"), ordering.startswith("-")
        some = [task for task in tasks if task[key] is not None]
        none = [task for task in tasks if task[key] is None]
        some.sort(key=lambda task: (task[key], UUID(task["id"])), reverse=backwards)
        none.sort(key=lambda task: UUID(task["id"]), reverse=backwards)
        return some + none

    def holds(self, task: Json) -> None:
        """Unread notifications of another deadline, or of a task that is done, are withdrawn."""
        for key, notification in list(self.notifications.items()):
            holds = not task["completed"] and task["deadline"] == key[1]
            if key[0] == task["id"] and notification["read_at"] is None and not holds:
                del self.notifications[key]
                self.events.append(("notification.withdrawn", {"id": notification["id"]}))

    def pages(self, url: str, parameters: Json) -> list[Json]:
        """A list, followed page by page."""
        found: list[Json] = []
        response = self.api.get(url, parameters)
        while True:
            assert response.status_code == 200, response.content
            page = response.json()
            assert len(page) <= parameters["limit"]
            found += page
            following = next_url(response)
            if following is None:
                return found
            assert len(page) == parameters["limit"]
            response = self.api.get(following)


class Isolation(RuleBasedStateMachine):
    """Several people who call as they like, each with what they must see."""

    family: ClassVar[list[str]]

    def __init__(self) -> None:
        super().__init__()
        self.everything = transaction.atomic()
        self.everything.__enter__()
        self.people: list[Person] = []

    def teardown(self) -> None:
        try:
            for person in self.people:
                self.see_everything(person)
        finally:
            transaction.set_rollback(True)
            self.everything.__exit__(None, None, None)

    @initialize(more=st.lists(ANY_OWNER, max_size=1))
    def come(self, more: list[str]) -> None:
        self.people = [Person(owner) for owner in dict.fromkeys([*self.family, *more])]
        for who in range(len(self.people)):
            somebody_else = self.people[who - 1].owner
            fields = {"text": TEXTS[who], "deadline": PAST[who % 2], "user_id": somebody_else}
            self.create(who, fields)

    def person(self, who: int) -> Person:
        return self.people[who % len(self.people)]

    def task(self, which: int) -> tuple[Person, Json] | None:
        tasks = [(person, task) for person in self.people for task in person.tasks.values()]
        return tasks[which % len(tasks)] if tasks else None

    # What people do

    @rule(who=WHO, fields=FIELDS)
    def create(self, who: int, fields: Json) -> None:
        person = self.person(who)
        response = person.api.post("/tasks", fields)
        assert response.status_code == 201, response.content
        self.learn(person, response.json(), {**DEFAULTS, **fields}, "task.created")

    @rule(who=WHO, which=WHICH, fields=FIELDS)
    def replace(self, who: int, which: int, fields: Json) -> None:
        self.write(self.person(who), which, "put", {**DEFAULTS, **fields}, fields)

    @rule(who=WHO, which=WHICH, fields=CHANGES)
    def change(self, who: int, which: int, fields: Json) -> None:
        found = self.task(which)
        if found is not None:
            before = {field: found[1][field] for field in WRITABLE}
            self.write(self.person(who), which, "patch", {**before, **fields}, fields)

    def write(self, person: Person, which: int, method: str, after: Json, sent: Json) -> None:
        found = self.task(which)
        if found is None:
            return
        owner, task = found
        response = getattr(person.api, method)(f"/tasks/{task['id']}", sent)
        if owner is not person:
            self.refused(response)
            return
        assert response.status_code == 200, response.content
        after = dict(after)
        if after["deadline"] is None:
            after["recurrence"] = ""
        if after["completed"] and not task["completed"]:
            self.complete(person, task, after)
        elif task["completed"] and not after["completed"]:
            self.reopen(person, task, after)
        self.learn(person, response.json(), after, "task.updated")

    def complete(self, person: Person, task: Json, after: Json) -> None:
        """Open subtasks are completed with it, and one that repeats has a next one.

        Each is an event before its own, and before those is what is withdrawn of them.
        """
        shown = person.pages("/events", {"since": len(person.events), "limit": 1000})
        changed = [event["data"] for event in shown if event["type"] == "task.updated"][:-1]
        made = [event["data"] for event in shown if event["type"] == "task.created"]
        below = [each for each in person.tasks.values() if each["parent_id"] == task["id"]]
        open_ones = {each["id"] for each in below if not each["completed"]}
        assert {row["id"] for row in changed} == open_ones
        for row in changed:
            person.holds(row)
        for row in changed:
            before = {name: person.tasks[row["id"]][name] for name in WRITABLE}
            person.kept[row["id"]] = before["recurrence"], None
            done = {**before, "completed": True, "recurrence": ""}
            self.learn(person, row, done, "task.updated")
        assert len(made) == (1 + len(below) if after["recurrence"] else 0)
        if made:
            later, *copies = made
            assert (later["previous_id"], later["version"]) == (task["id"], 1)
            year = max(int(after["deadline"][:4]), datetime.now(UTC).year) + 1
            expected = {**after, "completed": False, "deadline": f"{year}-01-01T00:00:00Z"}
            self.learn(person, later, expected, "task.created")
            for copy, each in zip(
                copies, sorted(below, key=lambda row: row["created_at"]), strict=True
            ):
                plain = {"completed": False, "deadline": None, "recurrence": ""}
                expected = {**each, **plain, "parent_id": later["id"]}
                self.learn(person, copy, expected, "task.created")
            person.kept[task["id"]] = after["recurrence"], later["id"]
            after["recurrence"] = ""

    def reopen(self, person: Person, task: Json, after: Json) -> None:
        """It has its rule again where it had one, and the next one goes unless it has been changed."""
        rule, following = person.kept.pop(task["id"], ("", None))
        later = person.tasks.get(following or "")
        if following and (later is None or later["version"] > 1):
            return
        if after["deadline"] is None:
            return
        after["recurrence"] = after["recurrence"] or rule
        if later is not None:
            gone = [id for id, each in person.tasks.items() if each["parent_id"] == later["id"]]
            self.forget(person, later["id"], *gone, but_one=True)

    @rule(which=WHICH, deadline=st.sampled_from(DEADLINES[1:]))
    def repeat(self, which: int, deadline: str) -> None:
        fields = {"recurrence": YEARLY, "deadline": deadline}
        found = self.task(which)
        if found is not None:
            before = {field: found[1][field] for field in WRITABLE}
            self.write(found[0], which, "patch", {**before, **fields}, fields)

    @rule(which=WHICH)
    def toggle(self, which: int) -> None:
        """Its owner completes a task that repeats, or reopens one that has repeated."""
        every = [
            id
            for person in self.people
            for id, task in person.tasks.items()
            if task["recurrence"] or id in person.kept
        ]
        if every:
            ids = [task["id"] for person in self.people for task in person.tasks.values()]
            at = ids.index(every[which % len(every)])
            owner, task = self.task(at) or (self.people[0], {})
            before = {field: task[field] for field in WRITABLE}
            change = {"completed": not task["completed"]}
            self.write(owner, at, "patch", {**before, **change}, change)

    @rule(who=WHO, which=WHICH, other=WHICH, new=st.booleans())
    def put_below(self, who: int, which: int, other: int, new: bool) -> None:
        """Make a subtask of a task, or a new one: of one's own, if they are where they can be."""
        person, below, found = self.person(who), self.task(which), self.task(other)
        if found is None or below is None:
            return
        (owner, task), (whose, parent) = below, found
        body = {"text": "below", "parent_id": parent["id"]}
        if new:
            response = person.api.post("/tasks", body)
        else:
            response = person.api.patch(f"/tasks/{task['id']}", body)
            if owner is not person:
                self.refused(response)
                return
        has_some = any(each["parent_id"] == task["id"] for each in person.tasks.values())
        bad = whose is not person or parent["parent_id"] is not None
        if bad or (not new and (parent is task or (has_some and task["parent_id"] is None))):
            assert (response.status_code, list(response.json())) == (400, ["parent_id"])
            return
        assert response.status_code == (201 if new else 200)
        before = DEFAULTS if new else {name: task[name] for name in WRITABLE}
        event = "task.created" if new else "task.updated"
        self.learn(person, response.json(), {**before, **body}, event)

    def learn(
        self, person: Person, shown: Json, expected: Json, event: str, again: Json | None = None
    ) -> None:
        """Take over what only the server knows; everything else must be as expected."""
        assert {field: shown[field] for field in WRITABLE} == {
            field: expected[field] for field in WRITABLE
        }
        assert shown["user_id"] == person.owner
        before = person.tasks.get(shown["id"], again)
        assert (before is again) is (event == "task.created")
        assert before is None or before["created_at"] == shown["created_at"]
        person.tasks[shown["id"]] = shown
        person.holds(shown)
        person.events.append((event, shown))

    @rule(who=WHO, which=WHICH)
    def delete(self, who: int, which: int) -> None:
        found = self.task(which)
        if found is None:
            return
        person, (owner, task) = self.person(who), found
        response = person.api.delete(f"/tasks/{task['id']}")
        if owner is not person:
            self.refused(response)
            return
        assert response.status_code == 204
        gone = [each["id"] for each in person.tasks.values() if each["parent_id"] == task["id"]]
        for id in (task["id"], *gone):
            person.trash[id] = person.tasks[id], task["id"] if id in gone else None
        self.forget(person, task["id"], *gone)

    def forget(self, person: Person, *ids: str, but_one: bool = False) -> None:
        """Tasks are gone, and what they were told of: each is an event."""
        lost = [key for key in person.notifications if key[0] in ids]
        withdrawn = [person.notifications.pop(key)["id"] for key in lost]
        for id in ids:
            del person.tasks[id]
        also = [("notification.withdrawn", id) for id in withdrawn]
        self.let_go(person, Task, *ids, also=also, but_one=but_one)

    def trashed(self, which: int) -> tuple[Person, str] | None:
        every = [(person, id) for person in self.people for id in person.trash]
        return every[which % len(every)] if every else None

    @rule(who=WHO, which=WHICH)
    def bring_back(self, who: int, which: int) -> None:
        """A deleted task comes back as it was, and the subtasks that went with it."""
        found = self.trashed(which)
        if found is None:
            return
        person, (owner, id) = self.person(who), found
        response = person.api.post(f"/trash/{id}/restore")
        if owner is not person:
            self.refused(response)
            return
        assert response.status_code == 200, response.content
        along = sorted((key for key, (_, went) in person.trash.items() if went == id), key=UUID)
        shown = person.pages("/events", {"since": len(person.events), "limit": 1000})
        assert [event["data"]["id"] for event in shown] == [id, *along]
        assert shown[0]["data"] == response.json()
        for event in shown:
            row = event["data"]
            was, _ = person.trash.pop(row["id"])
            parent = person.tasks.get(was["parent_id"])
            if parent is None or parent["parent_id"] is not None:
                was = {**was, "parent_id": None}
            same = {"updated_at": row["updated_at"], "version": was["version"] + 1}
            assert row == {**was, **same}
            self.learn(person, row, was, event["type"], again=was)

    @rule(who=WHO, which=WHICH, all_of_it=st.booleans())
    def drop(self, who: int, which: int, all_of_it: bool) -> None:
        found = self.trashed(which)
        if found is None:
            return
        person, (owner, id) = self.person(who), found
        response = person.api.delete("/trash" if all_of_it else f"/trash/{id}")
        if owner is not person and not all_of_it:
            self.refused(response)
            return
        assert response.status_code == 204
        for key, (_, went) in list(person.trash.items()):
            if all_of_it or id in (key, went):
                del person.trash[key]

    @rule()
    def remind(self) -> None:
        """Everybody is told of what is overdue, once for each deadline."""
        list(send_due(datetime.now(UTC)))
        for person in self.people:
            overdue = [
                task
                for task in person.listed(list(person.tasks.values()), "deadline")
                if task["deadline"] in PAST
                and not task["completed"]
                and (task["id"], task["deadline"]) not in person.notifications
            ]
            known = {shown["id"] for shown in person.notifications.values()}
            new = [
                shown
                for shown in person.api.get("/notifications").json()
                if shown["id"] not in known
            ]
            by_task = {shown["task_id"]: shown for shown in new}
            assert len(new) == len(by_task) == len(overdue)
            for task in overdue:
                shown = by_task[task["id"]]
                assert (shown["type"], shown["read_at"]) == ("task_overdue", None)
                assert task["text"] in shown["message"]
                person.notifications[task["id"], task["deadline"]] = shown
                person.events.append(("notification.created", dict(shown)))

    @rule(who=WHO, which=WHICH)
    def read(self, who: int, which: int) -> None:
        """Mark a notification: somebody's."""
        every = [(person, key) for person in self.people for key in person.notifications]
        if not every:
            return
        person, (owner, key) = self.person(who), every[which % len(every)]
        before = owner.notifications[key]
        response = person.api.post(f"/notifications/{before['id']}/read")
        if owner is not person:
            self.refused(response)
            return
        shown = response.json()
        assert shown == {**before, "read_at": shown["read_at"]}
        if before["read_at"] is None:
            person.notifications[key] = shown
            person.events.append(("notification.read", shown))
        assert person.notifications[key] == shown

    @rule(who=WHO)
    def read_all(self, who: int) -> None:
        person = self.person(who)
        unread = [shown for shown in person.notifications.values() if shown["read_at"] is None]
        response = person.api.post("/notifications/read-all")
        assert response.json() == {"updated": len(unread)}
        now = {shown["id"]: shown for shown in person.api.get("/notifications").json()}
        for shown in sorted(unread, key=lambda shown: UUID(shown["id"])):
            shown["read_at"] = now[shown["id"]]["read_at"]
            assert shown["read_at"] is not None
            person.events.append(("notification.read", dict(shown)))

    # What they do with anything else

    @rule(who=WHO, what=WHICH, data=st.data())
    def make(self, who: int, what: int, data: st.DataObject) -> None:
        person, resource = self.person(who), RESOURCES[what % len(RESOURCES)]
        body = self.body(person, resource, data)
        response = person.api.post(resource.path, body)
        if self.took(person, resource, body, response, 201):
            person.events.append((resource.event("created"), response.json()))

    @rule(
        who=WHO, what=WHICH, which=WHICH, method=st.sampled_from(["put", "patch"]), data=st.data()
    )
    def rewrite(self, who: int, what: int, which: int, method: str, data: st.DataObject) -> None:
        person, resource = self.person(who), RESOURCES[what % len(RESOURCES)]
        rows = [
            (owner, row) for owner in self.people for row in owner.rows[resource.model].values()
        ]
        if not rows:
            return
        owner, row = rows[which % len(rows)]
        body = self.body(person, resource, data)
        response = getattr(person.api, method)(f"{resource.path}/{row['id']}", body)
        if owner is not person:
            self.refused(response)
        elif self.took(person, resource, body, response, 200, row["id"]):
            assert response.json()["version"] == row["version"] + 1
            person.events.append((resource.event("updated"), response.json()))

    @rule(who=WHO, what=WHICH, which=WHICH)
    def remove(self, who: int, what: int, which: int) -> None:
        person, resource = self.person(who), RESOURCES[what % len(RESOURCES)]
        rows = [
            (owner, row) for owner in self.people for row in owner.rows[resource.model].values()
        ]
        if not rows:
            return
        owner, row = rows[which % len(rows)]
        url = f"{resource.path}/{row['id']}"
        if owner is person:
            assert person.api.delete(url).status_code == 204
            del person.rows[resource.model][row["id"]]
            self.let_go(person, resource.model, row["id"])
        else:
            self.refused(person.api.get(url))
            self.refused(person.api.delete(url))

    def body(self, person: Person, resource: Resource, data: st.DataObject) -> Json:
        """All that can be written, with ids that are mostly the caller's own."""
        body = {"user_id": "somebody else", "version": 77}
        for name, field in resource.fields.items():
            model = model_of(field)
            known = [id for owner in self.people for id in owner.rows.get(model, ())]
            own = list(person.rows.get(model, ()))
            body[name] = data.draw(values_of(field, [*own, *own, *own, *known, str(uuid4())]))
        return body

    def took(
        self,
        person: Person,
        resource: Resource,
        body: Json,
        response: Any,
        status: int,
        changed: str = "",
    ) -> bool:
        """Whether a body was taken, as it has to be unless it names what is not the caller's.

        Or, of a label, what another one is called.
        """
        strange = []
        names = {row["name"] for id, row in person.rows[Label].items() if id != changed}
        if resource.model is Label and fold(body["name"]) in map(fold, names):
            strange.append("name")
        for name, field in resource.fields.items():
            given = body[name] if isinstance(body[name], list) else [body[name]]
            own = person.rows.get(model_of(field), ())
            if model_of(field) and any(id is not None and id not in own for id in given):
                strange.append(name)
        if strange:
            assert response.status_code == 400
            assert sorted(response.json()) == sorted(strange)
            return False
        assert response.status_code == status, response.content
        shown = response.json()
        written = {name: shown[name] for name in resource.fields}
        assert unordered(written) == unordered({name: body[name] for name in resource.fields})
        person.rows[resource.model][shown["id"]] = deepcopy(shown)
        return True

    def let_go(
        self,
        person: Person,
        model: Any,
        *ids: str,
        also: Sequence[tuple[str, str]] = (),
        but_one: bool = False,
    ) -> None:
        """What follows from deletions for what refers to it: each is an event, in whatever order.

        `but_one` is for the event of the change that they are part of, which comes last.
        """
        expected = [*also, *((f"{model._meta.model_name}.deleted", id) for id in ids)]
        gone = [(model, id) for id in ids]
        for lost, lost_id in gone:
            for resource in RESOURCES:
                for name, field in resource.fields.items():
                    if model_of(field) is not lost:
                        continue
                    column = resource.model._meta.get_field(name)
                    for row in list(person.rows[resource.model].values()):
                        if lost_id not in (row[name] if column.many_to_many else [row[name]]):
                            continue
                        if column.many_to_many or column.remote_field.on_delete is SET_NULL:
                            expected.append((resource.event("updated"), row["id"]))
                            row["version"] += 1
                            if column.many_to_many:
                                row[name].remove(lost_id)
                            else:
                                row[name] = None
                        else:
                            expected.append((resource.event("deleted"), row["id"]))
                            gone.append((resource.model, row["id"]))
                            del person.rows[resource.model][row["id"]]
        events = person.pages("/events", {"since": len(person.events), "limit": 1000})
        if but_one:
            events = events[: len(expected)]
        assert sorted((event["type"], event["data"]["id"]) for event in events) == sorted(expected)
        for event in events:
            person.events.append((event["type"], event["data"]))
            for resource in RESOURCES:
                if event["type"] == resource.event("updated"):
                    row = person.rows[resource.model][event["data"]["id"]]
                    if "updated_at" in row:
                        row["updated_at"] = event["data"]["updated_at"]
                    assert unordered(row) == unordered(event["data"])

    # What people see

    def refused(self, response: Any) -> None:
        assert response.status_code == 403
        assert response.json() == {"detail": "Access denied", "code": "not_yours"}

    @rule(who=WHO, which=WHICH)
    def look(self, who: int, which: int) -> None:
        person, found = self.person(who), self.task(which)
        assert person.api.get(f"/tasks/{uuid4()}").status_code == 404
        if found is not None:
            response = person.api.get(f"/tasks/{found[1]['id']}")
            if found[0] is person:
                assert response.json() == found[1]
            else:
                self.refused(response)

    @rule(
        who=WHO,
        limit=LIMIT,
        ordering=st.sampled_from(ORDERINGS),
        term=st.none() | st.sampled_from(TERMS),
        completed=st.none() | st.booleans(),
    )
    def search(
        self, who: int, limit: int, ordering: str, term: str | None, completed: bool | None
    ) -> None:
        person = self.person(who)
        parameters: Json = {"limit": limit, "ordering": ordering}
        tasks = list(person.tasks.values())
        if term is not None:
            parameters["search"] = term
            tasks = [
                task
                for task in tasks
                if any(fold(term) in fold(task[part]) for part in ("text", "description"))
            ]
        if completed is not None:
            parameters["completed"] = str(completed).lower()
            tasks = [task for task in tasks if task["completed"] is completed]
        assert person.pages("/tasks", parameters) == person.listed(tasks, ordering)

    @rule(who=WHO, since=st.integers(0, 30), limit=LIMIT)
    def replay(self, who: int, since: int, limit: int) -> None:
        person = self.person(who)
        if since > len(person.events):
            assert person.api.get("/events", {"since": since}).status_code == 410
            return
        self.see_events(person, since, limit)

    def see_events(self, person: Person, since: int, limit: int) -> None:
        shown = person.pages("/events", {"since": since, "limit": limit})
        assert [event["seq"] for event in shown] == list(range(since + 1, len(person.events) + 1))
        assert [(event["type"], event["data"]) for event in shown] == person.events[since:]

    def see_everything(self, person: Person) -> None:
        tasks = person.listed(list(person.tasks.values()), "-created_at")
        assert person.api.get("/tasks").json() == tasks
        trash = person.pages("/trash", {"limit": 2})
        assert all(row.pop("deleted_at") for row in trash)
        assert {row["id"]: row for row in trash} == {
            id: was for id, (was, _) in person.trash.items()
        }
        self.see_events(person, 0, 1000)
        expected = sorted(
            person.notifications.values(),
            key=lambda shown: (shown["created_at"], UUID(shown["id"])),
            reverse=True,
        )
        unread = [shown for shown in expected if shown["read_at"] is None]
        assert person.pages("/notifications", {"limit": 2}) == expected
        assert person.pages("/notifications", {"limit": 2, "status": "unread"}) == unread
        assert person.api.get("/notifications/unread-count").json() == {"count": len(unread)}
        for resource in RESOURCES:
            found = {row["id"]: unordered(row) for row in person.pages(resource.path, {"limit": 3})}
            own = person.rows[resource.model].items()
            assert found == {id: unordered(row) for id, row in own}
        assert person.api.get("/me").json()["id"] == person.owner


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())
@pytest.mark.django_db
def test_each_sees_what_is_theirs_whatever_anybody_does(family):
    run_state_machine_as_test(
        type("Isolation", (Isolation,), {"family": family}),
        settings=hypothesis_settings(
            max_examples=MORE or 2,
            stateful_step_count=50 if MORE else 12,
            derandomize=not MORE,
            deadline=None,
            database=None,
            phases=[Phase.generate, *([] if "ISOLATION_AS_FOUND" in os.environ else SIMPLIFY)],
            suppress_health_check=list(HealthCheck),
        ),
    )
