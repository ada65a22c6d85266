"""The wire form of tasks and notifications, for REST and events alike (contract section 3)."""

import re
from typing import Any

from rest_framework import serializers

from tasks.models import Notification, Task

# ISO 8601 as RFC 3339 narrows it down, with the offset optional. Python alone would also take a
# bare date, week dates and basic format.
_TIMESTAMP = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:?\d\d)?", re.ASCII
)


class TimestampField(serializers.DateTimeField):
    """A moment: UTC where no offset is given, never a bare date."""

    def to_internal_value(self, value: Any) -> Any:
        if not isinstance(value, str) or not _TIMESTAMP.fullmatch(value):
            self.fail("invalid", format="YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]")
        return super().to_internal_value(value.upper())


class TextField(serializers.CharField):
    """Text, and not a number that could be written as text."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class TaskSerializer(serializers.ModelSerializer[Task]):
    # PUT replaces the whole task, so what is left out takes its default (contract section 3).
    text = TextField(max_length=500)
    description = TextField(max_length=2000, allow_blank=True, default="", trim_whitespace=False)
    completed = serializers.BooleanField(default=False)
    deadline = TimestampField(allow_null=True, default=None)
    order = serializers.IntegerField(default=0, min_value=-(2**31), max_value=2**31 - 1)

    class Meta:
        model = Task
        fields = [
            "id",
            "user_id",
            "text",
            "description",
            "completed",
            "completed_at",
            "deadline",
            "order",
            "created_at",
            "updated_at",
        ]
        read_only_fields = ["id", "user_id", "completed_at", "created_at", "updated_at"]


class NotificationSerializer(serializers.ModelSerializer[Notification]):
    task_id = serializers.UUIDField(read_only=True)

    class Meta:
        model = Notification
        fields = ["id", "task_id", "type", "title", "message", "read_at", "created_at"]
        read_only_fields = fields
