from django.db import migrations

from accounts.row_security import SecureRows


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0003_notifications"),
    ]

    operations = [
        SecureRows("tasks_task"),
        SecureRows("tasks_notification"),
        SecureRows("tasks_event"),
    ]
