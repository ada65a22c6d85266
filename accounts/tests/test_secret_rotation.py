"""Several shared secrets at once: Better Auth's `BETTER_AUTH_SECRETS`, while one replaces another."""

import pytest

from accounts.signin.errors import ExpiredToken, InvalidToken
from accounts.signin.known_tokens import verify
from accounts.signin.tokens import issue
from accounts.tests.forging import forge
from accounts.users import CurrentUser
from conftest import ALICE, OTHER_SECRET, SECRET, sign

NEW = "the-new-secret-since-the-rotation-0123456789"
OLD = "the-old-secret-before-the-rotation-0123456789"


@pytest.fixture
def rotating(settings):
    settings.BETTER_AUTH_SECRETS = f"2:{NEW},1:{OLD}"
    return settings


@pytest.mark.parametrize("key", [NEW, OLD, SECRET], ids=["new", "old", "BETTER_AUTH_SECRET"])
def test_every_secret_is_accepted(rotating, key):
    assert verify(sign(ALICE, key=key)).user == CurrentUser(ALICE)


def test_the_ring_is_enough_by_itself(rotating):
    rotating.BETTER_AUTH_SECRET = ""
    assert verify(sign(ALICE, key=OLD)).user == CurrentUser(ALICE)
    with pytest.raises(InvalidToken, match="signature does not match"):
        verify(sign(key=SECRET))


@pytest.mark.parametrize(
    "key",
    [OTHER_SECRET, "", f"2:{NEW}", f"2:{NEW},1:{OLD}", NEW + OLD, f"{NEW},1:{OLD}"],
    ids=["unknown", "empty", "with its version", "the whole line", "both", "the rest of the line"],
)
def test_any_other_secret_is_refused(rotating, key):
    with pytest.raises(InvalidToken, match="signature does not match"):
        verify(forge(key=key))


@pytest.mark.parametrize("key", [NEW, OLD, SECRET], ids=["new", "old", "BETTER_AUTH_SECRET"])
def test_an_expired_token_is_expired_whichever_secret_signed_it(rotating, key):
    with pytest.raises(ExpiredToken):
        verify(sign(key=key, exp=1))


def test_tokens_are_issued_with_the_first_secret(rotating):
    token = issue(ALICE, lifetime=60)
    rotating.BETTER_AUTH_SECRET = ""
    rotating.BETTER_AUTH_SECRETS = f"2:{NEW}"
    assert verify(token).user == CurrentUser(ALICE)
    rotating.BETTER_AUTH_SECRETS = f"1:{OLD}"
    with pytest.raises(InvalidToken):
        verify(token)


def test_the_order_counts_and_not_the_version_number(settings):
    """Better Auth signs with the first entry, whatever its number."""
    settings.BETTER_AUTH_SECRET = ""
    settings.BETTER_AUTH_SECRETS = f"1:{NEW},2:{OLD}"
    token = issue(ALICE, lifetime=60)
    settings.BETTER_AUTH_SECRETS = f"1:{NEW}"
    assert verify(token).user == CurrentUser(ALICE)


def test_blanks_around_entries_do_not_matter(settings):
    settings.BETTER_AUTH_SECRETS = f"  2: {NEW} , 1 :{OLD} "
    for key in (NEW, OLD):
        assert verify(sign(ALICE, key=key)).user == CurrentUser(ALICE)


def test_a_secret_may_hold_a_colon(settings):
    with_colons = "holds:two:colons-0123456789-0123456789"
    settings.BETTER_AUTH_SECRETS = f"1:{with_colons}"
    assert verify(sign(ALICE, key=with_colons)).user == CurrentUser(ALICE)


def test_the_same_secret_in_both_places_counts_once(settings):
    settings.BETTER_AUTH_SECRETS = f"1:{SECRET}"
    assert verify(sign(ALICE)).user == CurrentUser(ALICE)


def test_without_any_secret_no_shared_secret_token_is_good(settings):
    """Not even one that is signed with the empty key."""
    settings.BETTER_AUTH_SECRET = ""
    for key in ("", SECRET):
        with pytest.raises(InvalidToken, match=r"^Invalid token: "):
            verify(forge(key=key))


def test_without_any_secret_nothing_can_be_issued(settings):
    settings.BETTER_AUTH_SECRET = ""
    with pytest.raises(LookupError):
        issue(ALICE, lifetime=60)
