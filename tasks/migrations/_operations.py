"""How policies came to the tables before `OwnerPolicy` was a constraint: for the migrations of that time."""

from typing import Any

from django.db.migrations.operations.base import Operation

from accounts.owned.row_security import no_policy_sql, policy_sql


class SecureRows(Operation):
    """What `OwnerPolicy` does, in migrations that were written before it was a constraint."""

    def __init__(self, table: str, *, tells_existence: bool = False) -> None:
        self.table = table
        self.tells_existence = tells_existence

    def state_forwards(self, app_label: str, state: Any) -> None:
        """A policy was no part of a model."""

    def database_forwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        if schema_editor.connection.vendor == "postgresql":
            sql = policy_sql(self.table, schema_editor, tells_existence=self.tells_existence)
            schema_editor.execute(sql, params=None)

    def database_backwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(no_policy_sql(self.table), params=None)


class RenewPolicy(SecureRows):
    """The policy of a table as it is written now, where it was written otherwise before."""

    def database_backwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        """It means the same as before."""


class SecuredBefore(SecureRows):
    """Where migrations go back past the constraint: what `SecureRows` did stands again."""

    def database_forwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        """It stands already."""

    def database_backwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        super().database_forwards(app_label, schema_editor, *states)
