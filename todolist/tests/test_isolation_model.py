"""Isolation over any sequence of calls: everybody sees what a plain model in memory says.

The owners are made to be mistaken for one another. The same sequences every time, so that a run
never fails for chance; `ISOLATION_EXAMPLES=1000` makes as many, and new ones each time.
"""

import os
import unicodedata
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from rest_framework.test import APIClient

from conftest import client_with, sign
from tasks.due import send_due
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
DEFAULTS: Json = {"description": "", "completed": False, "deadline": None, "order": 0}
WRITABLE = ("text", *DEFAULTS)
WHO = st.integers(0, 5)  # of the people there are, modulo their number
WHICH = st.integers(0, 20)  # of the tasks there are, modulo their number
LIMIT = st.integers(1, 4)


def fold(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


class Person:
    """What one person must see."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.api: APIClient = client_with(sign(owner, exp=4102444800))
        self.tasks: dict[str, Json] = {}
        self.notifications: dict[tuple[str, str], Json] = {}  # by task and deadline
        self.events: list[tuple[str, Json]] = []

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
        self.learn(person, response.json(), after, "task.updated")

    def learn(self, person: Person, shown: Json, expected: Json, event: str) -> None:
        """Take over what only the server knows; everything else must be as expected."""
        assert {field: shown[field] for field in WRITABLE} == {
            field: expected[field] for field in WRITABLE
        }
        assert shown["user_id"] == person.owner
        before = person.tasks.get(shown["id"])
        assert (before is None) is (event == "task.created")
        assert before is None or before["created_at"] == shown["created_at"]
        person.tasks[shown["id"]] = shown
        person.events.append((event, shown))
        person.holds(shown)

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
        del person.tasks[task["id"]]
        for key in [key for key in person.notifications if key[0] == task["id"]]:
            del person.notifications[key]
        person.events.append(("task.deleted", {"id": task["id"]}))

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
                person.events.append(("notification.created", shown))

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

    # What people see

    def refused(self, response: Any) -> None:
        assert response.status_code == 403
        assert response.json() == {"detail": "Access denied"}

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
