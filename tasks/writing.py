"""Writes a task together with its event (contract section 4): on PostgreSQL, by one statement."""

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from accounts.acting import ACTING_SOURCE
from accounts.databases import fetch, on_postgresql
from accounts.ownership import owner_id
from accounts.reading import json_of
from tasks.events import EventType, publish, record
from tasks.models import Notification, Task
from tasks.moments import now
from tasks.reminders import OFFSETS, Kind, State, next_moment
from tasks.search import SEPARATOR, fold
from tasks.serializers import TASK, TaskSerializer


def insert(task: Task, acting_for: object | None) -> str:
    """Insert a new task; its JSON. With `acting_for`, on behalf of that person (`accounts.acting`)."""
    if not on_postgresql():
        return _insert_by_orm(task)
    values = [getattr(task, field.attname) for field in Task._meta.concrete_fields]
    acting = [] if acting_for is None else [owner_id(acting_for)]
    sql = _insertion(acting=acting_for is not None)
    ((text, seq),) = fetch(sql, [*acting, *values, "task.created"])
    publish(task.user_id, seq, "task.created", task.created_at, text)
    return str(text)


def change(
    user: object, pk: UUID, values: Mapping[str, Any], version: datetime | None
) -> tuple[str, datetime] | None:
    """Change the task of `user` with this key by one statement: its JSON, and its `updated_at`.

    With a `version`, only where that is its `updated_at`. `None`, and nothing done, where there is no
    such task, or one statement is not enough to know: without PostgreSQL, or where another writer
    came in between. `Task.save` is for these, and the rule for what follows from what; here the same
    is said once more, as the database sees the row that is changed.
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
    if "deadline" in values:
        parameters["next_moment"] = next_moment(State(False, values["deadline"]))
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
    # Each value is computed from `me` on, so it is only then that a policy looks at the row.
    values = ", ".join("%s" for _ in fields) + (" FROM me" if acting else "")
    source = f"me AS MATERIALIZED (SELECT id FROM {ACTING_SOURCE}), " if acting else ""  # noqa: S608  ours
    return _with_event(
        f"{source}t AS (INSERT INTO tasks_task ({columns}) SELECT {values} RETURNING *)"
    )


@lru_cache
def _change(given: tuple[str, ...]) -> tuple[str, list[str]]:
    """The statement that changes a task where these of its fields are given, and its parameters."""
    new = {name: f"%({name})s" for name in given}

    def new_or_old(name: str) -> str:
        return new.get(name, f"own.{name}")

    changes = {**new, "updated_at": "%(moment)s"}
    conditions = (
        "own.updated_at < %(moment)s AND own.updated_at = coalesce(%(version)s, own.updated_at)"
    )
    if "completed" in given:
        changes["completed_at"] = (
            f"CASE WHEN {new['completed']} THEN coalesce(own.completed_at, %(moment)s) END"
        )
    if "text" in given or "description" in given:
        parts = [
            f"%(folded_{name})s"
            if name in given
            else f"split_part(own.search_text, {_SEPARATOR}, {number})"
            for number, name in enumerate(("text", "description"), start=1)
        ]
        changes["search_text"] = f" || {_SEPARATOR} || ".join(parts)
    if "completed" in given or "deadline" in given:
        moves = f"own.completed OR own.deadline IS DISTINCT FROM {new_or_old('deadline')}"
        after = "%(next_moment)s" if "deadline" in given else _NEXT_MOMENT
        changes["next_reminder_at"] = (
            f"CASE WHEN {new_or_old('completed')} THEN NULL"
            f" WHEN {moves} THEN {after} ELSE own.next_reminder_at END"
        )
        conditions += _AS_SEEN
    assignments = ", ".join(f'"{name}" = {value}' for name, value in changes.items())
    writing = f"""
        me AS MATERIALIZED (SELECT id FROM {ACTING_SOURCE}), t AS (
            UPDATE tasks_task AS own SET {assignments} {_OWN} AND {conditions} RETURNING own.*
        )
    """  # noqa: S608  names of the model
    withdrawing = "next_reminder_at" in changes
    sql = _with_event(writing + _WITHDRAWAL, after="gone") if withdrawing else _with_event(writing)
    # Two are said elsewhere, without a name: whom it acts for comes first, the event's type last.
    return _NAMED.sub("%s", sql), ["owner", *_NAMED.findall(sql), "type"]


_SEPARATOR = f"chr({ord(SEPARATOR)})"
_NAMED = re.compile(r"%\((\w+)\)s")

# The first condition is about no row, so it is looked at before any of them, and by that says for
# whom the statement acts before a policy is asked.
_OWN = """WHERE (SELECT id FROM me) IS NOT NULL
    AND own.user_id = (SELECT id FROM me) AND own.id = %(pk)s"""

# A notification that is made while the statement waits for the row is one that it does not see, so it
# would not be withdrawn. But whoever makes one moves this, and a task as it was seen shows it.
_AS_SEEN = """ AND (own.deadline IS NULL OR own.next_reminder_at IS NOT DISTINCT FROM (
    SELECT seen.next_reminder_at FROM tasks_task AS seen WHERE seen.id = own.id
))"""

# `reminders.next_moment` of a task that is not done: its reminder, where the calendar has such a moment.
_REMINDER = OFFSETS[Kind.REMINDER]
_NEXT_MOMENT = f"""CASE WHEN own.deadline >= '{datetime.min.replace(tzinfo=UTC) - _REMINDER}'
    THEN own.deadline + interval '{_REMINDER.total_seconds()} seconds' ELSE own.deadline END"""

# In the order of their ids, as everybody locks them, and once the task is written.
_WITHDRAWAL = """, gone AS (
    DELETE FROM tasks_notification WHERE (SELECT count(*) FROM t) > 0 AND id = ANY(ARRAY(
        SELECT told.id FROM tasks_notification AS told, t
        WHERE told.task_id = t.id AND told.user_id = t.user_id AND told.read_at IS NULL
            AND (t.completed OR t.deadline IS NULL OR told.deadline <> t.deadline)
        ORDER BY told.id FOR UPDATE OF told
    )) RETURNING id
)"""


def _with_event(writing: str, after: str | None = None) -> str:
    """A statement that does this, and puts it on record under the owner's next number.

    It answers with the task's JSON and the number. From here to the commit other writers of the
    same owner wait, so the number comes `after` all else that has to be locked.
    """
    text = json_of(TASK)
    last = f"t, (SELECT count(*) FROM {after}) AS done" if after else "t"  # noqa: S608  ours
    return f"""
        WITH {writing}, next AS (
            INSERT INTO tasks_stream (user_id, last_seq, pruned_seq)
            SELECT t.user_id, 1, 0 FROM {last}
            ON CONFLICT (user_id) DO UPDATE SET last_seq = tasks_stream.last_seq + 1
            RETURNING last_seq
        ), event AS (
            INSERT INTO tasks_event (user_id, seq, type, at, data)
            SELECT t.user_id, next.last_seq, %s, t.updated_at, ({text})::jsonb FROM t, next
        )
        SELECT {text}, next.last_seq FROM t, next
    """  # noqa: S608  names of the model
