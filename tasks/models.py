"""Tasks and their notifications: what they hold, and what is true of every one of them."""

import re
from typing import ClassVar, Self

from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import StrIndex
from django.db.models.lookups import GreaterThan

from tasks.events.models import Epoch, Event, Person, Stream
from tasks.push.models import PushDelivery, PushSubscription
from tasks.resources.idempotency import KeptAnswer
from tasks.resources.limits import InCalendar
from tasks.resources.models import RecordedModel
from tasks.resources.querysets import RecordedQuerySet
from tasks.rules.moments import now
from tasks.rules.reminders import Kind, State, next_moment
from tasks.rules.search import MAX_TERM, searchable, words

__all__ = [
    "Epoch",
    "Event",
    "KeptAnswer",
    "Notification",
    "Person",
    "PushDelivery",
    "PushSubscription",
    "Stream",
    "Task",
]

LONG_WORD = 32  # characters
# What an index of trigrams knows words by; for one without, it would be read from end to end.
TRIGRAM = re.compile(r"[^\W_]{3}")


class TaskQuerySet(RecordedQuerySet["Task"]):
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


class Task(RecordedModel):
    """Something to do. Its owner never changes."""

    text = models.CharField(max_length=500)
    description = models.CharField(max_length=2000, blank=True, default="")
    completed = models.BooleanField(default=False)
    completed_at = models.DateTimeField(null=True, editable=False)
    deadline = models.DateTimeField(null=True, blank=True)
    order = models.IntegerField(default=0)
    search_text = models.TextField(editable=False)
    # When `send_reminders` has to look at the task again; too early is harmless.
    next_reminder_at = models.DateTimeField(null=True, editable=False)

    objects: ClassVar[TaskQuerySet] = TaskQuerySet.as_manager()  # type: ignore[assignment]

    # `send_reminders` moves it when it has told the owner something that a change may withdraw.
    compared = ("next_reminder_at",)

    class Meta(RecordedModel.Meta):
        # One index for each way of listing, in both directions: owner, sort key, id. Tasks without
        # a deadline come last both ways, so they are listed apart.
        indexes = [
            *RecordedModel.Meta.indexes,
            models.Index(fields=["user_id", "updated_at", "id"], name="task_updated"),
            models.Index(fields=["user_id", "order", "id"], name="task_order"),
            models.Index(
                fields=["user_id", "deadline", "id"],
                condition=Q(deadline__isnull=False),
                name="task_deadline",
            ),
            models.Index(
                fields=["user_id", "id"],
                condition=Q(deadline__isnull=True),
                name="task_no_deadline",
            ),
            # For `send_reminders`: everybody's, the longest due first.
            models.Index(
                fields=["next_reminder_at", "id"],
                condition=Q(next_reminder_at__isnull=False),
                name="task_next_reminder",
            ),
        ]
        constraints = [
            *RecordedModel.Meta.constraints,
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
        ]

    def __str__(self) -> str:
        return self.text

    def derive(self, before: Self | None) -> None:
        """`completed_at`, what search compares, and when reminders are looked at again."""
        if not self.completed:
            self.completed_at = None
        elif self.completed_at is None:
            self.completed_at = self.updated_at
        self.search_text = searchable(self.text, self.description)
        if before is None or self._moved(before):
            # As if nothing had been made for this deadline: `send_reminders` looks at what was.
            self.next_reminder_at = next_moment(State(self.completed, self.deadline))
        else:
            self.next_reminder_at = before.next_reminder_at

    def _moved(self, before: "Task") -> bool:
        """Whether notifications of the task as it was may no longer hold."""
        return (self.completed, self.deadline) != (before.completed, before.deadline)

    def follow_up(self, before: Self | None) -> bool:
        """Unread notifications that no longer hold are withdrawn, where there can be any.

        Whoever makes one moves `next_reminder_at` on from where the deadline puts it.
        """
        return (
            before is not None
            and self._moved(before)
            and not before.completed
            and before.next_reminder_at != next_moment(State(False, before.deadline))
        )

    def write_follow_up(self, before: Self | None) -> None:
        gone = self.notifications.unread()
        if not self.completed and self.deadline is not None:
            gone = gone.exclude(deadline=self.deadline)
        gone.delete()


class NotificationQuerySet(RecordedQuerySet["Notification"]):
    def unread(self) -> Self:
        return self.filter(read_at__isnull=True)

    def mark_read(self) -> int:
        """Mark up to 100 that are unread; the number of them, 0 when there are no more."""
        batch = self.unread().order_by("pk").values_list("pk", flat=True)[:100]
        return self.unread().filter(pk__in=list(batch)).update(read_at=now())


class Notification(RecordedModel):
    """What the owner of a task is told about its deadline.

    It holds while the task is not done and has the deadline it was made for. One that was read stays
    after that, and keeps its kind from being made again should the deadline come back.
    """

    # No index of its own: the constraint's begins with it.
    task = models.ForeignKey(
        Task, on_delete=models.CASCADE, related_name="notifications", db_index=False
    )
    type = models.CharField(max_length=40, choices=[(kind.value, kind.value) for kind in Kind])
    title = models.CharField(max_length=100)
    message = models.CharField(max_length=1000)
    deadline = models.DateTimeField()
    read_at = models.DateTimeField("read", null=True)

    objects: ClassVar[NotificationQuerySet] = NotificationQuerySet.as_manager()  # type: ignore[assignment]

    event_names = {"created": "created", "updated": "read", "deleted": "withdrawn"}

    class Meta(RecordedModel.Meta):
        constraints = [
            *RecordedModel.Meta.constraints,
            models.UniqueConstraint(
                fields=["task", "type", "deadline"], name="notification_once_per_deadline"
            ),
            InCalendar(
                fields=["deadline", "read_at", "created_at", "updated_at"],
                name="notification_in_calendar",
            ),
        ]
        indexes = [
            *RecordedModel.Meta.indexes,
            models.Index(
                F("user_id"),
                F("created_at").desc(),
                F("id").desc(),
                condition=Q(read_at__isnull=True),
                name="notification_unread",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    def mark_read(self) -> None:
        """Mark it, once: the first time counts."""
        if self.read_at is None:
            self.read_at = now()
            self.save(update_fields=["read_at"])
