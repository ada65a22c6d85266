"""Erasing all that is somebody's, for good and in every table (docs/api.md section 8).

Batch by batch, so that neither memory nor locks grow with what they have. Nobody is told by events, as the
events go too; the end of them, and that there is another history from now on, is one transaction.
"""

import json
from graphlib import TopologicalSorter
from typing import Any

from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, connection
from django.db.models import Q

from accounts import erasures
from accounts.owned.acting import acting_as
from accounts.owned.models import OwnedModel
from accounts.users import CurrentUser
from tasks.events.models import Person, Stream

BATCH = 5000  # rows
TRIES = 5  # where somebody goes on writing meanwhile
ERASED = "erased"  # what stands in the log of staff instead


def erase(user_id: str) -> None:
    """Erase everything of a person. Not in a transaction, which would hold all locks to its end.

    What they write meanwhile may be kept, as if it came after. Raises `IntegrityError` where they never stop.
    """
    user = CurrentUser(user_id)
    for tries_left in reversed(range(TRIES)):
        try:
            for model in owned_models():
                _empty(model, user)
            break
        except IntegrityError:  # something new refers to what was to go
            if not tries_left:
                raise
    with acting_as(user, atomic=True):
        # Whoever writes waits for the stream, and then begins another one.
        list(Stream.objects.select_for_update().filter(pk=user_id))
        while _delete_batch(apps.get_model("tasks", "Event"), user):
            pass
        Stream.objects.filter(pk=user_id).delete()
        _forget_in_log_of_staff(user_id)
        erasures.note(user_id)


def owned_models() -> list[Any]:
    """Every model whose rows belong to somebody; what refers to others comes before those."""
    models = [model for model in apps.get_models() if issubclass(model, OwnedModel)]
    order: TopologicalSorter[Any] = TopologicalSorter(dict.fromkeys(models, ()))
    for model in models:
        for field in (*model._meta.concrete_fields, *model._meta.many_to_many):
            if field.related_model in models and field.related_model is not model:
                order.add(field.related_model, model)
    return list(order.static_order())


def _empty(model: Any, user: CurrentUser) -> None:
    """Delete somebody's rows of one table, each batch in a transaction of its own."""
    for field in model._meta.concrete_fields:
        while field.related_model is model and _let_go_batch(model, field, user):
            pass
    while _delete_batch(model, user):
        pass


def _let_go_batch(model: Any, field: Any, user: CurrentUser) -> int:
    """Let rows no longer refer to others of their table, which may be in another batch; how many did."""
    return _execute(
        user,
        f'UPDATE "{model._meta.db_table}" SET "{field.column}" = NULL'  # noqa: S608  names of the model
        f" WHERE user_id = %s AND {_batch(model, field.column)}",
    )


def _delete_batch(model: Any, user: CurrentUser) -> int:
    """Delete rows past all signals, which would tell of each; how many."""
    table = model._meta.db_table
    return _execute(user, f'DELETE FROM "{table}" WHERE user_id = %s AND {_batch(model)}')  # noqa: S608


def _batch(model: Any, not_null: str = "") -> str:
    key, table = model._meta.pk.column, model._meta.db_table
    condition = f' AND "{not_null}" IS NOT NULL' if not_null else ""
    return f'"{key}" IN (SELECT "{key}" FROM "{table}" WHERE user_id = %s{condition} LIMIT {BATCH})'  # noqa: S608


def _execute(user: CurrentUser, sql: str) -> int:
    with acting_as(user, atomic=True), connection.cursor() as cursor:
        cursor.execute(sql, [user.id, user.id])
        return int(cursor.rowcount)


def record_erasure(staff: Any, user_id: str) -> None:
    """Keep, in Django's admin log, who of staff has erased somebody: of whom, a keyed digest tells."""
    LogEntry.objects.create(
        user_id=staff.pk,
        content_type=ContentType.objects.get_for_model(Person, for_concrete_model=False),
        object_id=erasures.names_of(user_id).split(",")[0],
        object_repr=ERASED,
        action_flag=CHANGE,
        change_message="Erased.",
    )


def _forget_in_log_of_staff(user_id: str) -> None:
    """Leave of what staff did who did it and when, and of whom it was a keyed digest."""
    name = erasures.names_of(user_id).split(",")[0]
    page = ContentType.objects.get_for_model(Person, for_concrete_model=False)
    about = Q(object_id=user_id, content_type=page)
    whose = Q(change_message__contains=f'"owner": {json.dumps(user_id)}')
    for entry in LogEntry.objects.filter(about | whose).iterator():
        is_about = entry.content_type_id == page.pk and entry.object_id == user_id
        message = _forgotten(entry.change_message, user_id, name)
        if message is None and not is_about:
            continue  # of somebody whose id differs in capitals, which SQLite takes for the same
        entry.object_id = name if is_about else None
        entry.object_repr = ERASED
        entry.change_message = message or entry.change_message
        entry.save(update_fields=["object_id", "object_repr", "change_message"])


def _forgotten(message: str, user_id: str, name: str) -> str | None:
    """A message of Django's log (`tasks/resources/audit.py`) without what it tells of somebody.

    `None` where it is of nobody, or of somebody else.
    """
    try:
        parts = json.loads(message)
    except ValueError:
        return None
    told = [
        (what, details)
        for part in (parts if isinstance(parts, list) else ())
        for what, details in part.items()
    ]
    if not any(isinstance(each, dict) and each.get("owner") == user_id for _, each in told):
        return None
    kept = {"name": "something", "object": ERASED, "fields": [ERASED], "owner": name}
    return json.dumps(
        [
            {what: {key: kept[key] for key in details if key in kept}}
            for what, details in told
            if isinstance(details, dict)
        ]
    )
