"""Marked tokens and secrets go everywhere they can go, and turn up nowhere.

Against a real server, with DEBUG on and off and in both log formats: its stdout and stderr, the
bodies of its answers, the rows of its database, and what management commands print.
"""

import json
import logging
import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from conftest import (
    Server,
    connect_as_everyone,
    environment_for,
    hash_in_earnest,
    manage,
    new_database,
    sign,
)
from todolist.logs.formatters import JSONFormatter, RedactingFormatter

SHARED_SECRET = "marker-shared-secret-0123456789abcdef"
OLD_SECRET = "marker-old-shared-secret-0123456789abc"
DJANGO_KEY = "marker-django-key-kX3vN8qT5zR1mW7bL9sD4gH6jP2yC0fAuEiO3rY5tK8"
OLD_DJANGO_KEY = "marker-old-django-key-zX8vB2nM6qW0eR4tY9uI3oP7aS1dF5gH"
DATABASE_PASSWORD = "marker-database-password"
REDIS_PASSWORD = "marker-redis-password"
STAFF_PASSWORD = "marker-staff-password-0123"

GOOD = sign("marker-person", key=SHARED_SECRET, email="marker@example.com")
EXPIRED = sign("marker-person", key=SHARED_SECRET, exp=1)
FOREIGN = sign("marker-person", key="marker-of-somebody-elses-secret-012345")
OPAQUE = "marker-opaque-0123456789abcdef"
TOKENS = (GOOD, EXPIRED, FOREIGN, OPAQUE)

NEVER_SHOWN = (
    *(SHARED_SECRET, OLD_SECRET, DJANGO_KEY, DATABASE_PASSWORD, REDIS_PASSWORD, STAFF_PASSWORD),
    *(OPAQUE, OLD_DJANGO_KEY),
    # Of a JWT not even the claims or the signature.
    *(part for token in (GOOD, EXPIRED, FOREIGN) for part in token.split(".")[1:]),
)


def leaks(text: str) -> list[str]:
    """Which of them are in `text`, as they are or encoded for a URL."""
    return [secret for secret in NEVER_SHOWN if secret in text or quote(secret, safe="") in text]


class Caller:
    """HTTP to one server; keeps every body that it got."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.bodies: list[tuple[str, str]] = []
        self.cookies: dict[str, str] = {}

    def __call__(
        self, method: str, path: str, *, body: str = "", token: str = "", **headers: str
    ) -> tuple[int, str]:
        sent = {"Content-Type": "application/json", **headers}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection = HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        connection.request(method, path, body or None, sent)
        response = connection.getresponse()
        text = response.read().decode()
        for cookie in SimpleCookie(response.getheader("Set-Cookie") or "").values():
            self.cookies[cookie.key] = cookie.value
        connection.close()
        self.bodies.append((f"{method} {path}", text))
        return response.status, text

    def sign_in(self, password: str) -> int:
        self.cookies = {}
        self("GET", "/admin/login/")
        form = {
            "username": "staff",
            "password": password,
            "csrfmiddlewaretoken": self.cookies["csrftoken"],
        }
        status, _ = self(
            "POST",
            "/admin/login/",
            body=urlencode(form),
            **{"Content-Type": "application/x-www-form-urlencoded"},
        )
        return status


@pytest.fixture(scope="module", params=[("False", "json"), ("True", "text"), ("True", "json")])
def marked_server(request, start_shared_server, working_on, tmp_path_factory) -> Iterator[Server]:
    """A server all of whose secrets are markers."""
    debug, log_format = request.param
    with ExitStack() as stack:
        url = stack.enter_context(new_database(tmp_path_factory.mktemp("marked")))
        # Neither service asks for a password here; both take one from who sends it.
        redis = django_settings.REDIS_URL.replace("://", f"://default:{REDIS_PASSWORD}@")
        server: Server = start_shared_server(
            application="todolist.tests.faulty:application",
            DEBUG=debug,
            LOG_FORMAT=log_format,
            SECRET_KEY=DJANGO_KEY,
            SECRET_KEY_FALLBACKS=OLD_DJANGO_KEY,
            BETTER_AUTH_SECRET=SHARED_SECRET,
            BETTER_AUTH_SECRETS=f"2:{SHARED_SECRET},1:{OLD_SECRET}",
            DATABASE_URL=url.replace("postgres@", f"postgres:{DATABASE_PASSWORD}@"),
            REDIS_URL=redis,
        )
        with working_on(url):
            password = hash_in_earnest(STAFF_PASSWORD)
            User(username="staff", password=password, is_staff=True, is_superuser=True).save()
        yield server


def send_over_rest(call: Caller) -> None:
    for token in TOKENS:
        for method, path in (
            *(("GET", "/me"), ("GET", "/tasks"), ("POST", "/tasks"), ("DELETE", "/tasks/x")),
            *(("GET", f"/tasks?token={token}"), ("GET", f"/unknown?token={token}")),
            *(("GET", f"/tasks?limit={GOOD}"), ("GET", "/health/ready"), ("PUT", "/me")),
        ):
            call(method, path, body='{"text": "x"}', token=token)
        call("POST", "/tasks", body="{", token=token)
        call("GET", "/me", Authorization=f"bearer  {token} {token}")
        call("GET", f"/me?token={token}", Host="evil.example.com", Authorization=f"Bearer {token}")


def send_over_sockets(server: Server) -> None:
    address = server.socket_url
    for token in TOKENS:
        for url, options in (
            (f"{address}?token={token}", {}),
            (f"{address}?token={token}&token={token}&since={GOOD}", {}),
            (address, {"additional_headers": {"Authorization": f"Bearer {token}"}}),
            (address, {"subprotocols": ["bearer", token]}),
            (f"{address}?token={token}", {"origin": "https://evil.example.com"}),
            (f"ws://127.0.0.1:{server.port}/elsewhere?token={token}", {}),
        ):
            with suppress(WebSocketException), connect(url, **options) as socket:
                socket.send(token)
                socket.recv(timeout=10)
        with suppress(WebSocketException), connect(f"{address}?token={GOOD}") as socket:
            socket.send(json.dumps({"type": "auth", "token": token}))
            for _ in range(2):  # ready, and what the token is answered with
                assert leaks(str(socket.recv(timeout=30))) == []


def rows(url: str) -> str:
    """The whole database as text; keys of sessions and hashes of passwords are no secrets of ours."""
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            return "\n".join(connection.iterdump())
    text = []
    with connect_as_everyone(url) as database:
        tables = database.execute(
            "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
        for (table,) in tables:
            text += [str(row) for row in database.execute(f"SELECT t::text FROM {table} t")]  # noqa: S608
    return "\n".join(text)


def test_what_is_sent_to_a_server_turns_up_nowhere(marked_server):
    server, call = marked_server, Caller(marked_server)
    send_over_rest(call)
    send_over_sockets(server)
    assert call.sign_in("a-wrong-password") == 200
    assert call.sign_in(STAFF_PASSWORD) == 302
    for path in ("/admin/tasks/task/", "/admin/tasks/task/?e=1", "/admin/tasks/task/?id__x=1"):
        call("GET", path, token=GOOD)

    crashes = [
        call("GET", "/events", token=GOOD, Accept=accept, Cookie=f"x={OPAQUE}", Referer=referer)
        for referer in (f"https://app.example.com/?token={token}" for token in TOKENS)
        for accept in ("application/json", "*/*")
    ]
    assert {status for status, _ in crashes} == {500}
    page = call("GET", "/admin/tasks/task/?q=x", token=OPAQUE, Accept="text/html")

    if server.environment["DEBUG"] == "True":
        assert "Traceback" in crashes[0][1]  # a crash page, with all that it shows
        assert page[0] == 500 and "Request information" in page[1]
    else:
        assert crashes[0][1] == '{"detail": "Internal server error", "code": "server_error"}'
    found = {what: leaks(text) for what, text in call.bodies if leaks(text)}
    assert found == {}
    log = server.log.read_text()
    assert "Traceback" in log and "/events" in log
    assert leaks(log) == []
    assert leaks(rows(server.database_url)) == []
    if server.environment["LOG_FORMAT"] == "json":  # with the request as `extra`
        assert "[redacted]" in log
        lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
        assert any("Error: " in line.get("exception", "") for line in lines)
        assert {"time", "level", "logger", "message"} <= set.intersection(*map(set, lines))


AWAY = f"postgresql://somebody:{DATABASE_PASSWORD}@127.0.0.1:1/todolist"
NO_REDIS = f"redis://default:{REDIS_PASSWORD}@127.0.0.1:1/0"


@pytest.mark.parametrize(
    ("arguments", "changes", "code"),
    [
        (["doctor", GOOD], {}, 0),
        (["doctor", FOREIGN], {}, 1),
        (["doctor", OPAQUE], {}, 1),
        (["doctor", "--json", EXPIRED], {}, 1),
        (["doctor", GOOD], {"DATABASE_URL": AWAY, "REDIS_URL": NO_REDIS}, 1),
        (["migrate"], {"DATABASE_URL": AWAY}, 1),
        (["send_reminders"], {"DATABASE_URL": AWAY}, 1),
        (["prune_events"], {"DATABASE_URL": AWAY}, 1),
        (["issue_token", "somebody"], {}, 1),
        (
            ["createsuperuser", "--noinput", "--username=another", "--email=a@example.com"],
            {"DJANGO_SUPERUSER_PASSWORD": STAFF_PASSWORD},
            0,
        ),
        (["diffsettings", "--nonsense"], {}, 2),
    ],
)
def test_commands_print_none_of_them(tmp_path, arguments, changes, code):
    with new_database(tmp_path) as url:
        environment = environment_for(
            url,
            SECRET_KEY=DJANGO_KEY,
            SECRET_KEY_FALLBACKS=OLD_DJANGO_KEY,
            BETTER_AUTH_SECRET=SHARED_SECRET,
            BETTER_AUTH_SECRETS=f"2:{SHARED_SECRET},1:{OLD_SECRET}",
        )
        done = manage(*arguments, environment={**environment, **changes})
    assert done.returncode == code, done.stderr
    assert leaks(done.stdout + done.stderr) == []


WRONG = [
    {
        "DATABASE_URL": AWAY + "?sslmode=x&password=" + DATABASE_PASSWORD,
        "REDIS_URL": NO_REDIS + "?password=" + REDIS_PASSWORD,
        "BETTER_AUTH_SECRETS": f"{OLD_SECRET},x:{SHARED_SECRET}",
        "CORS_ORIGINS": f"https://u:{DATABASE_PASSWORD}@h",
    },
    {
        "DATABASE_URL": f"mysql://u:{DATABASE_PASSWORD}@h/x",
        "REDIS_URL": f"http://u:{REDIS_PASSWORD}@h/x",
    },
]


@pytest.mark.parametrize("values", WRONG)
def test_mistakes_are_named_without_any_of_them(values):
    """All at once, for a check says whatever is wrong."""
    environment = environment_for("", SECRET_KEY=DJANGO_KEY, BETTER_AUTH_SECRET=SHARED_SECRET)
    done = manage("check", environment={**environment, **values})
    assert done.returncode == 1
    for name in values:
        assert re.search(rf"E\d+\) .*{name}", done.stderr), (name, done.stderr)
    assert leaks(done.stdout + done.stderr) == []


# The formatters, over what a server writes only when something is very wrong


def record(message: str, *arguments: Any, **extra: Any) -> logging.LogRecord:
    made = logging.LogRecord("a.logger", logging.ERROR, "file.py", 1, message, arguments, None)
    vars(made).update(extra)
    return made


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError(OPAQUE)


ODD_EXTRAS = {
    "token": OPAQUE,
    "headers": [(b"authorization", OPAQUE.encode()), ("Cookie", OPAQUE), ("Accept", "*/*")],
    "nested": {"request": {"Set-Cookie": OPAQUE, "deep": [[[[[[[f"token={OPAQUE}"]]]]]]]}},
    "url": f"redis://default:{OPAQUE}@h",
    "text": f"Bearer {OPAQUE}",
    "bytes": b"token=" + OPAQUE.encode(),
    "number": 1,
    "not_a_number": float("nan"),
    "set": {f"password={OPAQUE}"},
    "odd": Unprintable(),
    "key": {f"token={OPAQUE}": 1},
    "printed": repr({"password": OPAQUE, "Authorization": f"Basic {OPAQUE}"}),
    "surrogate": "\ud800",
}


def test_json_lines_hold_extras_and_exceptions_without_secrets(settings):
    settings.BETTER_AUTH_SECRET = SHARED_SECRET
    made = record("failed with %s", f"token={OPAQUE}", **ODD_EXTRAS, secret_in_words=SHARED_SECRET)
    try:
        try:
            raise KeyError(f"Bearer {OPAQUE}")
        except KeyError as error:
            raise ValueError(f"{GOOD} {SHARED_SECRET}") from error
    except ValueError:
        made.exc_info = sys.exc_info()

    text = JSONFormatter().format(made)
    line = json.loads(text, parse_constant=pytest.fail)

    assert leaks(text) == []
    assert "\n" not in text
    assert line["message"] == "failed with token=[redacted]"
    assert (line["level"], line["logger"], line["number"]) == ("ERROR", "a.logger", 1)
    assert line["headers"][2] == {"Accept": "*/*"}
    assert (
        "KeyError" in line["exception"] and "ValueError: [redacted] [redacted]" in line["exception"]
    )


def test_an_extra_cannot_pose_as_what_the_server_says():
    line = json.loads(JSONFormatter().format(record("x", level="INFO", logger="other")))
    assert (line["level"], line["logger"]) == ("ERROR", "a.logger")


@pytest.mark.parametrize("formatter", [RedactingFormatter(), JSONFormatter()])
def test_arguments_that_do_not_fit_are_not_printed_instead(formatter, capsys):
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    handler.handle(record("%d of %d", OPAQUE))
    printed = capsys.readouterr()
    assert leaks(printed.out + printed.err) == []


@pytest.mark.parametrize("secret", ["p@ss/w:rd%41'quoted\"&<x>", "with blanks and ümläuts"])
def test_a_secret_is_found_in_every_spelling(settings, secret):
    settings.BETTER_AUTH_SECRET = secret
    for spelling in (secret, repr(secret), quote(secret, safe=""), f"x={secret};"):
        assert secret not in (text := RedactingFormatter().format(record(spelling)))
        assert "[redacted]" in text


def test_a_secret_that_is_part_of_ordinary_words_does_not_shred_the_log(settings):
    settings.DATABASES["default"]["PASSWORD"], kept = (
        "postgres",
        settings.DATABASES["default"].get("PASSWORD", ""),
    )
    try:
        assert RedactingFormatter().format(record("postgresql")) == "postgresql"
    finally:
        settings.DATABASES["default"]["PASSWORD"] = kept
