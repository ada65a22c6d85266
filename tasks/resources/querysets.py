"""Writing many rows of a recorded model: each of them is a change with an event of its own."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from operator import attrgetter
from typing import Any, NoReturn, TypeVar

from django.db import transaction

from accounts.owned.models import OwnedModel, OwnedQuerySet
from tasks.resources.limits import require_limits
from tasks.rules.moments import now

Recorded = TypeVar("Recorded", bound=OwnedModel, covariant=True)


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
            for row in rows:
                for name, value in values.items():
                    setattr(row, name, value)
                row.save(update_fields=values)
        return len(rows)

    def bulk_update(
        self, objs: Iterable[Any], fields: Iterable[str], batch_size: int | None = None
    ) -> int:
        """Save these fields of each row, as `save` does, in one transaction; the number of rows."""
        rows, names = list(objs), list(fields)
        with transaction.atomic(using=self.db):
            keys = [row.pk for row in rows]
            RecordedQuerySet(self.model, using=self.db).filter(pk__in=keys).locked()
            for row in sorted(rows, key=lambda row: (row.user_id, row.pk)):
                row.save(update_fields=names)
        return len(rows)

    def bulk_create(
        self, objs: Iterable[Any], batch_size: int | None = None, *conflicts: Any, **named: Any
    ) -> list[Any]:
        """Insert new rows by few statements, and record their events, each owner's in the order given.

        In that order they are listed by creation, too: no two share a moment, whatever the clock does.
        Raises `NotImplementedError` for conflicts: nobody could say which rows were written.
        """
        if any(conflicts) or any(named.values()):
            self._refuse("bulk_create() with conflicts")
        rows = list(objs)
        last: datetime | None = None
        for row in rows:
            row.require_owner()
            row.stamp(None)
            if last is not None and row.created_at <= last:
                row.created_at = row.updated_at = now(after=last)
            last = row.created_at
            require_limits(row)
            row.derive_as_saved(None, None)
        with transaction.atomic(using=self.db):
            super().bulk_create(rows, batch_size)
            everyones: Any = RecordedQuerySet(self.model, using=self.db)
            stored = everyones.in_bulk([row.pk for row in rows])
            for row in sorted(rows, key=attrgetter("user_id")):
                row.settle(stored[row.pk], None)
        return rows

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete one by one, with all locks taken in the order in which everybody takes them."""
        counts: Counter[str] = Counter()
        with transaction.atomic(using=self.db):
            for row in self.locked():
                counts.update(row.delete()[1])
        return counts.total(), dict(counts)

    # As Django marks its own: not for templates, nor for a manager, where it would delete all.
    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def update_unrecorded(self, **values: Any) -> int:
        """Set columns that are no part of what is shown: no version, no event, no signal.

        A concurrent compare-and-swap fails where a column is among the model's `compared`.
        """
        return super().update(**values)

    def locked(self) -> list[Recorded]:
        """The rows, locked in the order of their keys; sorted by owner, whose streams are locked next."""
        rows = self.select_for_update(of=("self",)).order_by("pk")
        return sorted(rows, key=attrgetter("user_id"))

    def _refuse(self, what: str) -> NoReturn:
        raise NotImplementedError(
            f"{what} would tell the owners of {self.model._meta.verbose_name_plural} nothing. "
            "Save them one by one."
        )
