"""Notes with tags, perhaps about a task: an owned resource with relations, declared and no more."""

from django.db import models

from accounts.owned.models import OwnedModel
from tasks.models import Task
from tasks.resources.models import RecordedModel


class Tag(RecordedModel):
    name = models.CharField(max_length=100)


class Note(RecordedModel):
    text = models.CharField(max_length=500)
    task = models.ForeignKey(Task, on_delete=models.CASCADE, null=True, blank=True)
    tags = models.ManyToManyField(Tag, through="NoteTag", blank=True)


class NoteTag(OwnedModel):
    note = models.ForeignKey(Note, on_delete=models.CASCADE, related_name="+")
    tag = models.ForeignKey(Tag, on_delete=models.CASCADE, related_name="+")

    class Meta(OwnedModel.Meta):
        constraints = [
            *OwnedModel.Meta.constraints,
            models.UniqueConstraint(fields=["user_id", "note", "tag"], name="note_tag_once"),
        ]
