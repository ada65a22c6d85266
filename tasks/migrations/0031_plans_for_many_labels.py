from typing import Any

from django.db import migrations


def expect_many_rows_of_an_owner(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE tasks_tasklabel ALTER user_id SET (n_distinct = 10)")


def expect_what_is_measured(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE tasks_tasklabel ALTER user_id RESET (n_distinct)")


class Migration(migrations.Migration):
    """As for tasks (0007): of plans for somebody, the one that is bearable for whom has much."""

    dependencies = [("tasks", "0030_index_of_counts")]

    operations = [migrations.RunPython(expect_many_rows_of_an_owner, expect_what_is_measured)]
