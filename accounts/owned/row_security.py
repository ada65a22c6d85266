"""PostgreSQL's row-level security for the tables of owned models, as operations of migrations."""

from typing import Any

from django.db.migrations.operations.base import Operation

from accounts.owned.acting import EVERYONE, SETTING

ACTING_FOR = f"current_setting('{SETTING}', true)"


class PolicyOperation(Operation):
    """Statements about one table's policy, on PostgreSQL; nothing on other databases."""

    reversible = True

    def __init__(self, table: str) -> None:
        self.table = table

    def statements(self, everyone: str) -> list[str]:
        """What is to be executed. `everyone` is the setting of those who act for everyone, quoted."""
        raise NotImplementedError

    def state_forwards(self, app_label: str, state: Any) -> None:
        """A policy is no part of a model."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if schema_editor.connection.vendor == "postgresql":
            for statement in self.statements(schema_editor.quote_value(EVERYONE)):
                schema_editor.execute(statement)


class SecureRows(PolicyOperation):
    """Let a table's rows be seen and written only by those who act for their owner.

    That includes the owner of the table, but neither superusers nor roles with BYPASSRLS, whom
    PostgreSQL lets see everything. With `tells_existence`, for tables whose keys are UUIDs that
    clients know, a function tells whether a key exists.
    """

    def __init__(self, table: str, *, tells_existence: bool = False) -> None:
        super().__init__(table)
        self.tells_existence = tells_existence

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

    def statements(self, everyone: str) -> list[str]:
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
                    before text := coalesce({ACTING_FOR}, '');
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


class RenewPolicy(PolicyOperation):
    """Give a table that `SecureRows` secured before the policy as it is written now."""

    def statements(self, everyone: str) -> list[str]:
        mine = _mine(everyone)
        return [f'ALTER POLICY owner ON "{self.table}" USING ({mine}) WITH CHECK ({mine})']

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
    return f"CASE {ACTING_FOR} WHEN user_id THEN 1 WHEN {everyone} THEN 1 END IS NOT NULL"
