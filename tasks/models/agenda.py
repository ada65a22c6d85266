"""What is overdue, due today or later: one meaning, for lists and for counts (docs/api.md section 4)."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple, Self

from django.db.models import Q
from django.utils import timezone

from tasks.models.lists import Project
from tasks.models.preferences import Preferences
from tasks.resources.querysets import Recorded, RecordedQuerySet
from tasks.rules.days import end_of_day, today


class Day(NamedTuple):
    """A moment, and the end of the day that it is of on somebody's calendar."""

    now: datetime
    ends: datetime

    @classmethod
    def of(cls, user_id: str) -> Self:
        """Now, in this person's time zone."""
        return cls.at(timezone.now(), Preferences.read(user_id).zone)

    @classmethod
    def at(cls, moment: datetime, zone: str) -> Self:
        return cls(moment, end_of_day(today(zone, moment), zone))


# Each task is in one of these, by when it is due. Days end when the next begin: what is due at that very
# moment is of the next, unless it is due on a day.
DUE: dict[str, Callable[[Day], Q]] = {
    "overdue": lambda day: Q(due_at__lte=day.now),
    "today": lambda day: (
        Q(due_at__gt=day.now, due_at__lte=day.ends)
        & (Q(due_at__lt=day.ends) | Q(due_on__isnull=False))
    ),
    "upcoming": lambda day: (
        Q(due_at__gt=day.now, due_at__gte=day.ends)
        & (Q(due_at__gt=day.ends) | Q(due_on__isnull=True))
    ),
    "none": lambda day: Q(due_at__isnull=True),
}


class AgendaQuerySet(RecordedQuerySet[Recorded]):
    """Tasks by when they are due, those of archived projects apart."""

    def in_sight(self, user: object) -> Self:
        """Without those of this person's archived projects."""
        archived = Project.objects.owned_by(user).filter(archived=True).order_by()
        return self.exclude(project__in=archived)

    def due(self, which: str, user: object, day: Day) -> Self:
        """Those of this person's that are open and, on this day, one of `DUE`."""
        return self.in_sight(user).filter(DUE[which](day), completed=False)
