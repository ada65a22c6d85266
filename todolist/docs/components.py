"""What the OpenAPI document holds besides views and serializers: components, refusals, examples."""

from collections import ChainMap
from datetime import datetime
from types import NoneType
from typing import Annotated, Any, ClassVar, NamedTuple, get_args, get_origin, get_type_hints

from rest_framework.exceptions import (
    APIException,
    AuthenticationFailed,
    NotAcceptable,
    NotAuthenticated,
    NotFound,
    PermissionDenied,
    UnsupportedMediaType,
)
from rest_framework.fields import Field

from accounts.owned.permissions import IsOwner
from accounts.signin.authentication import TryAgainLater
from accounts.signin.errors import ExpiredToken, InvalidToken, KeysUnavailable, SignedOut
from tasks.events.protocol import LiveEvent
from tasks.events.record import KEPT_DAYS
from tasks.resources.etags import PreconditionFailed
from tasks.resources.fields import IdTaken
from tasks.resources.idempotency import KeyOfAnotherBody, StillRunning
from tasks.resources.lists.query import BadParameter
from todolist.rest.errors import DatabaseUnavailable, ServerBusy, body_of
from todolist.rest.formats import BodyTooLarge, EncodedBody, NotJSON

Schema = dict[str, Any]

DESCRIPTION = f"""\
The tasks of people who sign in through Better Auth. Every call but those to `/health` needs
`Authorization: Bearer <token>`; whose tasks it is about, the token says.

**Isolation.** An id that does not exist is 404, one that is somebody else's is 403; lists and counts
never include it.

**Paths** work with a trailing slash as well, without a redirect. **Times** are UTC, in ISO 8601.

**Live events.** `/ws/notifications?token=<token>` is a WebSocket: it greets with
`{{"type": "ready", "seq": n, "expires_at": …, "epoch": …}}` and then sends a `LiveEvent` for every change, once and
in order. With `&since=n` it first sends what came after `n`, as far back as {KEPT_DAYS} days. All that is said
over it is in the AsyncAPI document at `/schema/events`.
"""


def ref(component: str) -> Schema:
    return {"$ref": f"#/components/schemas/{component}"}


def string(**more: Any) -> Schema:
    return {"type": "string", **more}


def record(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


JSON_TYPES: dict[Any, Schema] = {
    int: {"type": "integer"},
    str: string(),
    datetime: string(format="date-time"),
}


def fields_of(declared: type) -> dict[str, Schema]:
    """The fields of a class of `tasks.events.protocol`, by its annotations."""
    found = {}
    for name, hint in get_type_hints(declared, include_extras=True).items():
        if get_origin(hint) is ClassVar:
            continue
        kind, *said = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        (kind,) = set(get_args(kind)) - {NoneType} or {kind}  # what may be left out
        found[name] = dict(ChainMap(*said, JSON_TYPES[kind]))
    return found


def event(event_type: str, data: Schema) -> Schema:
    return record(**{**fields_of(LiveEvent), "type": string(const=event_type), "data": data})


def live_event(components: dict[str, str]) -> Schema:
    """Any event, told apart by its type; takes the component of each type."""
    return {
        "oneOf": [ref(name) for name in components.values()],
        "discriminator": {
            "propertyName": "type",
            "mapping": {kind: ref(name)["$ref"] for kind, name in components.items()},
        },
    }


ERROR = {
    "detail": string(description="What is wrong, in one sentence, which may change"),
    "code": string(description="What is wrong, in one word, which stays"),
}
COMPONENTS: dict[str, Schema] = {
    "ApiError": record(**ERROR),
    "FieldErrors": {
        "type": "object",
        "description": "What is wrong, by field; `non_field_errors` where it is no field",
        "minProperties": 1,
        "additionalProperties": {"type": "array", "items": string(), "minItems": 1},
    },
    "EventsGone": record(
        **ERROR,
        seq={"type": "integer", "description": "The number of the newest event"},
        epoch=string(description="The history that this number belongs to"),
    ),
    "BulkFailed": record(
        **ERROR,
        index={"type": "integer", "minimum": 0, "description": "Which operation failed"},
        status={"type": "integer", "description": "What it would have been answered by itself"},
        body={"description": "The body of that answer"},
    ),
    "BadBody": {"anyOf": [ref("FieldErrors"), ref("ApiError")]},
}


TOKEN_ERRORS = (ExpiredToken(), SignedOut(), InvalidToken("signature does not match"))


def header(description: str, **schema: Any) -> Schema:
    return {"description": description, "required": True, "schema": string(**schema)}


LINK: Schema = {
    "description": 'Where the list goes on, if it does: `<URL>; rel="next"`',
    "schema": string(pattern='^<.+>; rel="next"$'),
}
EVENTS_SEQ = header("The newest event as of which the list was read", pattern="^[0-9]+$")
EVENTS_EPOCH = header("The history that this number belongs to")
OF_LISTS = {"Link": LINK, "X-Events-Seq": EVENTS_SEQ, "X-Events-Epoch": EVENTS_EPOCH}
ETAG = header("The version in quotes, for `If-Match`")
LOCATION = header("Where the new one is", format="uri")
RETRY_AFTER = {"Retry-After": header("Seconds to wait before the next try", pattern="^[0-9]+$")}
SAID = '`Bearer`; with `error="invalid_token"` where a token was sent'
CHALLENGE = {"WWW-Authenticate": header(SAID, pattern="^Bearer")}


def sent(name: str, description: str, **schema: Any) -> Schema:
    return {"in": "header", "name": name, "schema": string(**schema), "description": description}


IF_MATCH = sent("If-Match", "Only if it is still the version with this `ETag`.")
IF_NONE_MATCH = sent("If-None-Match", "Answer 304 if it is still the version with this `ETag`.")
IDEMPOTENCY_KEY = sent(
    "Idempotency-Key",
    "Chosen by the client, once for each thing it means to create. Sent again within 24 hours with "
    "the same body, it creates nothing and is answered as the first time.",
    minLength=1,
    maxLength=255,
    pattern=r"^[\x20-\x7e]+$",
)


class Action(NamedTuple):
    """What clients call one of REST framework's actions, and what `RecordedViewMixin` adds to it."""

    verb: str
    words: str
    headers: Schema  # of the answer
    parameters: list[Schema]


ACTIONS = {
    "list": Action("list", "List own", {}, []),
    "create": Action("create", "Create a", {"ETag": ETAG, "Location": LOCATION}, []),
    "retrieve": Action("get", "Show a", {"ETag": ETAG}, [IF_NONE_MATCH]),
    "update": Action("replace", "Replace a", {"ETag": ETAG}, [IF_MATCH]),
    "partial_update": Action("change", "Change a", {"ETag": ETAG}, [IF_MATCH]),
    "move": Action("move", "Move a", {"ETag": ETAG}, [IF_MATCH]),
    "bulk": Action("bulk", "Change many", {}, []),
    "destroy": Action("delete", "Delete a", {}, [IF_MATCH]),
}


def refused(description: str, *errors: APIException, body: str = "ApiError", **more: Any) -> Schema:
    """An answer of 4xx or 5xx, with these errors as examples, by their codes."""
    examples = {str(error.get_codes()): {"value": body_of(error)} for error in errors}
    content = {"application/json": {"schema": ref(body), "examples": examples}}
    return {"description": description, "content": content, **more}


NOT_MODIFIED = {"description": "It is as `If-None-Match` has it", "headers": {"ETag": ETAG}}
REFUSALS = {
    "400": refused(
        "A parameter is wrong, or none of this path's; the sentence names it",
        BadParameter("limit: A valid integer is required."),
    ),
    "401": refused(
        "No token, or one that is not accepted, and why",
        NotAuthenticated("Authentication required"),
        *(AuthenticationFailed(str(error), error.code) for error in TOKEN_ERRORS),
        headers=CHALLENGE,
    ),
    "403": refused("It is somebody else's", PermissionDenied(IsOwner.message, IsOwner.code)),
    "406": refused("`Accept` excludes everything that there is", NotAcceptable()),
    "409": refused(
        "The first request with this key is still running, or there is something with this id",
        StillRunning(),
        IdTaken(),
    ),
    "412": refused("`If-Match` names another version; nothing was changed", PreconditionFailed()),
    "413": refused("The body is larger than 1 MiB (of an import: 16 MiB)", BodyTooLarge()),
    "415": refused(
        "The body is not `application/json`, or not as it is",
        UnsupportedMediaType("text/plain"),
        EncodedBody(),
    ),
    "422": refused("The key was used with another body", KeyOfAnotherBody()),
    "503": refused(
        "What is needed does not answer at the moment",
        DatabaseUnavailable(),
        ServerBusy(),
        TryAgainLater(KeysUnavailable(1)),
        headers=RETRY_AFTER,
    ),
}


def not_found(name: str) -> Schema:
    return refused("There is no such id", NotFound(f"{name.capitalize()} not found"))


def bad_body(field: str | None, *others: APIException) -> Schema:
    """400 for a body; takes a field that may be wrong."""
    answer = refused(
        "The body is wrong: what is wrong with which field",
        NotJSON("the body is not JSON, from line 1, column 2 on"),
        *others,
        body="BadBody",
    )
    if field is not None:
        examples = answer["content"]["application/json"]["examples"]
        examples["fields"] = {"value": {field: [str(Field.default_error_messages["null"])]}}
    return answer
