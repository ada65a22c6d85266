"""PostgreSQL's row-level security for the tables of owned models, as an operation of migrations."""

from typing import Any

from django.db.migrations.operations.base import Operation

from accounts.acting import EVERYONE, SETTING


class SecureRows(Operation):
    """Let a table's rows be seen and written only by those who act for their owner.

    That includes the owner of the table, but neither superusers nor roles with BYPASSRLS, whom
    PostgreSQL lets see everything. With `tells_existence`, for tables whose keys are UUIDs that
    clients know, a function tells whether a key exists. Does nothing on other databases.
    """

    reversible = True

    def __init__(self, table: str, *, tells_existence: bool = False) -> None:
        self.table = table
        self.tells_existence = tells_existence

    def state_forwards(self, app_label: str, state: Any) -> None:
        """A policy is no part of a model."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if schema_editor.connection.vendor == "postgresql":
            for statement in self._statements(schema_editor.quote_value(EVERYONE)):
                schema_editor.execute(statement)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f'DROP FUNCTION IF EXISTS "{self.table}_exists"(uuid)')
            schema_editor.execute(f'ALTER TABLE "{self.table}" NO FORCE ROW LEVEL SECURITY')
            schema_editor.execute(f'ALTER TABLE "{self.table}" DISABLE ROW LEVEL SECURITY')
            schema_editor.execute(f'DROP POLICY owner ON "{self.table}"')

    def describe(self) -> str:
        return f"Row-level security on {self.table}"

    def _statements(self, everyone: str) -> list[str]:
        acting_for = f"current_setting('{SETTING}', true)"
        mine = _mine(everyone)
        statements = [
            f'CREATE POLICY owner ON "{self.table}" USING ({mine}) WITH CHECK ({mine})',
            f'ALTER TABLE "{self.table}" ENABLE ROW LEVEL SECURITY',
            f'ALTER TABLE "{self.table}" FORCE ROW LEVEL SECURITY',
        ]
        if self.tells_existence:
            # Contract section 3: another's id is 403 and an unknown one 404, so whether a row
            # exists has to be told, and nothing else of it.
            statements.append(
                f"""
                CREATE FUNCTION "{self.table}_exists"(wanted uuid) RETURNS boolean
                LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
                DECLARE
                    before text := coalesce({acting_for}, '');
                    found_one boolean;
                BEGIN
                    PERFORM set_config('{SETTING}', {everyone}, true);
                    found_one := EXISTS (SELECT 1 FROM "{self.table}" WHERE id = wanted);
                    PERFORM set_config('{SETTING}', before, true);
                    RETURN found_one;
                END $$
                """  # noqa: S608  the name of a table
            )
        return statements


class RenewPolicy(Operation):
    """Give a table that `SecureRows` secured before the policy as it is written now."""

    reversible = True

    def __init__(self, table: str) -> None:
        self.table = table

    def state_forwards(self, app_label: str, state: Any) -> None:
        """A policy is no part of a model."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if schema_editor.connection.vendor == "postgresql":
            mine = _mine(schema_editor.quote_value(EVERYONE))
            schema_editor.execute(
                f'ALTER POLICY owner ON "{self.table}" USING ({mine}) WITH CHECK ({mine})'
            )

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """It means the same as before."""

    def describe(self) -> str:
        return f"The policy of {self.table} as it is now"


def _mine(everyone: str) -> str:
    """The condition of a policy: the row belongs to whom the database acts for.

    Written so that the planner expects nearly all rows to pass. Of `user_id = … OR …` it would
    expect next to none, and sort all of an owner's rows rather than read a page from its index.
    """
    acting_for = f"current_setting('{SETTING}', true)"
    return f"CASE {acting_for} WHEN user_id THEN 1 WHEN {everyone} THEN 1 END IS NOT NULL"
