"""Writes a task together with its event (contract section 4): on PostgreSQL, by one statement."""

from collections.abc import Collection
from functools import lru_cache
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from accounts.acting import ACTING_SOURCE
from accounts.databases import fetch, on_postgresql
from accounts.ownership import owner_id
from accounts.reading import json_of
from tasks.events import EventType, publish, record
from tasks.models import ChangedMeanwhile, Notification, RowState, Task
from tasks.serializers import TASK, TaskSerializer


def insert(task: Task, acting_for: object | None) -> str:
    """Insert a new task; its JSON. With `acting_for`, on behalf of that person (`accounts.acting`)."""
    if not on_postgresql():
        return _insert_by_orm(task)
    values = [getattr(task, field.attname) for field in Task._meta.concrete_fields]
    if acting_for is not None:
        values.insert(0, owner_id(acting_for))
    return _execute(task, "task.created", _insertion(acting=acting_for is not None), values)


def update(
    task: Task,
    names: Collection[str] | None,
    *,
    before: RowState,
    withdrawing: bool,
    acting_for: object | None,
) -> str:
    """Update a task, or these of its fields, over the row as it was `before`; its JSON.

    `withdrawing` the unread notifications that no longer hold, of which nobody is told. Raises
    `ChangedMeanwhile` where there is no such row any more.
    """
    fields = _fields(None if names is None else frozenset(names))
    if not on_postgresql():
        return _update_by_orm(task, fields, before, withdrawing=withdrawing)
    values = [getattr(task, field.attname) for field in fields]
    columns = tuple(field.column for field in fields)
    acting = acting_for is not None
    if acting:
        values.insert(0, owner_id(acting_for))
    values += [task.pk, before.updated_at, before.next_reminder_at]
    sql = _change(columns, acting=acting, withdrawing=withdrawing)
    return _execute(task, "task.updated", sql, values)


@lru_cache
def _fields(names: frozenset[str] | None) -> tuple[Any, ...]:
    """The fields of these names that can change; all of them without names."""
    return tuple(
        field
        for field in Task._meta.concrete_fields
        if not field.primary_key and (names is None or field.name in names)
    )


def _insert_by_orm(task: Task) -> str:
    with transaction.atomic():
        task.save_base(force_insert=True)
        return _recorded(task, "task.created")


def _update_by_orm(
    task: Task, fields: tuple[Any, ...], before: RowState, *, withdrawing: bool
) -> str:
    with transaction.atomic():
        row = Task.objects.filter(
            pk=task.pk, updated_at=before.updated_at, next_reminder_at=before.next_reminder_at
        )
        if not QuerySet.update(row, **{field.name: getattr(task, field.name) for field in fields}):
            raise ChangedMeanwhile
        if withdrawing:
            written = Task.objects.get(pk=task.pk)
            gone = Notification.objects.unread().filter(task_id=task.pk)
            if not written.completed and written.deadline is not None:
                gone = gone.exclude(deadline=written.deadline)
            gone.delete()
        return _recorded(task, "task.updated")


def _recorded(task: Task, event_type: EventType) -> str:
    return record(task.user_id, event_type, dict(TaskSerializer(task).data))


def _execute(task: Task, event_type: EventType, sql: str, values: list[Any]) -> str:
    found = fetch(sql, [*values, event_type])
    if not found:
        raise ChangedMeanwhile
    text: str
    ((text, seq),) = found
    publish(task.user_id, seq, event_type, task.updated_at, text)
    return text


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
def _change(columns: tuple[str, ...], *, acting: bool, withdrawing: bool) -> str:
    changes = ", ".join(f'"{column}" = %s' for column in columns)
    if acting:
        # The first condition is about no row, so it is looked at before any of them, and by that says
        # for whom the statement acts before a policy is asked.
        writing = (
            f"me AS MATERIALIZED (SELECT id FROM {ACTING_SOURCE}),"  # noqa: S608  ours
            f" t AS (UPDATE tasks_task AS own SET {changes} WHERE (SELECT id FROM me) IS NOT NULL"
            f" AND own.user_id = (SELECT id FROM me) AND own.id = %s AND {_AS_BEFORE}"
            " RETURNING own.*)"
        )
    else:
        writing = (
            f"t AS (UPDATE tasks_task AS own SET {changes} WHERE own.id = %s AND {_AS_BEFORE}"  # noqa: S608  names of the model
            " RETURNING own.*)"
        )
    return _with_event(writing + _WITHDRAWAL, after="gone") if withdrawing else _with_event(writing)


# `send_reminders` moves the second with every notification that it makes, and leaves the first alone.
# Without it a notification that was made while this statement waited for the row would stay.
_AS_BEFORE = "own.updated_at = %s AND own.next_reminder_at IS NOT DISTINCT FROM %s"

# In the order of their ids, as everybody locks them, and once the task is written.
_WITHDRAWAL = """, gone AS (
    DELETE FROM tasks_notification WHERE (SELECT count(*) FROM t) > 0 AND id IN (
        SELECT told.id FROM tasks_notification AS told, t
        WHERE told.task_id = t.id AND told.user_id = t.user_id AND told.read_at IS NULL
            AND (t.completed OR t.deadline IS NULL OR told.deadline <> t.deadline)
        ORDER BY told.id FOR UPDATE OF told
    ) RETURNING id
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
