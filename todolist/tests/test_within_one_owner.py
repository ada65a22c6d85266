"""A request stays within its owner's rows, and so do the keys of owned tables.

That is what sharding by owner asks of the code (docs/operations.md, "Growing"). What does not is
declared here, with the reason.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from django.apps import apps
from django.db import connection, models

from accounts.checks.asking import is_api
from accounts.checks.walk import http_routes
from accounts.owned.acting import acting_owner
from conftest import ALICE, BOB, client_with, sign
from tasks.api.push import PushSubscriptionSerializer
from tasks.events.record import newest_seqs, position_of, replay
from tasks.models import Task, TrashedTask
from todolist.tests.people import furnish

pytestmark = pytest.mark.django_db

OWNED: dict[str, Any] = {
    model._meta.db_table: model
    for model in apps.get_models()
    if any(field.attname == "user_id" and not field.is_relation for field in model._meta.fields)
}
ROUTES = [route for route in http_routes() if is_api(route)]


class Statement(NamedTuple):
    sql: str
    values: tuple[Any, ...]
    acting: str  # for whom the code acts; "" where that is not one person

    def tables(self) -> set[str]:
        words = set(re.findall(r"\w+", self.sql))
        return {table for table in OWNED if {table, f"{table}_exists"} & words}

    def names(self, owner: str) -> bool:
        """Whether the owner is a value of it: of `ACTING`, compared with a column, or all of an array."""
        return owner in self.values or [owner] in self.values

    def keys_only(self) -> bool:
        """Whether it finds rows by the keys of other rows of the same owner, and by nothing else."""
        _, _, condition = self.sql.partition(" WHERE ")
        columns = re.findall(r'"(\w+)"(?= (?:=|IN|>|<|>=|<=|LIKE|IS)(?:\W|$))', condition)
        return bool(columns) and all(
            any(
                name == field.column and (field.primary_key or field.is_relation)
                for table in self.tables()
                for field in OWNED[table]._meta.concrete_fields
            )
            for name in columns
        )


@contextmanager
def statements() -> Iterator[list[Statement]]:
    """Those on owned tables, with their values bound."""
    seen: list[Statement] = []

    def watch(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        found = Statement(str(sql), tuple(params or ()), acting_owner())
        if found.tables():
            seen.append(found)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        yield seen


def ask_for_everything(owner: str, rows: dict[Any, Any]) -> None:
    """Each route of the API by each of its methods, for a row that is theirs, and more of each kind."""
    client = client_with(sign(owner))
    body = {"text": "new", "title": "new", "name": "new", "completed": True}
    keys = PushSubscriptionSerializer.Meta.example["keys"]
    body |= {"endpoint": "https://93.184.215.14/push", "keys": keys}
    paths = []
    for route in ROUTES:
        view = route.view_class
        queryset = getattr(view, "queryset", None)
        row = None if queryset is None else rows.get(queryset.model)
        path = route.path(**dict.fromkeys(route.parameters, row and row.pk))
        for method in ("get", "post", "put", "patch"):
            response = getattr(client, method)(path, body)
            assert response.status_code < 500
            response.getvalue()  # which closes a file
        paths.append(path)
    tasks = "/tasks"
    for query in (
        *("?limit=1", "?search=new", "?completed=true", "?ordering=deadline", "?ordering=-order"),
        *("?ordering=-updated_at", "?search=no", f"?search={'long' * 9}"),
    ):
        response = client.get(tasks + query)
        assert response.status_code == 200
        if link := response.headers.get("Link"):
            assert client.get(re.findall("<(.*?)>", link)[0]).status_code == 200
    for _ in range(2):
        made = client.post(tasks, {"text": "once"}, headers={"Idempotency-Key": f"key of {owner}"})
        assert made.status_code == 201
    changed = client.patch(f"{tasks}/{made.json()['id']}", {"deadline": "2030-01-01T00:00:00Z"})
    assert changed.status_code == 200
    assert client.get("/events?since=0").status_code in (200, 410)
    replay(owner, 0, 10)  # what sockets ask
    position_of(owner)
    assert client.delete(f"{tasks}/{rows[TrashedTask].pk}").status_code == 204  # it was restored
    for path in reversed(paths):
        assert client.delete(path).status_code < 500


@pytest.mark.parametrize("routes", ["todolist.tests.urls", "todolist.tests.plain_urls"])
def test_every_statement_of_a_request_is_within_one_owner(settings, routes):
    """It names the owner, or finds rows by keys of the owner's own rows in a transaction for that owner."""
    settings.ROOT_URLCONF = routes
    rows = furnish(ALICE).rows
    furnish(BOB)
    with statements() as seen:
        ask_for_everything(ALICE, rows)
    tables = {table for one in seen for table in one.tables()}
    assert tables >= OWNED.keys()
    # Whose a calendar is, its secret alone says.
    asked = [one for one in seen if one.tables() != {"tasks_calendarfeed"}]
    beyond = [one for one in asked if not one.names(ALICE)]
    assert [one for one in beyond if one.acting != ALICE or not one.keys_only()] == []
    assert [one for one in seen if one.names(BOB)] == []


def test_whether_anybody_has_a_row_is_asked_of_all():
    """For 403 or 404 (docs/api.md section 3). The one question of a request beyond its owner."""
    for key, status in ((furnish(BOB).rows[Task].pk, 403), (uuid4(), 404)):
        with statements() as seen:
            assert client_with(sign(ALICE)).get(f"/tasks/{key}").status_code == status
        (asked,) = [one.sql for one in seen if not one.names(ALICE)]
        assert "tasks_task_exists" in asked or asked.startswith("SELECT %s AS")


def test_what_is_asked_of_many_at_once_is_declared():
    """Of all that sockets ask, this one alone: for as many people as have sockets, in batches."""
    with statements() as seen:
        newest_seqs([ALICE, BOB])
    assert [(one.tables(), one.acting) for one in seen] == [({"tasks_stream"}, "")]


# Unique constraints and primary keys of owned tables that do not begin with the owner
UUID_KEY = "a UUID of version 7, made by the application: unique among all without asking anybody"
NOT_SHOWN = "a number that no other table and no client knows: a sequence for each shard will do"

ONE_BROWSER = "an endpoint is one browser's, whoever signs in there: who comes last has it"


RANDOM = "of 256 random bits"


def why_not(model: Any, columns: list[str]) -> str:
    """Why uniqueness within one shard is enough for these; "" where that cannot be said."""
    first = next(field for field in model._meta.concrete_fields if field.column == columns[0])
    if first.name == "user_id":
        return "begins with the owner"
    if first.is_relation and first.related_model._meta.db_table in OWNED:
        return "begins with a row of the owner's own"
    if columns == ["endpoint_digest"]:
        return ONE_BROWSER
    if columns == ["secret_digest"]:
        return RANDOM
    if columns != [model._meta.pk.column]:
        return ""
    if isinstance(first, models.UUIDField):
        return UUID_KEY
    referred = [field for field in model._meta.related_objects if field.concrete]
    return NOT_SHOWN if isinstance(first, models.AutoField) and not referred else ""


def test_what_is_unique_is_unique_within_one_owner():
    with connection.cursor() as cursor:
        found = {
            (table, name): why_not(model, constraint["columns"])
            for table, model in OWNED.items()
            for name, constraint in connection.introspection.get_constraints(cursor, table).items()
            if constraint["unique"] or constraint["primary_key"]
        }
    assert {table for table, _ in found} == OWNED.keys()
    assert [where for where, why in found.items() if not why] == []
    assert {table for (table, _), why in found.items() if why == NOT_SHOWN} == {
        *("tasks_event", "tasks_keptanswer", "tasks_pushdelivery", "tasks_calendarfeed"),
        *("tasks_tasklabel", "notes_notetag"),  # the latter of the tests
    }
