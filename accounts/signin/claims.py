"""What the claims of a token must say, once its signature is known to be good (RFC 7519)."""

import math
import time
import unicodedata
from collections.abc import Mapping
from typing import Any

from accounts.signin.conf import conf
from accounts.signin.errors import ExpiredToken, InvalidToken
from accounts.users import CurrentUser

FAR_AWAY = 1e15  # seconds; JSON numbers have no bounds, but the time that is left must be a float
MAX_USER_ID_LENGTH = 255  # characters; the width of the owner columns


def check_times(claims: Mapping[str, Any]) -> float:
    """Check `exp`, `iat` and `nbf` against this server's clock; return `exp` (epoch seconds).

    Raises `ExpiredToken` or `InvalidToken`.
    """
    now = time.time()
    if "exp" not in claims:
        raise InvalidToken("missing expiry")
    expires_at = _numeric_date(claims, "exp")
    if now >= expires_at:  # RFC 7519 section 4.1.4: expired on that very second
        raise ExpiredToken
    for claim in ("iat", "nbf"):
        if claim in claims and _numeric_date(claims, claim) > now + conf.leeway:
            raise InvalidToken("not valid yet")
    return min(expires_at, FAR_AWAY)


def _numeric_date(claims: Mapping[str, Any], claim: str) -> float:
    """A NumericDate (RFC 7519 section 2): a JSON number of seconds since the epoch."""
    value = claims[claim]
    # Python's JSON reader takes 1e999 and NaN for numbers, and a bool is an int.
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return value
    raise InvalidToken(f"{claim} is not a time")


def user_from(claims: Mapping[str, Any]) -> CurrentUser:
    """The person: `sub` alone says who it is; e-mail and name are for display.

    Raises `InvalidToken` where `sub` is missing or cannot be a user id.
    """
    return CurrentUser(
        id=check_user_id(claims.get("sub")),
        email=_display_text(claims.get("email")),
        name=_display_text(claims.get("name")),
    )


def check_user_id(value: object) -> str:
    """Return `value` when it may be a user id, byte for byte; raise `InvalidToken` otherwise."""
    if value is None or (isinstance(value, str) and not value.strip()):
        raise InvalidToken("missing user ID")
    if not isinstance(value, str):
        raise InvalidToken("user ID is not a string")
    if len(value) > MAX_USER_ID_LENGTH:
        raise InvalidToken("user ID is too long")
    # Cc: control characters. Cs: lone surrogates, which no database and no UTF-8 text can hold.
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        raise InvalidToken("user ID holds characters that are not allowed")
    return value


def _display_text(value: object) -> str:
    """`value` if it is text that UTF-8 can carry, else ""."""
    if not isinstance(value, str):
        return ""
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return ""
    return value
