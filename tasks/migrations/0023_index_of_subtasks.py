from django.db import migrations, models

from tasks.migrations._operations import AddIndexConcurrently


class Migration(migrations.Migration):
    atomic = False  # nobody waits while the index is built

    dependencies = [
        ("tasks", "0022_subtasks"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="task",
            index=models.Index(
                models.F("parent"),
                models.OrderBy(models.F("created_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(("parent__isnull", False)),
                name="task_parent",
            ),
        ),
    ]
