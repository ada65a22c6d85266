"""Makes the document one that client generators read well: names, and no keyword but what tells something.

Responses and requests are described by components of their own, so a response repeats no limit of a
request, and neither says `readOnly`. Generators take a field with a `default` for one that is always
there, so no request has one.
"""

from collections.abc import Iterator
from typing import Any

from tasks.resources.fields import TIMESTAMP

Schema = dict[str, Any]

LIMITS = frozenset(
    "minLength maxLength pattern minimum maximum exclusiveMinimum exclusiveMaximum multipleOf"
    " minItems maxItems uniqueItems".split()
)
# What the admin and drf-spectacular keep for themselves, and what says nothing here.
NEEDLESS = frozenset(("title", "x-spec-enum-id", "default", "readOnly", "writeOnly"))
SAFE = 2**53 - 1  # the largest whole number of JavaScript
COMPONENTS = "#/components/schemas/"


def trimmed(result: Schema) -> Schema:
    """The document with trimmed schemas, and components of requests named after what they are for."""
    schemas: Schema = result["components"]["schemas"]
    # Of what is only sent, there is one of responses as well, which nobody refers to.
    used = {reference["$ref"].removeprefix(COMPONENTS) for reference in _references(result)}
    schemas = {name: schema for name, schema in schemas.items() if name in used}
    operations = [one for path in result["paths"].values() for one in path.values()]
    for operation in operations:
        for parameter in operation.get("parameters", ()):
            _trim(parameter["schema"], sent=True)
        if "requestBody" in operation:
            operation["requestBody"]["required"] = True  # an empty one is none
    sent = reachable([one["requestBody"] for one in operations if "requestBody" in one], schemas)
    for name, schema in schemas.items():
        _trim(schema, sent=name in sent)
    names = {name: _name_of_request(name, schemas) for name in sent}
    renamed = {names.get(name, name): schema for name, schema in sorted(schemas.items())}
    result["components"]["schemas"] = dict(sorted(renamed.items()))
    for reference in _references(result):
        name = reference["$ref"].removeprefix(COMPONENTS)
        reference["$ref"] = COMPONENTS + names.get(name, name)
    return result


def _name_of_request(name: str, schemas: Schema) -> str:
    """`TaskPatch` for PatchedTaskRequest; `NewTask` for TaskRequest, where a `Task` is answered."""
    bare = name.removesuffix("Request")
    if bare.startswith("Patched"):
        return f"{bare.removeprefix('Patched')}Patch"
    return f"New{bare}" if bare in schemas and bare != name else bare


def _references(node: Any) -> Iterator[Schema]:
    """Every `{"$ref": …}` below."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def reachable(nodes: Any, schemas: Schema) -> set[str]:
    """The components that are referred to from here, and by these in turn."""
    found: set[str] = set()
    waiting = [nodes]
    while waiting:
        for reference in _references(waiting.pop()):
            name = reference["$ref"].removeprefix(COMPONENTS)
            if name not in found:
                found.add(name)
                waiting.append(schemas[name])
    return found


def _trim(schema: Schema, *, sent: bool) -> None:
    needless = NEEDLESS | (LIMITS if "enum" in schema or not sent else frozenset())
    if "properties" in schema and not sent:
        schema["required"] = sorted(schema["properties"])  # nothing is left out of an answer
    if sent and schema.get("format") == "date-time":
        schema["pattern"] = TIMESTAMP  # more than this format, which wants an offset
        needless |= {"format"}
    if schema.get("format") in ("int32", "int64"):
        needless |= {"format"}
    for name in ("minimum", "maximum"):
        if abs(schema.get(name, 0)) > SAFE:
            needless |= {name}
    for name in needless & schema.keys():
        del schema[name]
    for part in _parts(schema):
        _trim(part, sent=sent)
    if len({str(part) for part in schema.get("oneOf", ())}) == 1:  # without limits, they are alike
        schema.update(schema.pop("oneOf")[0])


def _parts(schema: Schema) -> Iterator[Schema]:
    yield from schema.get("properties", {}).values()
    for name in ("oneOf", "anyOf", "allOf", "prefixItems"):
        yield from schema.get(name, ())
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            yield schema[name]
