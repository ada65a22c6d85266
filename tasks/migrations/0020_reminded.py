from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0019_indexes_of_lists"),
    ]

    operations = [
        migrations.AddField(
            model_name="task",
            name="reminded",
            field=models.BooleanField(db_default=True, default=False, editable=False),
        ),
    ]
