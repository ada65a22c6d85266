"""What a person puts in an order of their own: new ones stand at the top."""

from datetime import datetime
from typing import Any, Self

from django.db import models
from django.db.models import Q

from tasks.resources.columns import PositionField
from tasks.resources.models import RecordedModel
from tasks.rules.position import NoRoom, between, n_between

MICROSECONDS = 1 << 56  # since 1970, until the year 4253
# How many neighbours on each side get new keys where there is no room between two; then all do.
WINDOWS = (8, 64, 512)
SHORT = 30  # characters of a key that leaves room for others


def top_position(moment: datetime) -> str:
    """The position of what is put at the top at this moment: before all that were put there earlier.

    A key of the kind that `tasks/rules/position.py` makes: an integer of fourteen digits below zero.
    """
    return f"M{MICROSECONDS - 1 - round(moment.timestamp() * 1_000_000):014x}"


class PositionedModel(RecordedModel):
    """One order for each person; among rows of one kind and, where they have parents, of one parent."""

    position = PositionField(max_length=100, default="", db_default="", editable=False)

    class Meta(RecordedModel.Meta):
        abstract = True
        indexes = [
            *RecordedModel.Meta.indexes,
            models.Index(fields=["user_id", "position", "id"], name="%(class)s_position"),
        ]

    def derive(self, before: Self | None) -> None:
        """Its place, where it has none."""
        if not self.position:
            self.position = top_position(self.created_at)

    def siblings(self) -> Any:
        """The others that this row is in one order with, unsorted."""
        everyones: Any = type(self)._default_manager
        return everyones.filter(user_id=self.user_id).exclude(pk=self.pk)

    def move_after(self, sibling: Self | None) -> None:
        """Put this row right after a sibling, or at the top, and save it.

        Others are given new positions, and saved, only where there is no room. Two rows that are moved
        to one place at once may get one position; then their ids say which comes first.
        """
        self._move(sibling, self._beyond(sibling).first())

    def move_before(self, sibling: Self | None) -> None:
        """The same right before a sibling, or at the bottom."""
        self._move(self._beyond(sibling, up=True).first(), sibling)

    def _beyond(self, row: Self | None, *, up: bool = False) -> Any:
        """The siblings after `row`, or above it, the nearest first; of no row, all of them."""
        siblings = self.siblings()
        if row is not None and up:
            near = Q(position__lt=row.position) | Q(pk__lt=row.pk)
            siblings = siblings.filter(near, position__lte=row.position)
        elif row is not None:
            near = Q(position__gt=row.position) | Q(pk__gt=row.pk)
            siblings = siblings.filter(near, position__gte=row.position)
        return siblings.order_by("-position", "-pk") if up else siblings.order_by("position", "pk")

    def _move(self, above: Self | None, below: Self | None) -> None:
        try:
            self.position = between(_key(above), _key(below))
        except NoRoom:
            self._make_room(above, below)
        self.save(update_fields=["position"])

    def _make_room(self, above: Self | None, below: Self | None) -> None:
        """Give this row and its neighbours new positions: as few as will do, so that few events tell it."""
        for size in (*WINDOWS, None):
            before = [] if above is None else list(self._beyond(below, up=True)[:size])
            after = [] if below is None else list(self._beyond(above)[:size])
            # The last ones stay: what is moved stays between them.
            low = before.pop() if len(before) == size else None
            high = after.pop() if len(after) == size else None
            rows = [*reversed(before), self, *after]
            try:
                keys = n_between(_key(low), _key(high), len(rows))
            except NoRoom:
                continue
            if size is None or max(map(len, keys)) <= SHORT:
                break
        for row, key in zip(rows, keys, strict=True):
            row.position = key
        everyones: Any = type(self)._default_manager
        everyones.bulk_update([row for row in rows if row is not self], ["position"])


def _key(row: PositionedModel | None) -> str | None:
    return None if row is None else row.position
