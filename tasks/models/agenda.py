"""What is overdue, due today or later: one meaning, for lists and for counts (docs/api.md section 4)."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple, Self

from django.apps import apps
from django.db.models import Count, Q
from django.utils import timezone

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
        said = Preferences.objects.filter(user_id=user_id).first() or Preferences()
        now, zone = timezone.now(), said.wishes().time_zone
        return cls(now, end_of_day(today(zone, now), zone))


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

    def in_sight(self) -> Self:
        """Without those of archived projects."""
        return self.filter(_in_sight())

    def due(self, which: str, day: Day) -> Self:
        """Those that are open and, on this day, one of `DUE`."""
        return self.in_sight().filter(DUE[which](day), completed=False)


def _in_sight(prefix: str = "") -> Q:
    of_none, archived = f"{prefix}project__isnull", f"{prefix}project__archived"
    return Q(**{of_none: True}) | Q(**{archived: False})


def counts(user: object, day: Day) -> dict[str, Any]:
    """How many tasks this person has of each of `DUE`, and open ones of each project and label that has any.

    Of projects that are not archived.
    """
    tasks: Any = apps.get_model("tasks", "Task").objects
    is_open = Q(completed=False)
    each = {f"n_{name}": Count("pk", filter=is_open & DUE[name](day)) for name in DUE}
    each |= {"n_open": Count("pk", filter=is_open), "n_completed": Count("pk", filter=~is_open)}
    by_project = tasks.owned_by(user).in_sight().order_by().values("project_id").annotate(**each)
    labelled: Any = tasks.model.labels.through.objects
    labelled = labelled.owned_by(user).filter(_in_sight("task__"), task__completed=False)
    by_label = labelled.order_by().values_list("label_id").annotate(n=Count("*"))
    found = list(by_project)
    total = {name: sum(row[name] for row in found) for name in each}
    return {
        "open": total["n_open"],
        "completed": total["n_completed"],
        "overdue": total["n_overdue"],
        "today": total["n_today"],
        "upcoming": total["n_upcoming"],
        "no_date": total["n_none"],
        "by_project": {
            str(row["project_id"]): row["n_open"]
            for row in found
            if row["project_id"] and row["n_open"]
        },
        "by_label": {str(label): count for label, count in by_label},
    }
