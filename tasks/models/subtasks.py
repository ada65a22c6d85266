"""What holds between a task and its subtasks (docs/api.md section 4).

Whoever makes a task a parent says so in its row, which a compare-and-swap compares: so completing a
task that has no subtasks looks for none. Locks of tasks are taken in one order, parents before their
subtasks, else by key (`Task.lock_order`).
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import connection, transaction

if TYPE_CHECKING:
    from tasks.models.tasks import Task


def settle_place(task: "Task", before: "Task | None") -> None:
    """A subtask is in the project of its parent, whatever it says.

    Raises `ValidationError`, naming `parent_id`, for a parent that cannot be one.
    """
    if before is not None:
        task.may_have_subtasks = before.may_have_subtasks
    if not _is_placed(task, before):
        return
    if before is not None and before.parent_id == task.parent_id:
        parent: Any = before.parent
    else:
        parent = _parent_of(task)
        problem = None
        if parent.pk == task.pk:
            problem = "A task is no subtask of itself."
        elif parent.parent_id is not None:
            problem = "This is a subtask itself."
        elif parent.user_id != task.user_id:
            problem = "This is somebody else's."
        elif before is not None and before.may_have_subtasks and task.subtasks.exists():
            problem = "A task with subtasks cannot become one."
        if problem:
            raise ValidationError({"parent_id": problem})
    task.project_id = parent.project_id


def _is_placed(task: "Task", before: "Task | None") -> bool:
    """Whether this is a subtask, and was put where it is, or elsewhere, by this change."""
    place = None if before is None else (before.parent_id, before.project_id)
    return task.parent_id is not None and (task.parent_id, task.project_id) != place


def _parent_of(task: "Task") -> "Task":
    """The parent; locked until the transaction ends, as it may neither go nor become a subtask."""
    if (known := _at_hand.get().get(task.parent_id)) is not None:
        return known
    rows: Any = type(task)._base_manager.all()
    if connection.in_atomic_block:
        rows = rows.select_for_update(no_key=True)
    return rows.get(pk=task.parent_id)  # type: ignore[no-any-return]


_at_hand: ContextVar[Mapping[Any, "Task"]] = ContextVar("at_hand", default={})  # noqa: B039  never changed


@contextmanager
def parents_at_hand(parents: Mapping[UUID, "Task"]) -> Iterator[None]:
    """For many new subtasks: these are locked, or new themselves, and their rows say that they are parents."""
    token = _at_hand.set(parents)
    try:
        yield
    finally:
        _at_hand.reset(token)


def follows(task: "Task", before: "Task | None") -> bool:
    """Whether parent or subtasks have to be looked at with this change."""
    if _is_placed(task, before):
        return True
    return (
        before is not None
        and before.may_have_subtasks
        and (
            task.parent_id is not None
            or task.project_id != before.project_id
            or _is_completed(task, before)
        )
    )


def _is_completed(task: "Task", before: "Task") -> bool:
    return task.completed and not before.completed


def follow(task: "Task", before: "Task | None") -> None:
    """Tell a parent that it is one; complete and move subtasks with their parent."""
    everyones: Any = type(task)._base_manager.all()
    if _is_placed(task, before) and task.parent_id not in _at_hand.get():
        parents = everyones.filter(pk=task.parent_id, may_have_subtasks=False)
        parents.update_unrecorded(may_have_subtasks=True)
    if before is None or not before.may_have_subtasks or not follows(task, before):
        return
    rows, was = [], {}
    for row in everyones.filter(parent=task.pk).locked():
        was[row.pk] = copy(row)
        was[row.pk].parent = task  # as it is now
        row.project_id = task.project_id
        if _is_completed(task, before) and not row.completed:
            row.completed = True
            # Completed with its parent, it has no next one.
            row.kept_recurrence, row.recurrence = row.recurrence, ""
        if (row.project_id, row.completed) != (was[row.pk].project_id, was[row.pk].completed):
            rows.append(row)
    # Before the owner's stream, which the first of their events locks.
    notifications: Any = apps.get_model("tasks", "Notification").objects
    notifications.unread().filter(task__in=[row.pk for row in rows]).locked()
    everyones.write(rows, was, ["project", "completed", "recurrence", "kept_recurrence"])


def lock_with_parents(own: Any, keys: Collection[UUID]) -> None:
    """Lock these of somebody's tasks, their parents, and what came after them, in the order of everybody.

    `own` are all tasks of that person. In a transaction.
    """
    while True:
        rows = list(own.filter(pk__in=keys).values_list("pk", "parent", "next_id"))
        parents = {key: parent for key, parent, _ in rows}
        if later := {following for _, _, following in rows if following}:
            parents |= dict(own.filter(pk__in=later).values_list("pk", "parent"))
        known = dict.fromkeys(filter(None, parents.values())) | parents
        if len(known) == 1:
            own.filter(pk__in=known).locked()
            return
        with transaction.atomic():
            if _locked_as(own, known):
                return
            transaction.set_rollback(True)  # lets go of the locks: some task has moved meanwhile


def _locked_as(own: Any, parents: Mapping[UUID, UUID | None]) -> bool:
    """Lock tasks one by one; whether their parents are the ones that the order was made by."""
    for key in sorted(parents, key=lambda key: (parents[key] is not None, key)):
        found = own.filter(pk=key).order_by().select_for_update().values_list("parent").first()
        if found is not None and found[0] != parents[key]:
            return False
    return True
