"""PostgreSQL's row-level security for the tables of owned models."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db import models
from django.db.models.constraints import BaseConstraint

from accounts.owned.acting import EVERYONE, SETTING
from accounts.owned.databases import fetch_again, on_postgresql

ACTING_FOR = f"current_setting('{SETTING}', true)"


class OwnerPolicy(BaseConstraint):
    """A table whose rows are seen and written only by those who act for their owner.

    A constraint, so that `makemigrations` writes it; it does nothing on other databases. It holds for
    the owner of the table as well, but neither for superusers nor for roles with BYPASSRLS. For
    tables whose keys are UUIDs that clients know, a function tells whether a key exists.
    """

    def create_sql(self, model: type[models.Model] | None, schema_editor: Any) -> Any:
        if model is None or schema_editor.connection.vendor != "postgresql":
            return None
        has_uuid = isinstance(model._meta.pk, models.UUIDField)
        return policy_sql(model._meta.db_table, schema_editor, tells_existence=has_uuid)

    def constraint_sql(self, model: type[models.Model] | None, schema_editor: Any) -> Any:
        """Nothing within CREATE TABLE; what is needed is executed after it."""
        if (sql := self.create_sql(model, schema_editor)) is not None:
            schema_editor.deferred_sql.append(sql)

    def remove_sql(self, model: type[models.Model] | None, schema_editor: Any) -> Any:
        if model is None or schema_editor.connection.vendor != "postgresql":
            return None
        return no_policy_sql(model._meta.db_table)

    def validate(self, *args: Any, **kwargs: Any) -> None:
        """Whom a row belongs to is no question of its fields."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OwnerPolicy) and self.name == other.name


def exists(model: type[models.Model], pk: Any) -> bool:
    """Whether anybody owns a row with this key, and nothing else of it."""
    if on_postgresql():  # where the policy hides the row
        return bool(fetch_again(f'SELECT "{model._meta.db_table}_exists"(%s)', [pk])[0][0])
    return model._base_manager.filter(pk=pk).exists()


def existing(model: type[models.Model], keys: Collection[UUID]) -> set[UUID]:
    """Those of many keys that anybody owns a row with, and nothing else of them."""
    if not keys:
        return set()
    if on_postgresql():
        table = model._meta.db_table
        given = "unnest(string_to_array(%s, ',')::uuid[]) AS given (key)"
        sql = f'SELECT key::text FROM {given} WHERE "{table}_exists"(key)'  # noqa: S608
        return {UUID(key) for (key,) in fetch_again(sql, [",".join(map(str, keys))])}
    return {*model._base_manager.filter(pk__in=keys).values_list("pk", flat=True)}


def policy_sql(table: str, schema_editor: Any, *, tells_existence: bool) -> str:
    everyone = schema_editor.quote_value(EVERYONE)
    # Written so that the planner expects nearly all rows to pass. Of `user_id = … OR …` it would
    # expect next to none, and sort all of an owner's rows rather than read a page from its index.
    # SELECT: the setting is read once for all rows, when the first of them is looked at.
    mine = f"CASE (SELECT {ACTING_FOR}) WHEN user_id THEN 1 WHEN {everyone} THEN 1 END IS NOT NULL"
    policy = f"""
        DROP POLICY IF EXISTS owner ON "{table}";
        CREATE POLICY owner ON "{table}" USING ({mine}) WITH CHECK ({mine});
        ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY;
        ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY;
    """
    # docs/api.md section 3: another's id is 403 and an unknown one 404, so whether a row exists has
    # to be told, and nothing else of it.
    existence = f"""
        CREATE OR REPLACE FUNCTION "{table}_exists"(wanted uuid) RETURNS boolean
        LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
        DECLARE
            before text := coalesce({ACTING_FOR}, '');
            found_one boolean;
        BEGIN
            PERFORM set_config('{SETTING}', {everyone}, true);
            found_one := EXISTS (SELECT 1 FROM "{table}" WHERE id = wanted);
            PERFORM set_config('{SETTING}', before, true);
            RETURN found_one;
        END $$
    """  # noqa: S608  the name of a table
    return policy + existence if tells_existence else policy


def no_policy_sql(table: str) -> str:
    return f"""
        DROP FUNCTION IF EXISTS "{table}_exists"(uuid);
        ALTER TABLE "{table}" NO FORCE ROW LEVEL SECURITY;
        ALTER TABLE "{table}" DISABLE ROW LEVEL SECURITY;
        DROP POLICY owner ON "{table}"
    """
