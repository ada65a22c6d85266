from django.db import migrations

from tasks.migrations._operations import RenewPolicy

TABLES = (
    "calendarfeed",
    "event",
    "keptanswer",
    "label",
    "notification",
    "preferences",
    "project",
    "pushdelivery",
    "pushsubscription",
    "stream",
    "task",
    "tasklabel",
    "trashedtask",
)


class Migration(migrations.Migration):
    atomic = False  # one table is locked at a time

    dependencies = [("tasks", "0028_export_and_erase_people")]

    operations = [RenewPolicy(f"tasks_{table}") for table in TABLES]
