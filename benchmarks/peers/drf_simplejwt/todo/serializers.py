from rest_framework import serializers

from todo.models import Task


class TaskSerializer(serializers.ModelSerializer):
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
