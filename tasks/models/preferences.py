"""What a person wants of days and reminders (docs/api.md section 7)."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar, Self, cast

from django.apps import apps
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import connection, models

from tasks.resources.models import RecordedModel
from tasks.rules.days import is_zone
from tasks.rules.reminders import MAX_REMIND_BEFORE, Wishes

OF_MOMENTS = ("time_zone", "remind_at", "remind_before")  # what reminders depend on


def require_zone(name: str) -> None:
    """Raise `ValidationError` where no IANA time zone has this name."""
    if not is_zone(name):
        raise ValidationError("There is no such time zone.")


class Preferences(RecordedModel):
    """One row for each person who has changed any; for all others these defaults hold."""

    time_zone = models.CharField(max_length=64, default="UTC", validators=[require_zone])
    remind_at = models.CharField(
        max_length=5,
        default="09:00",
        validators=[RegexValidator(r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z", "Expected HH:MM.")],
    )
    remind_before = models.IntegerField(  # minutes
        null=True,
        default=30,
        validators=[MinValueValidator(0), MaxValueValidator(MAX_REMIND_BEFORE)],
    )
    push = models.BooleanField(default=True)

    event_names: ClassVar = {"updated": "updated"}

    class Meta(RecordedModel.Meta):
        verbose_name_plural = "preferences"
        indexes: ClassVar[list[models.Index]] = []
        constraints = [
            *RecordedModel.Meta.constraints,
            models.UniqueConstraint(fields=["user_id"], name="preferences_one_of_a_person"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.time_zone}"

    @property
    def zone(self) -> str:
        """The time zone to reckon in: UTC where the data of this server have no such zone."""
        return self.time_zone if is_zone(self.time_zone) else "UTC"

    @classmethod
    def read(cls, user_id: str) -> Self:
        """Somebody's preferences as they are now: stored, or the defaults. Neither locked nor stored."""
        rows: Any = cls.objects.filter(user_id=user_id)
        return rows.first() or cls(user_id=user_id)

    @classmethod
    def of(cls, user_id: str) -> Self:
        """As `read` does, for what follows from them: inside a transaction they stay so until its end."""
        if (held := _held.get()) is not None and held.user_id == user_id:
            return cast("Self", held)
        if not connection.in_atomic_block:
            return cls.read(user_id)
        rows: Any = cls.objects.filter(user_id=user_id)
        rows.get_or_create(defaults={"user_id": user_id})
        return cast("Self", rows.select_for_update(no_key=True).get())

    @classmethod
    @contextmanager
    def held(cls, user_id: str) -> Iterator[None]:
        """In a part of a transaction, ask for them once: nobody changes them until its end."""
        token = _held.set(cls.of(user_id))
        try:
            yield
        finally:
            _held.reset(token)

    @classmethod
    def to_change(cls, user_id: str) -> Self:
        """The same, to be changed in this transaction.

        Locks are taken in the order of everybody: tasks, as whoever gives one a day has locked it
        before it asks in which zone, and then preferences.
        """
        dated = _tasks_of(user_id).filter(due_at__isnull=False)
        dated = dated.order_by(*dated.model.lock_order).select_for_update(no_key=True)
        list(dated.values_list("pk"))
        return cls.of(user_id)

    def wishes(self) -> Wishes:
        """What `send_reminders` goes by."""
        return Wishes(self.zone, self.remind_at, self.remind_before)

    def follow_up(self, before: Self | None) -> bool:
        was = before or type(self)()
        return any(getattr(self, name) != getattr(was, name) for name in OF_MOMENTS)

    def write_follow_up(self, before: Self | None) -> None:
        """Days end at other moments, and reminders are due at others."""
        theirs = _tasks_of(self.user_id)
        if before is None or self.time_zone != before.time_zone:
            theirs.settle_days(self.zone)
        theirs.arm_again()


_held: ContextVar[Preferences | None] = ContextVar("held", default=None)


def _tasks_of(user_id: str) -> Any:
    tasks: Any = apps.get_model("tasks", "Task").objects
    return tasks.filter(user_id=user_id)
