"""The person a token speaks for: an immutable value, the same person where the id is the same."""

import copy
import pickle

import pytest
from django.contrib.auth.models import AnonymousUser, User

from accounts.users import CurrentUser
from conftest import ALICE, BOB

FIELDS = ("id", "email", "name")


@pytest.fixture
def alice() -> CurrentUser:
    return CurrentUser(ALICE, email="alice@example.com", name="Alice")


def test_a_user_is_signed_in(alice):
    assert alice.is_authenticated is True
    assert alice.is_anonymous is False


def test_a_user_needs_only_an_id():
    user = CurrentUser(ALICE)
    assert (user.email, user.name) == ("", "")


def test_a_user_shows_as_their_id(alice):
    """Logs name people by their id, not by their e-mail address."""
    assert str(alice) == ALICE


@pytest.mark.parametrize("field", FIELDS)
def test_a_user_cannot_become_somebody_else(alice, field):
    with pytest.raises(AttributeError):
        setattr(alice, field, BOB)
    with pytest.raises(AttributeError):
        delattr(alice, field)
    assert (alice.id, alice.email, alice.name) == (ALICE, "alice@example.com", "Alice")


@pytest.mark.parametrize("name", ["is_authenticated", "is_anonymous", "is_staff", "user_id", "pk"])
def test_nothing_can_be_put_on_a_user(alice, name):
    # TypeError: what Python 3.11 makes of a frozen dataclass with slots.
    with pytest.raises((AttributeError, TypeError)):
        setattr(alice, name, True)
    assert not hasattr(alice, "__dict__")


@pytest.mark.parametrize("name", ["user_id", "Id", "username", "is_staff", "is_superuser"])
def test_a_misspelt_attribute_is_an_error_and_not_nothing(alice, name):
    with pytest.raises(AttributeError):
        getattr(alice, name)


def test_throttles_tell_users_by_their_id(alice):
    assert alice.pk == ALICE


def test_the_id_alone_says_who_it_is(alice):
    assert alice == CurrentUser(ALICE, email="new@example.com", name="Alice Liddell")
    assert alice != CurrentUser(BOB, email="alice@example.com", name="Alice")
    assert hash(alice) == hash(CurrentUser(ALICE))
    assert len({alice, CurrentUser(ALICE, name="A."), CurrentUser(BOB)}) == 2


@pytest.mark.parametrize("other", ["Alice", "ALICE", " alice", "alice ", "alíce"])
def test_ids_are_compared_byte_for_byte(other):
    assert CurrentUser("alice") != CurrentUser(other)


@pytest.mark.parametrize(
    "other", [ALICE, None, 1, AnonymousUser(), {"id": ALICE}, (ALICE,)], ids=type
)
def test_a_user_equals_nothing_but_a_user(alice, other):
    assert alice != other
    assert other != alice


def test_a_user_is_never_a_django_account():
    account: object = User(pk=1, username="1", email="alice@example.com")
    user: object = CurrentUser("1", email="alice@example.com")
    assert user != account
    assert account != user


def test_a_copy_is_the_same_person(alice):
    """Scopes are copied, and a cache may pickle."""
    for twin in (copy.copy(alice), copy.deepcopy(alice), pickle.loads(pickle.dumps(alice))):  # noqa: S301
        assert twin == alice
        assert [getattr(twin, field) for field in FIELDS] == [
            getattr(alice, field) for field in FIELDS
        ]
