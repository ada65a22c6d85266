"""Who is asking, over HTTP: every row of the refusal table, word for word."""

import re
import time

import pytest
from django.contrib.auth.models import User
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from accounts.tests.forging import forge, forge_with_claim, good_claims, segment
from conftest import ALICE, OTHER_SECRET, client_with, sign

# Hardly any test here asks for the database: without that, a query raises, and the answer were 500.


CODES = {
    "Authentication required": "not_authenticated",
    "Token has expired": "token_expired",
}


def ask(header: str | None, path: str = "/me"):
    """The answer to a request with just this `Authorization` header (latin-1, as a server has it)."""
    client = APIClient(raise_request_exception=False)
    if header is not None:
        client.credentials(HTTP_AUTHORIZATION=header)
    return client.get(path)


def assert_refused(response, detail: str, *, challenge: str | None = None) -> None:
    assert response.status_code == 401, response.content
    assert response.json() == {"detail": detail, "code": CODES.get(detail, "token_invalid")}
    assert response["WWW-Authenticate"] == (
        challenge or f'Bearer error="invalid_token", error_description="{detail}"'
    )


def assert_invalid(response) -> None:
    """401 for a token that is wrong, whatever the reason."""
    assert response.status_code == 401, response.content
    detail = response.json()["detail"]
    assert re.fullmatch(r"Invalid token: .+", detail)
    assert_refused(response, detail)
    # RFC 6750 section 3: what may stand in `error_description`.
    assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]{1,100}", detail)


# Good tokens


def test_a_good_token_is_told_who_it_speaks_for():
    response = client_with(sign(ALICE, email="alice@example.com", name="Amélie ☕")).get("/me")
    assert response.status_code == 200
    assert response.json() == {"id": ALICE, "email": "alice@example.com", "name": "Amélie ☕"}
    assert "WWW-Authenticate" not in response


def test_a_trailing_slash_makes_no_difference():
    response = client_with(sign(ALICE)).get("/me/")
    assert (response.status_code, response.json()["id"]) == (200, ALICE)


def test_email_and_name_are_empty_where_the_token_has_none():
    response = client_with(sign(ALICE, email=None, name=7)).get("/me")
    assert response.json() == {"id": ALICE, "email": "", "name": ""}


@pytest.mark.parametrize("user_id", ["  alice ", "\U0001f98a", "'\"<b>&\\", "a" * 255], ids=ascii)
def test_the_id_arrives_byte_for_byte(user_id):
    assert client_with(sign(user_id)).get("/me").json()["id"] == user_id


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_scheme_may_be_written_in_any_case(scheme):
    assert ask(f"{scheme} {sign(ALICE)}").json()["id"] == ALICE


@pytest.mark.parametrize("between", ["  ", "\t"], ids=["two blanks", "tab"])
def test_more_room_between_scheme_and_token_does_no_harm(between):
    assert ask(f"Bearer{between}{sign(ALICE)}").status_code == 200


@pytest.mark.django_db
def test_authenticating_costs_no_query(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert client_with(sign(ALICE)).get("/me").status_code == 200
        assert client_with("garbage").get("/me").status_code == 401
        assert client_with(None).get("/me").status_code == 401


# No token: 401 with a plain challenge


@pytest.mark.parametrize("path", ["/me", "/tasks"])
@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        " ",
        "Basic YWxpY2U6c2VjcmV0",
        "Digest username=alice",
        "Token abc",
        f"JWT {sign()}",
        f"Basic {sign()}",
        f"Bearer,{sign()}",
        f"Bearer:{sign()}",
        f"BearerToken {sign()}",
        f'"Bearer" {sign()}',
        sign(),
        "B\xe9arer abc",
        "\xff\xfe\x00\x80",
    ],
    ids=lambda header: repr(header)[:24],
)
def test_without_a_bearer_token_one_is_asked_for(header, path):
    assert_refused(ask(header, path), "Authentication required", challenge="Bearer")


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_the_token_comes_before_everything_else(method):
    """Before the method and the body: a stranger learns nothing about either."""
    for path in ("/me", "/tasks"):
        response = getattr(APIClient(), method)(path, data="{", content_type="application/json")
        assert_refused(response, "Authentication required", challenge="Bearer")


def test_a_token_is_read_from_nowhere_else():
    token = sign(ALICE)
    client = APIClient()
    client.cookies["better-auth.session_token"] = token
    client.cookies["token"] = token
    response = client.get("/me", {"token": token, "access_token": token}, HTTP_X_TOKEN=token)
    assert_refused(response, "Authentication required", challenge="Bearer")


# An expired token


@pytest.mark.parametrize("path", ["/me", "/tasks"])
def test_an_expired_token_is_told_so(path):
    now = int(time.time())
    response = ask(f"Bearer {sign(iat=now - 600, exp=now)}", path)
    assert_refused(response, "Token has expired")
    assert response["WWW-Authenticate"] == (
        'Bearer error="invalid_token", error_description="Token has expired"'
    )


def test_an_expired_token_of_another_secret_is_not_merely_expired():
    """Its `exp` is not to be believed."""
    assert_invalid(ask(f"Bearer {sign(key=OTHER_SECRET, exp=1)}"))


# A token that names nobody


@pytest.mark.parametrize("sub", [None, "", " ", "\t\n", "\xa0"], ids=ascii)
def test_a_token_that_names_nobody_is_told_so(sub):
    assert_refused(ask(f"Bearer {sign(sub)}"), "Invalid token: missing user ID")


def test_a_token_without_sub_is_told_so():
    token = sign(id=ALICE, userId=ALICE, email="alice@example.com", without=("sub",))
    response = ask(f"Bearer {token}")
    assert_refused(response, "Invalid token: missing user ID")
    assert response["WWW-Authenticate"] == (
        'Bearer error="invalid_token", error_description="Invalid token: missing user ID"'
    )


# Anything else that is wrong

BROKEN = {
    "the scheme alone": "Bearer",
    "the scheme and blanks": "Bearer   ",
    "two tokens": f"Bearer {sign()} {sign()}",
    "two tokens with a comma": f"Bearer {sign()},{sign()}",
    "two schemes": f"Bearer Bearer {sign()}",
    "two headers joined": f"Bearer {sign()}, Bearer {sign()}",
    "a token in quotes": f'Bearer "{sign()}"',
    "bytes outside ASCII": "Bearer \xff\xfe\xfd",
    "UTF-8": "Bearer " + "tökén".encode().decode("latin-1"),
    "no-break space after it": f"Bearer {sign()}\xa0",
    "next line (C1) in it": f"Bearer {sign()}\x85",
    "NUL": "Bearer \x00",
    "NUL after it": f"Bearer {sign()}\x00",
    "undefined": "Bearer undefined",
    "null": "Bearer null",
    "an opaque session token": "Bearer YCh51RZTUuoCEqAsOThxGJxVUAmekacs",
    "dots": "Bearer ..",
    "many dots": "Bearer " + "." * 5000,
    "a megabyte": "Bearer " + "a" * 2**20,
    "padding": f"Bearer {sign()}=",
    "no signature": f"Bearer {forge(signature='')}",
    "alg none": f"Bearer {forge(header={'alg': 'none'}, signature='')}",
    "alg missing": f"Bearer {forge(header={})}",
    "alg a list": f"Bearer {forge(header={'alg': ['HS256']})}",
    "another secret": f"Bearer {sign(key=OTHER_SECRET)}",
    "header not an object": f"Bearer {forge(header=[])}",
    "header nested deeply": f"Bearer {forge(header=b'[' * 9000)}",
    "header in invalid UTF-8": f"Bearer {forge(header=bytes(range(128, 256)))}",
    "kid a number": f"Bearer {forge(header={'alg': 'HS256', 'kid': 7})}",
    "kid with a quote": f"Bearer {forge(header={'alg': 'HS512', 'kid': chr(34)})}",
    "critical extension": f"Bearer {forge(header={'alg': 'HS256', 'crit': ['b64']})}",
    "unencoded payload": f"Bearer {forge(header={'alg': 'HS256', 'b64': False})}",
    "another type": f"Bearer {forge(header={'alg': 'HS256', 'typ': 'at+jwt'})}",
    "payload not an object": f"Bearer {forge([])}",
    "payload empty": f"Bearer {forge({})}",
    "payload nested deeply": f"Bearer {forge(b'[' * 9000)}",
    "payload in invalid UTF-8": f"Bearer {forge(bytes(range(128, 256)))}",
    "payload of digits": f"Bearer {forge(b'9' * 9000)}",
    "no exp": f"Bearer {sign(without=('exp',))}",
    "exp NaN": f"Bearer {forge_with_claim('exp', 'NaN')}",
    "exp 1e999": f"Bearer {forge_with_claim('exp', '1e999')}",
    "exp a text": f"Bearer {sign(exp='4102444800')}",
    "exp of 5,000 digits": f"Bearer {forge_with_claim('exp', '9' * 5000)}",
    "nbf ahead": f"Bearer {sign(nbf=4102444800)}",
    "iat ahead": f"Bearer {sign(iat=4102444800)}",
    "sub a number": f"Bearer {sign(7)}",
    "sub too long": f"Bearer {sign('a' * 256)}",
    "sub with NUL": f"Bearer {sign('a' + chr(0))}",
    "sub with a lone surrogate": f"Bearer {sign('a' + chr(0xD83E))}",
    "sub with quotes, too long": f"Bearer {sign(chr(34) * 256)}",
}


@pytest.mark.parametrize("header", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_token_is_401_and_asks_no_database(header):
    assert_invalid(ask(header))


def test_a_wrong_issuer_or_audience_is_401(settings):
    settings.BETTER_AUTH_ISSUER = settings.BETTER_AUTH_AUDIENCE = "https://auth.example.com"
    for claims in ({}, {"iss": 'a"b\\c\r\nd'}, {"iss": "https://auth.example.com", "aud": ['"']}):
        assert_invalid(ask(f"Bearer {forge(good_claims(**claims))}"))


def test_one_refusal_leaves_no_trace_on_the_next_request():
    client = client_with("garbage")
    assert_invalid(client.get("/me"))
    client.credentials()
    assert_refused(client.get("/me"), "Authentication required", challenge="Bearer")
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {sign(ALICE)}")
    assert client.get("/me").status_code == 200


# Any bytes at all

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "alg": st.sampled_from(["HS256", "none", "RS256", "EdDSA"]) | JSON_VALUES,
        **dict.fromkeys(("typ", "kid", "crit", "b64", "jwk"), JSON_VALUES),
    },
)
# Never complete: without `exp` nothing that happens to be well formed is good.
CLAIMS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("sub", "iat", "nbf", "aud", "email"), JSON_VALUES)
)


@hypothesis_settings(max_examples=60, deadline=None, database=None)
@given(value=st.binary(max_size=200))
def test_any_bytes_in_the_header_are_401(value):
    response = ask(value.decode("latin-1"))
    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer")


@hypothesis_settings(max_examples=60, deadline=None, database=None)
@given(value=st.binary(min_size=1, max_size=200).filter(bytes.strip))
def test_any_bytes_after_the_scheme_are_an_invalid_token(value):
    assert_invalid(ask("Bearer " + value.decode("latin-1")))


@hypothesis_settings(max_examples=60, deadline=None, database=None)
@given(header=HEADERS | JSON_VALUES | st.binary(), payload=CLAIMS | JSON_VALUES | st.binary())
def test_any_header_and_payload_truly_signed_are_an_invalid_token(header, payload):
    assert_invalid(ask(f"Bearer {forge(payload, header=header)}"))


@hypothesis_settings(max_examples=60, deadline=None, database=None)
@given(
    name=st.sampled_from(["sub", "exp", "iat", "nbf", "email", "name", "iss", "aud", "jti"]),
    value=JSON_VALUES,
)
def test_a_good_token_with_any_claim_changed_is_good_or_401(name, value):
    response = ask(f"Bearer {forge(good_claims(**{name: value}))}")
    assert response.status_code in (200, 401), response.content


# Other ways to be somebody


@pytest.fixture
def staff_client(client):
    """A browser in which a Django superuser is signed in."""
    account = User.objects.create_superuser("staff", "staff@example.com", "password")
    client.force_login(account)
    assert client.get("/admin/", secure=True).status_code == 200  # truly signed in
    return client


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/me", "/tasks"])
def test_a_staff_session_does_not_open_the_api(staff_client, path):
    response = staff_client.get(path, secure=True)
    assert_refused(response, "Authentication required", challenge="Bearer")


@pytest.mark.django_db
def test_a_staff_session_changes_nothing_about_a_token(staff_client):
    token = sign(ALICE)
    response = staff_client.get("/me", secure=True, HTTP_AUTHORIZATION=f"Bearer {token}")
    assert response.json()["id"] == ALICE
    response = staff_client.get("/me", secure=True, HTTP_AUTHORIZATION="Bearer garbage")
    assert_invalid(response)


@pytest.mark.django_db
def test_a_token_does_not_open_the_admin():
    account = User.objects.create_superuser("staff", "staff@example.com", "password")
    response = client_with(sign(str(account.pk), email=account.email)).get("/admin/", secure=True)
    assert response.status_code == 302
    assert "/admin/login/" in response["Location"]


# Where nobody has to sign in

STRANGE = ["Bearer garbage", f"Bearer {sign(exp=1)}", "Bearer", "\xff", "Basic x", None]


@pytest.mark.parametrize("header", STRANGE, ids=lambda header: repr(header)[:16])
def test_health_does_not_look_at_the_header(header):
    response = ask(header, "/health/live")
    assert response.status_code == 200
    assert "WWW-Authenticate" not in response


@pytest.mark.django_db
@pytest.mark.parametrize("header", STRANGE, ids=lambda header: repr(header)[:16])
def test_the_admin_does_not_look_at_the_header(header):
    assert ask(header, "/admin/login/").status_code == 200


def test_nothing_of_the_token_is_in_the_answer():
    token = forge(good_claims(sub="x" * 256, email="alice@example.com"))
    response = ask(f"Bearer {token}")
    answer = response.content.decode() + str(dict(response.items()))
    for part in (*token.split("."), "alice@example.com", segment("x")):
        assert part not in answer
