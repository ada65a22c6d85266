"""What a document that is imported may hold: REST's own forms, and what is kept besides (docs/api.md section 8)."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from tasks.api.serializers import MAX_LABELS, LabelSerializer, ProjectSerializer, TaskSerializer
from tasks.own.export import FORMAT, VERSION
from tasks.resources.fields import TextField, TimestampField
from tasks.rules.position import is_key

AT_MOST = 10_000  # of each kind
TOLD = 100  # faults, of more of them
MAX_KEY = 255  # characters of an id, which another program may have made


class Faults:
    """What is wrong with a document, by where it is: `tasks.17.text`."""

    def __init__(self) -> None:
        self._found: dict[str, list[Any]] = {}

    def add(self, where: str, detail: Any) -> None:
        """Raises `ValidationError` where there are many by now."""
        if isinstance(detail, Mapping):
            for name, inner in detail.items():
                self.add(where if name == "non_field_errors" else f"{where}.{name}", inner)
            return
        said = detail if isinstance(detail, list) else [detail]
        self._found.setdefault(where, []).extend(said)
        if len(self._found) >= TOLD:
            self.tell()

    def tell(self) -> None:
        """Raise `ValidationError` where there are any."""
        if self._found:
            raise serializers.ValidationError(self._found)


class KeyField(TextField):
    """An id as the document has it: what it stands for is found in there, or among what there is."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": MAX_KEY, "trim_whitespace": False, **kwargs})


class PlaceField(TextField):
    default_error_messages = {"no_key": "Not a position that this server could have made."}

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if text and not is_key(text):
            self.fail("no_key")
        return text


class Kept(serializers.Serializer[Any]):
    """As `GET /export` has it, with what is the server's in any other body."""

    id: Any = KeyField(allow_null=True, default=None)
    created_at = TimestampField(required=False)
    position = PlaceField(allow_blank=True, default="")


class ImportedProject(Kept, ProjectSerializer):
    class Meta(ProjectSerializer.Meta):
        ref_name = "ImportedProject"


class ImportedLabel(Kept, LabelSerializer):
    validate_name = None  # type: ignore[assignment]  # one of a name that is there is that label

    class Meta(LabelSerializer.Meta):
        ref_name = "ImportedLabel"


class ImportedTask(Kept, TaskSerializer):
    completed_at = TimestampField(allow_null=True, default=None)
    project_id: Any = KeyField(allow_null=True, default=None)
    label_ids: Any = serializers.ListField(child=KeyField(), default=list, max_length=MAX_LABELS)
    parent_id: Any = KeyField(allow_null=True, default=None)
    previous_id = KeyField(allow_null=True, default=None)

    class Meta(TaskSerializer.Meta):
        ref_name = "ImportedTask"


class ImportSerializer(serializers.Serializer[Any]):
    """A document as `GET /export` makes one, or a part of it."""

    # For `/schema`. It is read by `validated`, which names where something is wrong.
    format = serializers.ChoiceField([FORMAT], required=False)
    version = serializers.IntegerField(min_value=VERSION, max_value=VERSION, required=False)
    projects = ImportedProject(many=True, required=False)
    labels = ImportedLabel(many=True, required=False)
    tasks = ImportedTask(many=True, required=False)

    class Meta:
        ref_name = "Import"
        example = {"format": FORMAT, "version": VERSION, "tasks": [{"text": "Water the plants"}]}


FORMS: dict[str, Any] = {
    "projects": ImportedProject,
    "labels": ImportedLabel,
    "tasks": ImportedTask,
}
_NAMES = ", or ".join(FORMS)


def validated(document: Any) -> dict[str, list[dict[str, Any]]]:
    """The values of each row of a document, by kind. Raises `ValidationError`, by where it is."""
    if not isinstance(document, Mapping):
        raise serializers.ValidationError({"non_field_errors": ["Expected a JSON object."]})
    if not document.keys() & FORMS.keys():
        raise serializers.ValidationError({"non_field_errors": [f"Give {_NAMES}."]})
    faults = Faults()
    for name, expected in (("format", FORMAT), ("version", VERSION)):
        if document.get(name, expected) != expected:
            faults.add(name, f"Expected {expected}.")
    kinds: dict[str, list[dict[str, Any]]] = {}
    for kind, form_class in FORMS.items():
        rows, form, kinds[kind] = document.get(kind, []), form_class(), []
        if not isinstance(rows, list):
            faults.add(kind, "Expected a list.")
            continue
        if len(rows) > AT_MOST:
            faults.add(kind, f"Has more than {AT_MOST} of them: send them in parts.")
            continue
        for place, row in enumerate(rows):
            try:
                kinds[kind].append(form.run_validation(row))
            except serializers.ValidationError as error:
                faults.add(f"{kind}.{place}", error.detail)
    faults.tell()
    return kinds
