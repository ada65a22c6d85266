"""`manage.py issue_token`: a token to try things out with, for developers only."""

from io import StringIO
from typing import Any

import jwt
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from accounts.signin.known_tokens import verify
from accounts.users import CurrentUser
from conftest import ALICE, BOB, OTHER_SECRET, SECRET, client_with


@pytest.fixture(autouse=True)
def on_a_developers_machine(settings):
    settings.DEBUG = True


def issued(*arguments: str, **options: object) -> str:
    """What the command prints, without the final newline."""
    out, err = StringIO(), StringIO()
    call_command("issue_token", *arguments, **options, stdout=out, stderr=err)
    assert err.getvalue() == ""
    return out.getvalue().removesuffix("\n")


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def refusal(*arguments: str) -> str:
    with pytest.raises(CommandError) as caught:
        issued(*arguments)
    return str(caught.value)


def test_the_token_is_printed_alone_and_verifies():
    token = issued(ALICE)
    assert "\n" not in token and " " not in token  # fit for $(…) in a shell
    assert verify(token).user == CurrentUser(ALICE)


def test_the_token_opens_the_api():
    response = client_with(issued(ALICE)).get("/me")
    assert response.status_code == 200
    assert response.json() == {"id": ALICE, "email": "", "name": ""}


def test_email_and_name_are_put_into_the_token():
    token = issued(ALICE, "--email", "alice@example.com", "--name", "Alice Ünïcøde \U0001f98a")
    assert client_with(token).get("/me").json() == {
        "id": ALICE,
        "email": "alice@example.com",
        "name": "Alice Ünïcøde \U0001f98a",
    }


def test_without_email_and_name_the_token_does_not_hold_them():
    assert claims_of(issued(ALICE)).keys() == {"sub", "iat", "exp"}


def test_the_token_is_good_for_an_hour():
    claims = claims_of(issued(ALICE))
    assert claims["exp"] - claims["iat"] == 3600


@pytest.mark.parametrize("minutes", [1, 15, 60 * 24 * 365])
def test_minutes_say_how_long_the_token_is_good(minutes):
    claims = claims_of(issued(ALICE, "--minutes", str(minutes)))
    assert claims["exp"] - claims["iat"] == minutes * 60


@pytest.mark.parametrize("minutes", ["0", "-1", "-60", "525601", "9" * 400])
def test_minutes_out_of_range_are_refused(minutes):
    assert "--minutes" in refusal(ALICE, f"--minutes={minutes}")


@pytest.mark.parametrize("minutes", ["", "soon", "1.5", "1h", "NaN"])
def test_minutes_that_are_no_number_are_refused(minutes):
    assert "--minutes" in refusal(ALICE, f"--minutes={minutes}")


def test_it_refuses_where_debug_is_off(settings):
    settings.DEBUG = False
    assert "DEBUG" in refusal(ALICE)


def test_debug_is_asked_before_anything_else(settings):
    """It says nothing about secrets or ids to whoever may not use it."""
    settings.DEBUG = False
    settings.BETTER_AUTH_SECRET = ""
    assert "DEBUG" in refusal("", "--minutes=0")


@pytest.mark.parametrize(
    "user_id",
    [
        "",
        " ",
        "\t\n",
        "\xa0",
        "a" * 256,
        "alice\x00",
        "alice\n",
        "\x7falice",
        "alice\x85",
        "a\udcff",
    ],
    ids=ascii,
)
def test_a_user_id_that_no_token_may_hold_is_refused(user_id):
    assert refusal(user_id).startswith("USER_ID")


@pytest.mark.parametrize("user_id", ["1", "a" * 255, " alice ", "\U0001f98a", "a'b\"c"], ids=ascii)
def test_a_strange_user_id_is_taken_as_it_is(user_id):
    assert verify(issued(user_id)).user.id == user_id


def test_a_user_id_is_required():
    assert "USER_ID" in refusal()


def test_it_refuses_without_a_shared_secret(settings):
    settings.BETTER_AUTH_SECRET = ""
    settings.BETTER_AUTH_URL = "https://auth.example.com"
    assert "BETTER_AUTH_SECRET" in refusal(ALICE)


def test_issuer_and_audience_are_put_in_where_they_are_asked_for(settings):
    settings.BETTER_AUTH_ISSUER = "https://auth.example.com"
    settings.BETTER_AUTH_AUDIENCE = "https://api.example.com"
    token = issued(ALICE)
    assert client_with(token).get("/me").status_code == 200
    assert claims_of(token)["iss"] == "https://auth.example.com"
    assert claims_of(token)["aud"] == "https://api.example.com"


def test_while_secrets_rotate_it_signs_with_the_current_one(settings):
    settings.BETTER_AUTH_SECRETS = f"2:{OTHER_SECRET},1:{SECRET}"
    token = issued(BOB)
    assert jwt.decode(token, OTHER_SECRET, algorithms=["HS256"])["sub"] == BOB
    assert client_with(token).get("/me").json()["id"] == BOB


def test_the_secret_is_never_printed(settings):
    assert SECRET not in issued(ALICE)
    for arguments in ([""], [ALICE, "--minutes=0"]):
        assert SECRET not in refusal(*arguments)


def test_of_lists_the_token_names_the_first(settings):
    settings.BETTER_AUTH_ISSUER = "https://a.example.com, https://b.example.com"
    settings.BETTER_AUTH_AUDIENCE = "todos,notes"
    token = issued(ALICE)
    assert verify(token).user == CurrentUser(ALICE)
    claims = claims_of(token)
    assert (claims["iss"], claims["aud"]) == ("https://a.example.com", "todos")
