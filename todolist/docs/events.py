"""What both documents say of events: one component for each type, of any application's models."""

import re
from typing import Any

from django.apps import apps
from drf_spectacular.plumbing import build_mocked_view
from drf_spectacular.utils import extend_schema

from tasks.resources.models import RecordedModel
from tasks.resources.wire import form_of
from todolist.docs import components
from todolist.docs.components import Schema, ref


def events(registry: Any) -> dict[str, Schema]:
    """The events of every recorded model: what happened, and the row as its serializer shows it."""
    view: Any = build_mocked_view("GET", "/", extend_schema(), registry)
    found: dict[str, Schema] = {}
    names: dict[str, str] = {}
    for model in apps.get_models():
        form = form_of(model)
        if not issubclass(model, RecordedModel) or form is None:
            continue
        shown = view.schema.resolve_serializer(form, "response").name
        for what in model.event_names:
            kind = model.event_type(what)
            names[kind] = "".join(word.title() for word in re.split(r"\W|_", kind))
            gone = components.record(id=components.string(format="uuid"))
            data = gone if what == "deleted" else ref(shown)
            found[names[kind]] = components.event(kind, data)
    return {**found, "LiveEvent": components.live_event(names)}
