"""What holds between a task that repeats and the one that comes next (docs/api.md section 4).

A task that is completed hands its rule on to the next one, and keeps it where nobody sees it: it has it
again when it is reopened, unless the next one has been changed meanwhile.
"""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import connection

from tasks.models.preferences import Preferences
from tasks.resources.models import RecordedModel
from tasks.rules.ids import uuid7
from tasks.rules.moments import now
from tasks.rules.position import NoRoom, between
from tasks.rules.recurrence import Next, next_after, require_dates
from tasks.rules.recurrence_rule import InvalidRule, parse

if TYPE_CHECKING:
    from tasks.models.tasks import Task

# What the next one has of the one before.
COPIED = ("user_id", "text", "description", "priority", "order", "project_id")


def settle_rule(task: "Task", before: "Task | None") -> None:
    """Whether it still repeats. Raises `ValidationError` for a rule that does not suit its date.

    Completing it names the next one, which `follow` makes: its id stands in `next_id`.
    """
    completing, reopening = _turns(task, before)
    if before is not None and not completing:
        task.kept_recurrence, task.next_id = before.kept_recurrence, before.next_id
    if reopening and before is not None:
        if before.next_id is None or _next_of(before) is not None:
            task.recurrence = task.recurrence or before.kept_recurrence
        task.kept_recurrence, task.next_id = "", None
        drop_unsuitable_rule(task)  # the date may be another by now
    if not task.recurrence:
        return
    if before is not None and task.recurrence == before.recurrence and task.dates() == (None, None):
        task.recurrence = ""  # with the date
    elif _is_set(task, before):
        _require_rule(task)
    if completing and task.recurrence:
        Preferences.of(task.user_id)  # locked before the stream, which the first event locks
        task.kept_recurrence, task.recurrence = task.recurrence, ""
        task.next_id = uuid7()


def _turns(task: "Task", before: "Task | None") -> tuple[bool, bool]:
    """Whether it is completed by this change, or reopened."""
    was = task.completed if before is None else before.completed
    return task.completed and not was, was and not task.completed


def _is_set(task: "Task", before: "Task | None") -> bool:
    """Whether its rule, or the date that it goes on from, is new."""
    was = None if before is None else (before.recurrence or before.kept_recurrence, before.dates())
    return bool(task.recurrence) and (task.recurrence, task.dates()) != was


def drop_unsuitable_rule(task: "Task") -> None:
    """Let it not repeat where the rule that it had before does not go with its date."""
    try:
        if task.recurrence:
            _require_rule(task)
    except ValidationError:
        task.recurrence = ""


def _require_rule(task: "Task") -> None:
    """Raise `ValidationError` where there is no date, or the rule does not go with it."""
    if task.dates() == (None, None):
        raise ValidationError({"recurrence": "It needs a deadline or a day."})
    on: Any = task.deadline or task.due_on
    zone = _zone_of(task) if task.deadline else "UTC"  # for days all are alike
    try:
        require_dates(parse(task.recurrence), on, zone)
    except InvalidRule as problem:
        raise ValidationError({"recurrence": str(problem)}) from None


def _zone_of(task: "Task") -> str:
    return Preferences.of(task.user_id).zone


def _next_of(before: "Task") -> "Task | None":
    """The one that came after this, if nobody has changed it, nor changed or added a subtask of it.

    In a transaction it is locked with its subtasks, so that nobody will.
    """
    rows: Any = type(before)._base_manager.filter(user_id=before.user_id).order_by("pk")
    if connection.in_atomic_block:
        rows = rows.select_for_update()
    found = rows.filter(pk=before.next_id).first()
    if found is None or found.version > 1:
        return None
    copied = (1, found.created_at)
    subtasks = rows.filter(parent=found.pk)
    if any((each.version, each.created_at) != copied for each in subtasks):
        return None
    return found  # type: ignore[no-any-return]


def follows(task: "Task", before: "Task | None") -> bool:
    """Whether rule, preferences, or the next one have to be looked at with this change."""
    completing, reopening = _turns(task, before)
    if reopening and before is not None and before.kept_recurrence:
        return True
    return _is_set(task, before) or (completing and bool(task.recurrence or task.next_id))


def follow(task: "Task", before: "Task | None") -> None:
    """Make the next one of a task that was completed; take it away from one that was reopened."""
    completing, reopening = _turns(task, before)
    if reopening and before is not None and before.next_id is not None:
        if task.recurrence and (found := _next_of(before)) is not None:
            RecordedModel.delete(found)  # not into the trash
    elif completing and task.next_id is not None:
        on: Any = task.deadline or task.due_on
        following = None
        with suppress(InvalidRule):  # one that was stored past the models: it ends
            following = next_after(task.kept_recurrence, on, now(), _zone_of(task))
        if following is None:
            rows: Any = type(task)._base_manager.filter(pk=task.pk)
            rows.update_unrecorded(next_id=None)
        else:
            _make_next(task, following)


def _make_next(task: "Task", following: Next) -> None:
    """The next one, in the place of this one, with copies of its subtasks, open and without dates."""
    everyones: Any = type(task)._base_manager.filter(user_id=task.user_id)
    siblings = everyones.filter(parent=task.parent_id, position__gt=task.position)
    after = siblings.order_by("position").values_list("position", flat=True).first()
    try:
        position = between(task.position, after)
    except NoRoom:
        position = task.position
    date = "deadline" if task.deadline else "due_on"
    made = _copied(task, parent_id=task.parent_id, id=task.next_id, position=position)
    made.previous_id, made.recurrence = task.pk, following.rule
    setattr(made, date, following.on)
    made.save(force_insert=True, relations={"labels": task.labels.all()})
    subtasks = everyones.filter(parent=task.pk) if task.may_have_subtasks else ()
    for each in subtasks and subtasks.prefetch_related("labels").order_by("created_at", "pk"):
        copy = _copied(each, parent_id=made.pk, position=each.position)
        copy.made_at = made.created_at  # by which it is told from subtasks that somebody adds
        copy.save(force_insert=True, relations={"labels": each.labels.all()})


def _copied(task: "Task", **others: Any) -> "Task":
    return type(task)(**{name: getattr(task, name) for name in COPIED}, **others)
