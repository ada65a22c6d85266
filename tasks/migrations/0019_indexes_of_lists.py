from django.db import migrations, models

import tasks.resources.limits
from tasks.migrations._operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
    AddUniqueConcurrently,
)


class Migration(migrations.Migration):
    atomic = False  # nobody waits while indexes are built

    dependencies = [
        ("tasks", "0018_fill_lists"),
    ]

    operations = [
        AddConstraintNotValid(
            model_name="task",
            constraint=tasks.resources.limits.InCalendar(
                fields=("due_on", "due_at"), name="task_days_in_calendar"
            ),
        ),
        AddConstraintNotValid(
            model_name="notification",
            constraint=tasks.resources.limits.InCalendar(
                fields=("due_on",), name="notification_day_in_calendar"
            ),
        ),
        AddUniqueConcurrently(
            model_name="notification",
            constraint=models.UniqueConstraint(
                condition=models.Q(("due_on__isnull", False)),
                fields=("task", "type", "due_on"),
                name="notification_once_per_day",
            ),
        ),
        AddIndexConcurrently(
            model_name="task",
            index=models.Index(fields=["user_id", "position", "id"], name="task_position"),
        ),
        AddIndexConcurrently(
            model_name="task",
            index=models.Index(
                condition=models.Q(("due_at__isnull", False)),
                fields=["user_id", "due_at", "id"],
                name="task_due",
            ),
        ),
        AddIndexConcurrently(
            model_name="task",
            index=models.Index(
                condition=models.Q(("due_at__isnull", True)),
                fields=["user_id", "id"],
                name="task_due_lacking",
            ),
        ),
        AddIndexConcurrently(
            model_name="task",
            index=models.Index(
                condition=models.Q(("rank__isnull", False)),
                fields=["user_id", "rank", "id"],
                name="task_rank",
            ),
        ),
        AddIndexConcurrently(
            model_name="task",
            index=models.Index(
                condition=models.Q(("rank__isnull", True)),
                fields=["user_id", "id"],
                name="task_rank_lacking",
            ),
        ),
        AddIndexConcurrently(
            model_name="task",
            index=models.Index(
                condition=models.Q(("completed_at__isnull", False)),
                fields=["user_id", "completed_at", "id"],
                name="task_completed",
            ),
        ),
        AddIndexConcurrently(
            model_name="task",
            index=models.Index(
                condition=models.Q(("completed_at__isnull", True)),
                fields=["user_id", "id"],
                name="task_completed_lacking",
            ),
        ),
        AddIndexConcurrently(
            model_name="task",
            index=models.Index(
                models.F("project"),
                models.OrderBy(models.F("created_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(("project__isnull", False)),
                name="task_project",
            ),
        ),
        migrations.RemoveIndex(
            model_name="task",
            name="task_deadline",
        ),
        migrations.RemoveIndex(
            model_name="task",
            name="task_no_deadline",
        ),
    ]
