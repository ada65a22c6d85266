from django.db import migrations, models

import accounts.owned.row_security


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0023_index_of_subtasks"),
    ]

    operations = [
        migrations.CreateModel(
            name="TrashedTask",
            fields=[
                ("user_id", models.CharField(editable=False, max_length=255, verbose_name="owner")),
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("deleted_at", models.DateTimeField()),
                ("went_with", models.UUIDField(null=True)),
                ("task", models.JSONField()),
            ],
            options={
                "verbose_name": "task",
                "abstract": False,
                "indexes": [
                    models.Index(
                        models.F("user_id"),
                        models.OrderBy(models.F("deleted_at"), descending=True),
                        models.OrderBy(models.F("id"), descending=True),
                        name="trashed_newest",
                    ),
                    models.Index(fields=["deleted_at"], name="trashed_deleted"),
                    models.Index(
                        condition=models.Q(("went_with__isnull", False)),
                        fields=["went_with"],
                        name="trashed_with",
                    ),
                ],
                "constraints": [
                    accounts.owned.row_security.OwnerPolicy(name="tasks_trashedtask_owner")
                ],
            },
        ),
    ]
