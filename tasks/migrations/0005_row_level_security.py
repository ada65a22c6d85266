from django.db import migrations

from tasks.migrations._operations import SecureRows


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0004_kept_answers"),
    ]

    operations = [
        SecureRows("tasks_task", tells_existence=True),
        SecureRows("tasks_notification", tells_existence=True),
        SecureRows("tasks_event"),
        SecureRows("tasks_keptanswer"),
    ]
