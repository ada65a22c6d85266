from django.db import migrations, transaction

BATCH = 5000

# What models write from now on (`top_position`, `due_at`), for the rows of before.
FILL = {
    "postgresql": """
        UPDATE tasks_task SET due_at = deadline,
            position = 'M' || lpad(to_hex((1::bigint << 56) - 1
                - (extract(epoch FROM created_at) * 1000000)::bigint), 14, '0')
        WHERE id IN (SELECT id FROM tasks_task WHERE position = '' ORDER BY id LIMIT %s)
    """,
    "sqlite": """
        UPDATE tasks_task SET due_at = deadline,
            position = 'M' || printf('%%014x', (1 << 56) - 1 - 1000000 * unixepoch(created_at)
                - substr(created_at || '000000', 21, 6))
        WHERE id IN (SELECT id FROM tasks_task WHERE position = '' ORDER BY id LIMIT %s)
    """,
}


def fill(apps, schema_editor):
    connection = schema_editor.connection
    while True:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute(FILL[connection.vendor], [BATCH])
            if not cursor.rowcount:
                return


class Migration(migrations.Migration):
    atomic = False  # a batch at a time, so that nobody waits for long; begun again, it goes on

    dependencies = [
        ("tasks", "0017_lists"),
    ]

    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
