"""How the AsyncAPI document of the socket is made: of what `tasks.events.protocol` declares, and of events.

Events and what they hold are components of the OpenAPI document, so any application's are in both.
"""

from functools import lru_cache
from inspect import getdoc
from typing import Any

from accounts.closing import CLOSES_OF_SERVERS, Close
from accounts.signin.websocket import SUBPROTOCOL, TOKEN_PARAMETER
from tasks.events.protocol import (
    ANSWERS,
    MAX_FRAME_SIZE,
    PATH,
    SAID,
    LiveEvent,
    Message,
    Query,
)
from tasks.events.record import KEPT_DAYS
from todolist.docs.components import Schema, fields_of, record, ref, string
from todolist.docs.formats import rendered, renderers_for
from todolist.docs.openapi import BearerScheme, generated
from todolist.docs.trimming import reachable

VERSION = "3.0.0"
CHANNEL = "notifications"

DESCRIPTION = f"""\
What is said over the WebSocket `{PATH}`: every change of what is one's own, whoever makes it, sent after it
is committed, once each and in the order of `seq`. `send` is what the server sends, `receive` what it takes.

The first message is `ready`. Events are kept for {KEPT_DAYS} days; where those after `since` cannot be had any
more, the second message is `resync`. Messages of clients are JSON of at most {MAX_FRAME_SIZE // 1024} KiB.

A socket that is refused for its token is accepted first, and then closed with a code that a page can see:
`x-close-codes` of the channel says what each means.
"""


RENDERERS = renderers_for("vnd.aai.asyncapi")


@lru_cache(maxsize=8)
def document(media_type: str, prefix: str = "/") -> bytes:
    """The whole document in that form, for a socket whose path is below `prefix`."""
    return rendered(described(prefix), media_type, RENDERERS)


def described(prefix: str = "/") -> Schema:
    openapi = generated()
    components: Schema = openapi["components"]["schemas"]
    events: Schema = components[LiveEvent.__name__]["discriminator"]["mapping"]
    names = {kind: found.rpartition("/")[2] for kind, found in events.items()}
    told = {name: ref(name) for name in names.values()}
    schemas = {name: components[name] for name in sorted(reachable([told], components))}
    declared = (*SAID, *ANSWERS)
    schemas |= {one.__name__: schema_of(one) for one in declared}
    messages = {
        **{one.__name__: message(one.type, one.__name__, getdoc(one), schemas) for one in declared},
        **{name: message(kind, name, getdoc(LiveEvent), schemas) for kind, name in names.items()},
    }
    answers = {answer.__name__ for answer in ANSWERS.values()}
    sent = [one.__name__ for one in SAID if one.__name__ not in answers]
    return {
        "asyncapi": VERSION,
        "info": {
            "title": openapi["info"]["title"],
            "version": openapi["info"]["version"],
            "description": DESCRIPTION,
            "license": {"name": openapi["info"]["license"]["name"]},
        },
        "defaultContentType": "application/json",
        "servers": {
            "this": {
                "host": "{host}",
                "pathname": prefix.rstrip("/") or "/",
                "protocol": "wss",
                "description": "Where the API is; without TLS by `ws`",
                "variables": {"host": {"description": "Name and port", "default": "localhost"}},
                "security": [_component("securitySchemes", name) for name in SECURITY],
            }
        },
        "channels": {
            CHANNEL: {
                "address": PATH,
                "messages": {name: _component("messages", name) for name in messages},
                "bindings": {"ws": {"method": "GET", "query": query(), "bindingVersion": "0.1.0"}},
                "x-close-codes": close_codes(),
            }
        },
        "operations": {
            "tell": {
                "action": "send",
                "summary": "Tell of changes, and of what else the client should know",
                **_through(*sent, *names.values()),
            },
            **{
                f"answer{heard.__name__}": {
                    "action": "receive",
                    "summary": getdoc(heard),
                    **_through(heard.__name__),
                    "reply": _through(answer.__name__),
                }
                for heard, answer in ANSWERS.items()
            },
        },
        "components": {"messages": messages, "schemas": schemas, "securitySchemes": SECURITY},
    }


def _component(kind: str, name: str) -> Schema:
    return {"$ref": f"#/components/{kind}/{name}"}


def _through(*names: str) -> Schema:
    """The channel, and those of its messages."""
    channel = f"#/channels/{CHANNEL}"
    return {
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{name}"} for name in names],
    }


def schema_of(declared: type[Message]) -> Schema:
    return record(type=string(const=declared.type), **fields_of(declared))


def message(kind: str, name: str, summary: str | None, schemas: Schema) -> Schema:
    return {
        "name": kind,
        "title": name,
        "summary": summary,
        "payload": ref(name),
        "examples": [{"payload": example_of(ref(name), schemas)}],
    }


def query() -> Schema:
    token = string(description="The token, where neither a header nor a subprotocol brings it")
    return {"type": "object", "properties": {TOKEN_PARAMETER: token, **fields_of(Query)}}


def close_codes() -> list[Schema]:
    own = [
        {
            "name": why.name.lower(),
            "code": why.code,
            **({} if (other := why.code_at("2.0")) == why.code else {"codeOfDaphne": other}),
            "reason": why.reason,
            "description": why.happened,
            "remedy": why.remedy,
        }
        for why in Close
    ]
    return [
        *own,
        *({"code": code, "description": said} for code, said in CLOSES_OF_SERVERS.items()),
    ]


SECURITY: Schema = {
    "query": {
        "type": "httpApiKey",
        "in": "query",
        "name": TOKEN_PARAMETER,
        "description": "A token of the Better Auth server.",
    },
    "subprotocol": {
        "type": "httpApiKey",
        "in": "header",
        "name": "Sec-WebSocket-Protocol",
        "description": f"`{SUBPROTOCOL}, <token>`: as a page offers it that keeps tokens out of URLs.",
    },
    BearerScheme.name: BearerScheme.definition,
}

EXAMPLES = {
    "date-time": "2030-04-28T08:00:00.123456Z",
    "date": "2030-05-01",
    "uuid": "0198c5a0-7d2f-7c3a-9f54-2b1e8d60c7aa",
}


def example_of(schema: Schema, schemas: Schema, name: str = "") -> Any:
    """A value that fits a schema: its own example, or the plainest that there is of its type."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas, name)
    for keyword in ("const", "default"):
        if keyword in schema:
            return schema[keyword]
    for keyword in ("examples", "enum"):
        if keyword in schema:
            return schema[keyword][0]
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    match kinds[0]:
        case "object":
            properties = schema["properties"].items()
            return {each: example_of(one, schemas, each) for each, one in properties}
        case "array":
            return [example_of(schema["items"], schemas, name)]
        case "integer":
            return 1
        case "boolean":
            return False
        case _:
            return EXAMPLES.get(schema.get("format", ""), name)
