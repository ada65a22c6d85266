from django.db import migrations


def expect_much_of_every_owner(apps, schema_editor):
    """Let PostgreSQL's planner think of the owner with the most rows rather than of an average one.

    A plan serves all owners. One that sorts is a little better for an owner with a handful of rows,
    and a disaster for an owner with 100,000.
    """
    if schema_editor.connection.vendor == "postgresql":
        for table in ("tasks_task", "tasks_notification"):
            schema_editor.execute(f"ALTER TABLE {table} ALTER user_id SET (n_distinct = 10)")
            schema_editor.execute(f"ANALYZE {table}")


def expect_an_average_owner(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for table in ("tasks_task", "tasks_notification"):
            schema_editor.execute(f"ALTER TABLE {table} ALTER user_id RESET (n_distinct)")


class Migration(migrations.Migration):
    # Of its own: the one before keeps everybody out for as long as it lasts, and ANALYZE takes a while.
    dependencies = [
        ("tasks", "0006_policies_that_plan_well"),
    ]

    operations = [
        migrations.RunPython(expect_much_of_every_owner, expect_an_average_owner),
    ]
