"""`manage.py doctor` names the fault and its cure (docs/api.md section 11)."""

import base64
import io
import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from accounts.tests.forging import forge, forge_with_claim, good_claims
from accounts.tests.keyserver import KeyServer, SigningKey, serving
from conftest import (
    OTHER_SECRET,
    PAGE_ORIGIN,
    SECRET,
    environment_for,
    free_port,
    manage,
    sign,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_check_of_routes")]


def doctor(*arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and the findings by id."""
    output = io.StringIO()
    try:
        call_command("doctor", "--json", *arguments, stdout=output)
        code = 0
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    report = json.loads(output.getvalue())
    assert report["ok"] is (code == 0)
    return code, {finding["id"]: finding for finding in report["findings"]}


def fault(id: str, *arguments: str) -> str:
    """The message of a fault that must be there, with a cure and a failing exit code."""
    code, findings = doctor(*arguments)
    assert code == 1
    finding = findings[id]
    assert finding["level"] == "error" and finding["cure"]
    return str(finding["message"])


@pytest.fixture
def key() -> SigningKey:
    return SigningKey("EdDSA")


@pytest.fixture
def key_server(key, settings) -> Iterator[KeyServer]:
    with serving(key) as server:
        settings.BETTER_AUTH_URL = server.origin
        yield server


def test_all_is_well_with_a_shared_secret():
    code, findings = doctor(sign("alice"))
    assert code == 0
    assert "'alice'" in findings["token"]["message"]
    assert findings.keys() >= {"secret", "token", "cors", "database", "channel_layer"}


def test_all_is_well_with_published_keys(key_server, key, settings):
    settings.BETTER_AUTH_SECRET = ""
    code, findings = doctor(key.sign(key_server.origin))
    assert code == 0
    assert findings.keys() >= {"keys", "issuer", "clock", "token"}
    assert key_server.origin in findings["issuer"]["message"]


def test_people_read_one_line_for_the_fault_and_one_for_its_cure():
    output = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("doctor", sign(exp=1), stdout=output)
    lines = output.getvalue().splitlines()
    (at,) = (number for number, line in enumerate(lines) if line.startswith("error"))
    assert "expired" in lines[at] and lines[at + 1].strip().startswith("Cure: ")


def test_nothing_is_configured(settings):
    settings.BETTER_AUTH_SECRET = ""
    assert "BETTER_AUTH_URL" in fault("accounts.E001")


def test_a_short_secret(settings):
    settings.BETTER_AUTH_SECRET = "short"
    assert "shorter" in fault("accounts.E003")


def test_a_placeholder(settings):
    settings.BETTER_AUTH_SECRET = "replace-this-with-the-secret-of-your-better-auth-server"
    assert "placeholder" in fault("accounts.E002")


def test_a_shared_secret_token_where_only_keys_are_configured(key_server, settings):
    settings.BETTER_AUTH_SECRET = ""
    message = fault("token.no-shared-secret-is-configured", sign())
    assert "shared secret" in message and "only published keys" in message


def test_a_published_key_token_where_only_a_secret_is_configured(key):
    message = fault("token.no-published-keys-are-configured", key.sign("http://x"))
    assert "EdDSA" in message and "only a shared secret" in message


def test_another_secret():
    assert "another secret" in fault("token.signature-does-not-match", sign(key=OTHER_SECRET))


OTHER_TEXT = "abcdefgh-ijklmnop-qrstuvwx-01234567"


@pytest.mark.parametrize(
    ("here", "there", "says"),
    [
        (f"{OTHER_TEXT}#{OTHER_TEXT}", OTHER_TEXT, "up to its #"),
        (f"{OTHER_TEXT} # comment", OTHER_TEXT, "up to its #"),
        (f"{OTHER_TEXT}$HOME/x", f"{OTHER_TEXT}/x", "with what follows its $ replaced"),
        (f"{OTHER_TEXT}${{HOME}}x", f"{OTHER_TEXT}x", "with what follows its $ replaced"),
        (f'"{OTHER_TEXT}"', OTHER_TEXT, "without its quotes"),
        (OTHER_TEXT, f"'{OTHER_TEXT}'", "in quotes (')"),
        (f" {OTHER_TEXT} ", OTHER_TEXT, "without the blanks around it"),
    ],
)
def test_a_secret_that_the_other_server_reads_otherwise(settings, here, there, says):
    settings.BETTER_AUTH_SECRET = here
    message = fault("token.signature-does-not-match", sign(key=there))
    assert f"the one that is set here, {says}" in message and OTHER_TEXT not in message


@pytest.mark.parametrize(
    ("mark", "named"),
    [
        ("#", "a #"),
        ("$", "a $"),
        ('"', "quotes"),
        ("`", "quotes"),
        (" ", "blanks"),
        ("\\", "backslash"),
    ],
)
@pytest.mark.parametrize("variable", ["BETTER_AUTH_SECRET", "BETTER_AUTH_SECRETS"])
def test_what_is_likely_to_be_read_otherwise_is_named(settings, variable, mark, named):
    secret = f"{OTHER_TEXT}{mark}x"
    setattr(settings, variable, secret if variable[-1] == "T" else f"2:{SECRET},1:{secret}")
    message = fault("token.signature-does-not-match", sign(key=OTHER_SECRET))
    assert named in message and "likely difference" in message and OTHER_TEXT not in message


def test_of_a_secret_without_such_marks_nothing_of_the_kind_is_said():
    message = fault("token.signature-does-not-match", sign(key=OTHER_SECRET))
    assert "likely" not in message


def test_an_email_verification_token():
    token = sign(without=("sub",), email="alice@example.com", userId="alice")
    assert "e-mail-verification" in fault("token.email-verification", token)


def test_a_cookie_cache_token_of_the_shared_secret():
    token = sign(without=("sub",), session={"token": "x"}, user={"id": "alice"}, version="1")
    assert "cookie-cache" in fault("token.cookie-cache", token)


def test_a_cookie_cache_token_of_the_published_keys(key_server, key):
    token = key.sign(
        key_server.origin,
        aud="better-auth:session-cache",
        headers={"typ": "better-auth.session-cache+jwt"},
    )
    assert "cookie-cache" in fault("token.cookie-cache", token)


RAW_SESSION = "YCh51RZTUuoCEqAsOThxGJxVUAmekacs"
SIGNATURE = base64.b64encode(b"\xfb" * 32).decode()


@pytest.mark.parametrize(
    "token",
    [
        RAW_SESSION,
        f"{RAW_SESSION}.{SIGNATURE}",
        f"{RAW_SESSION}.{SIGNATURE.replace('=', '%3D').replace('+', '%2B').replace('/', '%2F')}",
    ],
    ids=["raw", "signed", "as in the cookie"],
)
def test_an_opaque_session_token(token):
    assert "session token" in fault("token.session", token)


def test_a_wrong_issuer_prints_both(key_server, key):
    message = fault("token.wrong-issuer", key.sign(key_server.origin, iss="http://other.example"))
    assert "http://other.example" in message and key_server.origin in message


def test_a_wrong_audience_prints_both(key_server, key):
    message = fault("token.wrong-audience", key.sign(key_server.origin, aud="http://other.example"))
    assert "http://other.example" in message and key_server.origin in message


def test_an_expired_token():
    message = fault("token.expired", sign(exp=int(time.time()) - 100))
    assert re.search("1[0-2][0-9] seconds ago", message)


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_a_token_from_the_future_says_how_far(claim):
    claims: dict[str, Any] = {claim: int(time.time()) + 100}
    message = fault("token.not-valid-yet", sign(**claims))
    assert re.search("(100|[7-9][0-9]) seconds", message)


@pytest.mark.parametrize(("lead", "direction"), [(-90, "ahead of"), (90, "behind")])
def test_clocks_that_differ_say_by_how_much(key_server, lead, direction):
    key_server.clock_lead = lead
    message = fault("clock")
    assert direction in message and any(f"{s} seconds" in message for s in (89, 90, 91))


@pytest.mark.parametrize(
    ("mood", "says"),
    [
        ("failing", "500"),
        ("HTML", "not JSON"),
        ("another document", "not a key set"),
        ("useless keys", "no usable key"),
        ("redirecting", "302"),
    ],
)
def test_a_key_server_that_misbehaves(key_server, mood, says):
    key_server.mood = mood
    assert says in fault("keys")


def test_what_better_auth_lacks_where_it_fails_at_its_keys(key_server):
    key_server.mood = "failing"
    assert "its table, jwks" in doctor()[1]["keys"]["cure"]


def test_where_a_redirect_leads_is_told(key_server):
    key_server.mood = "redirecting"
    assert f"{key_server.origin}/elsewhere" in fault("keys")
    assert key_server.fetches == 1


@pytest.mark.parametrize(
    ("path", "variable", "says"),
    [
        ("/auth", "BETTER_AUTH_URL", "has a path"),
        ("", "BETTER_AUTH_URL", "basePath"),
        ("/keys", "BETTER_AUTH_JWKS_URL", "BETTER_AUTH_JWKS_URL"),
    ],
)
def test_which_address_was_tried_and_why(key_server, settings, path, variable, says):
    key_server.path = "/somewhere/else"
    setattr(settings, variable, f"{key_server.origin}{path}")
    tried = {"/auth": "/auth/jwks", "": "/api/auth/jwks", "/keys": "/keys"}[path]
    message = fault("keys")
    assert f"{key_server.origin}{tried}: the answer was 404" in message
    assert says in doctor()[1]["keys"]["cure"]


def test_a_proxy_that_is_not_there_is_named_without_its_password(key_server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://me:marked-password@127.0.0.1:{free_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    message = fault("keys")
    assert "through the proxy of HTTP_PROXY" in message
    assert "marked-password" not in printed()


def test_a_key_server_that_is_not_there(settings):
    settings.BETTER_AUTH_URL = f"http://127.0.0.1:{free_port()}"
    assert "not reachable" in fault("keys")


def test_an_unknown_key(key_server, key):
    message = fault("token.unknown-key", SigningKey("EdDSA", kid="stranger").sign("http://x"))
    assert "'stranger'" in message and key.kid in message


def test_no_origin_may_call(settings):
    settings.CORS_ORIGINS = ()
    assert "CORS_ORIGINS" in fault("cors")


def test_the_origin_of_the_pages_is_missing(key_server):
    code, findings = doctor()
    assert (
        findings["cors"]["level"] == "warning" and key_server.origin in findings["cors"]["message"]
    )
    assert code == 0  # the pages may well be served from elsewhere


@pytest.mark.parametrize(
    ("variable", "url", "id"),
    [
        ("DATABASE_URL", "postgresql://nobody:marked-password@127.0.0.1:{port}/none", "database"),
        ("REDIS_URL", "redis://:marked-password@127.0.0.1:{port}/0", "channel_layer"),
    ],
)
def test_a_service_that_is_not_there(variable, url, id, tmp_path):
    environment = environment_for(f"sqlite:///{tmp_path / 'x.sqlite3'}", REDIS_URL="")
    environment[variable] = url.format(port=free_port())
    done = manage("doctor", "--json", environment=environment)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "marked-password" not in done.stdout + done.stderr
    findings = {finding["id"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert findings[id]["level"] == "error" and variable in findings[id]["cure"]


def test_a_server_that_does_not_start_can_still_be_examined():
    done = manage("doctor", environment=environment_for("", BETTER_AUTH_SECRET="", SECRET_KEY=""))
    assert done.returncode == 1
    assert "BETTER_AUTH_SECRET" in done.stdout and "SECRET_KEY" in done.stdout
    assert "Traceback" not in done.stderr


def test_neither_secret_nor_token_is_printed(settings, capfd):
    settings.BETTER_AUTH_SECRETS = f"2:{OTHER_SECRET},nonsense"
    token = sign(key="x" * 40)
    output = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("doctor", token, stdout=output)
    printed = output.getvalue() + "".join(capfd.readouterr())
    for secret in (SECRET, OTHER_SECRET, token, token.split(".")[2]):
        assert secret not in printed
    assert PAGE_ORIGIN in printed


def test_escape_sequences_in_a_token_do_not_reach_the_terminal(key_server, key):
    _, findings = doctor(key.sign(key_server.origin, iss="\x1b[2Jhello"))
    assert "\x1b" not in findings["token.wrong-issuer"]["message"]


def hostile(claims: dict[str, Any], headers: dict[str, Any]) -> str:
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()) for part in (headers, claims))
    return b".".join([*(part.rstrip(b"=") for part in parts), b"AAAA"]).decode()


VALUES: Any = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just([1]) | st.just({})
)


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    token=st.text()
    | st.builds(
        hostile,
        st.dictionaries(
            st.sampled_from(["exp", "iat", "nbf", "iss", "aud", "sub", "session"]), VALUES
        ),
        st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit"]), VALUES)
        | st.just({"alg": "HS256"}),
    )
)
def test_whatever_the_token_there_is_a_report(token):
    code, _ = doctor("--", token) if token.startswith("-") else doctor(token)
    assert code == 1


@pytest.mark.parametrize("value", ["12", [1], {}, True, None, 1e300])
@pytest.mark.parametrize("claim", ["exp", "iat", "nbf", "sub", "email"])
def test_signed_claims_of_strange_types_are_explained(claim, value):
    doctor(sign(**{claim: value}))


def test_times_that_no_clock_shows_are_explained_too():
    assert "seconds ago" in fault("token.expired", sign(exp=-(10**400)))
    fault("token.not-valid-yet", sign(iat=int(time.time()) + 100, nbf="soon"))


def cure(id: str, *arguments: str) -> str:
    """What to do about a fault that must be there."""
    fault(id, *arguments)
    return str(doctor(*arguments)[1][id]["cure"])


def printed(*arguments: str) -> str:
    """What people read, whatever the exit code."""
    output = io.StringIO()
    with suppress(SystemExit):
        call_command("doctor", *arguments, stdout=output)
    return output.getvalue()


# As a command of its own


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    return environment_for(f"sqlite:///{tmp_path / 'x.sqlite3'}", REDIS_URL="")


def test_the_exit_code_says_that_all_is_well(environment, key_server, key):
    environment["BETTER_AUTH_URL"] = key_server.origin
    done = manage("doctor", key.sign(key_server.origin), environment=environment)
    assert done.returncode == 0 and "accepted" in done.stdout
    assert "error" not in done.stdout and done.stderr == ""


def test_values_that_make_no_sense_are_findings_too(environment):
    environment.update(DATABASE_URL="mysql://somewhere/x", BETTER_AUTH_JWKS_URL="http://[::1")
    token = SigningKey("EdDSA").sign("http://x")
    done = manage("doctor", token, environment=environment)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "DATABASE_URL" in done.stdout and "BETTER_AUTH_JWKS_URL" in done.stdout


def test_a_url_that_only_the_client_refuses(settings):
    settings.BETTER_AUTH_JWKS_URL = "http://a b/"
    settings.BETTER_AUTH_ISSUER = settings.BETTER_AUTH_AUDIENCE = "https://a"
    assert "InvalidURL" in fault("keys", SigningKey("EdDSA").sign("https://a"))


def test_why_the_database_does_not_answer(monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "NAME", "/no/such/place")
    message = fault("database")
    assert "unable to open" in message or '"/no/such/place" does not exist' in message


def test_a_terminal_that_knows_only_ascii():
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    call_command("doctor", sign("J\u00fcrgen"), stdout=terminal)
    assert b"J\\xfcrgen" in terminal.buffer.getvalue()


# How a token is handed over


@pytest.mark.parametrize("header", [["Bearer"], ["Authorization:", "bearer"]])
def test_the_token_may_come_with_its_header(header):
    token = sign("alice")
    assert doctor(*header, token)[0] == 0
    assert doctor(" ".join([*header, token]))[0] == 0


def test_a_token_in_several_pieces_is_not_printed():
    first, second = sign()[:40], sign()[40:]
    text = printed(first, second)
    assert "not a JWT" in text and first not in text and second not in text


def test_an_empty_token_is_a_token():
    assert "not a JWT" in fault("token.not-a-JWT", "")


# What was made for another use is called so, whatever else is wrong with it

SPOILED: list[dict[str, Any]] = [{"exp": 1}, {"key": OTHER_SECRET}, {"iat": 4102444800}]


@pytest.mark.parametrize("spoiled", SPOILED)
def test_a_cookie_cache_token_is_called_so(spoiled):
    fault("token.cookie-cache", sign(without=("sub",), session={}, user={}, **spoiled))


@pytest.mark.parametrize("spoiled", SPOILED)
def test_an_email_verification_token_is_called_so(spoiled):
    fault("token.email-verification", sign(without=("sub",), email="a@example.com", **spoiled))


def test_a_cookie_cache_token_of_published_keys_that_expired(key_server, key):
    token = key.sign(key_server.origin, aud="better-auth:session-cache", exp=1)
    fault("token.cookie-cache", token)


def test_a_cookie_cache_that_is_no_jwt():
    compact = '{"session":{"session":{},"user":{}},"expiresAt":1,"signature":"x"}'
    fault("token.cookie-cache", base64.urlsafe_b64encode(compact.encode()).decode().rstrip("="))
    fault("token.cookie-cache", "eyJhbGciOiJkaXIifQ..aXY.Y2lwaGVydGV4dA.dGFn")


def test_a_token_of_a_person_may_speak_of_sessions():
    claims: dict[str, Any] = {"session": {}, "user": {}, "email": "a@example.com"}
    assert doctor(sign(**claims))[0] == 0
    fault("token.expired", sign(exp=1, **claims))


# Faults that others hide


def test_a_token_where_nothing_is_configured(settings):
    settings.BETTER_AUTH_SECRET = ""
    assert "none is configured" in fault("token.no-shared-secret-is-configured", sign())
    token = SigningKey("EdDSA").sign("http://x")
    assert "no such keys" in fault("token.no-published-keys-are-configured", token)


def test_a_token_while_there_are_no_keys_is_not_passed_over(key_server, key):
    key_server.mood = "failing"
    fault("token.no-keys-at-hand", key.sign(key_server.origin))
    assert key_server.fetches == 1


def test_a_token_is_checked_with_the_keys_that_were_fetched(key_server, key):
    assert doctor(key.sign(key_server.origin))[0] == 0
    assert key_server.fetches == 1


def test_keys_of_nobody_in_particular(key_server, key, settings):
    settings.BETTER_AUTH_URL, settings.BETTER_AUTH_JWKS_URL = "", key_server.url
    token = key.sign(key_server.origin)
    assert "BETTER_AUTH_ISSUER" in cure("token.no-issuer-and-audience-are-configured", token)
    assert "issuer" not in doctor(token)[1]


def test_a_published_key_that_did_not_sign(key_server, key):
    token = SigningKey("EdDSA", kid=key.kid).sign(key_server.origin)
    assert "published key" in fault("token.signature-does-not-match", token)


def test_issuer_and_audience_of_a_shared_secret(settings):
    settings.BETTER_AUTH_ISSUER, settings.BETTER_AUTH_AUDIENCE = "https://a", "https://b"
    assert "None" in fault("token.missing-iss", sign())
    assert "https://b" in fault("token.missing-aud", sign(iss="https://a"))
    message = fault("token.wrong-audience", sign(iss="https://a", aud=["https://c"]))
    assert "https://b" in message and "https://c" in message


def test_a_lifetime_that_was_taken_for_a_moment():
    assert '"15m"' in cure("token.expired", sign(exp=900))
    assert '"15m"' not in cure("token.expired", sign(exp=int(time.time()) - 5))


def test_milliseconds_are_not_a_matter_of_clocks():
    assert "milliseconds" in cure("token.not-valid-yet", sign(iat=int(time.time() * 1000)))
    assert "NTP" in cure("token.not-valid-yet", sign(iat=int(time.time()) + 60))


# What is printed


def test_a_password_in_a_url_is_not_printed(settings):
    settings.BETTER_AUTH_JWKS_URL = f"http://me:marked-password@127.0.0.1:{free_port()}/keys"
    assert "marked-password" not in printed()


def test_no_token_is_logged(caplog, key_server, key):
    caplog.set_level("DEBUG")
    key_server.mood = "failing"
    for token in (sign("marked-user", key=OTHER_SECRET), key.sign("http://x", "marked-user")):
        said = printed(token) + caplog.text
        assert token not in said and token.split(".")[1] not in said and SECRET not in said


def test_a_claim_is_quoted_in_short(settings):
    settings.BETTER_AUTH_ISSUER = "https://a"
    assert len(fault("token.wrong-issuer", sign(iss="x" * 5000))) < 300


@hypothesis_settings(
    max_examples=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(name=st.sampled_from(["sub", "iss", "aud"]), value=VALUES)
def test_no_claim_can_command_the_terminal_or_forge_a_line(settings, name, value):
    settings.BETTER_AUTH_ISSUER = settings.BETTER_AUTH_AUDIENCE = "https://a"
    claims = {"iss": "https://a", "aud": "https://a", name: value}
    lines = printed(forge(good_claims(**claims))).split("\n")
    assert all(line.isascii() and line.isprintable() for line in lines)
    assert all(line.startswith(("ok ", "warning ", "error ", " " * 9)) for line in lines if line)


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "1e999", "9" * 4000, "[" * 500 + "]" * 500])
@pytest.mark.parametrize("claim", ["exp", "iat", "nbf", "sub", "iss", "aud"])
def test_json_that_only_python_takes_is_explained(settings, claim, value):
    settings.BETTER_AUTH_ISSUER = "https://a" if claim == "iss" else ""
    settings.BETTER_AUTH_AUDIENCE = "https://a" if claim == "aud" else ""
    doctor(forge_with_claim(claim, value))
