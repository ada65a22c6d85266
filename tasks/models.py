"""Tasks, their notifications and events: what they hold, and what is true of every one of them."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar, NamedTuple, NoReturn, Self
from uuid import UUID

from django.db import DatabaseError, models, transaction
from django.db.models import F, Q
from django.db.models.signals import post_save, pre_delete
from django.dispatch import receiver

from accounts.owned.ownership import OwnedModel, OwnedQuerySet
from tasks.resources.answers import KeptAnswer as KeptAnswer  # a model as well
from tasks.rules.ids import uuid7
from tasks.rules.moments import now
from tasks.rules.reminders import OFFSETS, Kind, State, next_moment
from tasks.rules.search import fold, searchable


class TaskQuerySet(OwnedQuerySet["Task"]):
    """Tasks, without the bulk writes that nobody would hear of.

    `update` and the `bulk_` methods call neither `save` nor signals: no event would reach the
    owner, and derived columns would go stale.
    """

    def search(self, term: str) -> Self:
        """Tasks that contain `term` in text or description, in any case; wildcards are literal."""
        return self.filter(search_text__contains=fold(term))

    def wait_for(self, kind: Kind | None) -> None:
        """Look at these tasks again when `kind` of their deadline comes; at none of them if None.

        Not a change of the task: nobody is told, and `updated_at` stays.
        """
        at = None if kind is None else F("deadline") + OFFSETS[kind]
        super().update(next_reminder_at=at)

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete one by one, with all locks taken in the order in which everybody takes them.

        So that two deletions of several owners' tasks never wait for each other in a circle.
        """
        counts: Counter[str] = Counter()
        with transaction.atomic():
            tasks = list(self.select_for_update().order_by("pk"))
            Notification.objects.filter(task_id__in=[task.pk for task in tasks]).locked()
            for task in sorted(tasks, key=lambda task: task.user_id):
                counts.update(task.delete()[1])
        return counts.total(), dict(counts)

    # As Django marks its own: not for templates, nor for a manager, where it would delete all.
    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def update(self, **values: Any) -> NoReturn:
        raise NotImplementedError(
            "Save tasks one by one: update() would tell their owners nothing."
        )

    def bulk_create(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError("Save tasks one by one: bulk_create() would tell nobody.")

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError("Save tasks one by one: bulk_update() would tell nobody.")


class TaskGone(DatabaseError):
    """The task that was to be saved is not there any more."""


class RowState(NamedTuple):
    """What is worth knowing of the row that a task is saved over."""

    completed: bool
    deadline: datetime | None
    next_reminder_at: datetime | None
    updated_at: datetime


_A_MOMENT = models.DateTimeField()


class Task(OwnedModel):
    """Something to do. Its owner never changes."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    text = models.CharField(max_length=500)
    description = models.CharField(max_length=2000, blank=True, default="")
    completed = models.BooleanField(default=False)
    completed_at = models.DateTimeField(null=True, editable=False)
    deadline = models.DateTimeField(null=True, blank=True)
    order = models.IntegerField(default=0)
    created_at = models.DateTimeField("created", editable=False)
    updated_at = models.DateTimeField("updated", editable=False)
    search_text = models.TextField(editable=False)
    # When `send_reminders` has to look at the task again. It finds the few that matter now among
    # millions, and no more: what is due, the rule in `reminders` says. Too early is harmless.
    next_reminder_at = models.DateTimeField(null=True, editable=False)

    written = ""  # its JSON, after it was saved

    objects: ClassVar[TaskQuerySet] = TaskQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        # One index for each way of listing (tasks/api/listing.py): owner, sort key, id. A b-tree reads
        # both ways, so descending needs no other. Tasks without a deadline are listed apart, as
        # they come last both ways.
        indexes = [
            models.Index(F("user_id"), F("created_at").desc(), F("id").desc(), name="task_newest"),
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
            models.CheckConstraint(condition=~Q(text=""), name="task_text_not_empty"),
            models.CheckConstraint(
                condition=Q(completed=True, completed_at__isnull=False)
                | Q(completed=False, completed_at__isnull=True),
                name="task_completed_at_fits_completed",
            ),
        ]

    def __str__(self) -> str:
        return self.text

    def save(
        self,
        *,
        force_insert: bool | tuple[models.base.ModelBase, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
        acting_for: object | None = None,
    ) -> None:
        """Save, with the columns that follow from others brought up to date, and record the event.

        A deadline that moves, or a task that is done, withdraws the unread notifications that no
        longer hold. A new task may be saved `acting_for` a person (`accounts.owned.acting`). Raises
        `TaskGone` where it was deleted meanwhile.
        """
        from tasks import writing

        # As the database will have it, out of whatever the field takes.
        self.deadline = _A_MOMENT.to_python(self.deadline)
        self.search_text = searchable(self.text, self.description)
        if not self._state.adding:
            with transaction.atomic(savepoint=False):
                self._save_over(lock(self.pk), update_fields)
            return
        self.created_at = self.updated_at = now()
        self._follow_completed()
        self.next_reminder_at = next_moment(State(self.completed, self.deadline))
        self.written = writing.insert(self, acting_for)
        self._state.adding, self._state.db = False, "default"

    def _save_over(self, before: RowState, names: Iterable[str] | None) -> None:
        from tasks import writing

        # Always later than before, whatever the clock does: it tells the versions of a task.
        self.updated_at = now(after=before.updated_at)
        self._follow_completed()
        completed = self.completed if names is None or "completed" in names else before.completed
        deadline = self.deadline if names is None or "deadline" in names else before.deadline
        moves = (completed, deadline) != (before.completed, before.deadline)
        self.next_reminder_at = (
            # As if nothing had been made for this deadline: `send_reminders` looks at what was.
            next_moment(State(completed, deadline)) if moves else before.next_reminder_at
        )
        if names is not None:
            names = {*names, "next_reminder_at", "updated_at"}
            if "completed" in names:
                names.add("completed_at")
            if not names.isdisjoint({"text", "description"}):
                names.add("search_text")
        self.written = writing.update(
            self, names, withdrawing=moves and before.deadline is not None
        )

    def _follow_completed(self) -> None:
        if not self.completed:
            self.completed_at = None
        elif self.completed_at is None:
            self.completed_at = self.updated_at


def lock(pk: UUID) -> RowState:
    """The row as it is now, locked until the transaction ends; `send_reminders` passes it over.

    Raises `TaskGone` where it is not there any more.
    """
    row = Task.objects.select_for_update().filter(pk=pk).values_list(*RowState._fields).first()
    if row is None:
        raise TaskGone
    return RowState(*row)


@receiver(pre_delete, sender=Task)
def lock_before_deleting(instance: Task, **kwargs: Any) -> None:
    """Take the locks of a deletion in the order in which everybody takes them."""
    Task.objects.select_for_update().filter(pk=instance.pk).first()
    Notification.objects.filter(task_id=instance.pk).locked()


class NotificationQuerySet(OwnedQuerySet["Notification"]):
    """Notifications, and the ways of writing many of which their owners are told.

    Rows are locked in the order of their ids, and all of them before the first event is recorded,
    so that no two writers ever wait for each other.
    """

    BATCH = 500

    def unread(self) -> Self:
        return self.filter(read_at__isnull=True)

    def locked(self) -> list["Notification"]:
        """The rows, held until the transaction ends."""
        return list(self.select_for_update().order_by("pk"))

    def make(self, notifications: list["Notification"]) -> None:
        """Save new ones, and record their events in the order given."""
        moment = now()
        for notification in notifications:
            notification.created_at = moment
        with transaction.atomic(savepoint=False):
            super().bulk_create(notifications)
            _announce(notifications, created=True)

    def mark_read(self) -> int:
        """Mark up to `BATCH` that are unread; the number of them, 0 when there are no more."""
        with transaction.atomic(savepoint=False):
            batch = list(self.unread().select_for_update().order_by("pk")[: self.BATCH])
            moment = now()
            for notification in batch:
                notification.read_at = moment
            marked = Notification.objects.filter(pk__in=[row.pk for row in batch])
            super(NotificationQuerySet, marked).update(read_at=moment)
            _announce(batch, created=False)
        return len(batch)

    def update(self, **values: Any) -> NoReturn:
        raise NotImplementedError("Use mark_read(): update() would tell nobody.")

    def bulk_create(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError("Use make(): bulk_create() would tell nobody.")

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError("Use mark_read(): bulk_update() would tell nobody.")


def _announce(notifications: list["Notification"], *, created: bool) -> None:
    """Send the signal that a bulk write leaves out."""
    for notification in notifications:
        post_save.send(Notification, instance=notification, created=created, raw=False)


class Notification(OwnedModel):
    """What the owner of a task is told about its deadline.

    It holds while the task is not done and has the deadline it was made for. Where that ends, an
    unread one is withdrawn; one that was read stays, and keeps its kind from being made again
    should the deadline come back. Whoever makes one moves the task on (`TaskQuerySet.wait_for`):
    of a task that nobody has moved on, there is none to be withdrawn (`writing.change`).
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # No index of its own: the constraint's begins with it.
    task = models.ForeignKey(
        Task, on_delete=models.CASCADE, related_name="notifications", db_index=False
    )
    type = models.CharField(max_length=40, choices=[(kind.value, kind.value) for kind in Kind])
    title = models.CharField(max_length=100)
    message = models.CharField(max_length=1000)
    deadline = models.DateTimeField()
    read_at = models.DateTimeField("read", null=True)
    created_at = models.DateTimeField("created", editable=False)

    objects: ClassVar[NotificationQuerySet] = NotificationQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["task", "type", "deadline"], name="notification_once_per_deadline"
            ),
        ]
        indexes = [
            models.Index(
                F("user_id"), F("created_at").desc(), F("id").desc(), name="notification_newest"
            ),
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

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self._state.adding:
            self.created_at = now()
        # Atomic: the change, and the event that the signal records of it.
        with transaction.atomic(savepoint=False):
            super().save(*args, **kwargs)

    def mark_read(self) -> None:
        """Once: the first time counts, and is the one that its owner's sockets hear of."""
        if self.read_at is None:
            self.read_at = now()
            self.save(update_fields=["read_at"])


class Stream(models.Model):
    """Where one person's events stand: the number of their newest.

    Its row is the lock that makes their writers take turns, so that numbers are given in the order
    of the commits and without gaps.
    """

    user_id = models.CharField("owner", max_length=255, primary_key=True)
    last_seq = models.BigIntegerField()
    # The newest number that `prune_events` has dropped; what came after it is on record.
    pruned_seq = models.BigIntegerField(default=0, db_default=0)

    def __str__(self) -> str:
        return f"{self.user_id} {self.last_seq}"


class Event(OwnedModel):
    """A change, as its owner's sockets are told of it. Written once and never changed."""

    seq = models.BigIntegerField()
    type = models.CharField(max_length=40)
    at = models.DateTimeField()
    data = models.JSONField()

    objects: ClassVar[OwnedQuerySet["Event"]] = OwnedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user_id", "seq"], name="event_seq")]
        indexes = [models.Index(fields=["at"], name="event_at")]  # for `prune_events`

    def __str__(self) -> str:
        return f"{self.type} {self.seq}"
