from django.db import migrations

from tasks.migrations._operations import RenewPolicy


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0005_row_level_security"),
    ]

    operations = [
        RenewPolicy("tasks_task"),
        RenewPolicy("tasks_notification"),
        RenewPolicy("tasks_event"),
        RenewPolicy("tasks_keptanswer"),
    ]
