"""The base of everything that is owned, versioned and recorded. Knows nothing of tasks.

A change is: the row as it is, locked; the row as it will be, with the columns that follow from
others (`derive`); what else follows from it (`follow_up`); its event. `fast` does the same in fewer
statements where nothing but the row itself changes.
"""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any, ClassVar, Self, cast

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import F
from django.db.models.signals import class_prepared, m2m_changed, post_delete
from django.dispatch import receiver

from accounts.owned.models import OwnedModel
from accounts.owned.row_security import existing
from tasks.events.record import Change, record_all
from tasks.resources.limits import fault, require_limits
from tasks.resources.querysets import RecordedQuerySet, let_go, touch
from tasks.resources.wire import shown
from tasks.rules.ids import uuid7
from tasks.rules.moments import now
from tasks.rules.text import is_blank

MAX_VERSION = 2**31 - 1  # after which, should it ever be, comes 1


class RecordedModel(OwnedModel):
    """Something of one person's whose every change has a version and an event.

    Each change makes `version` grow by one; REST makes the `ETag` of it. Events are named after the
    model, as in `task.updated`, and hold the row as its `wire_form` shows it.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    version = models.IntegerField(default=1, db_default=1, editable=False)
    created_at = models.DateTimeField("created", editable=False)
    updated_at = models.DateTimeField("updated", editable=False)

    objects: ClassVar[RecordedQuerySet[Self]] = RecordedQuerySet.as_manager()  # type: ignore[assignment]

    # What happened to the name of its event; what is not in here, nobody is told.
    event_names: ClassVar = {"created": "created", "updated": "updated", "deleted": "deleted"}
    # Columns besides `version` that a compare-and-swap finds as they were read, or it fails.
    compared: ClassVar[tuple[str, ...]] = ()
    # The order in which many of them are locked.
    lock_order: ClassVar[tuple[Any, ...]] = ("pk",)
    # Of a row that is brought back: the version that it had. It keeps its `created_at`.
    last_version: int | None = None
    # Of a row that is made with another one: the `created_at` of that.
    made_at: datetime | None = None

    class Meta(OwnedModel.Meta):
        abstract = True
        base_manager_name = "objects"  # so that what Django updates by itself is recorded, too
        indexes = [
            models.Index(
                F("user_id"), F("created_at").desc(), F("id").desc(), name="%(class)s_newest"
            )
        ]

    def derive(self, before: Self | None) -> None:
        """Set the columns that follow from others: pure and idempotent. `before` is the row as it was."""

    def follow_up(self, before: Self | None) -> bool:
        """Whether rows of other tables have to be changed with this one, by `write_follow_up`."""
        return False

    def write_follow_up(self, before: Self | None) -> None:
        """Change rows of other tables as part of this change, before its event is recorded."""

    def stamp(self, before: Self | None, after: datetime | None = None) -> None:
        """Set version and moments. `updated_at` grows with every change, whatever the clock does.

        `after` is the moment of the row that is written before this one: no two share one.
        """
        last = self.last_version if before is None else before.version
        self.version = 1 if last is None else last % MAX_VERSION + 1
        earlier = [after] if last is None else [after, (before or self).updated_at]
        self.updated_at = now(after=max(filter(None, earlier), default=None))
        if last is None:
            self.created_at = self.made_at or self.updated_at

    @classmethod
    def is_taken(cls, key: Any) -> bool:
        """Whether anybody has a row with this key."""
        return bool(cls.taken([key]))

    @classmethod
    def taken(cls, keys: Collection[Any]) -> set[Any]:
        """Those of these keys that anybody has a row with."""
        return existing(cls, keys)

    @classmethod
    def event_type(cls, what: str) -> str:
        """The type of the event for what happened ("created", "updated", "deleted"); "" for none."""
        name = cls.event_names.get(what)
        return f"{cls._meta.model_name}.{name}" if name else ""

    def change(self, what: str) -> Change | None:
        """What is put on record of something that happened to this row; `None` where nothing is."""
        if what not in self.event_names:
            return None
        if what == "deleted":
            return Change(self.event_type(what), datetime.now(UTC), {"id": str(self.pk)})
        return Change(self.event_type(what), self.updated_at, shown(self))

    def record_event(self, what: str) -> None:
        """Put on record what happened to this row, as part of a transaction."""
        record_all(self.user_id, [self.change(what)])

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        """Django's, for forms of the admin, and what columns can hold; blank is whatever shows nothing."""
        said: dict[str, Any] = {}
        try:
            super().clean_fields(exclude)
        except ValidationError as error:
            said = error.error_dict
        left_out = {*said, *(exclude or ())}
        for field in self._meta.concrete_fields:
            value = getattr(self, field.attname)
            if field.name in left_out or value is None:
                continue
            if not field.blank and isinstance(value, str) and is_blank(value):
                said[field.name] = [field.error_messages["blank"]]
            elif (sentence := fault(field, value)) is not None:
                said[field.name] = [sentence]
        if said:
            raise ValidationError(said)

    def clean(self) -> None:
        """Django's, for forms of the admin: refuse what `derive` would refuse when it is saved."""
        super().clean()
        rows: models.QuerySet[Any] = type(self)._base_manager.all()
        before = None if self._state.adding else rows.filter(pk=self.pk).first()
        _derived(self._as_saved(before, None), before)

    def save(self, *, relations: dict[str, Iterable[Any]] | None = None, **options: Any) -> None:
        """Save as Django does, signals and all, with a new version, and record the event.

        `relations` are many-to-many relations to be set by the same change; `options` are Django's.
        """
        given, using = options.pop("update_fields", None), options.get("using")
        names = None if given is None else set(given)
        if names is None and (deferred := self.get_deferred_fields()) and not self._state.adding:
            names = {field.attname for field in self._meta.concrete_fields} - deferred
            names.discard(self._meta.pk.attname)
        if names is not None and not names and not relations:
            return  # as Django has it
        self.require_owner()
        with transaction.atomic(using=using, savepoint=False):
            new = options.get("force_insert") or self._state.adding
            before = None if new else self._lock(using)
            self.stamp(before)
            self._change = before, names, relations or {}
            saved = None if names is None else {*names, "version", "updated_at"}
            super().save(**options, update_fields=saved)

    def _save_table(self, *arguments: Any, **of_parent: Any) -> bool:
        """What Django does between `pre_save` and `post_save`.

        What receivers of the one set is derived from; what those of the other save is the next change.
        """
        if of_parent or (change := self.__dict__.pop("_change", None)) is None:
            require_limits(self)
            return bool(super()._save_table(*arguments, **of_parent))  # type: ignore[misc]
        *others, using, saved = arguments
        before, names, relations = change
        require_limits(self, before, saved)
        derived = self.derive_as_saved(before, names)
        saved = None if saved is None else {*saved, *derived}
        updated = bool(super()._save_table(*others, using, saved))  # type: ignore[misc]
        row: Any = type(self)._base_manager.using(using).get(pk=self.pk)
        require_limits(row, before)  # of expressions
        row.set_relations(relations)
        self.settle(row, before)
        return updated

    def delete(
        self, using: str | None = None, keep_parents: bool = False
    ) -> tuple[int, dict[str, int]]:
        """Delete as Django does, and record the events of this row and of those that refer to it.

        Those that go with it are deleted, those that stay without it changed. Locks are taken in the
        order in which everybody takes them: this row, then what refers to it.
        """
        with transaction.atomic(using=using, savepoint=False):
            self._gone = self._lock(using) is None
            related = let_go(type(self), [self.pk], using)
            deleted = super().delete(using=using, keep_parents=keep_parents)
            touch(related, using)
            return deleted

    def _lock(self, using: str | None) -> Self | None:
        rows: models.QuerySet[Any] = type(self)._base_manager.using(using or self._state.db)
        return cast("Self | None", rows.select_for_update().filter(pk=self.pk).first())

    def _as_saved(self, before: Self | None, names: set[str] | None) -> Self:
        """The row as it will be, as far as that can be known: what is not saved stays as it was."""
        values = {}
        for field in self._meta.concrete_fields:
            given = self.__dict__.get(field.attname)
            left_out = names is not None and not names & {field.name, field.attname}
            if before is not None and field.attname not in ("version", "updated_at") and left_out:
                given = getattr(before, field.attname)
            elif hasattr(given, "resolve_expression"):
                given = field.get_default() if before is None else getattr(before, field.attname)
            values[field.attname] = field.to_python(given)
        return type(self)(**values)

    def derive_as_saved(self, before: Self | None, names: set[str] | None) -> list[str]:
        """Set the columns that follow from others, as far as that can be known; their names."""
        derived = _derived(self._as_saved(before, names), before)
        for name, value in derived.items():
            setattr(self, name, value)
        return list(derived)

    def set_relations(self, relations: dict[str, Iterable[Any]]) -> None:
        """Set many-to-many relations as part of a change that is recorded by itself."""
        self._settling = True
        try:
            for name, related in relations.items():
                manager = getattr(self, name)
                owned = issubclass(manager.through, OwnedModel)
                manager.set(related, through_defaults={"user_id": self.user_id} if owned else None)
        finally:
            del self._settling

    def settle(self, row: Any, before: Self | None) -> None:
        """After this was written, as `row`: what follows from it as it now is, and its event."""
        self.settle_unrecorded(row, before)
        row.record_event("created" if before is None else "updated")

    def settle_unrecorded(self, row: Any, before: Self | None) -> None:
        # Expressions have values now.
        if late := _derived(row, before):
            everyones: Any = RecordedQuerySet(type(row), using=row._state.db)
            everyones.filter(pk=row.pk).update_unrecorded(**late)
            for name, value in late.items():
                setattr(self, name, value)
        if row.follow_up(before):
            row.write_follow_up(before)


def _derived(row: Any, before: Any) -> dict[str, Any]:
    """The columns of `row` that `derive` changes, and their values."""
    was = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    row.derive(before)
    return {name: getattr(row, name) for name in was if getattr(row, name) != was[name]}


def event_types() -> list[str]:
    """The types of all events that there can be."""
    recorded = (model for model in apps.get_models() if issubclass(model, RecordedModel))
    return sorted(model.event_type(what) for model in recorded for what in model.event_names)


def _record_deletion(instance: RecordedModel, **kwargs: Any) -> None:
    if not getattr(instance, "_gone", False):  # by somebody else, who recorded it
        instance.record_event("deleted")


@receiver(m2m_changed)
def _record_relation(
    sender: Any, instance: Any, action: str, reverse: bool, model: Any, pk_set: Any, **kwargs: Any
) -> None:
    """A many-to-many relation that is changed by itself (`add`, `remove`, `clear`) is a change too."""
    changed = model if reverse else type(instance)
    if not issubclass(changed, RecordedModel):
        return
    if reverse and action == "pre_clear":
        raise NotImplementedError("clear() from this side would tell nobody: use remove().")
    nothing = pk_set is not None and not pk_set  # `add` of what is there already
    if action in ("post_add", "post_remove", "post_clear") and not nothing:
        if reverse:
            for row in changed._default_manager.filter(pk__in=pk_set or ()).order_by("pk"):
                row.save(update_fields=["version"])
        elif not hasattr(instance, "_settling"):  # else its own save records it
            instance.save(update_fields=["version"])


@receiver(class_prepared)
def _connect(sender: Any, **kwargs: Any) -> None:
    if (
        issubclass(sender, RecordedModel)
        and not sender._meta.abstract
        and "deleted" in sender.event_names
    ):
        post_delete.connect(_record_deletion, sender=sender)
