"""The secret addresses of people's calendar feeds (docs/api.md section 8)."""

import secrets
from hashlib import sha256
from typing import ClassVar, Self

from django.db import models
from django.utils import timezone

from accounts.owned.models import OwnedModel, OwnedQuerySet


def digest_of(secret: str) -> str:
    """What a secret is known by: it is random and long, so nobody finds it by this."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class CalendarFeed(OwnedModel):
    """That somebody's feed can be read by a secret, of which only the digest is kept."""

    secret_digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[OwnedQuerySet[Self]] = OwnedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(OwnedModel.Meta):
        verbose_name = "calendar"
        constraints = [
            *OwnedModel.Meta.constraints,
            models.UniqueConstraint(fields=["user_id"], name="calendar_feed_one_of_a_person"),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    @classmethod
    def renew(cls, user_id: str) -> str:
        """A new secret for somebody's feed; the one of before opens it no more."""
        secret = secrets.token_urlsafe(32)
        values = {"secret_digest": digest_of(secret), "created_at": timezone.now()}
        cls.objects.update_or_create(user_id=user_id, defaults=values)
        return secret
