"""Good tokens are remembered for a while, and never for longer than they are good."""

import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import jwt
import pytest

from accounts.signin import known_tokens
from accounts.signin.errors import ExpiredToken, InvalidToken
from accounts.signin.keyset import key_set
from accounts.signin.known_tokens import verify
from accounts.tests.keyserver import SigningKey, serving
from conftest import OTHER_SECRET, SECRET, client_with, sign


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    known_tokens._known.clear()
    yield
    known_tokens._known.clear()


@pytest.fixture
def signatures(monkeypatch) -> list[str]:
    """The tokens whose signatures were really checked, one after the other."""
    checked: list[str] = []
    decode = jwt.decode

    def counting(raw: str, *args, **kwargs):
        checked.append(raw)
        return decode(raw, *args, **kwargs)

    monkeypatch.setattr(jwt, "decode", counting)
    return checked


def test_a_good_token_is_checked_once(signatures):
    token = sign("alice", name="Alice")
    api = client_with(token)

    answers = [api.get("/me").json() for _ in range(5)]

    assert answers == [{"id": "alice", "email": "", "name": "Alice"}] * 5
    assert signatures == [token]


def test_its_expiry_is_looked_at_every_time(monkeypatch):
    token = sign("alice", exp=int(time.time()) + 60)
    verify(token)
    later = time.time() + 60
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(ExpiredToken):
        verify(token)


def test_one_character_makes_it_another_token():
    token = sign("alice")
    verify(token)
    for changed in (token[:-2] + ("AA" if token[-2:] != "AA" else "BB"), f"{token}=", f" {token}"):
        with pytest.raises(InvalidToken):
            verify(changed)


@pytest.mark.parametrize(
    "token", [sign(key=OTHER_SECRET), sign(sub=""), "garbage", sign(nbf=2**40)]
)
def test_a_refusal_is_not_remembered(token):
    for _ in range(2):
        with pytest.raises(InvalidToken):
            verify(token)
    assert not known_tokens._known


def test_a_token_refused_for_its_secret_is_good_once_the_secret_is_known(settings):
    token = sign(key=OTHER_SECRET)
    with pytest.raises(InvalidToken):
        verify(token)
    settings.BETTER_AUTH_SECRETS = f"2:{OTHER_SECRET}"
    verify(token)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("BETTER_AUTH_SECRET", OTHER_SECRET),
        ("BETTER_AUTH_ISSUER", "https://auth.example.com"),
        ("BETTER_AUTH_AUDIENCE", "https://auth.example.com"),
    ],
)
def test_a_setting_that_changes_makes_it_be_checked_again(settings, setting, value):
    token = sign()
    verify(token)
    setattr(settings, setting, value)
    with pytest.raises(InvalidToken):
        verify(token)


def test_a_secret_that_is_rotated_out_takes_its_tokens_along(settings):
    settings.BETTER_AUTH_SECRET = ""
    settings.BETTER_AUTH_SECRETS = f"2:{OTHER_SECRET},1:{SECRET}"
    token = sign()
    verify(token)
    settings.BETTER_AUTH_SECRETS = f"2:{OTHER_SECRET}"
    with pytest.raises(InvalidToken):
        verify(token)


def test_no_more_are_kept_than_there_is_room_for(monkeypatch, signatures):
    monkeypatch.setattr(known_tokens, "MAX_KNOWN", 3)
    many = [sign(f"user-{number}") for number in range(5)]
    for token in many:
        verify(token)
    assert len(known_tokens._known) == 3
    verify(many[-1])
    assert signatures == many
    verify(many[0])
    assert signatures == [*many, many[0]]


def test_the_tokens_themselves_are_not_kept():
    token = sign("alice")
    verify(token)
    assert token not in repr(known_tokens._known)


def test_a_key_that_is_withdrawn_takes_its_tokens_along(settings, signatures):
    old, new = SigningKey(), SigningKey()
    with serving(old) as server:
        settings.BETTER_AUTH_URL = server.origin
        token = old.sign(server.origin)
        for _ in range(3):
            verify(token)
        assert signatures == [token]

        server.keys[:] = [new]
        key_set(server.url).refresh()
        with pytest.raises(InvalidToken, match="unknown key"):
            verify(token)


def test_keys_that_are_fetched_anew_make_it_be_checked_again_if_they_differ(settings, signatures):
    key = SigningKey()
    with serving(key) as server:
        settings.BETTER_AUTH_URL = server.origin
        key_set(server.url).refresh()
        token = key.sign(server.origin)
        for _ in range(2):
            verify(token)
            verify(token)
            key_set(server.url).refresh()
        assert signatures == [token]
        server.keys.append(SigningKey())
        key_set(server.url).refresh()
        verify(token)
        verify(token)
        assert signatures == [token, token]


def test_what_is_remembered_is_bounded_in_bytes(signatures):
    """However much tokens say of a person: their number alone bounds nothing."""
    at_most = 2 * 1024  # bytes for each
    long: list[dict[str, Any]] = [
        *({"name": "n" * 11_900}, {"email": "e" * 11_900}, {"name": "x" * 700 + "\U0001f600"}),
        {"name": "x" * 500, "email": "x" * 500},
    ]
    tokens = [sign(f"person-{n}", **long[n % 4]) for n in range(400)]
    tracemalloc.start()
    try:
        for token in tokens:
            verify(token)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < len(tokens) * at_most
    # They are as good as others, just checked again.
    assert client_with(tokens[0]).get("/me").json()["name"] == "n" * 11_900


def test_a_usual_token_is_remembered_with_all_that_it_says(signatures):
    token = sign("0190a6b0-0000-7000-8000-000000000000", name="É" * 60, email="e" * 60 + "@x.test")
    for _ in range(3):
        verify(token)
    assert signatures == [token]
