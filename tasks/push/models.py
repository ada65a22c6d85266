"""Where people want their notifications pushed to, and what is still to be sent there."""

from hashlib import sha256
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.owned.models import OwnedModel, OwnedQuerySet
from tasks.push.endpoints import LONGEST
from tasks.resources.limits import InCalendar
from tasks.resources.models import RecordedModel

MOST = 50  # subscriptions of one person


def digest_of(endpoint: str) -> str:
    """What endpoints are told apart by: an index could not hold one of any length."""
    return sha256(endpoint.encode()).hexdigest()


class PushSubscription(RecordedModel):
    """A browser that wants to be told. Its endpoint is a capability: whoever knows it may use it."""

    endpoint = models.CharField(max_length=LONGEST, editable=False)
    endpoint_digest = models.CharField(max_length=64, unique=True, editable=False)
    p256dh = models.CharField(max_length=87, editable=False)
    auth = models.CharField(max_length=22, editable=False)
    expires_at = models.DateTimeField(null=True, editable=False)
    # When the next delivery may be begun; never, where none waits. One at a time: whoever begins it
    # moves this on past the end of it (`tasks.push.outbox`).
    next_try_at = models.DateTimeField(null=True, editable=False)
    failures = models.IntegerField(default=0, editable=False)  # since the last success

    event_names = {}  # nobody is told

    class Meta(RecordedModel.Meta):
        verbose_name = "push subscription"
        indexes = [
            *RecordedModel.Meta.indexes,
            models.Index(
                fields=["next_try_at"],
                condition=Q(next_try_at__isnull=False),
                name="push_next_try",
            ),
        ]
        constraints = [
            *RecordedModel.Meta.constraints,
            InCalendar(
                fields=["expires_at", "next_try_at", "created_at", "updated_at"],
                name="push_subscription_in_calendar",
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class PushDelivery(OwnedModel):
    """One notification that has to be sent to one subscription.

    Written with the notification, gone with it or when all is done. Once it is begun it is never begun
    again, whatever became of it, unless it is known that nothing was accepted.
    """

    subscription = models.ForeignKey(PushSubscription, on_delete=models.CASCADE, related_name="+")
    notification = models.ForeignKey(
        "tasks.Notification", on_delete=models.CASCADE, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    begun_at = models.DateTimeField(null=True)

    objects: ClassVar[OwnedQuerySet["PushDelivery"]] = OwnedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(OwnedModel.Meta):
        constraints = [
            *OwnedModel.Meta.constraints,
            models.UniqueConstraint(
                fields=["user_id", "subscription", "notification"], name="push_delivery_once"
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)
