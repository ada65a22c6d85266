"""What is to be pushed, from the notification on to the answer of the push service.

Deliveries are written in the transaction of their notification. `claim` marks some as begun and
commits, so that after a crash in the middle none is sent twice; `settle` says what became of one. No
transaction is open, and nothing locked, while something is sent. Any number of workers may do this:
a subscription is served by one at a time, which has moved `next_try_at` on for as long as that takes.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import Min, Q
from django.utils import timezone

from tasks.models import Notification, Preferences
from tasks.push.models import PushDelivery, PushSubscription
from tasks.resources.wire import shown

LEASE = timedelta(minutes=2)  # much longer than sending takes; after it, who began it has crashed
DAY = timedelta(days=1)  # after which nothing is tried any more
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)


class Outcome(Enum):
    """What became of a delivery that was begun."""

    SENT = auto()
    GONE = auto()  # the subscription is no more
    REFUSED = auto()  # by an answer that will not change
    FAILED = auto()  # and nothing was accepted: it may be tried again
    UNKNOWN = auto()  # it was sent, perhaps in part, and there was no answer


class Job(NamedTuple):
    """A delivery that was begun, with all that sending it takes."""

    delivery: int
    subscription: Any
    lease: datetime
    endpoint: str
    p256dh: str
    auth: str
    shown: dict[str, Any]  # the notification


def lock_subscriptions(owners: Collection[str]) -> list[PushSubscription]:
    """Where notifications of these people are to be pushed to; `queue` needs them.

    Locked, as whoever settles a last delivery might else overlook a new one. Locks are taken in the
    order of everybody: tasks, subscriptions by their keys, deliveries, streams.
    """
    if not settings.VAPID_PRIVATE_KEY or not owners:
        return []
    theirs = PushSubscription.objects.filter(
        Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now()),
        user_id__in=_who_wants_pushes(owners),
    )
    return list(theirs.order_by("pk").select_for_update(of=("self",), no_key=True))


def queue(
    notifications: Collection[Notification], subscriptions: Collection[PushSubscription]
) -> None:
    """Let notifications be pushed as soon as this transaction commits."""
    by_owner: dict[str, list[PushSubscription]] = {}
    for one in subscriptions:
        by_owner.setdefault(one.user_id, []).append(one)
    if not by_owner:
        return
    PushDelivery.objects.bulk_create(
        PushDelivery(user_id=each.user_id, subscription=one, notification=each)
        for each in notifications
        for one in by_owner.get(each.user_id, ())
    )
    # Those that have failed keep their pause.
    waking = PushSubscription.objects.filter(pk__in=[one.pk for one in subscriptions])
    waking.filter(next_try_at__isnull=True).update_unrecorded(next_try_at=timezone.now())


def _who_wants_pushes(owners: Collection[str]) -> Collection[str]:
    """Of these people, those who want their reminders pushed: all who have not said otherwise."""
    said_no = Preferences.objects.filter(user_id__in=owners, push=False)
    return {*owners}.difference(said_no.values_list("user_id", flat=True))


def claim(most: int, *, failing: bool) -> list[Job]:
    """Begin up to `most` deliveries that are due, each to another subscription; never waits for a lock.

    Of subscriptions that have failed last time, or of the others. What was begun by somebody who has
    crashed is dropped here, and what was tried for a day.
    """
    with transaction.atomic():
        now = timezone.now()
        due = PushSubscription.objects.filter(next_try_at__lte=now)
        due = due.filter(failures__gt=0) if failing else due.filter(failures=0)
        due = due.order_by("next_try_at").select_for_update(skip_locked=True, no_key=True)
        found = {one.pk: one for one in due[:most]}
        if not found:
            return []
        expired = [one.pk for one in found.values() if one.expires_at and one.expires_at <= now]
        PushSubscription.objects.filter(pk__in=expired).delete()
        queued = PushDelivery.objects.filter(subscription__in=found.keys() - {*expired})
        dropped = queued.filter(Q(begun_at__isnull=False) | Q(created_at__lte=now - DAY))
        dropped = dropped.select_for_update(skip_locked=True)
        PushDelivery.objects.filter(pk__in=list(dropped.values_list("pk", flat=True))).delete()
        left = queued.filter(begun_at__isnull=True).order_by()
        firsts = left.values("subscription").annotate(first=Min("pk"))
        waiting = dict(firsts.values_list("subscription", "first"))
        # One that is locked is about to be deleted, with its notification: looked at next time.
        free = PushDelivery.objects.filter(pk__in=waiting.values()).select_related("notification")
        begun = list(free.select_for_update(skip_locked=True, of=("self",)))
        PushDelivery.objects.filter(pk__in=[each.pk for each in begun]).update(begun_at=now)
        lease = now + LEASE
        busy = PushSubscription.objects.filter(pk__in=[each.subscription_id for each in begun])
        busy.update_unrecorded(next_try_at=lease)
        idle = PushSubscription.objects.filter(pk__in=found.keys() - waiting.keys())
        idle.update_unrecorded(next_try_at=None)
        return [_job(each, found[each.subscription_id], lease) for each in begun]


def _job(delivery: PushDelivery, subscription: PushSubscription, lease: datetime) -> Job:
    where = subscription.endpoint, subscription.p256dh, subscription.auth
    return Job(delivery.pk, subscription.pk, lease, *where, shown(delivery.notification))


def settle(job: Job, outcome: Outcome, retry_after: float = 0) -> None:
    """Keep what became of a delivery; `retry_after` are seconds that its service asks for."""
    with transaction.atomic():
        # By another lease, somebody else has it: this was away for long, and taken for crashed.
        mine = PushSubscription.objects.filter(pk=job.subscription, next_try_at=job.lease)
        subscription = mine.select_for_update(no_key=True).first()
        if subscription is not None and outcome is Outcome.GONE:
            subscription.delete()
            return
        delivery = PushDelivery.objects.filter(pk=job.delivery)
        if subscription is None:
            delivery.delete()
            return
        if outcome is Outcome.FAILED:
            delivery.update(begun_at=None)
        else:
            delivery.delete()
        failed = outcome in (Outcome.FAILED, Outcome.UNKNOWN)
        subscription.failures = min(subscription.failures + 1, 1000) if failed else 0
        waiting = PushDelivery.objects.filter(subscription=subscription, begun_at__isnull=True)
        wait = pause(subscription.failures, retry_after)
        mine.update_unrecorded(
            failures=subscription.failures,
            next_try_at=timezone.now() + wait if waiting.exists() else None,
        )


def pause(failures: int, retry_after: float = 0) -> timedelta:
    """How long to wait after so many failures: twice as long each time, or as the service asks."""
    if not failures:
        return timedelta(0)
    growing = min(FIRST_PAUSE * (1 << min(failures - 1, 20)), LONGEST_PAUSE)
    return max(growing, min(timedelta(seconds=retry_after), DAY))
