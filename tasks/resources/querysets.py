"""Writing many rows of a recorded model: each of them is a change with an event of its own."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from datetime import datetime
from operator import attrgetter
from typing import Any, NoReturn, TypeVar

from django.core.exceptions import ValidationError
from django.db import connections, models, transaction
from django.db.models.signals import post_save, pre_save
from psycopg.types.json import Jsonb

from accounts.owned.databases import on_postgresql
from accounts.owned.models import OwnedModel, OwnedQuerySet
from tasks.events.record import record_of_many, recorded_together
from tasks.resources.columns import adapted
from tasks.resources.limits import require_limits

Recorded = TypeVar("Recorded", bound=OwnedModel, covariant=True)


def source_of(fields: Sequence[Any], database: Any) -> str:
    """Rows that are given as JSON (`values_of`) as a query of PostgreSQL's, with columns c0, c1, …"""
    columns = ", ".join(
        f"(row ->> {place})::{field.db_type(database)} AS c{place}"
        for place, field in enumerate(fields)
    )
    # OFFSET: keys have to be plain columns, or row-level security has the whole table read.
    return f"SELECT {columns} FROM jsonb_array_elements(%s::jsonb) AS row OFFSET 0"  # noqa: S608


def values_of(fields: Sequence[Any], rows: Iterable[Any], database: Any) -> str:
    """These columns of rows as an array of arrays, each value as its field prepares what is stored."""
    values = [
        [adapted(field, getattr(row, field.attname), database) for field in fields] for row in rows
    ]
    return json.dumps(values, default=_as_json)


def _as_json(value: Any) -> Any:
    """The text that a column's type is cast from: JSON of what Django has wrapped for the driver."""
    return json.dumps(value.obj) if isinstance(value, Jsonb) else str(value)


def update_of(
    model: Any, fields: Sequence[Any], rows: Iterable[Any], database: Any
) -> tuple[str, str]:
    """One statement, whose cost grows with the rows: Django's compares each with all others. And its value."""
    table, key = model._meta.db_table, model._meta.pk
    columns = [key, *fields]
    assignments = ", ".join(
        f'"{field.column}" = given.c{place}' for place, field in enumerate(fields, start=1)
    )
    sql = (
        f'UPDATE "{table}" SET {assignments} FROM ({source_of(columns, database)}) AS given'  # noqa: S608  names of the model
        f' WHERE "{table}"."{key.column}" = given.c0'
    )
    return sql, values_of(columns, rows, database)


def links_of(
    model: Any, name: str, rows: Sequence[Any], keys: Mapping[Any, Sequence[Any]]
) -> list[Any]:
    """Rows between new rows and what they are to have at the other end of a many-to-many relation."""
    relation = model._meta.get_field(name)
    between = relation.remote_field.through
    own, other = (
        between._meta.get_field(end).attname
        for end in (relation.m2m_field_name(), relation.m2m_reverse_field_name())
    )
    owned = issubclass(between, OwnedModel)
    return [
        between(**{own: row.pk, other: key}, **({"user_id": row.user_id} if owned else {}))
        for row in rows
        for key in keys.get(row.pk, ())
    ]


Keys = dict[type[models.Model], set[Any]]


def let_go(model: Any, keys: Collection[Any], using: str | None) -> Keys:
    """Lock what refers to rows that are to be deleted; what has them in a many-to-many relation.

    So for rows that go with them, too.
    """
    related: Keys = {}
    for relation in model._meta.get_fields(include_hidden=True) if keys else ():
        if not (isinstance(relation, models.ForeignObjectRel) and relation.field.concrete):
            continue
        other: Any = relation.related_model
        name = relation.field.name
        if not isinstance(other._base_manager.all(), RecordedQuerySet):
            continue
        everyones: Any = RecordedQuerySet(other, using=using)
        found = {row.pk for row in everyones.filter(**{f"{name}__in": keys}).locked()}
        if relation.many_to_many:
            related.setdefault(other, set()).update(found)
        elif getattr(relation, "on_delete", None) is models.CASCADE:
            for each, more in let_go(other, found, using).items():
                related.setdefault(each, set()).update(more)
    return related


def touch(related: Keys, using: str | None) -> None:
    """Record a change of each of these rows that there are, of what is shown with its columns."""
    for model, keys in related.items():
        everyones: Any = RecordedQuerySet(model, using=using)
        rows = everyones.filter(pk__in=keys).locked()
        everyones.write(rows, {row.pk: copy(row) for row in rows}, ())


class RecordedQuerySet(OwnedQuerySet[Recorded]):
    """Rows of a recorded model: writing many of them records each one's event."""

    def update(self, **values: Any) -> int:
        """Change each row as `save` would, in one transaction; the number of rows.

        Rows are locked in the order of their keys and written in that of their owners, as by everybody:
        no two writers wait for each other in a circle. Raises `NotImplementedError` for expressions.
        """
        if any(hasattr(value, "resolve_expression") for value in values.values()):
            self._refuse("update() with an expression")
        with transaction.atomic(using=self.db):
            rows = self.locked()
            before = {row.pk: copy(row) for row in rows}
            for row in rows:
                for name, value in values.items():
                    setattr(row, name, value)
            self.write(rows, before, list(values))
        return len(rows)

    def bulk_update(
        self, objs: Iterable[Any], fields: Iterable[str], batch_size: int | None = None
    ) -> int:
        """Save these fields of each row, as `save` does, in one transaction; the number of rows."""
        rows, names = list(objs), list(fields)
        everyones: Any = RecordedQuerySet(self.model, using=self.db)
        with transaction.atomic(using=self.db):
            stored = everyones.filter(pk__in=[row.pk for row in rows]).locked()
            before = {row.pk: row for row in stored}
            rows = [row for row in rows if row.pk in before]
            self.write(sorted(rows, key=attrgetter("user_id")), before, names, batch_size)
        return len(rows)

    def write(
        self,
        rows: Sequence[Any],
        before: Mapping[Any, Any],
        names: Collection[str],
        batch_size: int | None = None,
    ) -> None:
        """Write columns of rows that are locked, by few statements, and record each row's event.

        `rows` are sorted by owner; `before` is what they were, by key. Where somebody listens to
        signals, and where a column is to be what an expression says, each row is saved by itself.
        """
        listening = pre_save.has_listeners(self.model) or post_save.has_listeners(self.model)
        given = (row.__dict__.get(name) for row in rows for name in names)
        if listening or any(hasattr(value, "resolve_expression") for value in given):
            for row in rows:
                row.save(using=self.db, update_fields=names)
            return
        if not rows:
            return
        as_saved = []
        columns = {"version", "updated_at", *names}
        for row in rows:
            was = before[row.pk]
            row.stamp(was)
            require_limits(row, was, names)
            derived = row.derive_as_saved(was, {*names})
            columns.update(derived)
            as_saved.append(row._as_saved(was, {*names, *derived}))
        self.write_unrecorded(as_saved, sorted(columns), batch_size)
        stored = self._stored(rows)
        self._settle((row, stored[row.pk], before[row.pk]) for row in rows)

    def _stored(self, rows: Iterable[Any]) -> dict[Any, Any]:
        """These rows as they are now, with what is shown with them, by key."""
        everyones: Any = RecordedQuerySet(self.model, using=self.db)
        many = [field.name for field in self.model._meta.many_to_many]
        return dict(everyones.prefetch_related(*many).in_bulk([row.pk for row in rows]))

    def _settle(self, rows: Iterable[tuple[Any, Any, Any]]) -> None:
        """What follows from rows that were written, and their events: each row, as stored, as it was."""
        changes: dict[str, list[Any]] = defaultdict(list)
        for row, stored, before in rows:
            row.settle_unrecorded(stored, before)
            what = "created" if before is None else "updated"
            changes[stored.user_id].append(stored.change(what))
        record_of_many(changes)

    def bulk_create(
        self,
        objs: Iterable[Any],
        batch_size: int | None = None,
        *conflicts: Any,
        relations: Mapping[str, Mapping[Any, Sequence[Any]]] | None = None,
        **named: Any,
    ) -> list[Any]:
        """Insert new rows by few statements, and record their events, each owner's in the order given.

        In that order they are listed by creation, too: no two share a moment, whatever the clock does,
        but for rows that are brought back (`last_version`). `relations` are many-to-many relations by
        their names: the keys of what each row is to have, by its own key. A `ValidationError` says which
        `row` it is about. Raises `NotImplementedError` for conflicts: nobody could say which rows were written.
        """
        if any(conflicts) or any(named.values()):
            self._refuse("bulk_create() with conflicts")
        rows = list(objs)
        last: datetime | None = None
        for row in rows:
            row.require_owner()
            row.stamp(None, after=last)
            last = row.updated_at
            try:
                require_limits(row)
                row.derive_as_saved(None, None)
            except ValidationError as error:
                error.row = row  # type: ignore[attr-defined]
                raise
        with transaction.atomic(using=self.db):
            super().bulk_create(rows, batch_size)
            for name, keys in (relations or {}).items():
                links = links_of(self.model, name, rows, keys)
                if links:
                    type(links[0])._base_manager.bulk_create(links)
            stored = self._stored(rows)
            by_owner = sorted(rows, key=attrgetter("user_id"))
            self._settle((row, stored[row.pk], None) for row in by_owner)
        return rows

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete as Django does, by few statements, and record the events of these rows and of others.

        Those that go with them are deleted, those that stay without them changed (`RecordedModel.delete`).
        """
        with transaction.atomic(using=self.db), recorded_together():
            keys = [row.pk for row in self.locked()]
            related = let_go(self.model, keys, self.db)
            everyones: Any = RecordedQuerySet(self.model, using=self.db)
            deleted = models.QuerySet.delete(everyones.filter(pk__in=keys))
            touch(related, self.db)
        return deleted

    # As Django marks its own: not for templates, nor for a manager, where it would delete all.
    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def update_unrecorded(self, **values: Any) -> int:
        """Set columns that are no part of what is shown: no version, no event, no signal.

        A concurrent compare-and-swap fails where a column is among the model's `compared`.
        """
        return super().update(**values)

    def write_unrecorded(
        self, rows: Sequence[Any], names: Collection[str], batch_size: int | None = None
    ) -> None:
        """The same for rows that each have a value of their own, by one statement."""
        if not rows:
            return
        fields = [self.model._meta.get_field(name) for name in names]
        if on_postgresql():
            with connections[self.db].cursor() as cursor:
                sql, values = update_of(self.model, fields, rows, connections[self.db])
                cursor.execute(sql, [values])
        else:
            django: Any = models.QuerySet(self.model, using=self.db)
            django.bulk_update(rows, [field.name for field in fields], batch_size)

    def locked(self) -> list[Recorded]:
        """The rows, locked in the model's order; sorted by owner, whose streams are locked next."""
        model: Any = self.model
        rows = self.select_for_update(of=("self",)).order_by(*model.lock_order)
        return sorted(rows, key=attrgetter("user_id"))

    def _refuse(self, what: str) -> NoReturn:
        raise NotImplementedError(
            f"{what} would tell the owners of {self.model._meta.verbose_name_plural} nothing. "
            "Save them one by one."
        )
