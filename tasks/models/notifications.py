"""What people are told about the dates of their tasks."""

from typing import ClassVar, Self

from django.db import models
from django.db.models import F, Q

from tasks.models.tasks import Task
from tasks.resources.limits import InCalendar
from tasks.resources.models import RecordedModel
from tasks.resources.querysets import RecordedQuerySet
from tasks.rules.moments import now
from tasks.rules.reminders import Kind


class NotificationQuerySet(RecordedQuerySet["Notification"]):
    def unread(self) -> Self:
        return self.filter(read_at__isnull=True)

    def mark_read(self) -> int:
        """Mark up to 100 that are unread; the number of them, 0 when there are no more."""
        batch = self.unread().order_by("pk").values_list("pk", flat=True)[:100]
        return self.unread().filter(pk__in=list(batch)).update(read_at=now())


class Notification(RecordedModel):
    """What the owner of a task is told about its date.

    It holds while the task is not done and has the date it was made for. One that was read stays
    after that, and keeps its kind from being made again should the date come back.
    """

    # No index of its own: the constraint's begins with it.
    task = models.ForeignKey(
        Task, on_delete=models.CASCADE, related_name="notifications", db_index=False
    )
    type = models.CharField(max_length=40, choices=[(kind.value, kind.value) for kind in Kind])
    title = models.CharField(max_length=100)
    message = models.CharField(max_length=1000)
    # What it is about: one of them.
    deadline = models.DateTimeField(null=True)
    due_on = models.DateField(null=True)
    read_at = models.DateTimeField("read", null=True)

    objects: ClassVar[NotificationQuerySet] = NotificationQuerySet.as_manager()  # type: ignore[assignment]

    event_names = {"created": "created", "updated": "read", "deleted": "withdrawn"}

    class Meta(RecordedModel.Meta):
        constraints = [
            *RecordedModel.Meta.constraints,
            models.UniqueConstraint(
                fields=["task", "type", "deadline"], name="notification_once_per_deadline"
            ),
            models.UniqueConstraint(
                fields=["task", "type", "due_on"],
                condition=Q(due_on__isnull=False),
                name="notification_once_per_day",
            ),
            InCalendar(
                fields=["deadline", "read_at", "created_at", "updated_at"],
                name="notification_in_calendar",
            ),
            InCalendar(fields=["due_on"], name="notification_day_in_calendar"),
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
