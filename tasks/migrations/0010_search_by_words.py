from django.db import migrations, transaction

from tasks.rules.search import searchable

BATCH = 1000


def fold_again(apps, schema_editor):
    """What search compares, as it is folded now. Only of texts beyond ASCII it is not as it was."""
    Task = apps.get_model("tasks", "Task")
    rows = Task.objects.using(schema_editor.connection.alias).order_by("pk")
    rows = rows.filter(search_text__regex="[^ -~]").only("text", "description", "search_text")
    batch = rows
    while True:
        with transaction.atomic(using=rows.db):
            tasks = list(batch.select_for_update()[:BATCH])
            changed = []
            for task in tasks:
                folded = searchable(task.text, task.description)
                if folded != task.search_text:
                    task.search_text = folded
                    changed.append(task)
            Task.objects.using(rows.db).bulk_update(changed, ["search_text"], batch_size=100)
        if not tasks:
            return
        batch = rows.filter(pk__gt=tasks[-1].pk)


class Migration(migrations.Migration):
    atomic = False  # a batch at a time, so that nobody waits for long; begun again, it goes on

    dependencies = [
        ("tasks", "0009_base_managers"),
    ]

    operations = [
        migrations.RunPython(fold_again, migrations.RunPython.noop, elidable=True),
    ]
