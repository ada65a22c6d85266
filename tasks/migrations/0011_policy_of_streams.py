from django.db import migrations

import accounts.owned.row_security


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0010_search_by_words"),
    ]

    operations = [
        migrations.AddConstraint(
            model_name="stream",
            constraint=accounts.owned.row_security.OwnerPolicy(name="tasks_stream_owner"),
        ),
    ]
