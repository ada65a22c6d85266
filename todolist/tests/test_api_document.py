"""`docs/api.md` is true: its tables are read, and the API is called accordingly."""

import json
import re
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.management import get_commands
from rest_framework.exceptions import APIException

from accounts.closing import Close
from accounts.signin.authentication import TryAgainLater
from accounts.signout import sign_outs
from accounts.users import digests_of
from conftest import (
    ALICE,
    BLANK_ENVIRONMENT,
    OTHER_SECRET,
    PAGE_ORIGIN,
    ROOT,
    SECRET,
    free_port,
    sign,
)
from tasks.api.push import PushSubscriptionSerializer
from tasks.models import CalendarFeed, Label, Project, PushSubscription, TrashedTask
from tasks.models.calendar import digest_of
from todolist.docs.openapi import document
from todolist.tests.people import make, make_notification

pytestmark = pytest.mark.django_db

DOCUMENT = (ROOT / "docs" / "api.md").read_text()
APPS = ("accounts", "tasks", "todolist")
CODE = "\n".join(file.read_text() for app in APPS for file in ROOT.glob(f"{app}/**/*.py"))
AUTH = "https://auth.example.com"
AT_AN_ADDRESS = "https://93.184.215.14/push"  # as no name can be looked up


def table(*header: str) -> list[list[str]]:
    """The rows of every table with this header."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", DOCUMENT, re.MULTILINE):
        rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in block.splitlines()]
        found += rows[2:] if rows[0] == list(header) else []
    assert found, header
    return found


each = partial(pytest.mark.parametrize, "row", ids=lambda row: row[0])


def words(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def firsts(rows: list[list[str]]) -> list[str]:
    return [words(row[0])[0] for row in rows]


def assert_like(written: str, actual: str) -> None:
    """The same word by word, but for what the document leaves out by `…`."""
    (expected,) = words(written) or [""]
    pattern = ".+".join(map(re.escape, expected.split("…")))
    assert re.fullmatch(pattern, actual), f"{actual} is not {expected}"


def assert_refused(response: Any, status: str, body: str) -> None:
    assert response.status_code == int(status)
    assert_like(body, json.dumps(response.json()))
    assert ("Retry-After" in response) == (status == "503")


def bearer(*args: Any, **claims: Any) -> str:
    return f"Bearer {sign(*args, **{'iss': AUTH, 'aud': AUTH, **claims})}"


NOBODY = bearer(without=("sub",))
PUBLISHED = bearer(key=ec.generate_private_key(ec.SECP256R1()), algorithm="ES256")
SIGNED_OUT = "somebody-signed-out"
TOKENS: dict[str, list[str]] = {
    "no `Authorization` header": [""],
    "another scheme than `Bearer`": ["Basic YWxpY2U6", f"Token {sign()}"],
    "nothing after `Bearer`, or more than one word": ["Bearer", f"{bearer()} twice"],
    "expired": [bearer(exp=1)],
    "`sub` missing, null, empty or blank": [NOBODY, *map(bearer, (None, "", " "))],
    "signed out by staff ([section 10](#10-admin))": [bearer(SIGNED_OUT)],
    "no JWT, or one that nobody has signed": ["Bearer é", bearer(key="", algorithm="none")],
    "signed with a secret that is not ours": [bearer(key=OTHER_SECRET)],
    "another algorithm": [bearer(key=SECRET * 2, algorithm="HS512")],
    "another `typ`": [bearer(headers={"typ": "at+jwt"})],
    "no `exp`": [bearer(without=("exp",))],
    "`iat` or `nbf` ahead of the leeway": [bearer(iat=4e9), bearer(nbf=4e9)],
    "another `iss`": [bearer(iss="https://evil.example.com")],
    "another `aud`": [bearer(aud="https://evil.example.com"), bearer(aud=["x"])],
    "the published keys cannot be had": [PUBLISHED],
}
REFUSED_TOKENS = table("Request", "Status", "Body", "`WWW-Authenticate`")


@pytest.fixture
def no_key_server(settings) -> None:
    settings.BETTER_AUTH_JWKS_URL = f"http://127.0.0.1:{free_port()}/jwks"
    settings.BETTER_AUTH_ISSUER = settings.BETTER_AUTH_AUDIENCE = AUTH


@each(REFUSED_TOKENS)
def test_tokens_are_refused_as_it_says(row, anonymous_api, no_key_server):
    request, status, body, challenge = row
    sign_outs.add({digests_of(SIGNED_OUT)[0]: int(time.time()) + 1})
    for header in TOKENS[request]:
        headers = {"authorization": header} if header else {}
        response = anonymous_api.get("/tasks", headers=headers)
        assert_refused(response, status, body)
        assert_like(challenge, response.headers.get("WWW-Authenticate", ""))


@each(table("Request", "Status", "Body"))
def test_requests_are_refused_as_it_says(row, alice_api, bob_api):
    """A cell holds routes, and the headers and the body that go with each of them."""
    request, status, body = row
    notification = make_notification(ALICE)
    alice_api.post("/tasks", {"text": "Buy milk"}, HTTP_IDEMPOTENCY_KEY="7f0c5d0e")
    said = words(request)
    headers = dict(word.split(": ") for word in said if re.match(r"[A-Z][\w-]+: ", word))
    content = [word for word in said if word[0] in "[{"] or ['{"text": "Buy bread"}']
    api = bob_api if request.startswith("another's") else alice_api
    routes = [word for word in said if re.match(r"[A-Z]+ /", word)]
    assert routes
    for route in routes:
        assert_refused(called(api, route, notification, content[0], **headers), status, body)


def called(api: Any, route: str, notification: Any, content: str, **headers: str) -> Any:
    method, path = route.split()
    thing = notification if path.startswith("/notifications") else notification.task
    if path.startswith("/push"):
        thing = make(PushSubscription, ALICE)
        content = json.dumps({**PushSubscriptionSerializer.Meta.example, "endpoint": AT_AN_ADDRESS})
    for kind, model in (("/projects", Project), ("/labels", Label), ("/trash", TrashedTask)):
        if path.startswith(kind):
            thing = make(model, ALICE)
            content = '{"name": "Errands"}'
    if path.endswith("/move"):
        content = '{"to": "top"}'
    if path.endswith("/bulk"):
        content = '{"operations": [{"op": "create", "body": {"text": "Buy milk"}}]}'
    kind = headers.get("Content-Type", "application/json")
    return api.generic(method, path.replace("{id}", str(thing.pk)), content, kind, headers=headers)


CODES = table("Code", "Status", "Sentence")
ROUTES = table("Route", "Success", "Headers", "What")
BODIES = {
    "POST /me/adopt": json.dumps({"token": sign("guest", isAnonymous=True)}),
    "POST /import": '{"tasks": [{"text": "Buy milk"}]}',
}
# Those that nothing comes of without.
WITH_QUERY = {
    "GET /calendar/{secret}.ics": "GET /calendar/secret.ics",
    "DELETE /me": f"DELETE /me?confirm={ALICE}",
}


@each(ROUTES)
def test_every_route_answers_as_it_says(row, alice_api, anonymous_api):
    route, status, headers, _ = row
    api = anonymous_api if re.search("/health/|/schema|/docs", route) else alice_api
    CalendarFeed.objects.create(user_id=ALICE, secret_digest=digest_of("secret"))
    asked = words(route)[0]
    body = BODIES.get(asked, '{"text": "Buy milk"}')
    response = called(api, WITH_QUERY.get(asked, asked), make_notification(ALICE), body)
    assert response.status_code == int(status)
    assert {"ETag", "Location"} & set(response.headers) == set(words(headers))
    response.getvalue()  # which closes a file


def test_routes_and_parameters_are_those_of_the_schema(settings):
    settings.ROOT_URLCONF = "todolist.urls"  # without the resources that only the suite has
    paths = json.loads(document.__wrapped__("application/json"))["paths"]
    routes = [f"{method.upper()} {path}" for path in paths for method in paths[path]]
    assert sorted(firsts(ROUTES)) == sorted(
        [*routes, "GET /schema", "GET /schema/events", "GET /docs"]
    )

    parameters = [
        (path if method == "get" else f"{method.upper()} {path}", parameter["name"])
        for path in paths
        for method in paths[path]
        for parameter in paths[path][method].get("parameters", [])
        if parameter["in"] == "query"
    ]
    rows = table("Parameter", "Of", "Value")
    said = [(path, words(name)[0]) for name, of, _ in rows for path in words(of)]
    assert sorted(said) == sorted(parameters)


def test_fields_and_events_are_those_of_the_answers(alice_api):
    notification = make_notification(ALICE)
    task = alice_api.get(f"/tasks/{notification.task_id}").json()
    told = alice_api.post(f"/notifications/{notification.pk}/read").json()
    for kind in ("projects", "labels"):
        url = f"/{kind}/{alice_api.post(f'/{kind}', {'name': 'Errands'}).json()['id']}"
        alice_api.patch(url, {"color": "#FF0000"})
        alice_api.delete(url)
    preferences = alice_api.patch("/preferences", {"time_zone": "Europe/Berlin"}).json()
    assert firsts(table("Preference", "Value")) == list(preferences)
    alice_api.patch(f"/tasks/{task['id']}", {"text": "Buy bread"})
    alice_api.delete(f"/tasks/{task['id']}")
    events = {event["type"] for event in alice_api.get("/events").json()}
    of_a_task = firsts(table("Field of a task", "Value", "Set by"))
    assert {*of_a_task, "version"} == {*task, "version"}
    assert set(firsts(table("Field of a notification", "Value"))) == set(told)
    for example in map(json.loads, re.findall(r"```json\n(.+?)```", DOCUMENT, re.DOTALL)):
        assert "text" not in example or list(example) == of_a_task
    assert set(firsts(table("Event", "`data`"))) == events


@pytest.mark.asyncio
async def test_sockets_are_closed_as_it_says(settings, no_key_server):
    from todolist.asgi import application  # importing it runs the system checks

    rows = table("Code", "Reason", "What happened", "What to do")
    said = [(int(code), words(reason)[0]) for code, reason, *_ in rows]
    without_links = [re.sub(r" \(\[[^)]+\)\)", "", cell) for row in rows for cell in row[2:]]
    assert without_links == [text for why in Close for text in (why.happened, why.remedy)]
    assert said == [(why.code, why.reason) for why in Close]
    settings.SOCKETS_PER_USER = 0
    sign_outs.add({digests_of(SIGNED_OUT)[0]: int(time.time()) + 1})
    for header in ("Bearer", bearer(exp=1), bearer(SIGNED_OUT), bearer(), PUBLISHED):
        sent = [(b"authorization", header.encode())]
        socket = WebsocketCommunicator(application, "/ws/notifications", sent)
        assert (await socket.connect())[0]
        closed = await socket.receive_output(timeout=5)
        assert said.pop(0) == (closed["code"], closed["reason"])


def test_variables_commands_sections_and_sentences_are_those_of_the_code():
    assert [row[0] for row in REFUSED_TOKENS] == list(TOKENS)  # so that none is left out
    assert set(firsts(table("Variable", "What it says", "Default"))) == set(BLANK_ENVIRONMENT)

    commands = get_commands()
    named = set(re.findall(r"\| `python manage.py (\w+)", DOCUMENT))
    assert {name for name in commands if commands[name] in APPS} <= named <= set(commands)

    sections = set(re.findall(r"^## (\d+)\.", DOCUMENT, re.MULTILINE))
    for numbers in re.findall(r"(?:[Cc]ontract|api\.md),? sections? ([\d, and]+)", CODE):
        assert set(re.findall(r"\d+", numbers)) <= sections


def test_headers_of_pages_are_those_of_the_server(anonymous_api):
    asked = {"access-control-request-method": "PATCH", "origin": PAGE_ORIGIN}
    headers = [
        anonymous_api.options("/tasks", headers=asked)["Access-Control-Allow-Headers"],
        anonymous_api.get("/tasks", headers=asked)["Access-Control-Expose-Headers"],
    ]
    said = [words(row[1]) for row in table("Pages may", "Headers")]
    for names, header in zip(said, headers, strict=True):
        assert sorted(name.lower() for name in names) == sorted(header.lower().split(", "))


def own_errors(base: type[APIException] = APIException) -> Iterator[type[APIException]]:
    """The errors that this project adds to REST framework's."""
    for error in base.__subclasses__():
        package, _, rest = error.__module__.partition(".")
        if package in APPS and "tests" not in rest:
            yield error
        yield from own_errors(error)


def test_codes_are_those_of_the_errors():
    rows = {words(code)[0]: (status, sentence) for code, status, sentence in CODES}
    in_tables = set(re.findall(r'"code": "(\w+)"', DOCUMENT)) | rows.keys()
    for error in own_errors():
        code = error.default_code
        assert error is TryAgainLater or code in in_tables, error
        if code in rows:
            status, sentence = rows[code]
            assert (error.status_code, words(sentence)[0]) == (int(status), error.default_detail)
