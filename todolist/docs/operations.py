"""What each operation of the API takes and answers, as far as no serializer says it.

The document at `/schema` is made of this. A route that is missing here keeps it from being made.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from tasks.api.listing import EventParameters, NotificationParameters, TaskParameters

from tasks.api.serializers import NotificationSerializer, TaskSerializer
from tasks.events.record import KEPT_DAYS
from tasks.rules.reminders import Kind

Schema = dict[str, Any]

DESCRIPTION = f"""\
The tasks of people who sign in through Better Auth. Every call but those to `/health`, `/schema` and
`/docs` needs `Authorization: Bearer <token>`; whose tasks it is about, the token says.

**Isolation.** An id that does not exist is 404, one that is somebody else's is 403; lists and counts
never include it.

**Paths** work with a trailing slash as well, without a redirect. **Times** are UTC, in ISO 8601.

**Live events.** `/ws/notifications?token=<token>` is a WebSocket: it greets with
`{{"type": "ready", "seq": n, "expires_at": …}}` and then sends an `Event` for every change, once and
in order. With `&since=n` it first sends what came after `n`, as far back as {KEPT_DAYS} days.
"""


def ref(component: str) -> Schema:
    return {"$ref": f"#/components/schemas/{component}"}


def string(**more: Any) -> Schema:
    return {"type": "string", **more}


# What more than one operation answers


@dataclass(frozen=True)
class Header:
    name: str
    description: str
    schema: Schema = field(default_factory=string)
    required: bool = False


@dataclass(frozen=True)
class Answer:
    """A status, what it means, and what comes with it. A string names a component."""

    status: int
    description: str
    body: Any = None
    headers: tuple[Header, ...] = ()
    media_types: tuple[str, ...] = ()


RETRY_AFTER = Header(
    "Retry-After",
    "Seconds to wait before the next try",
    {"type": "string", "pattern": "^[0-9]+$"},
    required=True,
)
LINK = Header(
    "Link",
    'Where the list goes on, if it does: `<URL>; rel="next"`',
    string(pattern='^<.+>; rel="next"$'),
)
ETAG = Header("ETag", "The version of the task, for `If-Match`", required=True)
LOCATION = Header("Location", "The URL of the new task", string(format="uri"), required=True)
CHALLENGE = Header(
    "WWW-Authenticate",
    '`Bearer`; with `error="invalid_token"` where a token was sent',
    string(pattern="^Bearer"),
    required=True,
)

OperationKind = Literal["negotiated", "query", "body", "signed in", "somebody's"]

# What is refused for what kind of operation it is.
REFUSALS: list[tuple[OperationKind, Answer]] = [
    ("query", Answer(400, "A parameter is wrong; the sentence names it", "Error")),
    ("body", Answer(400, "The body is wrong: what is wrong with which field", "BadBody")),
    (
        "signed in",
        Answer(401, "No token, or one that is not accepted, and why", "Error", (CHALLENGE,)),
    ),
    ("somebody's", Answer(403, "It is somebody else's", "Error")),
    ("somebody's", Answer(404, "There is no such id", "Error")),
    ("negotiated", Answer(406, "`Accept` excludes everything that there is", "Error")),
    ("body", Answer(413, "The body is larger than 1 MiB", "Error")),
    ("body", Answer(415, "The body is not `application/json`", "Error")),
    (
        "signed in",
        Answer(503, "What is needed does not answer at the moment", "Error", (RETRY_AFTER,)),
    ),
]
CHANGED_MEANWHILE = Answer(412, "`If-Match` names another version; nothing was changed", "Error")

IF_MATCH = OpenApiParameter(
    name="If-Match",
    type=string(),
    location=OpenApiParameter.HEADER,
    description="Only if the task is still the version with this `ETag`.",
)
IF_NONE_MATCH = OpenApiParameter(
    name="If-None-Match",
    type=string(),
    location=OpenApiParameter.HEADER,
    description="Answer 304 if the task is still the version with this `ETag`.",
)
IDEMPOTENCY_KEY = OpenApiParameter(
    name="Idempotency-Key",
    type=string(minLength=1, maxLength=255, pattern=r"^[\x20-\x7e]+$"),
    location=OpenApiParameter.HEADER,
    description=(
        "Chosen by the client, once for each task it means to create. Sent again within 24 hours "
        "with the same body, it creates nothing and is answered as the first time."
    ),
)
TASK_ID = OpenApiParameter(
    name="id", type=OpenApiTypes.UUID, location=OpenApiParameter.PATH, description="Of the task"
)
NOTIFICATION_ID = OpenApiParameter(
    name="id",
    type=OpenApiTypes.UUID,
    location=OpenApiParameter.PATH,
    description="Of the notification",
)


# The operations


@dataclass(frozen=True)
class Operation:
    """`body` and `query` are serializers; the refusals of `REFUSALS` need not be repeated."""

    name: str
    tag: str
    summary: str
    answers: tuple[Answer, ...]
    description: str = ""
    body: Any = None
    query: Any = None
    parameters: tuple[OpenApiParameter, ...] = ()
    negotiated: bool = True


DOCUMENT_TYPES = ("application/json", "application/vnd.oai.openapi+json")
YAML_TYPES = ("application/yaml", "application/vnd.oai.openapi")

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", "/tasks"): Operation(
        "listTasks",
        "tasks",
        "List own tasks",
        (Answer(200, "The tasks, newest first", TaskSerializer(many=True), (LINK,)),),
        "Newest first unless `ordering` says otherwise; tasks without a deadline come last in both "
        "directions of `deadline`. What does not fit into `limit` is at the URL in `Link`; rows "
        "that are added meanwhile make none be skipped or repeated.",
        query=TaskParameters,
    ),
    ("POST", "/tasks"): Operation(
        "createTask",
        "tasks",
        "Create a task",
        (
            Answer(201, "The new task", TaskSerializer, (ETAG, LOCATION)),
            Answer(
                409, "The first request with this key is still running", "Error", (RETRY_AFTER,)
            ),
            Answer(422, "The key was used with another body", "Error"),
        ),
        body=TaskSerializer,
        parameters=(IDEMPOTENCY_KEY,),
    ),
    ("GET", "/tasks/{id}"): Operation(
        "getTask",
        "tasks",
        "Show a task",
        (
            Answer(200, "The task", TaskSerializer, (ETAG,)),
            Answer(304, "It is as `If-None-Match` has it", headers=(ETAG,)),
        ),
        parameters=(TASK_ID, IF_NONE_MATCH),
    ),
    ("PUT", "/tasks/{id}"): Operation(
        "replaceTask",
        "tasks",
        "Replace a task",
        (Answer(200, "The task as it is now", TaskSerializer, (ETAG,)), CHANGED_MEANWHILE),
        "What is left out takes its default.",
        body=TaskSerializer,
        parameters=(TASK_ID, IF_MATCH),
    ),
    ("PATCH", "/tasks/{id}"): Operation(
        "changeTask",
        "tasks",
        "Change a task",
        (Answer(200, "The task as it is now", TaskSerializer, (ETAG,)), CHANGED_MEANWHILE),
        "What is left out stays.",
        body=TaskSerializer,
        parameters=(TASK_ID, IF_MATCH),
    ),
    ("DELETE", "/tasks/{id}"): Operation(
        "deleteTask",
        "tasks",
        "Delete a task",
        (Answer(204, "It is gone, and its notifications with it"), CHANGED_MEANWHILE),
        parameters=(TASK_ID, IF_MATCH),
    ),
    ("GET", "/notifications"): Operation(
        "listNotifications",
        "notifications",
        "List own notifications",
        (
            Answer(
                200,
                "The notifications, newest first",
                NotificationSerializer(many=True),
                (LINK,),
            ),
        ),
        query=NotificationParameters,
    ),
    ("GET", "/notifications/unread-count"): Operation(
        "countUnreadNotifications",
        "notifications",
        "Count unread notifications",
        (Answer(200, "How many there are", "UnreadCount"),),
    ),
    ("POST", "/notifications/{id}/read"): Operation(
        "readNotification",
        "notifications",
        "Mark a notification as read",
        (Answer(200, "The notification", NotificationSerializer),),
        "Once more changes nothing: the first time counts.",
        parameters=(NOTIFICATION_ID,),
    ),
    ("POST", "/notifications/read-all"): Operation(
        "readAllNotifications",
        "notifications",
        "Mark all notifications as read",
        (Answer(200, "How many were unread", "UpdatedCount"),),
    ),
    ("GET", "/events"): Operation(
        "listEvents",
        "events",
        "List own events after a number",
        (
            Answer(
                200,
                "The events after `since`, oldest first",
                {"type": "array", "items": ref("Event"), "maxItems": 1000},
                (LINK,),
            ),
            Answer(
                410,
                "`since` is older than what is kept, or ahead of what there is: fetch the lists "
                "again",
                "Error",
            ),
        ),
        "For clients that poll; the socket sends the same events as they happen.",
        query=EventParameters,
    ),
    ("GET", "/me"): Operation(
        "getMe",
        "me",
        "Show who the token speaks for",
        (Answer(200, "The caller", "Person"),),
    ),
    ("GET", "/health/live"): Operation(
        "getLive",
        "health",
        "Whether the process answers",
        (Answer(200, "It does", "Live"),),
    ),
    ("GET", "/health/ready"): Operation(
        "getReady",
        "health",
        "Whether database and channel layer answer",
        (Answer(200, "Both do", "Ready"), Answer(503, "One does not", "NotReady")),
    ),
    ("GET", "/schema"): Operation(
        "getSchema",
        "documentation",
        "This document",
        (
            Answer(200, "In OpenAPI 3.1", {"type": "object"}, media_types=DOCUMENT_TYPES),
            Answer(200, "In OpenAPI 3.1", {"type": "object"}, media_types=YAML_TYPES),
        ),
    ),
    ("GET", "/docs"): Operation(
        "getDocs",
        "documentation",
        "A page to try this API on",
        (Answer(200, "The page", string(), media_types=("text/html",)),),
        negotiated=False,
    ),
}


# Components that no serializer has


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


PART = string(enum=["ok", "unreachable"])
COUNT = {"type": "integer", "minimum": 0}

COMPONENTS: dict[str, Schema] = {
    "Error": record(detail=string(description="What is wrong, in one sentence")),
    "FieldErrors": {
        "type": "object",
        "description": "What is wrong, by field; `non_field_errors` where it is no field",
        "minProperties": 1,
        "additionalProperties": {"type": "array", "items": string(), "minItems": 1},
    },
    "BadBody": {"oneOf": [ref("FieldErrors"), ref("Error")]},
    "Person": record(
        id=string(
            minLength=1, maxLength=255, description="The token's `sub`: the owner of the tasks"
        ),
        email=string(description="As the token says; empty where it does not"),
        name=string(description="As the token says; empty where it does not"),
    ),
    "UnreadCount": record(count=COUNT),
    "UpdatedCount": record(updated=COUNT),
    "Live": record(status=string(enum=["ok"])),
    "Ready": record(
        status=string(enum=["ok"]),
        database=string(enum=["ok"]),
        channel_layer=string(enum=["ok"]),
    ),
    "NotReady": record(detail=string(), database=PART, channel_layer=PART),
    "Event": {"oneOf": [ref("TaskEvent"), ref("TaskDeletedEvent"), ref("NotificationEvent")]},
    "TaskEvent": event(ref("Task"), "task.created", "task.updated"),
    "TaskDeletedEvent": event(record(id=string(format="uuid")), "task.deleted"),
    "NotificationEvent": event(ref("Notification"), "notification.created", "notification.read"),
}

# The values that a field can have, where it is but text to its serializer.
VALUES = {"Notification.type": [kind.value for kind in Kind]}

# Said of fields, in answers and in requests.
NOTES = {
    "Task.user_id": "The owner: the `sub` of their tokens",
    "Task.text": "Blanks around it are cut off before it is measured",
    "Task.completed_at": "Set by the server when `completed` turns true, null when it turns false",
    "Task.deadline": "Without an offset it is taken for UTC; a bare date is refused",
    "Task.order": "For the client to sort by, as it likes",
    "Notification.type": "30 minutes before the deadline, when it is reached, or an hour after",
    "Notification.read_at": "Null while it is unread",
}

_TASK = {
    "id": "0198c5a0-7d2f-7c3a-9f54-2b1e8d60c7aa",
    "user_id": "Kf83hD0sNq2XvB7mTzL1cRyWpQ9uEo5A",
    "text": "Water the plants",
    "description": "The ficus too",
    "completed": False,
    "completed_at": None,
    "deadline": "2030-05-01T12:30:00Z",
    "order": 0,
    "created_at": "2030-04-28T08:00:00.123456Z",
    "updated_at": "2030-04-28T08:00:00.123456Z",
}
_NOTIFICATION = {
    "id": "0198c5a3-11d0-7b8e-8c1d-5fd0a1b2c3d4",
    "task_id": _TASK["id"],
    "type": "deadline_reminder",
    "title": "Due in 30 minutes",
    "message": "Water the plants",
    "read_at": None,
    "created_at": "2030-05-01T12:00:00.654321Z",
}

EXAMPLES: dict[str, Schema] = {
    "Task": _TASK,
    "TaskRequest": {"text": "Water the plants", "deadline": "2030-05-01T12:30:00Z"},
    "PatchedTaskRequest": {"completed": True},
    "Notification": _NOTIFICATION,
    "Error": {"detail": "Authentication required"},
    "FieldErrors": {"text": ["This field may not be blank."]},
    "TaskEvent": {
        "seq": 42,
        "type": "task.created",
        "at": "2030-04-28T08:00:00.123456Z",
        "data": _TASK,
    },
}
