"""Making the notifications that are due, a batch at a time, on any number of machines at once.

A batch is one transaction. Tasks that somebody else has locked are passed over. Locks are taken in the
order of everybody: tasks (never waiting), push subscriptions, then the owners' streams in the order of
their ids.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F
from django.db.models.fields.tuple_lookups import TupleGreaterThan

from tasks.models import Notification, Task
from tasks.push.outbox import lock_subscriptions, queue
from tasks.rules.reminders import OFFSETS, Kind, State, due, upcoming, wording

LAST_RUN = "reminders.last_run"  # in the cache: when one ended, in seconds since 1970

# Tasks at once. While a batch commits, the owners in it wait with their own changes, so small.
BATCH = 200


def send_due(now: datetime) -> Iterator[int]:
    """Make all notifications that are due at `now`; after each batch, the number it made.

    Each task is looked at once, the longest due first, so that a pass ends however many are added.
    """
    key = F("next_reminder_at"), F("pk")
    remaining = Task.objects.filter(next_reminder_at__lte=now).order_by(*key)
    remaining = remaining.only("user_id", "text", "completed", "deadline", "next_reminder_at")
    skip = connection.features.has_select_for_update_skip_locked
    tasks = remaining
    while True:
        with transaction.atomic():
            batch = list(tasks.select_for_update(skip_locked=skip)[:BATCH])
            made = _make_notifications(batch, now)
        if not batch:
            return
        yield made
        last = batch[-1].next_reminder_at, batch[-1].pk
        tasks = remaining.filter(TupleGreaterThan(key, last))


def _make_notifications(tasks: list[Task], now: datetime) -> int:
    """Make what is due of these tasks, and let each wait for its next moment."""
    made: dict[UUID, set[Kind]] = defaultdict(set)  # of their present deadlines
    told = Notification.objects.filter(task__in=tasks, deadline=F("task__deadline"))
    for task_id, name in told.values_list("task_id", "type"):
        made[task_id].add(Kind(name))
    notifications = []
    waiting: dict[Kind | None, list[UUID]] = defaultdict(list)
    for task in tasks:
        state = State(task.completed, task.deadline, made[task.pk])
        kind = due(state, now)
        if kind is not None and task.deadline is not None:
            title, message = wording(kind, task.text, task.deadline)
            its = {"user_id": task.user_id, "task_id": task.pk, "deadline": task.deadline}
            notifications.append(Notification(type=kind.value, title=title, message=message, **its))
            state = state._replace(made=state.made | {kind})
        waiting[next(iter(upcoming(state)), None)].append(task.pk)
    for next_kind, ids in waiting.items():
        at = None if next_kind is None else F("deadline") + OFFSETS[next_kind]
        # No change of the task: nobody is told, and `updated_at` stays.
        Task.objects.filter(pk__in=ids).update_unrecorded(next_reminder_at=at)
    # Their ids sort as they were made, although there are many in a millisecond.
    for notification, key in zip(notifications, sorted(n.pk for n in notifications), strict=True):
        notification.pk = key
    subscriptions = lock_subscriptions({each.user_id for each in notifications})
    # Last, because this locks the owners' streams, in their order.
    Notification.objects.bulk_create(notifications)
    queue(notifications, subscriptions)
    return len(notifications)
