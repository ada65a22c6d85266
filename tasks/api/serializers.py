"""What clients may send of tasks and notifications, and what they are shown (docs/api.md section 4)."""

from tasks.models import Notification, Task
from tasks.resources.fields import RecordedSerializer
from tasks.resources.wire import wire_form


@wire_form(Task)
class TaskSerializer(RecordedSerializer):
    class Meta:
        model = Task
        fields = [
            "id", "user_id", "version", "text", "description", "completed", "completed_at",
            "deadline", "order", "created_at", "updated_at",
        ]  # fmt: skip
        extra_kwargs = {"description": {"trim_whitespace": False}}
        example = {"text": "Water the plants", "deadline": "2030-05-01T12:30:00Z"}  # in `/schema`


@wire_form(Notification)
class NotificationSerializer(RecordedSerializer):
    class Meta:
        model = Notification
        ref_name = "TaskNotification"  # in `/schema`: browsers have a Notification of their own
        fields = [
            *("id", "task_id", "type", "title", "message", "deadline", "read_at", "created_at"),
        ]
        read_only_fields = fields
