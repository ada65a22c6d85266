"""Part of a task, and much like one, with one column more: how much work it is."""

from django.db import models

from tasks.models import Task
from tasks.resources.models import RecordedModel


class Chore(RecordedModel):
    text = models.CharField(max_length=500)
    task = models.ForeignKey(Task, models.SET_NULL, null=True, blank=True, related_name="+")
    effort = models.IntegerField(null=True, blank=True)

    class Meta(RecordedModel.Meta):
        indexes = [
            *RecordedModel.Meta.indexes,
            models.Index(fields=["user_id", "effort", "id"], name="chore_effort"),
        ]
