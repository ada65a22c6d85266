"""No token ever reaches a log, whoever writes it and wherever the token was sent."""

import json
import logging
import subprocess
import sys
import time
from contextlib import suppress
from http.client import HTTPConnection

import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from conftest import (
    OTHER_SECRET,
    OTHER_SERVERS,
    ROOT,
    Server,
    both_servers,
    environment_for,
    free_port,
    new_database,
    running_server,
    sign,
)
from todolist.logs.formatters import RedactingFormatter
from todolist.logs.redaction import redact


def send_everywhere(port: int, token: str) -> None:
    """Put `token` wherever a client may, and may not, put one."""
    encoded = token.replace(".", "%2E")
    headers = {
        "Authorization": f"Bearer {token}",
        "Cookie": f"better-auth.session_token={token}",
        "Referer": f"http://127.0.0.1/?token={token}",
    }
    for path in (
        *("/me", f"/me?token={token}", f"/ws/notifications?token={token}", f"/{token}"),
        *(f"/me?%74oken={token}", f"/unknown?access_token={encoded}"),
    ):
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path, headers=headers)
        connection.getresponse().read()
        connection.close()
    address = f"ws://127.0.0.1:{port}/ws/notifications"
    for url, options in (
        (f"{address}?token={token}", {}),
        (f"{address}?%74oken={token}", {}),
        (f"{address}?token={token}", {"origin": "https://evil.example.com"}),
        (f"{address}?x=1&token={token}&y=2", {}),
        (address, {"additional_headers": {"Authorization": f"Bearer {token}"}}),
        (address, {"subprotocols": ["bearer", token]}),
        (f"ws://127.0.0.1:{port}/elsewhere?token={token}", {}),
    ):
        with suppress(WebSocketException), connect(url, **options) as socket:
            socket.send(token)
            socket.recv(timeout=5)


def tokens() -> list[str]:
    return [
        sign("marker-good"),
        sign("marker-expired", exp=1),
        sign("marker-foreign", key=OTHER_SECRET),
        "opaque-marker-0123456789abcdef",
    ]


def assert_clean(log: str) -> None:
    for token in tokens()[3:]:
        # As a path it is not known to be a token; as a token it must not appear.
        assert token not in log.replace(f"/{token}", "")
    assert "Logging error" not in log
    assert "eyJ" not in log
    assert "Traceback" not in log, log[log.index("Traceback") :][:3000]


@pytest.mark.parametrize("kind", OTHER_SERVERS)
def test_the_access_logs_of_servers_that_others_may_prefer(tmp_path, kind):
    """Some put handlers and formatters of their own in the place of ours."""
    with (
        new_database(tmp_path) as url,
        running_server(tmp_path, environment_for(url, DEBUG="False"), kind) as server,
    ):
        for token in tokens():
            send_everywhere(server.port, token)
    log = server.log.read_text()
    assert "/me" in log and "token=[redacted]" in log
    assert "Refused GET /me: Token has expired (origin -, client 127.0.0.1)" in log
    assert_clean(log)


@both_servers
def test_the_access_log(server: Server):
    for token in tokens():
        send_everywhere(server.port, token)
    log = server.log.read_text()
    assert_clean(log)
    if server.kind == "daphne":
        assert "GET /me" in log and "token=[redacted]" in log
    else:  # neither requests nor handshakes: a proxy logs them
        assert '"GET' not in log and '"WebSocket' not in log


def test_the_development_server(start_server, server: Server, tmp_path):
    port = free_port()
    log = tmp_path / "runserver.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"],
            cwd=ROOT,
            env={**server.environment, "DEBUG": "True"},
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 30
        while "Listening on" not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        for token in tokens():
            send_everywhere(port, token)
    finally:
        process.terminate()
        process.wait(timeout=15)
    assert "GET /me" in log.read_text() and "token=[redacted]" in log.read_text()
    assert_clean(log.read_text())


JWT = sign()


@pytest.mark.parametrize(
    ("line", "clean"),
    [
        ("GET /ws?token=abc HTTP/1.1", "GET /ws?token=[redacted] HTTP/1.1"),
        ("GET /ws?a=1&TOKEN=abc&b=2", "GET /ws?a=1&TOKEN=[redacted]&b=2"),
        ("Authorization: Bearer abc", "Authorization: Bearer [redacted]"),
        ("bearer, abc", "bearer, [redacted]"),
        (f"odd {JWT} place", "odd [redacted] place"),
        (f"{JWT}.{JWT}", "[redacted].[redacted]"),
        ("an ordinary line", "an ordinary line"),
    ],
)
def test_redact(line, clean):
    assert redact(line) == clean


def test_json_stays_json():
    """As a service for error reports gets it (SECURITY.md)."""
    event = {
        "headers": {
            "Authorization": "Basic hidden-word",
            "Cookie": 'a="hidden-word"',
            "Accept": "*/*",
        },
        "lines": ["Cookie: a=hidden-word", "Authorization: Basic hidden-word", f"Bearer {JWT}"],
        "token": 'hidden\\"word',
        "url": "https://x.example/?token=hidden-word",
    }
    text = redact(json.dumps(event))
    assert "hidden" not in text and JWT not in text
    assert json.loads(text)["headers"] == {
        "Authorization": "[redacted]",
        "Cookie": "[redacted]",
        "Accept": "*/*",
    }


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SECRET_KEY", "made-up-secret"),
        ("BETTER_AUTH_SECRET", "made-up-secret"),
        ("BETTER_AUTH_SECRETS", "2:made-up-secret,1:another-made-up"),
        ("BETTER_AUTH_SECRETS", "made-up-secret"),  # malformed, and secret all the same
        ("REDIS_URL", "redis://:made-up-secret@redis.example:6379/0"),
    ],
)
def test_configured_secrets_are_redacted_wherever_they_stand(settings, variable, value):
    setattr(settings, variable, value)
    assert redact("an odd place of made-up-secret.") == "an odd place of [redacted]."


def test_the_password_of_the_database_is_redacted_wherever_it_stands(settings, monkeypatch):
    monkeypatch.setitem(settings.DATABASES["default"], "PASSWORD", "made-up-secret")
    assert redact("an odd place of made-up-secret.") == "an odd place of [redacted]."


def test_arguments_and_tracebacks_are_redacted_too():
    try:
        raise ValueError(f"failed on {JWT}")
    except ValueError:
        record = logging.LogRecord("x", 40, "f", 1, "%s", (f"?token={JWT}",), sys.exc_info())
    text = RedactingFormatter().format(record)
    assert "ValueError: failed on [redacted]" in text
    assert JWT not in text
