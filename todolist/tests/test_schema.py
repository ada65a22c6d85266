"""The document at `/schema` and the page at `/docs`: public, complete, and true to the answers."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import jsonschema
import pytest
import yaml
from django.urls import URLPattern, get_resolver
from django.urls import path as django_path
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.views import APIView

from accounts.owned.permissions import IsSignedIn
from conftest import ALICE, BOB, PAGE_ORIGIN, client_with, sign
from tasks.models import Notification, Task
from tasks.resources.models import event_types
from tasks.resources.viewsets import RecordedViewSet
from tasks.tests.calls import made
from todolist.checks import check_every_route_is_described
from todolist.docs import openapi

pytestmark = pytest.mark.django_db

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    response = APIClient().get("/schema")
    assert response.status_code == 200
    return dict(json.loads(response.content))


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema that a validator can follow the references of."""
    return {**schema, "components": document["components"]}


def assert_documented(document: dict[str, Any], response: Any, path: str) -> None:
    """Status, headers and body of an answer are those of the document, and nothing more."""
    operation = document["paths"][path][response.wsgi_request.method.lower()]
    answer = operation["responses"][str(response.status_code)]
    for name, header in answer.get("headers", {}).items():
        assert not header.get("required") or name in response, name
        if name in response:
            jsonschema.validate(response[name], header["schema"])
    if "content" not in answer:
        assert response.content == b""
        return
    media_type = response["Content-Type"].partition(";")[0]
    schema = answer["content"][media_type]["schema"]
    jsonschema.validate(response.json(), resolved(document, schema))


# The routes of the document


@pytest.mark.parametrize("path", ["/schema", "/schema/"])
@pytest.mark.parametrize(
    "authorization", [None, "Bearer garbage", "Basic x", f"Bearer {sign(exp=1)}"]
)
def test_the_document_is_for_everybody(path, authorization):
    headers = {} if authorization is None else {"authorization": authorization}
    response = APIClient().get(path, headers=headers)

    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert response.json()["openapi"].startswith("3.1.")


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("application/vnd.oai.openapi+json", "application/vnd.oai.openapi+json"),
        ("application/yaml", "application/yaml"),
        ("application/vnd.oai.openapi", "application/vnd.oai.openapi"),
    ],
)
def test_the_document_comes_as_json_or_yaml(document, accept, content_type):
    response = APIClient().get("/schema", headers={"accept": accept})

    assert response["Content-Type"] == content_type
    assert "Accept" in response["Vary"]
    assert yaml.safe_load(response.content) == document  # JSON is YAML, too


def test_no_other_form_of_the_document_can_be_had():
    assert APIClient().get("/schema", headers={"accept": "text/html"}).status_code == 406


def test_a_page_of_the_frontend_may_read_the_document():
    response = APIClient().get("/schema", headers={"origin": PAGE_ORIGIN})
    assert response["Access-Control-Allow-Origin"] == PAGE_ORIGIN


def test_the_document_is_made_once(monkeypatch):
    APIClient().get("/schema")
    monkeypatch.setattr(openapi, "SchemaGenerator", None)

    assert APIClient().get("/schema").status_code == 200


# Completeness


def routes() -> set[str]:
    """The path of every route of ours, as the document writes paths."""

    def walk(patterns: list[Any], before: str) -> set[str]:
        found = set()
        for pattern in patterns:
            route = before + str(pattern.pattern)
            if route.startswith(("admin/", "^(?!admin", "^schema", "^docs")):
                continue
            if isinstance(pattern, URLPattern):
                path = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"{\1}", route).strip("^$").removesuffix("/?")
                found.add("/" + path.replace("{pk}", "{id}").replace("\\", ""))
            else:
                found |= walk(pattern.url_patterns, route)
        return found

    return walk(get_resolver().url_patterns, "")


def test_every_route_is_in_the_document(document):
    assert document["paths"].keys() == routes()


def test_every_method_is_in_the_document(document, alice_api):
    """What the server says it allows is what is documented."""
    task = made(alice_api)
    for path, operations in document["paths"].items():
        response = alice_api.generic("PROPFIND", path.replace("{id}", task["id"]))
        allowed = {word.strip().lower() for word in response["Allow"].split(",")}
        assert allowed & METHODS == set(operations) & METHODS, path


def test_what_needs_a_token_says_so(document):
    for path, operations in document["paths"].items():
        public = path.startswith(("/health/", "/calendar/"))
        for operation in operations.values():
            assert operation["security"] == ([] if public else [{"bearer": []}]), path
            assert ("401" in operation["responses"]) is not public
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_the_document_belongs_to_no_server_in_particular(document):
    assert document["servers"] == [{"url": "/"}]


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_every_refusal_has_examples_of_its_own(document):
    seen = set()
    for path, method, operation in operations(document):
        for status, answer in operation["responses"].items():
            if status < "400":
                continue
            content = answer["content"]["application/json"]
            assert content["examples"], (path, method, status)
            for example in content["examples"].values():
                jsonschema.validate(example["value"], resolved(document, content["schema"]))
                seen.add((status, example["value"].get("code", "fields")))
    assert seen == {
        *(
            ("400", "fields"),
            ("400", "parse_error"),
            ("400", "bad_parameter"),
            ("400", "bad_header"),
        ),
        *(("401", "not_authenticated"), ("401", "token_expired"), ("401", "token_invalid")),
        ("401", "signed_out"),
        *(("403", "not_yours"), ("404", "not_found"), ("406", "not_acceptable")),
        *(
            ("409", "bulk_failed"),
            ("409", "id_taken"),
            ("409", "still_running"),
            ("410", "events_gone"),
            ("412", "changed_meanwhile"),
        ),
        *(("413", "body_too_large"), ("415", "unsupported_media_type")),
        *(("415", "unsupported_encoding"), ("422", "key_of_another_body")),
        *(("503", "database_unavailable"), ("503", "keys_unavailable"), ("503", "not_ready")),
        ("503", "busy"),
    }


def test_what_is_not_found_is_called_what_it_is(document):
    said = {
        path: answer["content"]["application/json"]["examples"]["not_found"]["value"]["detail"]
        for path, _, operation in operations(document)
        if (answer := operation["responses"].get("404"))
    }
    assert said == {
        "/tasks/{id}": "Task not found",
        "/tasks/{id}/move": "Task not found",
        "/calendar/{secret}.ics": "Calendar not found",
        "/projects/{id}": "Project not found",
        "/projects/{id}/move": "Project not found",
        "/labels/{id}": "Label not found",
        "/trash/{id}": "Task not found",
        "/trash/{id}/restore": "Task not found",
        "/labels/{id}/move": "Label not found",
        "/notifications/{id}/read": "Notification not found",
        "/push/subscriptions/{id}": "Push subscription not found",
        "/notes/{id}": "Note not found",
        "/tags/{id}": "Tag not found",
        "/chores/{id}": "Chore not found",
    }


def test_bodies_have_to_be_there_and_examples_of_them_are_good(document):
    bodies = [one["requestBody"] for _, _, one in operations(document) if "requestBody" in one]
    assert len(bodies) >= 9
    for body in bodies:
        assert body["required"] is True
        content = body["content"]["application/json"]
        if "example" in content:
            jsonschema.validate(content["example"], resolved(document, content["schema"]))


def test_every_parameter_and_every_header_is_described(document):
    for path, method, operation in operations(document):
        for parameter in operation.get("parameters", []):
            assert parameter["description"], (path, method, parameter["name"])
        for answer in operation["responses"].values():
            assert answer["description"]
            assert all(header["description"] for header in answer.get("headers", {}).values())


# For generators of clients (e2e/generators runs them)

LIMITS = {
    *("minLength", "maxLength", "pattern", "minimum", "maximum"),
    *("exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems", "uniqueItems", "multipleOf"),
}


def schemas_below(node: Any) -> Iterator[dict[str, Any]]:
    """Every schema in a part of the document that holds nothing else."""
    if isinstance(node, list):
        for each in node:
            yield from schemas_below(each)
    elif isinstance(node, dict):
        yield node
        yield from schemas_below(list(node.get("properties", {}).values()))
        for name in ("items", "additionalProperties", "oneOf", "anyOf", "allOf"):
            yield from schemas_below(node.get(name))


def components_from(document: dict[str, Any], node: Any) -> set[str]:
    """The components that a part of the document refers to, and those that they refer to."""
    found: set[str] = set()
    new = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(node)))
    while new:
        found |= new
        new = components_from_text(document, new) - found
    return found


def components_from_text(document: dict[str, Any], names: set[str]) -> set[str]:
    parts = [document["components"]["schemas"][name] for name in names]
    return set(re.findall(r"#/components/schemas/(\w+)", json.dumps(parts)))


def test_no_component_is_both_of_a_request_and_of_a_response(document):
    sent, answered = set(), set()
    for _, _, operation in operations(document):
        sent |= components_from(document, operation.get("requestBody"))
        answered |= components_from(document, operation["responses"])
    assert {"NewTask", "TaskPatch", "NewNote", "NotePatch", "NewTag", "TagPatch"} <= sent
    assert {"Task", "TaskList", "TaskNotification", "Note", "LiveEvent", "ApiError"} <= answered
    assert sent.isdisjoint(answered)
    assert sent | answered == document["components"]["schemas"].keys()
    for name in answered:
        for schema in schemas_below(document["components"]["schemas"][name]):
            assert LIMITS.isdisjoint(schema), (name, schema)
            if "properties" in schema:
                assert set(schema["required"]) == schema["properties"].keys()


def test_nothing_is_said_that_generators_misunderstand(document):
    parameters = [
        parameter["schema"]
        for _, _, operation in operations(document)
        for parameter in operation.get("parameters", [])
    ]
    for schema in schemas_below([*document["components"]["schemas"].values(), *parameters]):
        assert {"default", "readOnly", "writeOnly", "title", "nullable"}.isdisjoint(schema), schema
        assert schema.get("format") not in ("int32", "int64")
        assert not ("enum" in schema and LIMITS & schema.keys())
        assert abs(schema.get("maximum", 0)) < 2**53 and abs(schema.get("minimum", 0)) < 2**53
        # Some generators write `\\uXXXX` out as the character that it stands for.
        assert not re.search(r"[^\x20-\x7e]|\\u", schema.get("pattern", ""))
        re.compile(schema.get("pattern", ""))


def test_each_type_of_event_has_a_schema_of_its_own(document):
    schemas = document["components"]["schemas"]
    mapping = schemas["LiveEvent"]["discriminator"]["mapping"]
    assert schemas["LiveEvent"]["discriminator"]["propertyName"] == "type"
    assert sorted(mapping) == event_types()
    assert sorted(mapping.values()) == sorted(one["$ref"] for one in schemas["LiveEvent"]["oneOf"])
    for kind, reference in mapping.items():
        schema = schemas[reference.rpartition("/")[2]]
        assert schema["properties"]["type"] == {"type": "string", "const": kind}
    assert mapping["notification.read"].endswith("/NotificationRead")


def test_limits_and_fields_of_the_server_are_as_promised(document):
    schemas = document["components"]["schemas"]
    sent = schemas["NewTask"]["properties"]
    assert sent.keys() == {
        *("id", "text", "description", "completed", "deadline", "due_on", "order"),
        *("priority", "project_id", "label_ids", "parent_id", "recurrence"),
    }
    assert (sent["text"]["minLength"], sent["text"]["maxLength"]) == (1, 500)
    assert sent["description"]["maxLength"] == 2000
    assert sent["deadline"]["type"] == ["string", "null"]
    assert (sent["order"]["minimum"], sent["order"]["maximum"]) == (-(2**31), 2**31 - 1)
    assert schemas["NewTask"]["required"] == ["text"]
    assert "required" not in schemas["TaskPatch"]
    answered = schemas["Task"]["properties"]
    assert answered.keys() - sent.keys() == {
        *(
            "user_id",
            "version",
            "completed_at",
            "previous_id",
            "position",
            "created_at",
            "updated_at",
        ),
    }
    assert answered["id"] == {"type": "string", "format": "uuid"}
    assert answered["deadline"] == {"type": ["string", "null"], "format": "date-time"}
    assert schemas["TaskNotification"]["properties"]["type"]["enum"] == [
        *("deadline_reminder", "deadline_reached", "task_overdue"),
    ]


@pytest.mark.parametrize(
    ("deadline", "taken"),
    [
        *(
            ("2030-05-01T14:30:00+02:00", True),
            ("2030-05-01T12:30", True),
            ("2030-05-01 12:30z", True),
        ),
        *(("2030-05-01T12:30:00.123456789-0030", True), ("2030-05-01", False), ("1", False)),
        *(
            ("2030-05-01T12:30:00+24:00", False),
            ("2030-05-01T12:30+01:60", False),
            ("0000-05-01T12:30Z", False),
            ("2030-13-01T12:30Z", False),
            ("now", False),
        ),
    ],
)
def test_the_moments_of_the_document_are_those_of_the_server(document, alice_api, deadline, taken):
    task = {"text": "x", "deadline": deadline}
    schema = jsonschema.Draft202012Validator(document["components"]["schemas"]["NewTask"])
    assert schema.is_valid(task) is taken
    assert alice_api.post("/tasks", task).status_code == (201 if taken else 400)


# Truth: real answers, as the document has them


def test_answers_are_as_documented(document, alice_api, bob_api, anonymous_api):
    task = made(alice_api, deadline="2030-05-01T12:30:00Z")
    Notification(
        user_id=ALICE,
        task=Task.objects.get(pk=task["id"]),
        type="deadline_reached",
        title="x",
        message="y",
        deadline=task["deadline"],
    ).save()
    made(alice_api)
    (notification,) = alice_api.get("/notifications").json()
    one, read = f"/tasks/{task['id']}", f"/notifications/{notification['id']}/read"
    missing = "/tasks/00000000-0000-7000-8000-000000000000"
    expected = [
        (alice_api.post("/tasks", {"text": "x"}), 201, "/tasks"),
        (alice_api.post("/tasks", {}), 400, "/tasks"),
        (alice_api.post("/tasks", []), 400, "/tasks"),
        (alice_api.generic("POST", "/tasks", "{", "application/json"), 400, "/tasks"),
        (alice_api.generic("POST", "/tasks", "x", "text/plain"), 415, "/tasks"),
        (alice_api.generic("POST", "/tasks", b" " * 2**21, "application/json"), 413, "/tasks"),
        (anonymous_api.post("/tasks", {"text": "x"}), 401, "/tasks"),
        (alice_api.get("/tasks?limit=1"), 200, "/tasks"),
        (alice_api.get("/tasks?limit=0"), 400, "/tasks"),
        (alice_api.get("/tasks", headers={"accept": "text/html"}), 406, "/tasks"),
        (client_with("x").get("/tasks"), 401, "/tasks"),
        (alice_api.get(one), 200, "/tasks/{id}"),
        (bob_api.get(one), 403, "/tasks/{id}"),
        (alice_api.get(missing), 404, "/tasks/{id}"),
        (alice_api.post(read), 200, "/notifications/{id}/read"),
        (bob_api.post(read), 403, "/notifications/{id}/read"),
        (alice_api.put(one, {"text": "y"}), 200, "/tasks/{id}"),
        (alice_api.patch(one, {"completed": True}), 200, "/tasks/{id}"),
        (alice_api.patch(one, {"order": "x"}), 400, "/tasks/{id}"),
        (alice_api.get("/notifications"), 200, "/notifications"),
        (alice_api.get("/notifications/unread-count"), 200, "/notifications/unread-count"),
        (alice_api.post("/notifications/read-all"), 200, "/notifications/read-all"),
        (bob_api.delete(one), 403, "/tasks/{id}"),
        (alice_api.delete(f"/tasks/{made(alice_api)['id']}"), 204, "/tasks/{id}"),
        (alice_api.get(one, headers={"if-none-match": "*"}), 304, "/tasks/{id}"),
        (alice_api.patch(one, {}, headers={"if-match": '"0"'}), 412, "/tasks/{id}"),
        (alice_api.post("/tasks", {"text": "x"}, headers={"idempotency-key": "k"}), 201, "/tasks"),
        (alice_api.post("/tasks", {"text": "y"}, headers={"idempotency-key": "k"}), 422, "/tasks"),
        (alice_api.get("/events"), 200, "/events"),
        (alice_api.get("/events?since=1&limit=1"), 200, "/events"),
        (alice_api.get("/events?since=99999"), 410, "/events"),
        (alice_api.get("/me"), 200, "/me"),
        (anonymous_api.get("/health/live"), 200, "/health/live"),
        (anonymous_api.get("/health/ready"), 200, "/health/ready"),
    ]
    for response, status, path in expected:
        assert response.status_code == status, (path, response.content)
        assert_documented(document, response, path)


def test_the_fields_of_an_answer_are_all_documented(document, alice_api):
    """JSON Schema lets others pass; here none may."""
    schemas = document["components"]["schemas"]
    task = made(alice_api)
    assert task.keys() == schemas["Task"]["properties"].keys()
    assert alice_api.get("/me").json().keys() == schemas["Person"]["properties"].keys()
    assert alice_api.get("/health/live").json().keys() == schemas["Live"]["properties"].keys()
    parts = alice_api.get("/health/ready").json().keys()
    assert parts == schemas["Ready"]["properties"].keys()
    assert parts - {"status"} == schemas["NotReady"]["properties"].keys() - {"detail", "code"}
    for event in alice_api.get("/events").json():
        assert event.keys() == schemas["TaskCreated"]["properties"].keys()


# The page


@pytest.mark.parametrize("path", ["/docs", "/docs/"])
@pytest.mark.parametrize("accept", ["text/html,*/*;q=0.8", "*/*", "application/json"])
def test_the_page_is_for_everybody(path, accept):
    headers = {"accept": accept, "authorization": "Bearer garbage"}
    response = APIClient().get(path, headers=headers)

    assert response.status_code == 200
    assert response["Content-Type"] == "text/html; charset=utf-8"


def test_the_page_may_load_nothing_from_elsewhere():
    response = APIClient().get("/docs")

    policy = response["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self';" in policy
    assert "http" not in policy
    for url in re.findall(r'(?:src|href|data-schema)="([^"]+)"', response.content.decode()):
        assert url.startswith("/") and not url.startswith("//"), url


def test_a_server_in_earnest_serves_all_that_the_page_needs(server):
    """DEBUG is off there, and no `collectstatic` was run."""
    page = urlopen(f"{server.url}/docs").read().decode()  # noqa: S310
    urls = re.findall(r'(?:src|href|data-schema)="([^"]+)"', page)
    assert len(urls) == 6
    for url in urls:
        with urlopen(f"{server.url}{url}") as answer:  # noqa: S310
            assert answer.status == 200
            assert answer.url == f"{server.url}{url}"  # no redirect


def test_another_person_is_told_the_same(document):
    assert json.loads(client_with(sign(BOB)).get("/schema").content) == document


# What cannot be described keeps nobody waiting for a 500


class Undescribed(APIView):
    permission_classes = [IsSignedIn]

    def get(self, request):
        return Response({"what": "nobody knows"})


class OfNothing(RecordedViewSet[Task]):
    serializer_class = None

    def get_queryset(self):
        raise RuntimeError("nothing there")


@pytest.mark.parametrize(
    "route",
    [
        django_path("things", Undescribed.as_view()),
        django_path("things", OfNothing.as_view({"post": "create"})),
    ],
)
def test_a_route_that_cannot_be_described_is_a_fault_of_the_check(settings, route):
    settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": [route]})
    messages = list(check_every_route_is_described())

    assert {message.id for message in messages} == {"todolist.E024"}
    assert all("/schema cannot describe a route" in message.msg for message in messages)
    assert all(message.hint for message in messages)


def test_of_the_project_every_route_can_be_described():
    assert list(check_every_route_is_described()) == []
