"""How the OpenAPI document is made: drf-spectacular reads views, filters, paginators and serializers.

What these cannot say (conditions, repeats, pages, refusals) follows from what a view is, and is said
here once for all of them. A view that none of that describes says more by `extend_schema`.
"""

from functools import cache
from typing import Any

from django.apps import apps
from drf_spectacular import openapi
from drf_spectacular.contrib.django_filters import DjangoFilterExtension
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.plumbing import build_parameter_type
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer

from accounts.owned.viewsets import OwnedViewMixin
from tasks.resources.lists.filters import ParameterFilter
from tasks.resources.lists.paging import KeysetPagination
from tasks.resources.models import RecordedModel
from tasks.resources.viewsets import RecordedViewMixin
from tasks.resources.wire import form_of, has_form
from todolist.docs import components, operations  # noqa: F401  operations register themselves
from todolist.docs.components import Schema, ref, string
from todolist.docs.refusals import ETAG, IDEMPOTENCY_KEY, IF_MATCH, IF_NONE_MATCH, LINK, LOCATION
from todolist.docs.refusals import refusals as refusals_of

# Everything that Python's `str.strip` leaves of a text, and no NUL, which PostgreSQL cannot hold.
NOT_BLANK = r"^[^\u0000]*[^\s\u0000\u001c-\u001f\u0085][^\u0000]*$"
NO_NUL = r"^[^\u0000]*$"

# What REST framework's actions are called by clients, and in a sentence.
ACTIONS = {
    "list": ("list", "List own"),
    "create": ("create", "Create a"),
    "retrieve": ("get", "Show a"),
    "update": ("replace", "Replace a"),
    "partial_update": ("change", "Change a"),
    "destroy": ("delete", "Delete a"),
}


class AutoSchema(openapi.AutoSchema):
    """drf-spectacular's, and what follows from the base classes of a view."""

    @property
    def action(self) -> str:
        return str(getattr(self.view, "action", ""))

    @property
    def model(self) -> Any:
        """The model whose rows the view shows, where it is one of those that people own."""
        queryset = getattr(self.view, "queryset", None)
        return (
            queryset.model
            if isinstance(self.view, OwnedViewMixin) and queryset is not None
            else None
        )

    def get_operation_id(self) -> str:
        if self.model is None or self.action not in ACTIONS:
            return super().get_operation_id()
        names = self.model._meta.verbose_name_plural if self.action == "list" else None
        name = str(names or self.model._meta.verbose_name).title().replace(" ", "")
        return ACTIONS[self.action][0] + name

    def get_summary(self) -> str | None:
        if self.model is None or self.action not in ACTIONS:
            return super().get_summary()
        meta = self.model._meta
        name = meta.verbose_name_plural if self.action == "list" else meta.verbose_name
        return f"{ACTIONS[self.action][1]} {name}"

    def get_description(self) -> str:  # type: ignore[override]  # so does its base class
        return "" if self.action in ACTIONS else str(super().get_description() or "")

    def get_tags(self) -> list[str]:
        if self.model is not None:
            return [str(self.model._meta.verbose_name_plural)]
        return [self.path.strip("/").partition("/")[0]]

    def get_auth(self) -> list[Schema]:
        return [auth for auth in super().get_auth() if auth]

    def get_operation(self, *args: Any, **kwargs: Any) -> Schema | None:
        operation: Schema | None = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        responses = operation["responses"]
        parameters = operation.setdefault("parameters", [])
        queried = any(one["in"] == "query" for one in parameters)
        if isinstance(self.view, RecordedViewMixin):
            self._describe_recorded(parameters, responses)
        responses |= refusals_of(
            negotiated=not any("text/html" in one.get("content", ()) for one in responses.values()),
            signed_in=bool(self.view.authentication_classes),
            somebodys="{" in self.path,
            queried=queried,
            has_body="requestBody" in operation,
            creates=isinstance(self.view, RecordedViewMixin) and self.action == "create",
            changes=any(one in parameters for one in (IF_MATCH,)),
        )
        operation["responses"] = dict(sorted(responses.items()))
        if not parameters:
            del operation["parameters"]
        return operation

    def _describe_recorded(self, parameters: list[Schema], responses: Schema) -> None:
        """Versions, repeats and pages: what `RecordedViewMixin` does."""
        success: Schema = next(iter(responses.values()))
        headers: Schema = success.setdefault("headers", {})
        paging: Any = getattr(self.view, "pagination_class", None)
        if self.action == "list" and paging and issubclass(paging, KeysetPagination):
            headers["Link"] = LINK
        if self.action in ("create", "retrieve", "update", "partial_update"):
            headers["ETag"] = ETAG
        if self.action == "create":
            headers["Location"] = LOCATION
            parameters.append(IDEMPOTENCY_KEY)
        if self.action == "retrieve":
            parameters.append(IF_NONE_MATCH)
            responses["304"] = {
                "description": "It is as `If-None-Match` has it",
                "headers": {"ETag": ETAG},
            }
        if self.action in ("update", "partial_update", "destroy"):
            parameters.append(IF_MATCH)
        if not headers:
            del success["headers"]

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
        if not isinstance(filter_field, ParameterFilter):
            found: list[Schema] = super().resolve_filter_field(  # type: ignore[no-untyped-call]
                auto_schema, model, filterset_class, field_name, filter_field
            )
            return found
        schema = auto_schema._map_serializer_field(filter_field.parameter, "request")
        return [
            build_parameter_type(
                name=field_name,
                location="query",
                schema=schema,
                description=filter_field.extra.get("help_text"),
            )
        ]


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
    result["info"]["description"] = components.DESCRIPTION
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
    result["components"]["schemas"] = dict(sorted(schemas.items()))
    return result


def events() -> dict[str, Schema]:
    """The events of every recorded model: what happened, and the row as its serializer shows it."""
    found: dict[str, Schema] = {}
    for model in apps.get_models():
        if not issubclass(model, RecordedModel) or not has_form(model):
            continue
        shown = form_of(model).__name__.removesuffix("Serializer")
        types = [kind for what in ("created", "updated") if (kind := model.event_type(what))]
        found[f"{shown}Event"] = components.event(ref(shown), *types)
        if deleted := model.event_type("deleted"):
            gone = components.record(id=string(format="uuid"))
            found[f"{shown}DeletedEvent"] = components.event(gone, deleted)
    return {**found, "Event": {"oneOf": [ref(name) for name in found]}}


RENDERERS: list[type[BaseRenderer]] = [
    OpenApiJsonRenderer2,
    OpenApiJsonRenderer,
    OpenApiYamlRenderer2,
    OpenApiYamlRenderer,
]


@cache
def document(media_type: str) -> bytes:
    """The whole document in that form. It depends on the code alone."""
    (renderer,) = (one for one in RENDERERS if one.media_type == media_type)
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    written = renderer().render(schema, renderer_context={})
    return written.encode() if isinstance(written, str) else written
