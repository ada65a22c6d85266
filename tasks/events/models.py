"""The record of what changed: each person's events, and where their numbers stand."""

import secrets
from typing import ClassVar

from django.db import models

from accounts.owned.models import OwnedModel, OwnedQuerySet
from accounts.owned.row_security import OwnerPolicy


class Stream(models.Model):
    """The number of one person's newest event; writers lock it, so numbers follow the commits."""

    user_id = models.CharField("owner", max_length=255, primary_key=True)
    last_seq = models.BigIntegerField()
    # The newest number that `prune_events` has dropped; what came after it is on record.
    pruned_seq = models.BigIntegerField(default=0, db_default=0)

    class Meta:
        constraints = [OwnerPolicy(name="tasks_stream_owner")]

    def __str__(self) -> str:
        return f"{self.user_id} {self.last_seq}"


class Person(Stream):
    """Somebody, as staff look at them: whoever has events, and by their id whoever may have a token."""

    class Meta:
        proxy = True
        verbose_name_plural = "people"
        default_permissions = ("view",)
        permissions = [
            ("sign_out_person", "Can sign a person out"),
            ("export_person", "Can export all of a person"),
            ("erase_person", "Can erase all of a person"),
        ]

    def __str__(self) -> str:
        return self.user_id


def new_epoch() -> str:
    return secrets.token_hex(16)


class Epoch(models.Model):
    """Names the history that the numbers of events belong to. One row, made with the tables (`apps.py`)."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    value = models.CharField(max_length=32, default=new_epoch)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="epoch_one_row")]

    def __str__(self) -> str:
        return self.value


class Event(OwnedModel):
    """A change, as its owner's sockets are told of it. Written once and never changed."""

    seq = models.BigIntegerField()
    type = models.CharField(max_length=40)
    at = models.DateTimeField()
    data = models.JSONField()

    objects: ClassVar[OwnedQuerySet["Event"]] = OwnedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(OwnedModel.Meta):
        constraints = [
            *OwnedModel.Meta.constraints,
            models.UniqueConstraint(fields=["user_id", "seq"], name="event_seq"),
        ]
        indexes = [models.Index(fields=["at"], name="event_at")]  # for `prune_events`

    def __str__(self) -> str:
        return f"{self.type} {self.seq}"
