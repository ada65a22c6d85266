"""How the OpenAPI document is made: drf-spectacular reads views, filters, paginators and serializers.

What follows from what a view is, is said here once for all of them; `described` says the rest.
"""

import inspect
from functools import lru_cache
from typing import Any

from django.apps import apps
from drf_spectacular import openapi, renderers
from drf_spectacular.contrib.django_filters import DjangoFilterExtension
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiViewExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.plumbing import build_parameter_type
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer
from rest_framework.schemas import DefaultSchema

from tasks.resources.lists.filters import ParameterFilter
from tasks.resources.models import RecordedModel
from tasks.resources.viewsets import RecordedViewMixin
from tasks.resources.wire import form_of
from todolist.docs import components
from todolist.docs.components import Schema, ref

# Everything that Python's `str.strip` leaves of a text, and no NUL, which PostgreSQL cannot hold.
NOT_BLANK = r"^[^\u0000]*[^\s\u0000\u001c-\u001f\u0085][^\u0000]*$"
NO_NUL = r"^[^\u0000]*$"


class AutoSchema(openapi.AutoSchema):
    """drf-spectacular's, and what follows from the base classes of a view."""

    @property
    def known(self) -> components.Action | None:
        return components.ACTIONS.get(getattr(self.view, "action", ""))

    @property
    def named(self) -> tuple[str, str] | None:
        """Id and summary of one of REST framework's actions upon the rows of a model."""
        queryset: Any = getattr(self.view, "queryset", None)
        if queryset is None or self.known is None:
            return None
        meta = queryset.model._meta
        many = self.known.verb == "list"
        name = str(meta.verbose_name_plural if many else meta.verbose_name)
        return self.known.verb + name.title().replace(" ", ""), f"{self.known.words} {name}"

    def get_operation_id(self) -> str:
        return self.named[0] if self.named else super().get_operation_id()

    def get_summary(self) -> str | None:
        return self.named[1] if self.named else super().get_summary()

    def get_description(self) -> str:  # type: ignore[override]  # so does its base class
        return "" if self.named else str(super().get_description() or "")

    def get_operation(self, *args: Any, **kwargs: Any) -> Schema | None:
        operation: Schema | None = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        responses = operation["responses"]
        parameters = operation.setdefault("parameters", [])
        has_query = any(one["in"] == "query" for one in parameters)
        has_body = "requestBody" in operation
        signed_in = bool(self.view.authentication_classes)
        is_page = any("text/html" in one.get("content", ()) for one in responses.values())
        if isinstance(self.view, RecordedViewMixin) and self.known:
            parameters += self.known.parameters
            if self.known.headers:
                next(iter(responses.values()))["headers"] = dict(self.known.headers)
            if components.IF_NONE_MATCH in parameters:
                responses["304"] = components.NOT_MODIFIED
        happens = {
            "400": has_body or has_query,
            "401": signed_in,
            "403": "{" in self.path,
            "404": "{" in self.path,
            "406": not is_page,
            "409": components.IDEMPOTENCY_KEY in parameters,
            "412": components.IF_MATCH in parameters,
            "413": has_body,
            "415": has_body,
            "422": components.IDEMPOTENCY_KEY in parameters,
            "503": signed_in,
        }
        refusals = components.REFUSALS | ({"400": components.BAD_BODY} if has_body else {})
        responses |= {status: refusals[status] for status in happens if happens[status]}
        operation["responses"] = dict(sorted(responses.items()))
        if not parameters:
            del operation["parameters"]
        return operation

    def _insert_field_validators(self, field: Any, schema: Schema) -> None:
        super()._insert_field_validators(field, schema)  # type: ignore[no-untyped-call]
        if isinstance(field, serializers.CharField):
            schema["pattern"] = NO_NUL if field.allow_blank else NOT_BLANK


class StrictFiltersExtension(DjangoFilterExtension):  # type: ignore[no-untyped-call]
    """Parameters that are read by fields of REST framework's are described as these are."""

    target_class = "tasks.resources.lists.filters.StrictFilters"
    priority = 1

    def resolve_filter_field(
        self, auto_schema: Any, model: Any, filterset_class: Any, field_name: str, filter_field: Any
    ) -> list[Schema]:
        if isinstance(filter_field, ParameterFilter):
            schema = auto_schema._map_serializer_field(filter_field.parameter, "request")
            said = filter_field.extra.get("help_text")
            return [build_parameter_type(field_name, schema, "query", description=said)]
        found: list[Schema] = super().resolve_filter_field(  # type: ignore[no-untyped-call]
            auto_schema, model, filterset_class, field_name, filter_field
        )
        return found


class DescribedView(OpenApiViewExtension):  # type: ignore[no-untyped-call]
    """Calls `extend_schema` with what handlers keep for it (`accounts.owned.views.described`)."""

    target_class = "rest_framework.views.APIView"
    match_subclasses = True

    def view_replacement(self) -> Any:
        handlers = inspect.getmembers(self.target, lambda member: hasattr(member, "described"))
        said = {name: extend_schema(**handler.described) for name, handler in handlers}
        view = type(self.target.__name__, (self.target,), {"schema": DefaultSchema()})
        return extend_schema_view(**said)(view)


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "accounts.signin.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: openapi.AutoSchema) -> Schema:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A token of the Better Auth server, without the word `Bearer`.",
        }


def without_trailing_slashes(endpoints: list[Any]) -> list[Any]:
    """Paths as clients should write them; with a slash they work the same."""
    return [(path.rstrip("/"), *rest) for path, *rest in endpoints]


def complete(result: Schema, **kwargs: Any) -> Schema:
    """Add what no view has: events, errors, examples; and say of answers that nothing is left out."""
    schemas = result["components"]["schemas"]
    schemas.update(components.COMPONENTS | events())
    for name, schema in schemas.items():
        for said in schema.get("properties", {}).values():
            said.pop("title", None)  # the admin's name for it
            said.pop("x-spec-enum-id", None)
            if name.startswith("Patched"):
                said.pop("default", None)  # what is left out stays
        if not name.endswith("Request") and "properties" in schema:
            schema["required"] = sorted(schema["properties"])
        if example := components.EXAMPLES.get(name):
            schema["examples"] = [example]
    result["info"]["description"] = components.DESCRIPTION
    result["components"]["schemas"] = dict(sorted(schemas.items()))
    return result


def events() -> dict[str, Schema]:
    """The events of every recorded model: what happened, and the row as its serializer shows it."""
    found: dict[str, Schema] = {}
    for model in apps.get_models():
        form = form_of(model)
        if not issubclass(model, RecordedModel) or form is None:
            continue
        shown = form.__name__.removesuffix("Serializer")
        types = [kind for what in ("created", "updated") if (kind := model.event_type(what))]
        found[f"{shown}Event"] = components.event(ref(shown), *types)
        if deleted := model.event_type("deleted"):
            gone = components.record(id=components.string(format="uuid"))
            found[f"{shown}DeletedEvent"] = components.event(gone, deleted)
    return {**found, "Event": {"oneOf": [ref(name) for name in found]}}


# In the order of preference.
RENDERERS: list[type[BaseRenderer]] = [
    renderers.OpenApiJsonRenderer2,
    renderers.OpenApiJsonRenderer,
    renderers.OpenApiYamlRenderer2,
    renderers.OpenApiYamlRenderer,
]


@lru_cache(maxsize=8)
def document(media_type: str, prefix: str = "/") -> bytes:
    """The whole document in that form, for an API whose paths are below `prefix`."""
    (renderer,) = (one for one in RENDERERS if one.media_type == media_type)
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    schema["servers"] = [{"url": prefix.rstrip("/") or "/"}]
    written = renderer().render(schema, renderer_context={})
    return written.encode() if isinstance(written, str) else written
