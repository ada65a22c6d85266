"""Tokens that the real Better Auth signed, taken to this backend without a browser."""

import base64
import json

import pytest
from people import Person
from servers import wait_until

ALGORITHMS = ["EdDSA", "Ed25519", "ES256", "ES384", "ES512", "RS256", "PS256"]

ROTATE = 2  # seconds that a key is used
ACCEPTED_WITHIN = 5  # seconds from a new key's first use


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_is_accepted(algorithm, own_stack, make_person):
    stack = own_stack("jwks", demo={"KEY_ALG": algorithm})
    olga = make_person(stack, "Olga")
    token = olga.token()
    assert header(token)["alg"] == algorithm

    status, answer = olga.call("GET", "/me", token=token)

    assert (status, answer) == (200, {"id": olga.id, "email": "olga@example.com", "name": "Olga"})


@pytest.mark.parametrize("algorithm", ["EdDSA", "RS256"])
def test_a_new_key_is_accepted_within_five_seconds(algorithm, own_stack, make_person):
    stack = own_stack(
        "jwks", demo={"KEY_ALG": algorithm, "ROTATE_SECONDS": str(ROTATE), "GRACE_SECONDS": "60"}
    )
    paula = make_person(stack, "Paula")
    old = paula.token()
    assert paula.call("GET", "/me", token=old)[0] == 200

    for _ in range(2):  # the second time within the cooldown of the first
        new = first_token_of_next_key(paula, old)
        wait_until(accepted(paula, new), ACCEPTED_WITHIN, every=0.25)
        assert accepted(paula, old)()  # an old key stays good for its grace period
        old = new


def test_the_shared_secret_is_accepted(own_stack, make_person):
    stack = own_stack("secret")
    rosa = make_person(stack, "Rosa")

    status, answer = rosa.call("GET", "/me")

    assert (status, answer) == (200, {"id": rosa.id, "email": "rosa@example.com", "name": "Rosa"})


def test_a_token_of_the_demo_confirms_no_email_address(own_stack, make_person):
    """It has an `email` claim and is signed as Better Auth signs its verification links."""
    stack = own_stack("secret")
    sara = make_person(stack, "Sara")

    assert sara.visit(f"/api/auth/verify-email?token={sara.token()}") == 404

    assert sara.session()["user"]["emailVerified"] is False


def test_without_a_session_there_is_no_token(stack):
    stranger = Person(stack, "Stranger")

    assert stranger.visit("/api/token" if stack.mode == "secret" else "/api/auth/token") == 401


def first_token_of_next_key(person, token):
    def token_of_another_key():
        other = person.token()
        return other if header(other)["kid"] != header(token)["kid"] else None

    return wait_until(token_of_another_key, 4 * ROTATE, every=0.25)


def accepted(person, token):
    return lambda: person.call("GET", "/me", token=token)[0] == 200


def header(token):
    part = token.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
