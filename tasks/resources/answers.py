"""Answers to creations that came with an `Idempotency-Key`, kept for repeats (docs/api.md section 3)."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import ClassVar

from django.db import connection, models, transaction
from django.utils import timezone

from accounts.owned.models import OwnedModel, OwnedQuerySet

KEPT_FOR = timedelta(hours=24)
PRUNE_BATCH = 1000


class KeptAnswer(OwnedModel):
    """What one person's key was first answered with. Committed with what it created, or not at all."""

    key = models.CharField(max_length=255)
    request_hash = models.CharField(max_length=64)
    headers = models.JSONField()
    body = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar[OwnedQuerySet["KeptAnswer"]] = OwnedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(OwnedModel.Meta):
        constraints = [
            *OwnedModel.Meta.constraints,
            models.UniqueConstraint(fields=["user_id", "key"], name="kept_answer_key"),
        ]
        indexes = [models.Index(fields=["created_at"], name="kept_answer_created")]  # for `prune`

    def __str__(self) -> str:
        return f"{self.user_id} {self.key}"

    @property
    def holds(self) -> bool:
        """Whether the key still stands for this answer, rather than being free again."""
        return timezone.now() - self.created_at < KEPT_FOR


def prune(now: datetime) -> Iterator[int]:
    """Drop answers whose keys are free again, in batches; yields how many each one dropped.

    Passes over a row that a request is about to replace, and holds rows for one short transaction,
    so that it neither waits nor keeps anybody waiting.
    """
    skip = connection.features.has_select_for_update_skip_locked
    old = KeptAnswer.objects.filter(created_at__lte=now - KEPT_FOR).order_by("created_at")
    while True:
        with transaction.atomic():
            batch = old.select_for_update(skip_locked=skip).values_list("pk", flat=True)
            ids = list(batch[:PRUNE_BATCH])
            KeptAnswer.objects.filter(pk__in=ids).delete()
        if not ids:
            return
        yield len(ids)
