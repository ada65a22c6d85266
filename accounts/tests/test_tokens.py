"""The claims of a truly signed token: which are accepted, and whom they speak for."""

import json
import time
from typing import Any

import pytest

from accounts.signin.errors import ExpiredToken, InvalidToken
from accounts.signin.known_tokens import verify
from accounts.signin.tokens import VerifiedToken
from accounts.tests.forging import forge, forge_with_claim, good_claims
from accounts.users import CurrentUser
from conftest import ALICE, BOB, SECRET, sign

MISSING_USER_ID = "Invalid token: missing user ID"
NOON = 1_800_000_000


@pytest.fixture
def frozen_clock(monkeypatch):
    """Set this server's clock, to the fraction of a second."""

    def freeze(moment: float) -> None:
        monkeypatch.setattr("accounts.signin.tokens.time.time", lambda: moment)

    freeze(NOON)
    return freeze


def refusal(token: str) -> str:
    """What the caller reads about a token that is wrong."""
    with pytest.raises(InvalidToken) as caught:
        verify(token)
    return str(caught.value)


def test_a_good_token_says_who_and_until_when():
    token = sign(ALICE, email="alice@example.com", name="Alice", exp=4102444800)
    assert verify(token) == VerifiedToken(CurrentUser(ALICE), 4102444800)
    assert verify(token).user.email == "alice@example.com"
    assert verify(token).user.name == "Alice"


def test_a_verified_token_cannot_be_changed():
    token = verify(sign())
    with pytest.raises(AttributeError):
        token.expires_at = 0  # type: ignore[misc]


def test_only_sub_and_exp_are_needed():
    assert verify(sign(ALICE, without=("iat",))).user == CurrentUser(ALICE)


def test_unknown_claims_change_nothing():
    token = sign(ALICE, jti=["odd"], role="admin", session={"id": 1}, is_staff=True)
    assert verify(token).user == CurrentUser(ALICE)


# The time


def test_exp_is_to_the_second_without_leeway(frozen_clock):
    token = sign(iat=NOON - 300, exp=NOON)
    frozen_clock(NOON - 0.001)
    assert verify(token).expires_at == NOON
    # RFC 7519 section 4.1.4: on or after this moment the token must not be accepted.
    for late in (0, 0.001, 1, 10):
        frozen_clock(NOON + late)
        with pytest.raises(ExpiredToken, match=r"^Token has expired$"):
            verify(token)


def test_a_large_leeway_does_not_lengthen_a_tokens_life(frozen_clock, settings):
    settings.BETTER_AUTH_LEEWAY = 300
    with pytest.raises(ExpiredToken):
        verify(sign(iat=NOON - 300, exp=NOON))


def test_a_fraction_of_a_second_counts(frozen_clock):
    token = sign(iat=NOON, exp=NOON + 0.5)
    frozen_clock(NOON + 0.49)
    assert verify(token).expires_at == NOON + 0.5
    frozen_clock(NOON + 0.5)
    with pytest.raises(ExpiredToken):
        verify(token)


@pytest.mark.parametrize("exp", [0, -1, -(10**400), -0.5, 1], ids=lambda exp: str(exp)[:9])
def test_a_time_long_ago_is_expired(exp):
    with pytest.raises(ExpiredToken):
        verify(sign(iat=0, exp=exp))


@pytest.mark.parametrize(
    "exp", [10**11, 10**18, 10**400, 1e300], ids=["10**11", "10**18", "10**400", "1e300"]
)
def test_a_time_far_away_is_good(exp):
    """Whoever signs in milliseconds by mistake gets a long life, and no error."""
    assert verify(sign(exp=exp)).user == CurrentUser(ALICE)


@pytest.mark.parametrize("exp", [10**18, 10**400], ids=["10**18", "10**400"])
def test_the_time_that_is_left_can_be_reckoned_with(exp):
    """A socket sleeps until then, so it must be a number that can be subtracted from."""
    assert verify(sign(exp=exp)).expires_at - time.time() > 10**9


def test_a_token_without_exp_is_refused():
    assert refusal(sign(without=("exp",))) == "Invalid token: missing expiry"


NO_TIMES = {
    "null": "null",
    "text": '"4102444800"',
    "empty text": '""',
    "true": "true",
    "false": "false",
    "list": "[4102444800]",
    "object": "{}",
    "NaN": "NaN",
    "Infinity": "Infinity",
    "minus Infinity": "-Infinity",
    "1e999": "1e999",
    "more digits than Python reads": "9" * 5000,
}


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("json_text", NO_TIMES.values(), ids=NO_TIMES.keys())
def test_what_is_no_time_is_refused(claim, json_text):
    assert refusal(forge_with_claim(claim, json_text)).startswith("Invalid token: ")


@pytest.mark.parametrize("claim", ["iat", "nbf"])
@pytest.mark.parametrize("ahead", [-(10**6), 0, 9.9, 10])
def test_iat_and_nbf_may_be_ahead_by_the_leeway(frozen_clock, claim, ahead):
    """Two servers' clocks never quite agree."""
    token = sign(**{"exp": NOON + 300, "iat": NOON, claim: NOON + ahead})
    assert verify(token).user == CurrentUser(ALICE)


@pytest.mark.parametrize("claim", ["iat", "nbf"])
@pytest.mark.parametrize("ahead", [10.1, 11, 200, 10**400], ids=lambda ahead: str(ahead)[:5])
def test_iat_and_nbf_may_not_be_ahead_by_more(frozen_clock, claim, ahead):
    token = sign(**{"exp": NOON + 300, "iat": NOON, claim: NOON + ahead})
    assert refusal(token) == "Invalid token: not valid yet"


def test_the_leeway_is_what_is_configured(frozen_clock, settings):
    token = sign(iat=NOON + 20, exp=NOON + 300)
    assert refusal(token) == "Invalid token: not valid yet"
    settings.BETTER_AUTH_LEEWAY = 20
    assert verify(token).user == CurrentUser(ALICE)
    settings.BETTER_AUTH_LEEWAY = 0
    assert refusal(sign(iat=NOON + 1, exp=NOON + 300)) == "Invalid token: not valid yet"
    assert verify(sign(iat=NOON, exp=NOON + 300)).user == CurrentUser(ALICE)


# The person


USER_IDS = {
    "one character": "a",
    "a number as text": "1",
    "the longest": "a" * 255,
    "the longest, outside the basic plane": "\U0001f98a" * 255,
    "emoji": "\U0001f469\U0001f3fd\u200d\U0001f680",
    "blanks around it": "  alice ",
    "no-break space around it": "\xa0alice\xa0",
    "quotes and markup": "'\"; DROP TABLE tasks; -- <b>&amp;%_\\",
    "not normalised": "Ame\u0301lie",
    "word of another meaning": "null",
    "path": "../../admin",
    "zero-width": "a\u200bb",
}


@pytest.mark.parametrize("user_id", USER_IDS.values(), ids=USER_IDS.keys())
def test_the_user_id_is_taken_byte_for_byte(user_id):
    assert verify(sign(user_id)).user.id == user_id


def test_a_token_without_sub_is_refused():
    assert refusal(sign(without=("sub",))) == MISSING_USER_ID


NO_USER_IDS = {
    "null": None,
    "empty": "",
    "blank": " ",
    "tabs and newlines": "\t\r\n ",
    "no-break space": "\xa0",
    "ideographic space": "\u3000",
    "line separator": "\u2028",
}


@pytest.mark.parametrize("sub", NO_USER_IDS.values(), ids=NO_USER_IDS.keys())
def test_a_sub_that_names_nobody_is_a_missing_user_id(sub):
    assert refusal(sign(sub)) == MISSING_USER_ID


BAD_USER_IDS = {
    "number": 1,
    "zero": 0,
    "fraction": 1.5,
    "true": True,
    "false": False,
    "list": [ALICE],
    "empty list": [],
    "object": {"id": ALICE},
    "256 characters": "a" * 256,
    "10,000 characters": "a" * 10_000,
    "NUL alone": "\x00",
    "NUL": "alice\x00",
    "newline after it": "alice\n",
    "newline before it": "\nalice",
    "tab": "al\tice",
    "carriage return": "al\rice",
    "escape": "\x1b[2Jalice",
    "last of C0": "alice\x1f",
    "DEL": "alice\x7f",
    "first of C1": "alice\x80",
    "next line (C1)": "alice\x85",
    "last of C1": "alice\x9f",
    "high surrogate alone": "alice\ud83e",
    "low surrogate alone": "\udd8aalice",
    "surrogates the wrong way round": "\udd8a\ud83e",
}


@pytest.mark.parametrize("sub", BAD_USER_IDS.values(), ids=BAD_USER_IDS.keys())
def test_a_sub_that_cannot_be_a_user_id_is_refused(sub):
    assert refusal(sign(sub)).startswith("Invalid token: ")
    # Every reason is one that can be shown: it repeats nothing of what was sent.
    assert "alice" not in refusal(sign(sub))


def test_the_same_email_with_another_sub_is_another_person():
    shared: dict[str, Any] = {"email": "both@example.com", "name": "Both"}
    assert verify(sign(ALICE, **shared)).user != verify(sign(BOB, **shared)).user
    assert verify(sign(ALICE, **shared)).user == verify(sign(ALICE, email="new@example.com")).user


@pytest.mark.parametrize("claim", ["id", "userId", "user_id", "email", "name", "uid", "azp"])
def test_no_other_claim_stands_in_for_sub(claim):
    misleading: dict[str, Any] = {claim: BOB}
    assert refusal(sign(**misleading, without=("sub",))) == MISSING_USER_ID
    assert refusal(sign("", **misleading)) == MISSING_USER_ID
    assert verify(sign(ALICE, **misleading)).user.id == ALICE


def test_a_users_id_is_not_looked_for_in_a_user_object():
    token = sign(user={"id": BOB}, session={"userId": BOB}, without=("sub",))
    assert refusal(token) == MISSING_USER_ID


NO_TEXTS = {
    "null": "null",
    "number": "1",
    "true": "true",
    "list": '["alice@example.com"]',
    "object": '{"value": "alice@example.com"}',
    "lone surrogate": r'"alice\ud83e@example.com"',
}


@pytest.mark.parametrize("claim", ["email", "name"])
@pytest.mark.parametrize("json_text", NO_TEXTS.values(), ids=NO_TEXTS.keys())
def test_an_email_or_name_that_is_no_text_is_empty(claim, json_text):
    user = verify(forge_with_claim(claim, json_text)).user
    assert (user.id, user.email, user.name) == (ALICE, "", "")


def test_a_missing_email_and_name_are_empty():
    user = verify(sign(ALICE)).user
    assert (user.email, user.name) == ("", "")


def test_an_expired_token_is_expired_whatever_else_is_wrong_with_its_person():
    """So that a page says "sign in again" rather than something that sounds like a bug."""
    with pytest.raises(ExpiredToken):
        verify(sign(without=("sub",), exp=1))


# Issuer and audience


OURS = "https://auth.example.com"


@pytest.mark.parametrize("claim", ["iss", "aud"])
@pytest.mark.parametrize("value", ["https://elsewhere.example", "", 7, None, []], ids=repr)
def test_issuer_and_audience_do_not_matter_unless_configured(claim, value):
    assert verify(forge(good_claims(**{claim: value}))).user == CurrentUser(ALICE)


def test_the_address_of_the_key_server_does_not_pin_tokens_of_the_shared_secret(settings):
    settings.BETTER_AUTH_URL = OURS
    assert verify(sign(ALICE)).user == CurrentUser(ALICE)
    assert verify(sign(ALICE, iss="other", aud="other")).user == CurrentUser(ALICE)


@pytest.mark.parametrize(
    "wrong",
    [
        "https://elsewhere.example",
        OURS + "/",
        OURS.upper(),
        OURS[:-1],
        OURS + "/api/auth",
        "",
        7,
        None,
        True,
        {},
        [],
        [OURS],
    ],
    ids=repr,
)
def test_a_configured_issuer_must_be_named_exactly(settings, wrong):
    settings.BETTER_AUTH_ISSUER = OURS
    assert verify(sign(ALICE, iss=OURS)).user == CurrentUser(ALICE)
    assert refusal(forge(good_claims(iss=wrong))).startswith("Invalid token: ")


def test_a_configured_issuer_may_not_be_missing(settings):
    settings.BETTER_AUTH_ISSUER = OURS
    assert refusal(sign()) == "Invalid token: missing iss"


@pytest.mark.parametrize("aud", [OURS, [OURS], ["https://elsewhere.example", OURS]], ids=repr)
def test_a_configured_audience_may_be_one_of_several(settings, aud):
    settings.BETTER_AUTH_AUDIENCE = OURS
    assert verify(sign(ALICE, aud=aud)).user == CurrentUser(ALICE)


@pytest.mark.parametrize(
    "wrong",
    [
        "https://elsewhere.example",
        "better-auth:session-cache",
        OURS + "/",
        OURS[:-1],
        "",
        7,
        None,
        True,
        {OURS: 1},
        [],
        [[OURS]],
        ["https://elsewhere.example"],
        [OURS, 7],
    ],
    ids=repr,
)
def test_a_configured_audience_must_be_named_exactly(settings, wrong):
    settings.BETTER_AUTH_AUDIENCE = OURS
    assert refusal(forge(good_claims(aud=wrong))).startswith("Invalid token: ")


def test_a_configured_audience_may_not_be_missing(settings):
    settings.BETTER_AUTH_AUDIENCE = OURS
    assert refusal(sign()) == "Invalid token: missing aud"


# What else Better Auth signs with the same secret: all of it truly signed, none of it a sign-in


def test_an_email_verification_link_signs_nobody_in():
    now = int(time.time())
    payload = {"email": "a@example.com", "userId": ALICE, "iat": now, "exp": now + 3600}
    assert refusal(forge(payload, header={"alg": "HS256"})) == MISSING_USER_ID


def test_a_session_cache_cookie_signs_nobody_in():
    now = int(time.time())
    payload = {
        "session": {"id": "s1", "token": "raw-session-token", "userId": ALICE},
        "user": {"id": ALICE, "email": "a@example.com", "name": "Alice", "emailVerified": True},
        "updatedAt": now * 1000,
        "version": "1",
        "iat": now,
        "exp": now + 300,
    }
    assert refusal(forge(payload, header={"alg": "HS256"})) == MISSING_USER_ID


# Payloads that are no claims


PAYLOADS = {
    "empty object": lambda: {},
    "list of claims": lambda: [good_claims()],
    "text": lambda: "alice",
    "number": lambda: 7,
    "null": lambda: b"null",
    "true": lambda: True,
    "no JSON": lambda: b"sub=alice&exp=4102444800",
    "half an object": lambda: json.dumps(good_claims()).encode()[:-1],
    "two objects": lambda: json.dumps(good_claims()).encode() * 2,
    "invalid UTF-8": lambda: b'{"sub": "\xff\xfe", "exp": 4102444800}',
    "surrogate in its bytes": lambda: b'{"sub": "\xed\xa0\xbe", "exp": 4102444800}',
    "nested as deep as fits": lambda: b'{"exp": 4102444800, "sub": ' + b"[" * 5000,
    "nested and closed again": lambda: b"[" * 5000 + b"]" * 5000,
    "a megabyte": lambda: good_claims(name="a" * 2**20),
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_a_payload_that_holds_no_claims_is_refused(payload):
    assert refusal(forge(payload())).startswith("Invalid token: ")


def test_claims_may_be_written_in_utf_8_without_escapes():
    payload = json.dumps(good_claims(name="Amélie ☕"), ensure_ascii=False).encode()
    assert verify(forge(payload)).user.name == "Amélie ☕"


def test_the_key_is_the_utf_8_text_of_the_secret(settings):
    settings.BETTER_AUTH_SECRET = "grüße-aus-der-straße-mit-vielen-zeichen"
    assert verify(forge(key=settings.BETTER_AUTH_SECRET.encode())).user == CurrentUser(ALICE)
    assert refusal(forge(key=SECRET)).startswith("Invalid token: ")
