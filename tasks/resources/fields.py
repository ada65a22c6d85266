"""Fields of serializers that take JSON's own types, and nothing that merely reads like one."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError as ModelValidationError
from django.db import IntegrityError, connection, models, transaction
from rest_framework import serializers, status
from rest_framework.exceptions import APIException

from accounts.owned.models import OwnedModel
from accounts.owned.viewsets import UUID_TEXT
from tasks.resources.columns import PositionField
from tasks.resources.limits import INTEGER_RANGES
from tasks.rules.moments import as_text
from tasks.rules.text import is_blank

# ISO 8601 as RFC 3339 narrows it down, with seconds and offset optional. Python alone would also take
# a bare date, week dates and basic format, and Django an offset of 90 minutes. `/schema` shows it.
TIMESTAMP = (
    r"^(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt ]([01][0-9]|2[0-3]):[0-5][0-9]"
    r"(:[0-5][0-9](\.[0-9]+)?)?([Zz]|[+-]([01][0-9]|2[0-3]):?[0-5][0-9])?$"
)
# The variant of RFC 9562, too.
NEW_KEY = r"[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_is_timestamp = re.compile(TIMESTAMP).fullmatch


class TimestampField(serializers.DateTimeField):
    """A moment: UTC where no offset is given, never a bare date."""

    def to_internal_value(self, value: Any) -> Any:
        if not isinstance(value, str) or not _is_timestamp(value):
            self.fail("invalid", format="YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]")
        return super().to_internal_value(value.upper())

    def to_representation(self, value: datetime | None) -> str | None:  # type: ignore[override]
        return None if value is None else as_text(value)


def numbers(*names: str) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
    """Fields for numbers of things, one for each name: a field under two names counts as the last."""
    return {name: serializers.IntegerField(min_value=0) for name in names}


class DayField(serializers.DateField):
    """A day of the calendar, as YYYY-MM-DD and in no other of ISO 8601's ways."""

    def to_internal_value(self, value: Any) -> Any:
        if not isinstance(value, str) or not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            self.fail("invalid", format="YYYY-MM-DD")
        return super().to_internal_value(value)


class TextField(serializers.CharField):
    """Text, and not a number that could be written as text. Blank is whatever shows nothing."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if isinstance(data, str) and not self.allow_blank and is_blank(data):
            self.fail("blank")
        return super().run_validation(data)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class FlagField(serializers.BooleanField):
    """`true` or `false`, and none of the words and numbers that might stand for them."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class WholeNumberField(serializers.IntegerField):
    """A number, and not the text of one."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        return super().to_internal_value(data)


class OwnedKeyField(serializers.PrimaryKeyRelatedField[Any]):
    """The id of something else that the caller owns, or, with `many`, a list of such ids.

    Another's id and an unknown one are refused in the same words (docs/api.md section 3).
    """

    default_error_messages = {
        "does_not_exist": "There is no such id among your own.",
        "incorrect_type": "Not an id.",
    }

    def __init__(self, model: type[OwnedModel] | None = None, **kwargs: Any) -> None:
        if model is not None and not kwargs.get("read_only"):
            kwargs.setdefault("queryset", model._default_manager.all())
        super().__init__(**kwargs)

    def get_queryset(self) -> Any:
        """Locked while the transaction lasts that is to refer to them: they cannot go meanwhile."""
        everyones: Any = super().get_queryset()
        rows = everyones.owned_by(self.context["request"].user)
        return rows.select_for_update(no_key=True) if connection.in_atomic_block else rows

    def run_validation(self, data: Any = serializers.empty) -> Any:
        # REST framework takes "" for null, as HTML forms have no other.
        return self.fail("does_not_exist") if data == "" else super().run_validation(data)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("incorrect_type", data_type=type(data).__name__)
        try:
            return super().to_internal_value(data)
        except (ValueError, OverflowError, ModelValidationError):  # not of a key's type
            self.fail("does_not_exist")

    def to_representation(self, value: Any) -> Any:
        return None if value.pk is None else str(value.pk)


class OwnedKeysField(serializers.ListField):
    """Ids of what the caller owns at the other end of a many-to-many relation, once each, sorted."""

    default_error_messages = OwnedKeyField.default_error_messages

    def __init__(self, model: type[OwnedModel], **kwargs: Any) -> None:
        self.model = model
        super().__init__(**{"child": serializers.UUIDField(), "default": list, **kwargs})

    def to_internal_value(self, data: Any) -> list[UUID]:
        if not isinstance(data, list):
            self.fail("not_a_list", input_type=type(data).__name__)
        if not all(isinstance(each, str) for each in data):
            self.fail("incorrect_type")
        ids = {each.lower() for each in data}
        if not all(map(UUID_TEXT.fullmatch, ids)):
            self.fail("does_not_exist")
        keys = sorted(map(UUID, ids))
        if self.max_length is not None and len(keys) > self.max_length:
            self.fail("max_length", max_length=self.max_length)
        if keys and len(self._own(keys)) != len(keys):
            self.fail("does_not_exist")
        return keys

    def _own(self, keys: list[UUID]) -> Any:
        everyones: Any = self.model._default_manager.all()
        rows = everyones.owned_by(self.context["request"].user).filter(pk__in=keys).order_by("pk")
        rows = rows.values_list("pk", flat=True)
        return rows.select_for_update(no_key=True) if connection.in_atomic_block else rows

    def to_representation(self, value: Any) -> list[str]:
        return sorted(str(each.pk) for each in value.all())


class NewKeyField(serializers.UUIDField):
    """The id of something new, where the client makes one by itself: version 4 or 7, in lower case.

    Read-only from then on: in a body that changes something it is ignored.
    """

    default_error_messages = {"version": "Expected a UUID of version 4 or 7, in lower case."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": False, **kwargs})

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if data is None or getattr(self.root, "instance", None) is not None:
            raise serializers.SkipField
        return super().run_validation(data)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str) or not re.fullmatch(NEW_KEY, data, re.ASCII):
            self.fail("version")
        return UUID(data)


class IdTaken(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_detail = "There is something with this id already."
    default_code = "id_taken"


@contextmanager
def unless_taken(model: Any, key: UUID) -> Iterator[None]:
    """Raise `IdTaken` where there is a row with this key, or another one comes first."""
    if model.is_taken(key):
        raise IdTaken
    try:
        yield
    except IntegrityError:
        if model.is_taken(key):
            raise IdTaken from None
        raise


def pure(method: Any) -> Any:
    """Mark the `validate` of a serializer that looks at nothing but the body."""
    method.pure = True
    return method


class RecordedSerializer(serializers.ModelSerializer[Any]):
    """REST framework's `ModelSerializer`, with the fields above for the columns of a model.

    A body that replaces everything (PUT) sets what it leaves out to the model's default, as
    docs/api.md section 4 has it; REST framework's own would leave that as it was.
    """

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.CharField: TextField,
        models.TextField: TextField,
        models.BooleanField: FlagField,
        models.IntegerField: WholeNumberField,
        models.DateField: DayField,
        models.DateTimeField: TimestampField,
        PositionField: TextField,
    }
    serializer_related_field = OwnedKeyField
    default_error_messages = {"invalid": "Expected a JSON object."}

    def build_standard_field(self, field_name: str, model_field: Any) -> tuple[Any, Any]:
        field_class, kwargs = super().build_standard_field(field_name, model_field)
        if not kwargs.get("read_only") and "required" in kwargs:
            del kwargs["required"]
            kwargs["default"] = model_field.get_default()
        if isinstance(model_field, models.IntegerField):
            low, high = INTEGER_RANGES[model_field.get_internal_type()]
            kwargs["min_value"] = max(low, kwargs.get("min_value", low))
            kwargs["max_value"] = min(high, kwargs.get("max_value", high))
        return field_class, kwargs

    def build_relational_field(self, field_name: str, relation_info: Any) -> tuple[Any, Any]:
        """Many-to-many relations can be written where the table between holds no more than whose it is."""
        field = relation_info.model_field
        if relation_info.has_through_model and field is not None and _is_all_keys(field):
            relation_info = relation_info._replace(has_through_model=False)
        field_class, kwargs = super().build_relational_field(field_name, relation_info)
        if field is not None and not kwargs.get("read_only") and "required" in kwargs:
            del kwargs["required"]
            kwargs["default"] = list if relation_info.to_many else None
        return field_class, kwargs

    def build_property_field(self, field_name: str, model_class: Any) -> tuple[Any, Any]:
        """The column of a foreign key (`task_id`) is shown as what it refers to is."""
        for field in model_class._meta.concrete_fields:
            if field.is_relation and field.attname == field_name:
                shown_as, _ = self.build_standard_field(field_name, field.target_field)
                return shown_as, {"read_only": True}
        return super().build_property_field(field_name, model_class)

    def create(self, validated_data: Any) -> Any:
        """Raises `IdTaken` (409) where the client made an id that there is already, whosever it is."""
        meta: Any = self.Meta
        if "id" not in validated_data:
            return self._written(meta.model(), validated_data)
        with unless_taken(meta.model, validated_data["id"]), transaction.atomic():
            return self._written(meta.model(), validated_data)

    def update(self, instance: Any, validated_data: Any) -> Any:
        return self._written(instance, validated_data)

    def _written(self, instance: Any, validated_data: Any) -> Any:
        """One change, and so one event, with the many-to-many relations in it."""
        serializers.raise_errors_on_nested_writes("update", self, validated_data)
        many = {field.name for field in instance._meta.many_to_many}
        for name, value in validated_data.items():
            if name not in many:
                setattr(instance, name, value)
        instance.save(relations={name: validated_data[name] for name in many & {*validated_data}})
        return instance


def _is_all_keys(field: Any) -> bool:
    """Whether the table of a many-to-many relation holds two rows, their owner, and nothing else."""
    through = field.remote_field.through
    return issubclass(through, OwnedModel) and all(
        column.primary_key or column.is_relation or column.name == "user_id"
        for column in through._meta.concrete_fields
    )
