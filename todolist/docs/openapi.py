"""How the OpenAPI document is made of views, serializers and `operations`.

Loaded and run when somebody asks for it, once per process: nothing here takes part in a call of the
API, and what it needs takes five MiB.
"""

from functools import cache
from typing import Any

from drf_spectacular import openapi
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer

from todolist.docs.operations import (
    COMPONENTS,
    DESCRIPTION,
    EXAMPLES,
    NOTES,
    OPERATIONS,
    REFUSALS,
    VALUES,
    Answer,
    Operation,
    ref,
)

# Everything that Python's `str.strip` leaves of a text, and no NUL, which PostgreSQL cannot hold.
NOT_BLANK = r"^[^\u0000]*[^\s\u0000\u001c-\u001f\u0085][^\u0000]*$"
NO_NUL = r"^[^\u0000]*$"

Schema = dict[str, Any]


class AutoSchema(openapi.AutoSchema):
    """Takes the shape of data from serializers, and everything else from `OPERATIONS`."""

    @property
    def entry(self) -> Operation:
        """Raises `KeyError` for a route that `OPERATIONS` does not know, so that none is forgotten."""
        return OPERATIONS[self.method, self.path]

    def answers(self) -> list[Answer]:
        """What the operation itself answers, and the refusals that its kind brings with it."""
        own = self.entry.answers
        kinds = {"negotiated"} if self.entry.negotiated else set()
        if self.view.authentication_classes:
            kinds.add("signed in")
        if "{id}" in self.path:
            kinds.add("somebody's")
        if self.entry.query:
            kinds.add("query")
        if self.entry.body:
            kinds.add("body")
        brought = (answer for kind, answer in REFUSALS if kind in kinds)
        return sorted((*own, *brought), key=lambda answer: answer.status)

    def get_operation_id(self) -> str:
        return self.entry.name

    def get_summary(self) -> str:
        return self.entry.summary

    def get_description(self) -> str:  # type: ignore[override]  # so does its base class
        return self.entry.description

    def get_tags(self) -> list[str]:
        return [self.entry.tag]

    def get_auth(self) -> list[Schema]:
        return [auth for auth in super().get_auth() if auth]

    def get_request_serializer(self) -> Any:
        return self.entry.body

    def get_response_serializers(self) -> Any:
        bodies: dict[Any, OpenApiResponse] = {}
        for answer in self.answers():
            schema = answer.body
            if isinstance(schema, str):
                schema = ref(schema)
            for media_type in answer.media_types or ["application/json"]:
                bodies[answer.status, media_type] = OpenApiResponse(schema, answer.description)
        return bodies

    def get_override_parameters(self) -> list[Any]:
        headers = [
            OpenApiParameter(
                name=header.name,
                type=header.schema,
                location=OpenApiParameter.HEADER,
                required=header.required,
                description=header.description,
                response=[answer.status],
            )
            for answer in self.answers()
            for header in answer.headers
        ]
        query = [self.entry.query] if self.entry.query else []
        return [*self.entry.parameters, *query, *headers]

    def _insert_field_validators(self, field: Any, schema: Schema) -> None:
        super()._insert_field_validators(field, schema)  # type: ignore[no-untyped-call]
        if isinstance(field, serializers.CharField):
            schema["pattern"] = NO_NUL if field.allow_blank else NOT_BLANK


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
    """Add what no serializer knows: plain components, notes on fields, examples."""
    result["info"]["description"] = DESCRIPTION
    schemas = result["components"]["schemas"]
    schemas.update(COMPONENTS)
    for name, schema in schemas.items():
        shown = name.removesuffix("Request").removeprefix("Patched")
        for field, said in schema.get("properties", {}).items():
            said.pop("title", None)  # the admin's name for it
            said.pop("x-spec-enum-id", None)
            if name.startswith("Patched"):
                said.pop("default", None)  # what is left out stays
            if values := VALUES.get(f"{shown}.{field}"):
                said["enum"] = values
            if note := NOTES.get(f"{shown}.{field}"):
                said["description"] = note
        if not name.endswith("Request") and "properties" in schema:
            # Whatever may be left out of a request, an answer has all of it.
            schema.setdefault("required", [])
            schema["required"] = sorted(schema["properties"])
        if example := EXAMPLES.get(name):
            schema["examples"] = [example]
    result["components"]["schemas"] = dict(sorted(schemas.items()))
    return result


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
