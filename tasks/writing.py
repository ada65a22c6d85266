"""Writes a task together with its event (contract section 4): on PostgreSQL, by one statement."""

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from accounts.owned.acting import ACTING
from accounts.owned.databases import fetch, on_postgresql
from accounts.owned.ownership import owner_id
from accounts.owned.reading import json_of
from tasks.api.serializers import TASK, TaskSerializer
from tasks.events.record import EventType, publish, record
from tasks.models import Notification, Task
from tasks.rules.moments import now
from tasks.rules.reminders import OFFSETS, Kind
from tasks.rules.search import SEPARATOR, fold


def insert(task: Task, acting_for: object | None) -> str:
    """Insert a new task; its JSON. With `acting_for`, on behalf of that person (`accounts.owned.acting`)."""
    if not on_postgresql():
        return _insert_by_orm(task)
    values = [getattr(task, field.attname) for field in Task._meta.concrete_fields]
    acting = [] if acting_for is None else [owner_id(acting_for)]
    sql = _insertion(acting=acting_for is not None)
    ((text, seq),) = fetch(sql, [*values, *acting, "task.created"])
    publish(task.user_id, seq, "task.created", task.created_at, text)
    return str(text)


def change(
    user: object, pk: UUID, values: Mapping[str, Any], version: datetime | None
) -> tuple[str, datetime] | None:
    """Change the task of `user` with this key by one statement: its JSON, and its `updated_at`.

    With a `version`, only where that is its `updated_at`. `None`, and nothing done, where there is no
    such task, or it takes more than that: without PostgreSQL, where there may be notifications to be
    withdrawn, or the clock is behind. `Task.save` is for these, and the rule for what follows from
    what; here the same is said once more, as the database sees the row that is changed.
    """
    owner = owner_id(user)
    if not owner or not on_postgresql():
        return None
    moment = now()
    parameters = {
        **values,
        "owner": owner,
        "pk": pk,
        "version": version,
        "moment": moment,
        "type": "task.updated",
    }
    for name in ("text", "description"):
        if name in values:
            parameters[f"folded_{name}"] = fold(values[name])
    sql, names = _change(tuple(values))
    found = fetch(sql, [parameters[name] for name in names])
    if not found:
        return None
    ((text, seq),) = found
    publish(owner, seq, "task.updated", moment, text)
    return text, moment


def update(task: Task, names: Collection[str] | None, *, withdrawing: bool) -> str:
    """Update a task, or these of its fields, as part of a transaction; its JSON.

    `withdrawing` the unread notifications that no longer hold, of which nobody is told.
    """
    changed = {
        field.name: getattr(task, field.name)
        for field in Task._meta.concrete_fields
        if not field.primary_key and (names is None or field.name in names)
    }
    QuerySet.update(Task.objects.filter(pk=task.pk), **changed)
    written = Task.objects.get(pk=task.pk)
    if withdrawing:
        gone = Notification.objects.unread().filter(task_id=task.pk)
        if not written.completed and written.deadline is not None:
            gone = gone.exclude(deadline=written.deadline)
        Notification.objects.filter(pk__in=[row.pk for row in gone.locked()]).delete()
    return _recorded(written, "task.updated")


def _insert_by_orm(task: Task) -> str:
    with transaction.atomic():
        task.save_base(force_insert=True)
        return _recorded(task, "task.created")


def _recorded(task: Task, event_type: EventType) -> str:
    return record(task.user_id, event_type, dict(TaskSerializer(task).data), at=task.updated_at)


@lru_cache
def _insertion(*, acting: bool) -> str:
    fields = Task._meta.concrete_fields
    columns = ", ".join(f'"{field.column}"' for field in fields)
    values = ", ".join("%s" for _ in fields)
    condition = f" WHERE {ACTING}" if acting else ""
    return _with_event(f"INSERT INTO tasks_task AS t ({columns}) SELECT {values}{condition}")


@lru_cache
def _change(given: tuple[str, ...]) -> tuple[str, list[str]]:
    """The statement that changes a task where these of its fields are given, and its parameters."""
    new = {name: f"%({name})s" for name in given}
    changes = {**new, "updated_at": "%(moment)s"}
    conditions = [
        ACTING % "%(owner)s",
        "t.user_id = %(owner)s",
        "t.id = %(pk)s",
        "t.updated_at < %(moment)s",
        "t.updated_at = coalesce(%(version)s, t.updated_at)",
    ]
    if "completed" in given:
        changes["completed_at"] = (
            f"CASE WHEN {new['completed']} THEN coalesce(t.completed_at, %(moment)s) END"
        )
    if "text" in given or "description" in given:
        parts = [
            f"%(folded_{name})s"
            if name in given
            else f"split_part(t.search_text, {_SEPARATOR}, {number})"
            for number, name in enumerate(("text", "description"), start=1)
        ]
        changes["search_text"] = f" || {_SEPARATOR} || ".join(parts)
    if "completed" in given or "deadline" in given:
        completed = new.get("completed", "t.completed")
        moment = _next_moment("%(deadline)s::timestamptz" if "deadline" in given else "t.deadline")
        changes["next_reminder_at"] = f"CASE WHEN NOT {completed} THEN {moment} END"
        conditions.append(_NOTHING_TOLD)
    assignments = ", ".join(f'"{name}" = {value}' for name, value in changes.items())
    sql = _with_event(
        f"UPDATE tasks_task AS t SET {assignments} WHERE {' AND '.join(conditions)}"  # noqa: S608  names of the model
    )
    # The event's type is said elsewhere, without a name.
    return _NAMED.sub("%s", sql), [*_NAMED.findall(sql), "type"]


_SEPARATOR = f"chr({ord(SEPARATOR)})"
_NAMED = re.compile(r"%\((\w+)\)s")

_REMINDER = OFFSETS[Kind.REMINDER]


def _next_moment(deadline: str) -> str:
    """`reminders.next_moment` of a task that is not done: its reminder, if the calendar has that."""
    return f"""CASE WHEN {deadline} >= '{datetime.min.replace(tzinfo=UTC) - _REMINDER}'
        THEN {deadline} + interval '{_REMINDER.total_seconds()} seconds' ELSE {deadline} END"""


# Whoever makes a notification moves the task on, away from where it begins. So of one that stands
# there, or is done, there is none to be withdrawn. Where another writer came first, PostgreSQL looks
# once more, at the row as it is then.
_NOTHING_TOLD = (
    f"(t.completed OR t.next_reminder_at IS NOT DISTINCT FROM {_next_moment('t.deadline')})"
)


def _with_event(writing: str) -> str:
    """A statement that writes a task, there called `t`, and its event under the owner's next number.

    It answers with the task's JSON and the number. From here to the commit other writers of the
    same owner wait.
    """
    return f"""
        WITH written AS (
            {writing}
            RETURNING t.user_id, t.updated_at, {json_of(TASK)} AS text
        ), next AS (
            INSERT INTO tasks_stream (user_id, last_seq, pruned_seq)
            SELECT user_id, 1, 0 FROM written
            ON CONFLICT (user_id) DO UPDATE SET last_seq = tasks_stream.last_seq + 1
            RETURNING last_seq
        ), event AS (
            INSERT INTO tasks_event (user_id, seq, type, at, data)
            SELECT user_id, last_seq, %s, updated_at, text::jsonb FROM written, next
        )
        SELECT text, last_seq FROM written, next
    """  # noqa: S608  names of the model
