"""The document at `/schema/events`: public, complete, and of what the socket really says."""

import json
from contextlib import suppress
from typing import Any

import jsonschema
import pytest
import yaml
from channels.testing import WebsocketCommunicator
from rest_framework.test import APIClient
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from accounts.closing import CLOSES_OF_SERVERS, Close
from conftest import BOB, PAGE_ORIGIN, client_with, sign
from tasks.events.protocol import Message
from tasks.resources.models import event_types
from todolist.docs import asyncapi
from todolist.tests.frames import faults_of, taken
from todolist.tests.rawsocket import RawSocket

pytestmark = pytest.mark.django_db

PATH = "/schema/events"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    response = APIClient().get(PATH)
    assert response.status_code == 200
    return dict(json.loads(response.content))


def schema_for(document: dict[str, Any], name: str) -> dict[str, Any]:
    """The schema of a message, whose references a validator can follow."""
    payload = document["components"]["messages"][name]["payload"]
    return {**payload, "components": document["components"]}


def target(document: dict[str, Any], reference: dict[str, str]) -> Any:
    found: Any = document
    for part in reference["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return target(document, found) if "$ref" in found else found


# The route


@pytest.mark.parametrize("path", [PATH, f"{PATH}/"])
@pytest.mark.parametrize("authorization", [None, "Bearer garbage", f"Bearer {sign(exp=1)}"])
def test_the_document_is_for_everybody(path, authorization):
    headers = {} if authorization is None else {"authorization": authorization}
    response = APIClient().get(path, headers=headers)

    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert response.json()["asyncapi"] == "3.0.0"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "application/json"),
        ("application/vnd.aai.asyncapi+json", "application/vnd.aai.asyncapi+json"),
        ("application/yaml", "application/yaml"),
        ("application/vnd.aai.asyncapi", "application/vnd.aai.asyncapi"),
    ],
)
def test_the_document_comes_as_json_or_yaml(document, accept, content_type):
    response = APIClient().get(PATH, headers={"accept": accept})

    assert response["Content-Type"] == content_type
    assert "Accept" in response["Vary"]
    assert yaml.safe_load(response.content) == document  # JSON is YAML, too


def test_no_other_form_of_the_document_can_be_had():
    assert APIClient().get(PATH, headers={"accept": "text/html"}).status_code == 406


def test_a_page_of_the_frontend_may_read_the_document():
    response = APIClient().get(PATH, headers={"origin": PAGE_ORIGIN})
    assert response["Access-Control-Allow-Origin"] == PAGE_ORIGIN


def test_the_document_is_made_once(monkeypatch):
    APIClient().get(PATH)
    monkeypatch.setattr(asyncapi, "generated", None)

    assert APIClient().get(PATH).status_code == 200


def test_another_person_is_told_the_same(document):
    assert json.loads(client_with(sign(BOB)).get(PATH).content) == document


# Completeness


def test_every_type_of_event_is_a_message_of_the_server(document):
    """Those of the resources as well that only the tests have."""
    sent = [target(document, one) for one in document["operations"]["tell"]["messages"]]
    said = {one["name"] for one in sent}
    assert set(event_types()) < said
    assert {"note.created", "tag.deleted", "chore.updated"} < said
    assert said - set(event_types()) == {"ready", "resync", "auth.expiring", "error"}


def test_resources_without_a_route_have_their_events_as_well(document, settings):
    settings.ROOT_URLCONF = "todolist.urls"  # which knows those of the tests not
    assert asyncapi.described() == document


def test_every_message_that_is_declared_is_in_the_document(document):
    named = {one["name"] for one in document["components"]["messages"].values()}
    assert {one.type for one in Message.__subclasses__()} == named - set(event_types())


def test_what_clients_may_send_and_how_that_is_answered_is_in_the_document(document):
    heard = {
        target(document, one["messages"][0])["name"]: target(document, one["reply"]["messages"][0])[
            "name"
        ]
        for one in document["operations"].values()
        if one["action"] == "receive"
    }
    assert heard == {"ping": "pong", "auth": "auth.ok"}


def test_all_messages_of_operations_are_those_of_the_channel(document):
    channel = document["channels"]["notifications"]
    used = [
        one["$ref"]
        for operation in document["operations"].values()
        for one in [*operation["messages"], *operation.get("reply", {}).get("messages", [])]
    ]
    assert sorted(used) == sorted(
        f"#/channels/notifications/messages/{name}" for name in channel["messages"]
    )


def test_examples_fit_the_messages_and_schemas_those_of_openapi(document):
    openapi = APIClient().get("/schema").json()["components"]["schemas"]
    for name, message in document["components"]["messages"].items():
        for example in message["examples"]:
            jsonschema.validate(
                example["payload"],
                schema_for(document, name),
                format_checker=jsonschema.FormatChecker(),
            )
    declared = {one.__name__ for one in Message.__subclasses__()}
    assert declared.isdisjoint(openapi)  # so that clients can have both in one module
    for name, schema in document["components"]["schemas"].items():
        assert name in declared or schema == openapi[name]


def test_each_message_says_all_its_fields_and_what_they_are(document):
    for name, schema in document["components"]["schemas"].items():
        assert set(schema["required"]) == schema["properties"].keys(), name
    for one in Message.__subclasses__():
        kind, *fields = document["components"]["schemas"][one.__name__]["properties"].values()
        assert kind == {"type": "string", "const": one.type}
        assert all(field["description"] for field in fields), one


def test_every_close_code_is_in_the_document(document):
    codes = document["channels"]["notifications"]["x-close-codes"]
    assert [(one["code"], one["reason"]) for one in codes if "reason" in one] == [
        (why.code, why.reason) for why in Close
    ]
    assert [one["code"] for one in codes if "reason" not in one] == [*CLOSES_OF_SERVERS]
    assert all(one["description"] for one in codes)
    assert {one["code"]: one["codeOfDaphne"] for one in codes if "codeOfDaphne" in one} == {
        1009: 4009,
        1013: 4013,
    }


def test_parameters_of_the_url_and_ways_to_sign_in_are_in_the_document(document):
    query = document["channels"]["notifications"]["bindings"]["ws"]["query"]
    assert query["properties"].keys() == {"token", "since", "epoch"}
    assert all(one["description"] for one in query["properties"].values())
    ways = [target(document, one) for one in document["servers"]["this"]["security"]]
    assert [(one["type"], one.get("name")) for one in ways] == [
        ("httpApiKey", "token"),
        ("httpApiKey", "Sec-WebSocket-Protocol"),
        ("http", None),
    ]


def test_a_prefix_is_the_path_of_the_server():
    below = json.loads(asyncapi.document("application/json", "/api/"))
    assert below["servers"]["this"]["pathname"] == "/api"


# Truth: real frames, as the document has them. Those of all other tests are looked at by `frames`


GONE = {"id": "0198c5a0-7d2f-7c3a-9f54-2b1e8d60c7aa"}
EVENT = {"seq": 1, "type": "note.deleted", "at": "2030-04-28T08:00:00.5Z", "data": GONE}


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (EVENT, None),
        ({"type": "pong"}, None),
        ({"type": "pong", "more": 1}, "Additional properties"),
        ({"type": "ping"}, "no message"),  # one of clients
        ({"type": "note.archived"}, "no message"),
        ({}, "no message"),
        ({"type": "error"}, "'detail' is a required property"),
        ({**EVENT, "seq": "1"}, "is not of type 'integer'"),
        ({**EVENT, "at": "2030-04-28T08:00:00+00:00"}, "is not a 'date-time'"),
        ({**EVENT, "at": "tomorrow"}, "is not a 'date-time'"),
        ({**EVENT, "data": {**GONE, "text": "x"}}, "Additional properties"),
        ({**EVENT, "data": {"id": "x"}}, "is not a 'uuid'"),
        ({**EVENT, "type": "note.created"}, "is a required property"),
    ],
)
def test_a_frame_that_the_document_does_not_have_is_noticed(message, fault):
    faults = faults_of(json.dumps(message))
    assert (faults == []) if fault is None else any(fault in each for each in faults)


def test_a_close_code_that_the_document_does_not_have_is_noticed():
    assert faults_of(4001) == faults_of(4009) == faults_of(1001) == []
    assert faults_of(4002) == ["no close code: 4002"]


@pytest.mark.asyncio
async def test_frames_of_clients_in_the_tests_are_looked_at():
    async def wrong(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": '{"type": "nonsense"}'})
        await send({"type": "websocket.close", "code": 4002})

    socket = WebsocketCommunicator(wrong, "/ws/notifications")
    assert (await socket.connect())[0]
    await socket.receive_from()
    await socket.receive_output()
    assert taken() == ['{"type": "nonsense"}', 4002]


def test_frames_of_a_server_are_looked_at(server):
    with connect(f"{server.socket_url}?token={sign()}") as socket:
        first = socket.recv()
    with connect(f"{server.socket_url}?token=x") as socket, suppress(ConnectionClosed):
        socket.recv()
    with RawSocket(server.port, sign()) as raw:
        again = raw.receive()
    *seen, last = taken()
    assert seen == [first, 4001]
    assert json.loads(str(last)) == again


@pytest.mark.asyncio
async def test_what_the_document_lets_clients_send_is_understood(document):
    from todolist.asgi import application  # importing it runs the system checks

    address = document["channels"]["notifications"]["address"]
    socket = WebsocketCommunicator(application, f"{address}?token={sign()}")
    assert (await socket.connect())[0]
    assert (await socket.receive_json_from())["type"] == "ready"
    for operation in document["operations"].values():
        if operation["action"] == "receive":
            message = target(document, operation["messages"][0])
            payload = message["examples"][0]["payload"]
            if "token" in payload:
                payload = {**payload, "token": sign()}
            await socket.send_json_to(payload)
            reply = target(document, operation["reply"]["messages"][0])
            answer = await socket.receive_json_from()
            jsonschema.validate(answer, schema_for(document, reply["title"]))
    await socket.disconnect()
