"""Something like a task, with one column more: how much work it is."""

from django.db import models

from tasks.resources.models import RecordedModel


class Chore(RecordedModel):
    text = models.CharField(max_length=500)
    effort = models.IntegerField(null=True, blank=True)

    class Meta(RecordedModel.Meta):
        indexes = [
            *RecordedModel.Meta.indexes,
            models.Index(fields=["user_id", "effort", "id"], name="chore_effort"),
        ]
