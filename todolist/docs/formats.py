"""The forms in which a document of the API can be had."""

from drf_spectacular import renderers
from rest_framework.renderers import BaseRenderer

from todolist.docs.components import Schema

Renderers = list[type[BaseRenderer]]


def renderers_for(kind: str) -> Renderers:
    """JSON and YAML, by their usual media types and those of a kind of document: preferred first."""
    json, yaml = renderers.OpenApiJsonRenderer, renderers.OpenApiYamlRenderer
    return [
        renderers.OpenApiJsonRenderer2,
        type("Json", (json,), {"media_type": f"application/{kind}+json"}),
        renderers.OpenApiYamlRenderer2,
        type("Yaml", (yaml,), {"media_type": f"application/{kind}"}),
    ]


def rendered(schema: Schema, media_type: str, among: Renderers) -> bytes:
    (renderer,) = (one for one in among if one.media_type == media_type)
    written: str | bytes = renderer().render(schema, renderer_context={})
    return written.encode() if isinstance(written, str) else written
