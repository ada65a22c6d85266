"""Handing over what a guest has to the person that they have become (docs/api.md section 8)."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F

from accounts.owned.acting import acting_as_everyone
from accounts.owned.databases import tried
from accounts.users import CurrentUser
from tasks.events.models import Stream
from tasks.models import (
    CalendarFeed,
    Event,
    KeptAnswer,
    Label,
    Preferences,
    Project,
    Task,
    TaskLabel,
    TrashedTask,
)
from tasks.own.erasing import erase, owned_models
from tasks.resources.fast.many import record_created
from tasks.resources.models import RecordedModel
from tasks.rules.moments import now

BATCH = 1000  # rows whose events are recorded at once
TRIES = 2  # where the person makes a label of a name that the guest has at the same moment
# What is not handed over, but erased with the guest.
LEFT = (CalendarFeed, Event, KeptAnswer, Preferences)


def adopt(guest: CurrentUser, user: CurrentUser) -> dict[str, int]:
    """Make everything of a guest's somebody's, and erase what is left; how much there was.

    In one transaction. Each thing keeps its id, and is an event `….created` of its new owner's.
    """

    def once() -> dict[str, int]:
        with acting_as_everyone(), transaction.atomic():
            return _adopt(guest, user)

    return tried(once, TRIES, lambda error: isinstance(error, IntegrityError))


def _adopt(guest: CurrentUser, user: CurrentUser) -> dict[str, int]:
    _lock(guest)
    _join_labels(guest, user)
    counts = {}
    for model in reversed(owned_models()):  # what is referred to comes first
        if model not in LEFT:
            counts[model] = _hand_over(model, guest, user)
    erase(guest.id)
    return {"projects": counts[Project], "labels": counts[Label], "tasks": counts[Task]}


def _lock(guest: CurrentUser) -> None:
    """Let nobody write as the guest, in the order in which everybody takes locks."""
    for model in (Task, Project, Label):
        rows: Any = model.objects
        rows.owned_by(guest).locked()
    list(Stream.objects.select_for_update().filter(pk=guest.id))


def _join_labels(guest: CurrentUser, user: CurrentUser) -> None:
    """Let a guest's label be the one of that name that the person has."""
    labels: Any = Label.objects
    theirs = dict(labels.owned_by(user).values_list("name_key", "pk"))
    both = labels.owned_by(guest).filter(name_key__in=theirs)
    joined = {pk: theirs[name] for pk, name in both.values_list("pk", "name_key")}
    links: Any = TaskLabel.objects
    for old, new in joined.items():
        links.owned_by(guest).filter(label=old).update(label=new)
    labels.owned_by(guest).filter(pk__in=joined).delete()
    for row in TrashedTask.objects.owned_by(guest).iterator(BATCH):
        ids = {str(joined.get(UUID(key), key)) for key in row.task["label_ids"]}
        row.task |= {"user_id": user.id, "label_ids": sorted(ids)}
        TrashedTask.objects.filter(pk=row.pk).update(task=row.task)


def _hand_over(model: Any, guest: CurrentUser, user: CurrentUser) -> int:
    """Change whose the rows of a table are, and tell their new owner; how many there were."""
    rows = model._base_manager.filter(user_id=guest.id)
    if not (issubclass(model, RecordedModel) and "created" in model.event_names):
        return int(_changed(rows, user_id=user.id))
    keys = list(rows.order_by("created_at", "pk").values_list("pk", flat=True))
    for batch in _batches(keys):
        these = model._base_manager.filter(pk__in=batch)
        _changed(these, user_id=user.id, version=F("version") + 1, updated_at=now())
        if model is Task:  # of another calendar, and its owner may want to be reminded otherwise
            these.settle_days(Preferences.of(user.id).zone)
            these.arm_again()
        record_created(model, batch)
    return len(keys)


def _changed(rows: Any, **values: Any) -> int:
    """Change columns without an event: `update` of a recorded model would record another one."""
    change = getattr(rows, "update_unrecorded", rows.update)
    return int(change(**values))


def _batches(keys: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(keys), BATCH):
        yield keys[start : start + BATCH]
