"""The form by which staff correct a row: it writes what they changed, and nothing else."""

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from django import forms
from django.http import QueryDict

from tasks.resources.wire import form_of

OPENED = "opened_version"  # the hidden field that says which version a form was opened at

CHANGED_MEANWHILE = (
    "Not saved: this {what} has been changed since the form was opened, or the form came without its "
    "hidden version. It shows now what is stored; enter again what should be changed, and save."
)
DELETED_MEANWHILE = "Not saved: this {what} has been deleted since the form was opened."


class RecordedForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only to the type checker
    """A form that knows which version of a row it shows, and leaves alone what staff did not touch.

    Browsers do not send back what a form has shown: lines end with CRLF (HTML, section 4.10.21.8), in
    fields of one line they are joined, and Django's widgets show no microseconds. So a field whose
    value arrives as it was shown keeps the one that is stored, byte for byte, and is not validated.
    """

    opened_version = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(self, data: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(data, *args, **kwargs)
        row: Any = self.instance
        self.fields[OPENED].initial = row.version
        self._loaded = {name: row.__dict__.get(name) for name in self._columns.values()}
        shown_by: Any = form_of(type(row))
        in_rest = {} if shown_by is None else shown_by().fields
        texts = [name for name, each in self.fields.items() if isinstance(each, forms.CharField)]
        for name in texts:  # trimmed where REST trims them
            text: Any = self.fields[name]
            text.strip = getattr(in_rest.get(name), "trim_whitespace", text.strip)
        if self.is_bound:
            sent = QueryDict(mutable=True)
            sent.update(self.data)
            for key in {self.add_prefix(name) for name in texts} & sent.keys():
                sent[key] = _with_newlines(str(sent[key]))
            self.data = sent

    @cached_property
    def changed_data(self) -> list[str]:
        """The fields that staff changed."""
        return [
            name for name in super().changed_data if name != OPENED and not self._is_as_shown(name)
        ]

    def clean(self) -> dict[str, Any]:
        """Refuse where the row is another than the form showed. From here on it is locked."""
        given = super().clean()
        values: dict[str, Any] = self.cleaned_data if given is None else given
        if self.instance._state.adding:
            return values
        for name in self._untouched:
            self.errors.pop(name, None)
            values[name] = self._loaded[self._columns[name]]
        row: Any = self.instance
        stored = type(row)._base_manager.select_for_update().filter(pk=row.pk).first()
        what = row._meta.verbose_name
        if stored is None:
            self.add_error(None, DELETED_MEANWHILE.format(what=what))
        elif not values.get(OPENED) == row.version == stored.version:
            self._show_what_is_stored()
            self.add_error(None, CHANGED_MEANWHILE.format(what=what))
        return values

    def add_error(self, field: Any, error: Any) -> None:
        """Django's; what is wrong with a field that is not in this form is told above it."""
        if field is None and hasattr(error, "error_dict"):
            elsewhere = [name for name in error.error_dict if name not in self.fields]
            for name in elsewhere:
                super().add_error(None, error.error_dict.pop(name))
        super().add_error(field, error)

    def names_changed(self, row: Any) -> list[str]:
        """The columns of `row` that are not as they were when it was loaded."""
        return [name for name, value in self._loaded.items() if row.__dict__.get(name) != value]

    def loaded(self, names: Iterable[str]) -> dict[str, Any]:
        """What these columns held when the row was loaded."""
        return {name: self._loaded[name] for name in names}

    def _get_validation_exclusions(self) -> set[str]:
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return excluded | self._untouched

    @cached_property
    def _columns(self) -> dict[str, str]:
        fields = self.instance._meta.concrete_fields
        return {field.name: field.attname for field in fields}

    @property
    def _untouched(self) -> set[str]:
        relations = {
            field.name for field in self.instance._meta.concrete_fields if field.is_relation
        }
        return ({*self.fields} & self._columns.keys()) - relations - {*self.changed_data}

    def _is_as_shown(self, name: str) -> bool:
        """Whether a field came back as a browser sends it of whom nobody has touched, or not at all."""
        widget, key = self.fields[name].widget, self.add_prefix(name)
        if widget.value_omitted_from_data(self.data, self.files, key):
            return True
        shown = self._shown(name)
        in_lines = isinstance(widget, forms.Textarea)
        return bool(shown) and all(
            isinstance(value, str)
            and _as_sent(value, in_lines) == _as_sent(self.data.get(part, ""), in_lines)
            for part, value in shown.items()
        )

    def _shown(self, name: str) -> dict[str, Any]:
        """What the parts of a field's widget show of the value that is stored."""
        widget: Any = self.fields[name].widget
        if isinstance(widget, forms.CheckboxInput):
            return {}
        widget = getattr(widget, "widget", widget)  # the admin wraps those of relations
        context = widget.get_context(self.add_prefix(name), self[name].initial, {})["widget"]
        parts = context.get("subwidgets") or [context]
        return {part["name"]: "" if part["value"] is None else part["value"] for part in parts}

    def _show_what_is_stored(self) -> None:
        """Show it instead of what staff entered, which is told beside each field."""
        row: Any = self.instance
        sent = QueryDict(mutable=True)
        sent.update(self.data)
        sent[self.add_prefix(OPENED)] = str(row.version)
        for name in self.changed_data:
            self.add_error(name, f"In your form: {_said(self[name].data)}")
            for part, value in self._shown(name).items():
                sent.setlist(part, [*value] if isinstance(value, list | tuple) else [value])
            if isinstance(self.fields[name].widget, forms.CheckboxInput):
                sent.pop(self.add_prefix(name), None)
                sent.update({self.add_prefix(name): "on"} if self[name].initial else {})
        self.data = sent


def _with_newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _as_sent(text: str, in_lines: bool) -> str:
    """A text as a browser sends it; one of one line has no newlines, and none has a NUL."""
    text = _with_newlines(text).replace("\0", "\ufffd")
    return text if in_lines else text.replace("\n", "")


def _said(data: Any) -> str:
    if isinstance(data, bool):
        return "yes" if data else "no"
    parts = data if isinstance(data, list | tuple) else [data]
    return " ".join(str(part) for part in parts if part) or "nothing"
