"""Taking a subscription: an endpoint belongs to whoever subscribed it last."""

from datetime import datetime

from django.db.models import Q

from accounts.owned.acting import acting_as, acting_as_everyone
from accounts.owned.databases import fetch, on_postgresql
from accounts.users import owner_id
from tasks.push.models import MOST, PushSubscription, digest_of


class TooMany(Exception):
    """Somebody has as many subscriptions as they may."""


def subscribe(
    user: object, *, endpoint: str, keys: dict[str, str], expires_at: datetime | None
) -> tuple[PushSubscription, bool]:
    """The caller's subscription of this endpoint, and whether it is new. Raises `TooMany`.

    Another's goes, with all that was to be sent there: whoever uses that browser now must not get it.
    """
    owner, digest = owner_id(user), digest_of(endpoint)
    with acting_as(user, atomic=True):
        _take_turn(digest)
        _release(owner, digest)
        own = {one.endpoint_digest: one for one in PushSubscription.objects.filter(user_id=owner)}
        subscription = own.get(digest)
        is_new = subscription is None
        if subscription is None:
            if len(own) >= MOST:
                raise TooMany(f"You have {MOST} subscriptions. Delete one first.")
            subscription = PushSubscription(user_id=owner, endpoint_digest=digest)
        subscription.endpoint, subscription.expires_at = endpoint, expires_at
        subscription.p256dh, subscription.auth = keys["p256dh"], keys["auth"]
        subscription.save()
        return subscription, is_new


def _take_turn(digest: str) -> None:
    """Wait for whoever subscribes the same endpoint at this moment; on SQLite writers wait anyway."""
    if on_postgresql():
        number = int.from_bytes(bytes.fromhex(digest)[:8], signed=True)
        fetch("SELECT pg_advisory_xact_lock(%s)", [number])


def _release(owner: str, digest: str) -> None:
    """Delete another's subscription of this endpoint, and lock all of the owner's.

    Locked, so that no two requests both make the last that somebody may have; in the order in which
    everybody locks subscriptions.
    """
    with acting_as_everyone():
        rows = PushSubscription.objects.filter(Q(user_id=owner) | Q(endpoint_digest=digest))
        rows = rows.order_by("pk").select_for_update(of=("self",))
        anothers = [pk for pk, whose in rows.values_list("pk", "user_id") if whose != owner]
        PushSubscription.objects.filter(pk__in=anothers).delete()
