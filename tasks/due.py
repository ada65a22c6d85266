"""Making the notifications that are due, in batches, on any number of machines at once.

A batch is one transaction, of a few people. Tasks that somebody else has locked are passed over. Locks
are taken in the order of everybody: tasks (never waiting), push subscriptions, then the owners' streams
in the order of their ids.

What people want of reminders is read after their tasks are locked, and not locked itself: who changes
it sets back all of their tasks (`arm_again`), those that are locked here as soon as this commits.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from threading import Barrier
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.fields.tuple_lookups import TupleGreaterThan

from accounts.owned.databases import on_postgresql
from tasks.models import Notification, Preferences, Task
from tasks.push.outbox import lock_subscriptions, queue
from tasks.resources.fast.many import insert_many
from tasks.rules.reminders import Kind, State, Wishes, due, upcoming, wording

LAST_RUN = "reminders.last_run"  # in the cache: when one ended, in seconds since 1970

WINDOW = 100_000  # tasks of which a pass knows the keys, so that a person's come in one batch
# Tasks at once. While a batch commits, the people in it wait with their own changes, so small.
BATCH = 250
AT_ONCE = 2  # batches, on PostgreSQL


def send_due(now: datetime, go_on: Callable[[], bool] = lambda: True) -> Iterator[int]:
    """Make all notifications that are due at `now`; after each batch, the number it made.

    Each task is looked at once, the longest due first as far as people's come together, so that a pass
    ends however many are added; and as soon as it is not to `go_on`, with the batches at hand.
    """
    order = F("next_reminder_at"), F("pk")
    everyones = Task.objects.filter(next_reminder_at__lte=now).order_by(*order)
    keys = everyones.values_list("next_reminder_at", "pk", "user_id")
    window = list(keys[:WINDOW])
    while window and go_on():
        batches = (batch for batch in _batches(window) if go_on())
        # On a connection that is in a transaction already, everything is part of that.
        together = on_postgresql() and not connection.in_atomic_block
        yield from (
            _made_together(batches, now) if together else (_make(one, now) for one in batches)
        )
        rest = keys.filter(TupleGreaterThan(order, window[-1][:2]))
        window = list(rest[:WINDOW]) if len(window) == WINDOW else []


def _made_together(batches: Iterator[list[UUID]], now: datetime) -> Iterator[int]:
    """Make several batches at once: while the database writes one, the next is worked out."""
    at_hand: deque[Future[int]] = deque()
    all_threads = Barrier(AT_ONCE)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            for batch in batches:
                at_hand.append(pool.submit(_make, batch, now))
                if len(at_hand) > AT_ONCE:
                    yield at_hand.popleft().result()
            while at_hand:
                yield at_hand.popleft().result()
        finally:
            for each in at_hand:
                each.cancel()
            for _ in range(AT_ONCE):
                pool.submit(_close_connection, all_threads)


def _close_connection(all_threads: Barrier) -> None:
    all_threads.wait()  # no thread does it for another one
    connection.close()


def _make(keys: list[UUID], now: datetime) -> int:
    with transaction.atomic():
        return _make_notifications(keys, now)


def _batches(window: Sequence[tuple[Any, UUID, str]]) -> Iterator[list[UUID]]:
    """The keys of tasks, up to `BATCH` at a time, a person's together."""
    by_owner: dict[str, list[UUID]] = defaultdict(list)
    for _, key, owner in window:
        by_owner[owner].append(key)
    batch: list[UUID] = []
    for theirs in by_owner.values():
        if batch and len(batch) + len(theirs) > BATCH:
            yield batch
            batch = []
        batch += theirs
        while len(batch) > BATCH:
            yield batch[:BATCH]
            batch = batch[BATCH:]
    yield batch


def _make_notifications(keys: list[UUID], now: datetime) -> int:
    """Make what is due of these tasks, and let each wait for its next moment; how many were made."""
    tasks = _locked(keys, now)
    made = _made(tasks)
    wishes = _wishes({task.user_id for task in tasks})
    notifications = []
    for task in tasks:
        state = State(task.completed, task.deadline, task.due_on, made[task.pk])
        wanted = wishes.get(task.user_id, Wishes())
        moments = upcoming(state, wanted)
        if (kind := due(moments, now)) is not None:
            notifications.append(_notification(task, kind, state, wanted.time_zone))
            moments = upcoming(state._replace(made=state.made | {kind}), wanted)
            task.reminded = True
        task.next_reminder_at = next(iter(moments.values()), None)
    # No change of the task: nobody is told, and `updated_at` stays.
    Task.objects.write_unrecorded(tasks, ["next_reminder_at", "reminded"])
    # Their ids sort as they were made, although there are many in a millisecond.
    for notification, key in zip(notifications, sorted(n.pk for n in notifications), strict=True):
        notification.pk = key
    subscriptions = lock_subscriptions({each.user_id for each in notifications})
    # Last, because this locks the owners' streams, in their order.
    insert_many(Notification, notifications)
    queue(notifications, subscriptions)
    return len(notifications)


def _locked(keys: list[UUID], now: datetime) -> list[Task]:
    """Those that still wait and that nobody else has locked, in the order of the keys."""
    skip = connection.features.has_select_for_update_skip_locked
    still = Task.objects.filter(pk__in=keys, next_reminder_at__lte=now)
    still = still.select_for_update(skip_locked=skip, no_key=True)
    names = "user_id", "text", "completed", "deadline", "due_on", "next_reminder_at", "reminded"
    found = {task.pk: task for task in still.only(*names)}
    return [found[key] for key in keys if key in found]


def _made(tasks: list[Task]) -> dict[UUID, set[Kind]]:
    """What was made for the present dates of these tasks."""
    made: dict[UUID, set[Kind]] = defaultdict(set)
    same_date = Q(deadline=F("task__deadline")) | Q(due_on=F("task__due_on"))
    told = Notification.objects.filter(same_date, task__in=[t.pk for t in tasks if t.reminded])
    for task_id, name in told.values_list("task_id", "type"):
        made[task_id].add(Kind(name))
    return made


def _wishes(owners: set[str]) -> dict[str, Wishes]:
    """What these people want, of those who have said anything."""
    said = Preferences.objects.filter(user_id__in=owners)
    return {each.user_id: each.wishes() for each in said}


def _notification(task: Task, kind: Kind, state: State, zone: str) -> Notification:
    title, message = wording(kind, task.text, state, zone)
    its = {"user_id": task.user_id, "task_id": task.pk}
    dates = {"deadline": task.deadline, "due_on": task.due_on}
    return Notification(type=kind.value, title=title, message=message, **its, **dates)
