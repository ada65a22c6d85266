"""The wire form of tasks and notifications, for REST and events alike (contract section 3).

Declared here, once: what clients may send, and what they are shown. The database writes the latter
by itself (`accounts.owned.reading`), led by the names of the fields.
"""

import re
from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers

from accounts.owned.reading import Wire
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

    def to_representation(self, value: datetime | None) -> str | None:  # type: ignore[override]
        return None if value is None else timestamp(value)


def timestamp(moment: datetime) -> str:
    """A moment in ISO 8601, in UTC, with as many digits of the second as it takes."""
    text = moment.astimezone(UTC).isoformat().removesuffix("+00:00")
    return (text.rstrip("0") if "." in text else text) + "Z"


class TextField(serializers.CharField):
    """Text, and not a number that could be written as text."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class TrueOrFalseField(serializers.BooleanField):
    """`true` or `false`, and none of the words and numbers that might stand for them."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class WholeNumberField(serializers.IntegerField):
    """A number, and not the text of one."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        return super().to_internal_value(data)


class TaskSerializer(serializers.Serializer[Task]):
    id = serializers.UUIDField(read_only=True)
    user_id = serializers.CharField(read_only=True)
    # PUT replaces the whole task, so what is left out takes its default (contract section 3).
    text = TextField(max_length=500)
    description = TextField(max_length=2000, allow_blank=True, default="", trim_whitespace=False)
    completed = TrueOrFalseField(default=False)
    completed_at = TimestampField(read_only=True, allow_null=True)
    deadline = TimestampField(allow_null=True, default=None)
    order = WholeNumberField(default=0, min_value=-(2**31), max_value=2**31 - 1)
    created_at = TimestampField(read_only=True)
    updated_at = TimestampField(read_only=True)


class NotificationSerializer(serializers.Serializer[Notification]):
    id = serializers.UUIDField(read_only=True)
    task_id = serializers.UUIDField(read_only=True)
    type = serializers.CharField(read_only=True)
    title = serializers.CharField(read_only=True)
    message = serializers.CharField(read_only=True)
    read_at = TimestampField(read_only=True, allow_null=True)
    created_at = TimestampField(read_only=True)


TASK = Wire(Task, tuple(TaskSerializer().fields))
NOTIFICATION = Wire(Notification, tuple(NotificationSerializer().fields))

# Validation keeps nothing on the serializer, so one of each serves all requests; building one takes
# longer than validating with it.
WHOLE_TASK = TaskSerializer()
PART_OF_TASK = TaskSerializer(partial=True)


def validated(serializer: TaskSerializer, body: Any) -> dict[str, Any]:
    """The values in a body. Raises `ValidationError` (400), by the names of the fields."""
    if body is None:
        raise serializers.ValidationError({"non_field_errors": ["No data provided"]})
    values: dict[str, Any] = serializer.run_validation(body)
    return values
