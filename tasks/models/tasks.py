"""Tasks: what they hold, and what is true of every one of them."""

import re
from collections.abc import Collection
from typing import Any, ClassVar, Self

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import F, Q, Value
from django.db.models.functions import StrIndex
from django.db.models.lookups import GreaterThan

from accounts.owned.models import OwnedModel
from accounts.owned.row_security import existing
from tasks.models import repeating, subtasks, trash
from tasks.models.agenda import AgendaQuerySet
from tasks.models.lists import Label, Project
from tasks.models.preferences import Preferences
from tasks.resources.limits import InCalendar
from tasks.resources.positioned import PositionedModel
from tasks.rules.days import FIRST, end_of_day
from tasks.rules.recurrence_rule import MAX_LENGTH
from tasks.rules.reminders import AHEAD, first_look
from tasks.rules.search import MAX_TERM, searchable, words

LONG_WORD = 32  # characters
# What an index of trigrams knows words by; for one without, it would be read from end to end.
TRIGRAM = re.compile(r"[^\W_]{3}")


def _with_and_without(name: str, index: str) -> list[models.Index]:
    """Indexes of the tasks that have a value, and of those that have none."""
    having, lacking = Q(**{f"{name}__isnull": False}), Q(**{f"{name}__isnull": True})
    return [
        models.Index(fields=["user_id", name, "id"], condition=having, name=index),
        models.Index(fields=["user_id", "id"], condition=lacking, name=f"{index}_lacking"),
    ]


class Priority(models.IntegerChoices):
    NONE, LOW, MEDIUM, HIGH, URGENT = range(5)


class TaskQuerySet(AgendaQuerySet["Task"]):
    def write(self, rows: Any, before: Any, *names: Any) -> None:
        """Tasks that are written together with their parents follow them as they are now."""
        at_hand = {row.pk: row for row in rows}
        for row in rows:
            if row.parent_id in at_hand:
                before[row.pk].parent = at_hand[row.parent_id]
        super().write(rows, before, *names)

    def delete(self) -> tuple[int, dict[str, int]]:
        """Into the trash, and their subtasks with them."""
        with transaction.atomic(using=self.db):
            trash.put(self, self.db)
            return super().delete()

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def search(self, term: str) -> Self:
        """Tasks with every word of `term` in text or description, in any case; nothing is a wildcard.

        None at all for a term of more than `MAX_TERM` characters, which REST refuses.
        """
        found = self if len(term.strip()) <= MAX_TERM else self.none()
        for word in words(term):
            begin = word[:LONG_WORD]
            if TRIGRAM.search(begin):
                found = found.filter(search_text__contains=begin)
            else:
                found = found.filter(GreaterThan(StrIndex("search_text", Value(begin)), 0))
            if word != begin:  # LIKE would compare nearly all of it at each place of a text like it
                found = found.filter(search_text__regex=re.escape(word))
        return found

    def settle_days(self, zone: str) -> None:
        """Let the days of these end as they do in a time zone that has become their owner's."""
        with_day: Any = self.filter(due_on__isnull=False).order_by("due_on")
        for day in with_day.values_list("due_on", flat=True).distinct():
            at = end_of_day(day, zone)
            self.filter(due_on=day).update_unrecorded(due_at=at)

    def arm_again(self) -> None:
        """Let `send_reminders` look at these again, as their owners want to be reminded otherwise now.

        At all of them: one that it looks at meanwhile is locked, and set back after it.
        """
        waiting = self.filter(next_reminder_at__isnull=False)
        waiting = waiting.filter(due_at__gte=FIRST + AHEAD)  # the calendar has such a moment
        waiting.update_unrecorded(next_reminder_at=F("due_at") - AHEAD)


class Task(PositionedModel):
    """Something to do. Its owner never changes."""

    text = models.CharField(max_length=500)
    description = models.CharField(max_length=2000, blank=True, default="")
    completed = models.BooleanField(default=False)
    completed_at = models.DateTimeField(null=True, editable=False)
    deadline = models.DateTimeField(null=True, blank=True)
    due_on = models.DateField(null=True, blank=True)
    # The moment by which tasks are due: the deadline, or the end of the day in the owner's time zone.
    due_at = models.DateTimeField(null=True, editable=False)
    order = models.IntegerField(default=0)
    priority = models.SmallIntegerField(choices=Priority, default=Priority.NONE, db_default=0)
    rank = models.SmallIntegerField(null=True, editable=False)  # the priority, where there is one
    # No index of its own: one of those below begins with it.
    project = models.ForeignKey(
        Project, models.SET_NULL, null=True, blank=True, db_index=False, related_name="tasks"
    )
    labels = models.ManyToManyField(Label, through="TaskLabel", blank=True, related_name="tasks")
    parent = models.ForeignKey(
        "self", models.CASCADE, null=True, blank=True, db_index=False, related_name="subtasks"
    )
    # Whether there can be any; once it is true, it stays so.
    may_have_subtasks = models.BooleanField(default=False, db_default=False, editable=False)
    recurrence = models.CharField(max_length=MAX_LENGTH, blank=True, default="", db_default="")
    # The task that this one is the next of; whether or not there still is one.
    previous_id = models.UUIDField(null=True, editable=False)
    # Of a completed one: the rule that it had, and the next one, where there was a next date.
    kept_recurrence = models.CharField(
        max_length=MAX_LENGTH, default="", db_default="", editable=False
    )
    next_id = models.UUIDField(null=True, editable=False)
    search_text = models.TextField(editable=False)
    # When `send_reminders` has to look at the task again: it knows what the owner wants. Too early is
    # harmless.
    next_reminder_at = models.DateTimeField(null=True, editable=False)
    # Whether it has ever told the owner anything of the task; of rows of before, it may have.
    reminded = models.BooleanField(default=False, db_default=True, editable=False)

    objects: ClassVar[TaskQuerySet] = TaskQuerySet.as_manager()  # type: ignore[assignment]

    # `send_reminders` moves the one whenever it looks, also when it tells the owner what a change may
    # withdraw; the first subtask sets the other.
    compared = ("next_reminder_at", "may_have_subtasks")
    lock_order = (F("parent").asc(nulls_first=True), "pk")

    class Meta(PositionedModel.Meta):
        # One index for each way of listing, in both directions: owner, sort key, id. Tasks without a
        # value come last both ways, so they are listed apart.
        indexes = [
            *PositionedModel.Meta.indexes,
            models.Index(fields=["user_id", "updated_at", "id"], name="task_updated"),
            models.Index(fields=["user_id", "order", "id"], name="task_order"),
            *_with_and_without("due_at", "task_due"),
            *_with_and_without("rank", "task_rank"),
            *_with_and_without("completed_at", "task_completed"),
            # All that they are counted by.
            models.Index(
                fields=["user_id", "project", "completed", "due_at"],
                include=["due_on", "id"],
                name="task_counts",
            ),
            models.Index(
                F("project"),
                F("created_at").desc(),
                F("id").desc(),
                condition=Q(project__isnull=False),
                name="task_project",
            ),
            models.Index(
                F("parent"),
                F("created_at").desc(),
                F("id").desc(),
                condition=Q(parent__isnull=False),
                name="task_parent",
            ),
            # For `send_reminders`: everybody's, the longest due first.
            models.Index(
                fields=["next_reminder_at", "id"],
                condition=Q(next_reminder_at__isnull=False),
                name="task_next_reminder",
            ),
        ]
        constraints = [
            *PositionedModel.Meta.constraints,
            models.CheckConstraint(condition=~Q(text=""), name="task_text_not_empty"),
            models.CheckConstraint(
                condition=Q(completed=True, completed_at__isnull=False)
                | Q(completed=False, completed_at__isnull=True),
                name="task_completed_at_fits_completed",
            ),
            InCalendar(
                fields=["deadline", "completed_at", "next_reminder_at", "created_at", "updated_at"],
                name="task_in_calendar",
            ),
            InCalendar(fields=["due_on", "due_at"], name="task_days_in_calendar"),
        ]

    def __str__(self) -> str:
        return self.text

    @classmethod
    def taken(cls, keys: Collection[Any]) -> set[Any]:
        """Those that are in the trash, too."""
        return super().taken(keys) | existing(trash.TrashedTask, keys)

    def delete(
        self, using: str | None = None, keep_parents: bool = False
    ) -> tuple[int, dict[str, int]]:
        """Into the trash, and its subtasks with it."""
        with transaction.atomic(using=using, savepoint=False):
            trash.put(type(self)._base_manager.filter(pk=self.pk), using or self._state.db)
            return super().delete(using=using, keep_parents=keep_parents)

    def siblings(self) -> Any:
        return super().siblings().filter(parent=self.parent_id)

    def derive(self, before: Self | None) -> None:
        """What follows from the columns that people set.

        Raises `ValidationError` for two dates at once, for a parent that cannot be one, and for a rule
        that does not suit its date.
        """
        super().derive(before)
        subtasks.settle_place(self, before)
        self._settle_dates(before)
        repeating.settle_rule(self, before)
        if not self.completed:
            self.completed_at = None
        elif self.completed_at is None:
            self.completed_at = self.updated_at
        self.rank = self.priority or None
        self.search_text = searchable(self.text, self.description)
        if before is None or self._moved(before):
            # As if nothing had been made for this date: `send_reminders` looks at what was.
            self.next_reminder_at = None if self.completed else first_look(self.due_at)
        else:
            self.next_reminder_at = before.next_reminder_at
        self.reminded = before is not None and before.reminded

    def _settle_dates(self, before: "Task | None") -> None:
        """One date at most: setting one of them clears the other."""
        if self.deadline is not None and self.due_on is not None:
            if before is None or None not in (before.deadline, before.due_on):
                raise ValidationError({"due_on": "Give a deadline or a day, not both."})
            if before.due_on is None:
                self.deadline = None
            else:
                self.due_on = None
        if before is None or self.dates() != before.dates():
            self.due_at = self.deadline
            if self.due_on is not None:
                self.due_at = end_of_day(self.due_on, Preferences.of(self.user_id).zone)
        else:
            self.due_at = before.due_at

    def dates(self) -> tuple[Any, Any]:
        return self.deadline, self.due_on

    def _moved(self, before: "Task") -> bool:
        """Whether notifications of the task as it was may no longer hold."""
        return (self.completed, *self.dates()) != (before.completed, *before.dates())

    def follow_up(self, before: Self | None) -> bool:
        """A day is one of its owner's time zone, and unread notifications that no longer hold are
        withdrawn, where there can be any."""
        if self.due_on is not None and (before is None or self.due_on != before.due_on):
            return True
        if subtasks.follows(self, before) or repeating.follows(self, before):
            return True
        return (
            before is not None and before.reminded and self._moved(before) and not before.completed
        )

    def write_follow_up(self, before: Self | None) -> None:
        gone = self.notifications.unread()
        if not self.completed and self.dates() != (None, None):
            gone = gone.exclude(deadline=self.deadline, due_on=self.due_on)
        if before is not None:
            gone.locked()  # before the owner's stream, which the first event locks
        subtasks.follow(self, before)
        repeating.follow(self, before)
        if before is not None:
            gone.delete()


class TaskLabel(OwnedModel):
    """That a task has a label."""

    # No index of its own: the constraint's begins with it.
    task = models.ForeignKey(Task, models.CASCADE, related_name="+", db_index=False)
    label = models.ForeignKey(Label, models.CASCADE, related_name="+")

    class Meta(OwnedModel.Meta):
        indexes = [models.Index(fields=["user_id", "label", "task"], name="task_label_owner")]
        constraints = [
            *OwnedModel.Meta.constraints,
            models.UniqueConstraint(fields=["task", "label"], name="task_label_once"),
        ]

    def __str__(self) -> str:
        return f"{self.task_id} {self.label_id}"
