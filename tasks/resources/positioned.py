"""What a person puts in an order of their own: new ones stand at the top."""

from datetime import datetime
from typing import Self

from django.db import models

from tasks.resources.columns import PositionField
from tasks.resources.models import RecordedModel

MICROSECONDS = 1 << 56  # since 1970, until the year 4253


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
