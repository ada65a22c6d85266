"""A plugin: whatever the socket says in a test, and closes with, is in the AsyncAPI document.

Clients keep what they see here, and it is looked at when the test ends. Fields that the document does not
have are refused, though clients are to let them pass.
"""

import json
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import Any

import jsonschema
import pytest
from asgiref.testing import ApplicationCommunicator
from django.test import override_settings
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode

from tasks.events.protocol import PATH

Schema = dict[str, Any]

MOST, LONGEST = 5, 500  # faults that are shown, and characters of each

_seen: deque[str | int] = deque()  # texts, and codes that the server closed with
_formats = jsonschema.FormatChecker(["uuid", "date"])


def is_moment(value: object) -> bool:
    if not isinstance(value, str):
        return True
    datetime.fromisoformat(value)
    return value.endswith("Z")


_formats.checks("date-time", raises=ValueError)(is_moment)


def see(what: str | int) -> None:
    """Keep a text that the server sent, or the code that it closed with."""
    _seen.append(what)


@pytest.fixture(autouse=True)
def documented_frames() -> Iterator[None]:
    yield
    faults = [fault[:LONGEST] for what in taken() for fault in faults_of(what)]
    if faults:
        shown = "\n".join(faults[:MOST])
        pytest.fail(f"{len(faults)} times not as the AsyncAPI document has it:\n{shown}")


def taken() -> list[str | int]:
    """What was seen since this was asked last."""
    return [_seen.popleft() for _ in range(len(_seen))]


def faults_of(what: str | int) -> list[str]:
    """In which ways this is not as the document has it."""
    validators, codes = _documented()
    if isinstance(what, int):
        return [] if what in codes else [f"no close code: {what}"]
    message = json.loads(what)
    if (validator := validators.get(message.get("type"))) is None:
        return [f"no message: {what}"]
    return [f"{error.message}: {what}" for error in validator.iter_errors(message)]


@cache
def _documented() -> tuple[dict[str, Any], set[int]]:
    """What checks each type of message of the server, and the codes that it closes with."""
    from todolist.docs.asyncapi import document

    with override_settings(ROOT_URLCONF="todolist.tests.urls"):
        found: Schema = json.loads(document("application/json"))
    schemas: Schema = found["components"]["schemas"]
    components = {"schemas": {name: _closed(schema) for name, schema in schemas.items()}}
    validators = {
        message["name"]: jsonschema.Draft202012Validator(
            {**message["payload"], "components": components}, format_checker=_formats
        )
        for message in found["components"]["messages"].values()
    }
    for operation in found["operations"].values():
        if operation["action"] == "receive":
            for reference in operation["messages"]:
                name = reference["$ref"].rpartition("/")[2]
                del validators[found["components"]["messages"][name]["name"]]
    (channel,) = found["channels"].values()
    codes = {
        one[name]
        for one in channel["x-close-codes"]
        for name in ("code", "codeOfDaphne")
        if name in one
    }
    return validators, codes


def _closed(schema: Schema) -> Schema:
    """The schema of objects that have no fields but those that it names."""
    if "properties" not in schema:
        return schema
    fields = {name: _closed(field) for name, field in schema["properties"].items()}
    return {**schema, "properties": fields, "additionalProperties": False}


# The clients of the tests: websockets, and Channels' own


def _seen_by_websockets(self: ClientProtocol) -> list[Any]:
    events = _events_received(self)
    if self.uri.path.endswith(PATH):
        for event in events:
            if not isinstance(event, Frame):
                continue
            if event.opcode is Opcode.TEXT:
                see(bytes(event.data).decode())
            elif event.opcode is Opcode.CLOSE and self.close_rcvd and self.close_rcvd_then_sent:
                see(self.close_rcvd.code)  # else it is the answer to what the client closed with
    return events


async def _seen_by_channels(self: ApplicationCommunicator, *args: Any, **kwargs: Any) -> Any:
    message = await _receive_output(self, *args, **kwargs)
    if self.scope["type"] == "websocket" and self.scope["path"].endswith(PATH):
        if message["type"] == "websocket.send":
            see(message["text"])
        elif message["type"] == "websocket.close" and message.get("code") is not None:
            see(message["code"])
    return message


_events_received = ClientProtocol.events_received
_receive_output: Any = ApplicationCommunicator.receive_output
setattr(ClientProtocol, "events_received", _seen_by_websockets)  # noqa: B010  past its type
setattr(ApplicationCommunicator, "receive_output", _seen_by_channels)  # noqa: B010
