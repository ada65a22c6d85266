"""Operations of migrations: indexes that lock nobody out, and how policies came to tables before
`OwnerPolicy` was a constraint.
"""

from typing import Any

from django.db.migrations.operations import AddConstraint, AddIndex
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


class AddIndexConcurrently(AddIndex):
    """An index that is built while the table is in use. Begun again, it begins anew."""

    def database_forwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        model = states[1].apps.get_model(app_label, self.model_name)
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f'DROP INDEX CONCURRENTLY IF EXISTS "{self.index.name}"')
            schema_editor.add_index(model, self.index, concurrently=True)
        else:
            schema_editor.add_index(model, self.index)


class AddConstraintNotValid(AddConstraint):
    """A condition that holds for new rows from now on, and is then proved for those that there are."""

    def database_forwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        model = states[1].apps.get_model(app_label, self.model_name)
        if schema_editor.connection.vendor != "postgresql":
            schema_editor.add_constraint(model, self.constraint)
            return
        table, name = model._meta.db_table, self.constraint.name
        schema_editor.execute(f'ALTER TABLE "{table}" DROP CONSTRAINT IF EXISTS "{name}"')
        sql = str(self.constraint.create_sql(model, schema_editor))
        schema_editor.execute(f"{sql} NOT VALID", params=None)
        schema_editor.execute(f'ALTER TABLE "{table}" VALIDATE CONSTRAINT "{name}"')


class AddUniqueConcurrently(AddConstraint):
    """The same for a unique constraint with a condition, which is an index."""

    def database_forwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        model = states[1].apps.get_model(app_label, self.model_name)
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f'DROP INDEX CONCURRENTLY IF EXISTS "{self.constraint.name}"')
            sql = str(self.constraint.create_sql(model, schema_editor))
            schema_editor.execute(sql.replace(" INDEX ", " INDEX CONCURRENTLY ", 1), params=None)
        else:
            schema_editor.add_constraint(model, self.constraint)
