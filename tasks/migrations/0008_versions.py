import django.utils.timezone
from django.db import migrations, models

import accounts.owned.row_security
from tasks.migrations._operations import SecuredBefore


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0007_plans_for_busy_owners"),
    ]

    operations = [
        SecuredBefore("tasks_task", tells_existence=True),
        SecuredBefore("tasks_notification", tells_existence=True),
        SecuredBefore("tasks_event"),
        SecuredBefore("tasks_keptanswer"),
        migrations.AddField(
            model_name="notification",
            name="updated_at",
            field=models.DateTimeField(
                default=django.utils.timezone.now, editable=False, verbose_name="updated"
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="notification",
            name="version",
            field=models.IntegerField(db_default=1, default=1, editable=False),
        ),
        migrations.AddField(
            model_name="task",
            name="version",
            field=models.IntegerField(db_default=1, default=1, editable=False),
        ),
        migrations.AddConstraint(
            model_name="event",
            constraint=accounts.owned.row_security.OwnerPolicy(name="tasks_event_owner"),
        ),
        migrations.AddConstraint(
            model_name="keptanswer",
            constraint=accounts.owned.row_security.OwnerPolicy(name="tasks_keptanswer_owner"),
        ),
        migrations.AddConstraint(
            model_name="notification",
            constraint=accounts.owned.row_security.OwnerPolicy(name="tasks_notification_owner"),
        ),
        migrations.AddConstraint(
            model_name="task",
            constraint=accounts.owned.row_security.OwnerPolicy(name="tasks_task_owner"),
        ),
    ]
