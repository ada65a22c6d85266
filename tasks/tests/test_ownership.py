"""What "mine" means: rows, objects and addresses of live events go to their owner and nobody else."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.owned.permissions import IsOwner, IsSignedIn
from accounts.users import CurrentUser, owner_id
from conftest import ALICE, BOB
from tasks.models import Task

# A Better Auth id that looks like the primary key of a Django account.
NUMERIC_ID = "1"


class LookAlike:
    """Has everything a user has, but no token was ever verified for it."""

    id = NUMERIC_ID
    pk = NUMERIC_ID
    user_id = NUMERIC_ID
    is_authenticated = True
    is_anonymous = False


NOBODY = {
    "None": None,
    "an anonymous user": AnonymousUser(),
    "a Django account with that primary key": User(pk=1, username=NUMERIC_ID, is_superuser=True),
    "a Django account whose key is text": User(pk=cast("Any", NUMERIC_ID), username=NUMERIC_ID),
    "a user without an id": CurrentUser(id=""),
    "the id itself": NUMERIC_ID,
    "its number": 1,
    "something that looks like a user": LookAlike(),
    "the class": CurrentUser,
    "claims": {"sub": NUMERIC_ID, "id": NUMERIC_ID},
}
for_everybody_who_owns_nothing = pytest.mark.parametrize(
    "nobody", NOBODY.values(), ids=NOBODY.keys()
)


def saved(owner: str) -> Task:
    task = Task(user_id=owner, text=f"Something of {owner}"[:500])
    task.save()
    return task


def owners_of(user: object) -> list[str]:
    return [task.user_id for task in Task.objects.owned_by(user)]


# The queryset


@pytest.mark.django_db
def test_a_list_holds_the_owners_rows_only():
    saved(ALICE), saved(BOB), saved(ALICE)
    assert owners_of(CurrentUser(ALICE)) == [ALICE, ALICE]
    assert owners_of(CurrentUser(BOB)) == [BOB]
    assert owners_of(CurrentUser("somebody-else")) == []


@pytest.mark.django_db
def test_it_does_not_matter_how_the_owner_is_called_now():
    saved(ALICE)
    assert owners_of(CurrentUser(ALICE, email="new@example.com", name="New")) == [ALICE]


@for_everybody_who_owns_nothing
@pytest.mark.django_db
def test_whoever_is_not_a_user_has_an_empty_list(nobody):
    saved(NUMERIC_ID), saved(ALICE)
    Task.objects.filter(user_id=ALICE).update_unrecorded(user_id="")  # no way of saving does that
    assert owners_of(nobody) == []
    assert not Task.objects.filter(text__contains="Something").owned_by(nobody).exists()


@for_everybody_who_owns_nothing
def test_for_nobody_the_database_is_not_even_asked(nobody):
    """No database here: a query would raise."""
    assert list(Task.objects.owned_by(nobody)) == []


@pytest.mark.django_db
def test_narrowing_goes_with_other_conditions():
    mine = saved(ALICE)
    saved(BOB)
    found = Task.objects.filter(text__startswith="Something").owned_by(CurrentUser(ALICE))
    assert [task.pk for task in found.order_by("-created_at")] == [mine.pk]
    assert Task.objects.owned_by(CurrentUser(ALICE)).owned_by(CurrentUser(BOB)).count() == 0


@pytest.mark.django_db
def test_neither_case_nor_wildcards_nor_blanks_make_a_match():
    saved("alice")
    for other in ("Alice", "ALICE", "alic_", "a%", "%", "alice ", " alice", "alicé", "\u0430lice"):
        assert owners_of(CurrentUser(other)) == [], other


# An object at hand


def test_an_object_belongs_to_its_owner():
    task = Task(user_id=ALICE)
    assert task.is_owned_by(CurrentUser(ALICE)) is True
    assert task.is_owned_by(CurrentUser(ALICE, name="Renamed")) is True
    assert task.is_owned_by(CurrentUser(BOB)) is False
    assert task.is_owned_by(CurrentUser(ALICE.upper())) is False
    assert task.is_owned_by(CurrentUser(ALICE + " ")) is False


@for_everybody_who_owns_nothing
@pytest.mark.parametrize("owner", [NUMERIC_ID, ""], ids=["numeric id", "no owner"])
def test_whoever_is_not_a_user_owns_no_object(nobody, owner):
    assert Task(user_id=owner).is_owned_by(nobody) is False


@for_everybody_who_owns_nothing
def test_whoever_is_not_a_user_has_no_owner_id(nobody):
    assert owner_id(nobody) == ""


# The permission, apart from the queryset: each holds without the other


def asked_by(user: object) -> Request:
    return cast("Request", SimpleNamespace(user=user))


def test_the_permission_knows_the_owner():
    allowed = IsOwner().has_object_permission
    assert allowed(asked_by(CurrentUser(ALICE)), APIView(), Task(user_id=ALICE)) is True
    assert allowed(asked_by(CurrentUser(BOB)), APIView(), Task(user_id=ALICE)) is False
    assert IsOwner.message == "Access denied"


@for_everybody_who_owns_nothing
def test_the_permission_hands_nobody_an_object(nobody):
    for owner in (NUMERIC_ID, ""):
        task = Task(user_id=owner)
        assert IsOwner().has_object_permission(asked_by(nobody), APIView(), task) is False


@pytest.mark.parametrize("thing", [None, object(), SimpleNamespace(user_id=ALICE)], ids=type)
def test_the_permission_hands_out_nothing_that_has_no_owner(thing):
    assert not IsOwner().has_object_permission(asked_by(CurrentUser(ALICE)), APIView(), thing)


@pytest.mark.parametrize("permission", [IsSignedIn, IsOwner])
def test_a_signed_in_user_may_come_in(permission):
    assert permission().has_permission(asked_by(CurrentUser(ALICE)), APIView()) is True


@pytest.mark.parametrize("permission", [IsSignedIn, IsOwner])
@pytest.mark.parametrize(
    "user",
    [None, AnonymousUser(), User(pk=1, is_staff=True, is_superuser=True), ALICE, LookAlike()],
    ids=["None", "anonymous", "Django account", "id", "look-alike"],
)
def test_nobody_else_may_come_in(permission, user):
    with pytest.raises(NotAuthenticated, match=r"^Authentication required$"):
        permission().has_permission(asked_by(user), APIView())


# Over owners that were made to be mistaken for one another

LOOK_ALIKES = [
    "alice",
    "Alice",
    "ALICE",
    "alice ",
    " alice",
    "alice\xa0",
    "alic",
    "alice2",
    "\u0430lice",  # Cyrillic
    "al\u0131ce",  # dotless
    "alicé",
    "alice\u0301",
    "ali_e",
    "ali%",
    "%",
    "_",
    "'",
    '"',
    "' OR '1'='1",
    "\\",
    "\\%",
    "*",
    "0",
    "00",
    "1",
    "1.0",
    "null",
    "None",
    "true",
    "\U0001f98a",
    "\U0001f98a\ufe0f",
    "ß",
    "ss",
    "a" * 254,
    "a" * 255,
]
ANY_OWNER = st.sampled_from(LOOK_ALIKES) | st.text(
    # What a token may not hold, no owner holds: control characters, surrogates, only blanks.
    st.characters(exclude_categories=("Cc", "Cs")),
    min_size=1,
    max_size=255,
).filter(str.strip)
SOME_OWNERS = st.lists(ANY_OWNER, min_size=2, max_size=6, unique=True)


@pytest.mark.django_db
@hypothesis_settings(max_examples=40, deadline=None, database=None)
@given(owners=SOME_OWNERS)
def test_every_row_is_in_exactly_one_owners_list(owners):
    with transaction.atomic():
        rows = {saved(owner).pk: owner for owner in owners}
        found = {
            owner: set(Task.objects.owned_by(CurrentUser(owner)).values_list("pk", flat=True))
            for owner in owners
        }
        transaction.set_rollback(True)  # the next example starts from nothing
    for owner, keys in found.items():
        assert keys == {pk for pk, rows_owner in rows.items() if rows_owner == owner}
    assert sum(map(len, found.values())) == len(rows)


@pytest.mark.django_db
def test_every_look_alike_has_a_list_of_their_own():
    for owner in LOOK_ALIKES:
        saved(owner)
    for owner in LOOK_ALIKES:
        assert owners_of(CurrentUser(owner)) == [owner]


@hypothesis_settings(max_examples=100, deadline=None, database=None)
@given(owners=SOME_OWNERS)
def test_an_object_has_exactly_one_owner(owners):
    for owner in owners:
        task = Task(user_id=owner)
        assert [task.is_owned_by(CurrentUser(other)) for other in owners].count(True) == 1
