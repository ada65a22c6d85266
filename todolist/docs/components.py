"""What the OpenAPI document holds besides views and serializers: components, refusals, examples."""

from typing import Any, NamedTuple

from tasks.events.record import KEPT_DAYS

Schema = dict[str, Any]

DESCRIPTION = f"""\
The tasks of people who sign in through Better Auth. Every call but those to `/health`, `/schema` and
`/docs` needs `Authorization: Bearer <token>`; whose tasks it is about, the token says.

**Isolation.** An id that does not exist is 404, one that is somebody else's is 403; lists and counts
never include it.

**Paths** work with a trailing slash as well, without a redirect. **Times** are UTC, in ISO 8601.

**Live events.** `/ws/notifications?token=<token>` is a WebSocket: it greets with
`{{"type": "ready", "seq": n, "expires_at": …, "epoch": …}}` and then sends an `Event` for every change, once and
in order. With `&since=n` it first sends what came after `n`, as far back as {KEPT_DAYS} days.
"""


def ref(component: str) -> Schema:
    return {"$ref": f"#/components/schemas/{component}"}


def string(**more: Any) -> Schema:
    return {"type": "string", **more}


def record(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def event(data: Schema, *types: str) -> Schema:
    return record(
        seq={
            "type": "integer",
            "minimum": 1,
            "description": "1, 2, 3, … for each person, without gaps, in the order of the commits",
        },
        type=string(enum=list(types)),
        at=string(format="date-time"),
        data=data,
    )


COMPONENTS: dict[str, Schema] = {
    "Error": record(detail=string(description="What is wrong, in one sentence")),
    "FieldErrors": {
        "type": "object",
        "description": "What is wrong, by field; `non_field_errors` where it is no field",
        "minProperties": 1,
        "additionalProperties": {"type": "array", "items": string(), "minItems": 1},
    },
    "EventsGone": record(
        detail=string(),
        code=string(),
        seq={"type": "integer", "minimum": 0, "description": "The newest event"},
        epoch=string(description="The history that this number belongs to"),
    ),
    "BadBody": {"oneOf": [ref("FieldErrors"), ref("Error")]},
}


def header(description: str, **schema: Any) -> Schema:
    return {"description": description, "required": True, "schema": string(**schema)}


LINK: Schema = {
    "description": 'Where the list goes on, if it does: `<URL>; rel="next"`',
    "schema": string(pattern='^<.+>; rel="next"$'),
}
EVENTS_SEQ = header("The newest event as of which the list was read", pattern="^[0-9]+$")
EVENTS_EPOCH = header("The history that this number belongs to")
POSITION = {"X-Events-Seq": EVENTS_SEQ, "X-Events-Epoch": EVENTS_EPOCH}
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
    "list": Action("list", "List own", {"Link": LINK, **POSITION}, []),
    "create": Action("create", "Create a", {"ETag": ETAG, "Location": LOCATION}, [IDEMPOTENCY_KEY]),
    "retrieve": Action("get", "Show a", {"ETag": ETAG}, [IF_NONE_MATCH]),
    "update": Action("replace", "Replace a", {"ETag": ETAG}, [IF_MATCH]),
    "partial_update": Action("change", "Change a", {"ETag": ETAG}, [IF_MATCH]),
    "destroy": Action("delete", "Delete a", {}, [IF_MATCH]),
}


def refused(description: str, body: str = "Error", **more: Any) -> Schema:
    content = {"application/json": {"schema": ref(body)}}
    return {"description": description, "content": content, **more}


NOT_MODIFIED = {"description": "It is as `If-None-Match` has it", "headers": {"ETag": ETAG}}
BAD_BODY = refused("The body is wrong: what is wrong with which field", "BadBody")
REFUSALS = {
    "400": refused("A parameter is wrong; the sentence names it"),
    "401": refused("No token, or one that is not accepted, and why", headers=CHALLENGE),
    "403": refused("It is somebody else's"),
    "404": refused("There is no such id"),
    "406": refused("`Accept` excludes everything that there is"),
    "409": refused("The first request with this key is still running", headers=RETRY_AFTER),
    "412": refused("`If-Match` names another version; nothing was changed"),
    "413": refused("The body is larger than 1 MiB"),
    "415": refused("The body is not `application/json`"),
    "422": refused("The key was used with another body"),
    "503": refused("What is needed does not answer at the moment", headers=RETRY_AFTER),
}

EXAMPLES: dict[str, Schema] = {
    "TaskRequest": {"text": "Water the plants", "deadline": "2030-05-01T12:30:00Z"},
    "PatchedTaskRequest": {"completed": True},
    "Error": {"detail": "Authentication required"},
    "FieldErrors": {"text": ["This field may not be blank."]},
}
