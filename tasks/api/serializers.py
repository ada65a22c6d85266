"""What clients may send of each kind of thing, and what they are shown (docs/api.md section 4)."""

from typing import Any

from django.db import IntegrityError
from rest_framework import serializers

from tasks.models import Label, Notification, Preferences, Project, Task, TrashedTask
from tasks.models.lists import key_of_name
from tasks.resources.fields import (
    NewKeyField,
    OwnedKeyField,
    OwnedKeysField,
    RecordedSerializer,
    TimestampField,
    WholeNumberField,
    pure,
)
from tasks.resources.wire import wire_form

MAX_LABELS = 20  # of a task
NAME_TAKEN = "You have a label of this name."


@wire_form(Project)
class ProjectSerializer(RecordedSerializer):
    id = NewKeyField()

    class Meta:
        model = Project
        fields = [
            "id", "user_id", "version", "name", "color", "position", "archived", "created_at", "updated_at",
        ]  # fmt: skip
        example = {"name": "Garden", "color": "#2e7d32"}  # in `/schema`


@wire_form(Label)
class LabelSerializer(RecordedSerializer):
    id = NewKeyField()

    class Meta:
        model = Label
        fields = [
            "id", "user_id", "version", "name", "color", "position", "created_at", "updated_at",
        ]  # fmt: skip
        example = {"name": "errand", "color": "#ef6c00"}

    def validate_name(self, name: str) -> str:
        others: Any = Label.objects.owned_by(self.context["request"].user)
        if self.instance is not None:
            others = others.exclude(pk=self.instance.pk)
        if others.filter(name_key=key_of_name(name)).exists():
            raise serializers.ValidationError(NAME_TAKEN, "not_unique")
        return name

    def _written(self, instance: Any, validated_data: Any) -> Any:
        try:
            return super()._written(instance, validated_data)
        except IntegrityError as error:
            if "label_one_of_a_name" not in str(error):
                raise
            # Another request took the name after it was validated.
            raise serializers.ValidationError({"name": [NAME_TAKEN]}, "not_unique") from None


@wire_form(Task)
class TaskSerializer(RecordedSerializer):
    id = NewKeyField()
    priority = WholeNumberField(min_value=0, max_value=4, default=0)
    project_id = OwnedKeyField(Project, source="project", allow_null=True, default=None)
    label_ids = OwnedKeysField(Label, source="labels", max_length=MAX_LABELS)
    parent_id = OwnedKeyField(Task, source="parent", allow_null=True, default=None)

    class Meta:
        model = Task
        fields = [
            "id", "user_id", "version", "text", "description", "completed", "completed_at",
            "deadline", "due_on", "priority", "project_id", "label_ids", "parent_id", "recurrence",
            "previous_id", "position", "order", "created_at", "updated_at",
        ]  # fmt: skip
        extra_kwargs = {"description": {"trim_whitespace": False}}
        example = {"text": "Water the plants", "deadline": "2030-05-01T12:30:00Z"}

    @pure
    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A deadline or a day: setting one of them clears the other."""
        set_now = [name for name in ("deadline", "due_on") if attrs.get(name) is not None]
        if len(set_now) == 2:
            raise serializers.ValidationError({"due_on": "Give a deadline or a day, not both."})
        without = {"deadline", "due_on"} <= attrs.keys() and not set_now
        if without and attrs.get("recurrence"):
            raise serializers.ValidationError({"recurrence": "It needs a deadline or a day."})
        cleared = {"deadline": "due_on", "due_on": "deadline"}
        return attrs | {cleared[name]: None for name in set_now}


class TrashedTaskSerializer(TaskSerializer):
    """A deleted task as it was shown last, and when that was."""

    deleted_at = TimestampField(read_only=True)

    class Meta(TaskSerializer.Meta):
        ref_name = "TrashedTask"
        fields = [*TaskSerializer.Meta.fields, "deleted_at"]

    def to_representation(self, row: TrashedTask) -> dict[str, Any]:
        deleted_at = self.fields["deleted_at"].to_representation(row.deleted_at)
        return {**row.task, "deleted_at": deleted_at}


@wire_form(Notification)
class NotificationSerializer(RecordedSerializer):
    class Meta:
        model = Notification
        ref_name = "TaskNotification"  # in `/schema`: browsers have a Notification of their own
        fields = [
            "id", "task_id", "type", "title", "message", "deadline", "due_on", "read_at", "created_at",
        ]  # fmt: skip
        read_only_fields = fields


@wire_form(Preferences)
class PreferencesSerializer(RecordedSerializer):
    class Meta:
        model = Preferences
        fields = ["time_zone", "remind_at", "remind_before", "push", "version"]
        example = {"time_zone": "Europe/Berlin"}
