"""Components of the OpenAPI document that no serializer has, and examples."""

from typing import Any

from tasks.events.record import KEPT_DAYS

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
    "BadBody": {"oneOf": [ref("FieldErrors"), ref("Error")]},
}

_TASK = {
    "id": "0198c5a0-7d2f-7c3a-9f54-2b1e8d60c7aa",
    "user_id": "Kf83hD0sNq2XvB7mTzL1cRyWpQ9uEo5A",
    "version": 1,
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
