from datetime import UTC, datetime, timedelta

from django.db import migrations, transaction
from django.db.models import F, Q

AHEAD = timedelta(days=7)  # at which `send_reminders` looks at a date first
BATCH = 5000


def arm(apps, schema_editor):
    """Let `send_reminders` look at days, and at what waits by preferences, as models do from now on."""
    task, preferences = (apps.get_model("tasks", name) for name in ("Task", "Preferences"))
    tasks = task.objects.using(schema_editor.connection.alias)
    people = preferences.objects.using(schema_editor.connection.alias).values("user_id")
    waiting = Q(due_on__isnull=False) | Q(next_reminder_at__isnull=False, user_id__in=people)
    found = tasks.filter(waiting, completed=False, due_at__gte=datetime(1, 1, 8, tzinfo=UTC))
    keys = list(found.values_list("pk", flat=True))
    for begin in range(0, len(keys), BATCH):
        with transaction.atomic(using=schema_editor.connection.alias):
            batch = tasks.filter(pk__in=keys[begin : begin + BATCH], completed=False)
            batch.update(next_reminder_at=F("due_at") - AHEAD)


class Migration(migrations.Migration):
    atomic = False  # a batch at a time, so that nobody waits for long; begun again, it begins anew

    dependencies = [
        ("tasks", "0020_reminded"),
    ]

    operations = [
        migrations.RunPython(arm, migrations.RunPython.noop),
    ]
