"""Tokens of guests: of people whom Better Auth's anonymous plugin lets in before they sign up."""

from accounts.signin.errors import InvalidToken
from accounts.signin.known_tokens import verify
from accounts.signin.tokens import peek
from accounts.users import CurrentUser


def guest_of(raw: str) -> CurrentUser:
    """The guest whom a token speaks for, checked as any token is.

    Raises what `known_tokens.verify_now` does, and `InvalidToken` for anybody's who is no guest.
    """
    user = verify(raw).user
    _, claims = peek(raw)
    if claims.get("isAnonymous") is not True:
        raise InvalidToken("not that of a guest")
    return user
