from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0024_trash"),
    ]

    operations = [
        migrations.AddField(
            model_name="task",
            name="kept_recurrence",
            field=models.CharField(db_default="", default="", editable=False, max_length=500),
        ),
        migrations.AddField(
            model_name="task",
            name="next_id",
            field=models.UUIDField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="task",
            name="previous_id",
            field=models.UUIDField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="task",
            name="recurrence",
            field=models.CharField(blank=True, db_default="", default="", max_length=500),
        ),
        migrations.AddField(
            model_name="trashedtask",
            name="hidden",
            field=models.JSONField(db_default={}, default=dict),
        ),
    ]
