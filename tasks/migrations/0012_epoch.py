from django.db import migrations, models

import tasks.events.models


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0011_policy_of_streams"),
    ]

    operations = [
        migrations.CreateModel(
            name="Epoch",
            fields=[
                (
                    "id",
                    models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False),
                ),
                (
                    "value",
                    models.CharField(default=tasks.events.models.new_epoch, max_length=32),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="epoch_one_row")
                ],
            },
        ),
    ]
