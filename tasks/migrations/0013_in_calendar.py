from django.db import migrations

import tasks.resources.limits

TASK = ("deadline", "completed_at", "next_reminder_at", "created_at", "updated_at")
NOTIFICATION = ("deadline", "read_at", "created_at", "updated_at")
FIRST, LAST = "0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00"


def bring_into_calendar(apps, schema_editor):
    """Moments that only SQL can have written, and nobody could read, become the next one that can be read."""
    if schema_editor.connection.vendor != "postgresql":
        return
    for table, columns in (("tasks_task", TASK), ("tasks_notification", NOTIFICATION)):
        for column in columns:
            schema_editor.execute(
                f"UPDATE {table} SET {column} = least(greatest({column}, %s), %s)"  # noqa: S608
                f" WHERE NOT {column} BETWEEN %s AND %s",
                [FIRST, LAST, FIRST, LAST],
            )


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0012_epoch"),
    ]

    operations = [
        migrations.RunPython(bring_into_calendar, migrations.RunPython.noop, elidable=True),
        migrations.AddConstraint(
            model_name="task",
            constraint=tasks.resources.limits.InCalendar(fields=TASK, name="task_in_calendar"),
        ),
        migrations.AddConstraint(
            model_name="notification",
            constraint=tasks.resources.limits.InCalendar(
                fields=NOTIFICATION, name="notification_in_calendar"
            ),
        ),
    ]
