from django.db import migrations, models

from tasks.migrations._operations import AddIndexConcurrently


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("tasks", "0029_policies_that_read_once")]

    operations = [
        AddIndexConcurrently(
            model_name="task",
            index=models.Index(
                fields=["user_id", "project", "completed", "due_at"],
                include=["due_on", "id"],
                name="task_counts",
            ),
        ),
    ]
