"""Tasks: what they hold, and what is true of every one of them."""

from collections.abc import Iterable
from typing import Any, ClassVar, NoReturn, Self

from django.db import models, transaction
from django.db.models import F, Q
from django.utils import timezone

from accounts.ownership import OwnedModel, OwnedQuerySet
from tasks.ids import uuid7
from tasks.search import fold, searchable


class TaskQuerySet(OwnedQuerySet["Task"]):
    """Tasks, without the bulk writes that nobody would hear of.

    `update` and the `bulk_` methods call neither `save` nor signals: no event would reach the
    owner, and derived columns would go stale.
    """

    def search(self, term: str) -> Self:
        """Tasks that contain `term` in text or description, in any case; wildcards are literal."""
        return self.filter(search_text__contains=fold(term))

    def update(self, **values: Any) -> NoReturn:
        raise NotImplementedError(
            "Save tasks one by one: update() would tell their owners nothing."
        )

    def bulk_create(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError("Save tasks one by one: bulk_create() would tell nobody.")

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError("Save tasks one by one: bulk_update() would tell nobody.")


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

    objects: ClassVar[TaskQuerySet] = TaskQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        # One index for each way of listing (tasks/listing.py): owner, sort key, id. A b-tree reads
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
    ) -> None:
        """Save, with the columns that follow from others brought up to date."""
        self.updated_at = timezone.now()
        if self._state.adding:
            self.created_at = self.updated_at
        if not self.completed:
            self.completed_at = None
        elif self.completed_at is None:
            self.completed_at = self.updated_at
        self.search_text = searchable(self.text, self.description)
        if update_fields is not None:
            update_fields = {*update_fields, "completed_at", "search_text", "updated_at"}
        # Atomic: the change, and the event that the signal records of it.
        with transaction.atomic():
            super().save(
                force_insert=force_insert,
                force_update=force_update,
                using=using,
                update_fields=update_fields,
            )


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

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user_id", "seq"], name="event_seq")]
        indexes = [models.Index(fields=["at"], name="event_at")]  # for `prune_events`

    def __str__(self) -> str:
        return f"{self.type} {self.seq}"
