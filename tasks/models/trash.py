"""The trash: tasks that were deleted, as rows of a table that no list of tasks reads.

Docs/api.md section 4. Each keeps what REST showed of a task, which is all there is to it, and whose
deletion it went with.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.apps import apps
from django.db import models, transaction
from django.db.models import F, Q

from accounts.owned.models import OwnedModel, OwnedQuerySet
from tasks.models.lists import Label, Project
from tasks.models.preferences import Preferences
from tasks.models.repeating import drop_unsuitable_rule
from tasks.resources.wire import shown
from tasks.rules.moments import now

if TYPE_CHECKING:
    from tasks.models.tasks import Task

KEPT_DAYS = 30
BATCH = 1000
HIDDEN = ("kept_recurrence", "next_id")  # what else is needed to bring a task back


class TrashedQuerySet(OwnedQuerySet["TrashedTask"]):
    def not_expired(self) -> Self:
        return self.filter(deleted_at__gt=now() - timedelta(days=KEPT_DAYS))

    def drop(self) -> int:
        """Drop up to 1,000 for good, the oldest first; how many, 0 when there are no more."""
        batch = list(self.order_by("deleted_at", "pk").values_list("pk", flat=True)[:BATCH])
        return self.filter(pk__in=batch).delete()[0]


class TrashedTask(OwnedModel):
    """A deleted task, under its id."""

    id = models.UUIDField(primary_key=True, editable=False)
    deleted_at = models.DateTimeField()
    went_with = models.UUIDField(null=True)  # the id of the task that took this subtask along
    task = models.JSONField()  # as REST showed it
    hidden = models.JSONField(default=dict, db_default={})  # columns that REST does not show

    objects: ClassVar[TrashedQuerySet] = TrashedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(OwnedModel.Meta):
        verbose_name = "task"
        indexes = [
            models.Index(
                F("user_id"), F("deleted_at").desc(), F("id").desc(), name="trashed_newest"
            ),
            models.Index(fields=["deleted_at"], name="trashed_deleted"),  # for `prune_events`
            models.Index(
                fields=["went_with"], condition=Q(went_with__isnull=False), name="trashed_with"
            ),
        ]

    def __str__(self) -> str:
        return str(self.task.get("text", self.pk))

    @property
    def version(self) -> int:
        """Of the task when it was deleted."""
        return int(self.task["version"])

    def taken_along(self) -> TrashedQuerySet:
        """The subtasks that went with it."""
        return type(self).objects.filter(user_id=self.user_id, went_with=self.pk)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Drop it for good, and what went with it."""
        self.taken_along().delete()
        return super().delete(*args, **kwargs)

    def restore(self) -> "Task":
        """Bring it back with its id, and the subtasks that went with it; each is an event."""
        with transaction.atomic():
            rows = [self, *self.taken_along().select_for_update().order_by("pk")]
            if any(row.task["due_on"] or row.task["recurrence"] for row in rows):
                Preferences.of(
                    self.user_id
                )  # locked before the stream, which the first event locks
            found = {model: _still_there(model, rows) for model in (Project, Label)}
            task: Task = rows[0]._as_task(found)
            if task.parent_id is not None:
                parents = type(task)._base_manager.filter(user_id=self.user_id, parent=None)
                parents = parents.filter(pk=task.parent_id).select_for_update(no_key=True)
                if parents.values_list("pk").first() is None:
                    task.parent_id = None
            tasks = [task, *(row._as_task(found) for row in rows[1:])]
            type(self).objects.filter(pk__in=[row.pk for row in rows]).delete()
            for row, each in zip(rows, tasks, strict=True):
                labels = (found[Label].get(key) for key in row.task["label_ids"])
                each.save(force_insert=True, relations={"labels": filter(None, labels)})
            return task

    def _as_task(self, found: dict[Any, dict[str, Any]]) -> "Task":
        """The task, not yet saved, without a project that is gone."""
        model: Any = apps.get_model("tasks", "Task")
        fields = {field.attname: field for field in model._meta.concrete_fields}
        values = {
            name: fields[name].to_python(value)
            for name, value in (self.task | self.hidden).items()
            if name in fields and name != "version"
        }
        task: Task = model(**values)
        task.last_version = self.version
        if self.task["project_id"] not in found[Project]:
            task.project_id = None
        drop_unsuitable_rule(task)
        return task


def _still_there(model: Any, rows: list[TrashedTask]) -> dict[str, Any]:
    """The projects, or labels, of these tasks that there are, locked, by their ids."""
    if model is Project:
        keys = {row.task["project_id"] for row in rows} - {None}
    else:
        keys = {key for row in rows for key in row.task["label_ids"]}
    theirs = model.objects.filter(user_id=rows[0].user_id, pk__in=keys).order_by("pk")
    return {str(row.pk): row for row in theirs.select_for_update(no_key=True)} if keys else {}


def put(tasks: Any, using: str | None) -> None:
    """Put tasks that are about to be deleted into the trash, and their subtasks with them.

    Locks are taken in the order of everybody: they, then their subtasks.
    """
    everyones: Any = tasks.model._base_manager.using(using).prefetch_related("labels")
    rows = tasks.using(using).prefetch_related("labels").locked()
    keys = {row.pk for row in rows}
    if parents := [row.pk for row in rows if row.may_have_subtasks]:
        rows += everyones.filter(parent__in=parents).exclude(pk__in=keys).locked()
    at = now()
    trashed = [
        TrashedTask(
            id=row.pk,
            user_id=row.user_id,
            deleted_at=at,
            went_with=row.parent_id if row.pk not in keys or row.parent_id in keys else None,
            task=shown(row),
            hidden={name: str(value) for name in HIDDEN if (value := getattr(row, name))},
        )
        for row in rows
    ]
    TrashedTask.objects.bulk_create(
        trashed,
        update_conflicts=True,  # with an id that a client has used twice at the same moment
        unique_fields=["id"],
        update_fields=["deleted_at", "went_with", "task", "hidden"],
    )


def prune(before: datetime) -> Iterator[int]:
    """Drop what was deleted before this moment, in batches; yields how many each one dropped."""
    while dropped := TrashedTask.objects.filter(deleted_at__lt=before).drop():
        yield dropped
