"""How the OpenAPI document is made: drf-spectacular reads views, filters, paginators and serializers.

What follows from what a view is, is said here once for all of them; `described` says the rest.
"""

import inspect
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from drf_spectacular import openapi
from drf_spectacular.contrib.django_filters import DjangoFilterExtension
from drf_spectacular.extensions import (
    OpenApiAuthenticationExtension,
    OpenApiSerializerFieldExtension,
    OpenApiViewExtension,
)
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.plumbing import build_parameter_type, force_instance, get_doc
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.schemas import DefaultSchema

from tasks.resources.fields import NEW_KEY, RecordedSerializer
from tasks.resources.idempotency import BadKey
from tasks.resources.lists.filters import ParameterFilter, RepeatableFilter
from tasks.resources.models import RecordedModel
from tasks.resources.viewsets import RecordedViewMixin
from todolist.docs import components
from todolist.docs.components import Schema
from todolist.docs.events import events
from todolist.docs.formats import rendered, renderers_for
from todolist.docs.trimming import trimmed

# Something that shows, and no NUL, which PostgreSQL cannot hold. Of what shows nothing these are but the
# usual signs (tasks/rules/text.py), as no two languages agree in how to write the others.
NOT_BLANK = r"^[^\x00]*[^\s\x00-\x1f\x7f-\xa0\xad][^\x00]*$"
NO_NUL = r"^[^\x00]*$"


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
        many = self.known.verb in ("list", "bulk")
        name = str(meta.verbose_name_plural if many else meta.verbose_name)
        return self.known.verb + name.title().replace(" ", ""), f"{self.known.words} {name}"

    def get_operation_id(self) -> str:
        return self.named[0] if self.named else super().get_operation_id()

    def get_summary(self) -> str | None:
        return self.named[1] if self.named else super().get_summary()

    def get_description(self) -> str:  # type: ignore[override]  # so does its base class
        return ""  # docstrings are for those who read the code

    def get_paginated_name(self, serializer_name: str) -> str:
        return f"{serializer_name}List"

    def get_operation(self, *args: Any, **kwargs: Any) -> Schema | None:
        operation: Schema | None = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        responses = operation["responses"]
        parameters = operation.setdefault("parameters", [])
        query = {one["name"] for one in parameters if one["in"] == "query"}
        has_body = "requestBody" in operation
        signed_in = bool(self.view.authentication_classes)
        operation.setdefault("security", [])  # a token where it says so, and else none
        answer = next(iter(responses.values()))
        if isinstance(self.view, RecordedViewMixin) and self.known:
            parameters += self.known.parameters
            answer.setdefault("headers", {}).update(self.known.headers)
            if components.IF_NONE_MATCH in parameters:
                responses["304"] = components.NOT_MODIFIED
        handler = getattr(self.view, "action", None) or self.method.lower()
        if repeatable := handler in getattr(self.view, "repeatable", ()):
            parameters.append(components.IDEMPOTENCY_KEY)
        if "limit" in query:
            recorded = issubclass(self.model or RecordedModel, RecordedModel)
            heads = components.OF_LISTS if recorded else {"Link": components.LINK}
            answer.setdefault("headers", {}).update(heads)
        happens = {
            "400": has_body or bool(query),
            "401": signed_in,
            "403": "{" in self.path and signed_in,
            "404": "{" in self.path,
            "406": True,
            "409": repeatable,
            "412": components.IF_MATCH in parameters,
            "413": has_body,
            "415": has_body,
            "422": repeatable,
            "503": signed_in,
        }
        refusals = {**components.REFUSALS, "404": components.not_found(self.name)}
        if has_body:
            meta = getattr(self.get_request_serializer(), "Meta", None)
            if example := getattr(meta, "example", None):
                operation["requestBody"]["content"]["application/json"]["example"] = example
            refusals["400"] = components.bad_body(self.field, *([BadKey()] if repeatable else []))
        for status in happens:
            if happens[status]:
                responses.setdefault(status, refusals[status])
        for status, response in responses.items():
            response["description"] = response.get("description") or HTTPStatus(int(status)).phrase
        operation["responses"] = dict(sorted(responses.items()))
        for parameter in parameters:
            if parameter["in"] == "path" and parameter["name"] != "secret":
                said = {"type": "string", "format": "uuid"}
                parameter |= {"schema": said, "description": f"The id of the {self.name}"}
        if not parameters:
            del operation["parameters"]
        return operation

    @property
    def model(self) -> Any:
        """Of the rows of the view, if it has any."""
        queryset: Any = getattr(self.view, "queryset", None)
        return None if queryset is None else queryset.model

    @property
    def name(self) -> str:
        """What the rows of the view are called."""
        if self.model is None:
            return getattr(self.view, "shows", "row")
        return str(self.model._meta.verbose_name)

    @property
    def field(self) -> str | None:
        """A field of the body, one that has to be there if there is any."""
        form: Any = force_instance(self.get_request_serializer())  # type: ignore[no-untyped-call]
        fields = getattr(form, "fields", {})
        sent = [name for name, field in fields.items() if not field.read_only]
        return next((name for name in sent if fields[name].required), next(iter(sent), None))

    def _insert_field_validators(self, field: Any, schema: Schema) -> None:
        super()._insert_field_validators(field, schema)  # type: ignore[no-untyped-call]
        if isinstance(field, serializers.CharField):
            schema["pattern"] = NO_NUL if field.allow_blank else NOT_BLANK


# What a parameter does that has no `help_text`, by its comparison.
COMPARISONS = {
    "exact": "Only those with this",
    "contains": "Only those with this in their",
    "lt": "Only those with an earlier, or a lower,",
    "lte": "Only those with this, an earlier, or a lower,",
    "gt": "Only those with a later, or a higher,",
    "gte": "Only those with this, a later, or a higher,",
}


class StrictFiltersExtension(DjangoFilterExtension):  # type: ignore[no-untyped-call]
    """Parameters that are read by fields of REST framework's are described as these are."""

    target_class = "tasks.resources.lists.filters.StrictFilters"
    priority = 1

    def resolve_filter_field(
        self, auto_schema: Any, model: Any, filterset_class: Any, field_name: str, filter_field: Any
    ) -> list[Schema]:
        if isinstance(filter_field, ParameterFilter):
            schema = auto_schema._map_serializer_field(filter_field.parameter, "request")
            if isinstance(filter_field, RepeatableFilter):
                schema = {"type": "array", "items": schema}
            comparison = COMPARISONS.get(filter_field.lookup_expr, "Narrows down the list by their")
            said = (
                filter_field.extra.get("help_text") or f"{comparison} `{filter_field.field_name}`."
            )
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


class NewKeyExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """An id that clients may bring when they create something, and that there always is in answers."""

    target_class = "tasks.resources.fields.NewKeyField"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Schema:
        if direction == "response":
            return {"type": "string", "format": "uuid"}
        return {"type": ["string", "null"], "format": "uuid", "pattern": f"^{NEW_KEY}$"}


class KeyParameterExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = "tasks.resources.lists.query.KeyParameter"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Schema:
        if self.target.or_none:
            either = [{"type": "string", "format": "uuid"}, {"type": "string", "const": "none"}]
            return {"anyOf": either}
        return {"type": "string", "format": "uuid"}


class SiblingExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = "tasks.resources.moving.SiblingField"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Schema:
        return {"type": "string", "format": "uuid"}


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "accounts.signin.authentication.BearerAuthentication"
    name = "bearer"
    definition = {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of the Better Auth server, without the word `Bearer`.",
    }

    def get_security_definition(self, auto_schema: openapi.AutoSchema) -> Schema:
        return self.definition


def without_trailing_slashes(endpoints: list[Any]) -> list[Any]:
    """Paths as clients should write them; with a slash they work the same."""
    return [(path.rstrip("/"), *rest) for path, *rest in endpoints]


def complete(result: Schema, generator: Any, **kwargs: Any) -> Schema:
    """Add what no view has: events and errors; then trim it all."""
    schemas = result["components"]["schemas"]
    found = events(generator.registry)
    schemas.update(generator.registry.build({})["schemas"])  # of models without a route, too
    for schema in schemas.values():
        if schema.get("description") == get_doc(RecordedSerializer):
            del schema["description"]  # of no serializer in particular
    schemas.update(components.COMPONENTS | found)
    result["info"]["description"] = components.DESCRIPTION
    return trimmed(result)


RENDERERS = renderers_for("vnd.oai.openapi")


@lru_cache(maxsize=8)
def document(media_type: str, prefix: str = "/") -> bytes:
    """The whole document in that form, for an API whose paths are below `prefix`."""
    schema = generated()
    schema["servers"] = [{"url": prefix.rstrip("/") or "/"}]
    return rendered(schema, media_type, RENDERERS)


def generated() -> Schema:
    """The whole document, of no server in particular."""
    schema: Schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return schema
