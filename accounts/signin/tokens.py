"""What makes a token good: the acceptance rules of docs/api.md section 2 (RFC 7519, RFC 8725).

With `keys` the only module that knows PyJWT.
"""

import hmac
import math
import re
import time
import unicodedata
from base64 import urlsafe_b64decode, urlsafe_b64encode
from codecs import BOM_UTF8
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jwt
from django.conf import settings

from accounts.signin.conf import conf
from accounts.signin.errors import ExpiredToken, InvalidToken, NoKeyFits
from accounts.signin.keys import PUBLISHED_ALGORITHMS
from accounts.signin.keyset import key_set
from accounts.signout import NEVER
from accounts.users import CurrentUser, digests_of

SHARED_SECRET_ALGORITHM = "HS256"  # noqa: S105  a name, not a secret
MAX_TOKEN_LENGTH = 16_384  # characters; HTTP servers stop headers at about the same length
MAX_USER_ID_LENGTH = 255  # characters; the width of the owner columns
FAR_AWAY = 1e15  # seconds; JSON numbers have no bounds, but the time that is left must be a float

# RFC 7515 section 3.1: three base64url parts. Checked before any decoding, so that blanks, padding
# and bytes outside the alphabet never reach a more lenient parser.
_COMPACT_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)

# Issuer and audience are PyJWT's to check. Times and subject are checked here, more strictly than
# by PyJWT, which takes "12" for a time.
_NOT_BY_PYJWT = {f"verify_{claim}": False for claim in ("exp", "iat", "nbf", "sub", "jti")}


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """A good token: the person it speaks for, since when and until when (seconds since the epoch)."""

    user: CurrentUser
    expires_at: float
    issued_at: float = field(default=NEVER, compare=False)
    digests: tuple[bytes, ...] = field(
        default=(), compare=False, repr=False
    )  # of whom it speaks for


class Header(NamedTuple):
    """What the header of a token says of the key that signed it (RFC 7515 section 4.1)."""

    algorithm: str
    published: bool  # signed with a published key, not with the shared secret
    kid: str | None


def read_header(raw: str) -> Header:
    """The header of a token, checked as far as can be before the signature. Raises `InvalidToken`."""
    _check_form(raw)
    try:
        header = jwt.get_unverified_header(raw)
    except jwt.PyJWTError as error:
        raise InvalidToken("malformed") from error
    # RFC 7515 section 4.1.11: an extension we do not implement must be refused; we have none.
    if "crit" in header:
        raise InvalidToken("critical extensions are not supported")
    # RFC 8725 section 3.11: tokens for other uses (`at+jwt`, session caches) name another type.
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.upper() != "JWT":  # RFC 7519 section 5.1
        raise InvalidToken("type not accepted")
    # One kind of key for each kind of algorithm, so that no token can have its signature checked
    # with a key of another kind (RFC 8725 section 3.1).
    algorithm = header.get("alg")
    published = isinstance(algorithm, str) and algorithm in PUBLISHED_ALGORITHMS
    if not published and algorithm != SHARED_SECRET_ALGORITHM:
        raise InvalidToken("algorithm not accepted")
    return Header(str(algorithm), published, header.get("kid"))


def check(raw: str, header: Header) -> VerifiedToken:
    """Check signature and claims, with no cache. Raises what `known_tokens.verify_now` does."""
    issuers, audiences = conf.pinned(published=header.published)
    keys: Sequence[Any] = conf.secrets
    if header.published:
        if not conf.jwks_url:
            raise InvalidToken("no published keys are configured")
        if not (issuers and audiences):
            # The same keys sign tokens for other uses; only these two claims tell them apart.
            raise InvalidToken("no issuer and audience are configured")
        published = key_set(conf.jwks_url)
        fetches = published.ended
        keys = [found.key for found in published.find(header.kid, header.algorithm)]
        if not keys:
            raise NoKeyFits("unknown key", header.kid, fetches)
    elif not keys:
        raise InvalidToken("no shared secret is configured")
    for key in keys:
        with suppress(jwt.InvalidSignatureError):  # another key may fit, as during a rotation
            return _check_claims(_decode(raw, key, header.algorithm, issuers, audiences))
    reason = "signature does not match"
    if header.published:  # a key may also be replaced under its old name
        raise NoKeyFits(reason, header.kid, fetches)
    raise InvalidToken(reason)


def peek(raw: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Header and claims with nothing verified: to explain, never to trust. Raises `InvalidToken`."""
    _check_form(raw)
    try:
        decoded = jwt.decode_complete(raw, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise InvalidToken("malformed") from error
    return decoded["header"], decoded["payload"]


def issue(user_id: str, *, email: str = "", name: str = "", lifetime: int) -> str:
    """A token signed with the current shared secret, to live `lifetime` seconds.

    Raises `LookupError` where there is no secret, and `InvalidToken` where the user id cannot be one.
    """
    check_user_id(user_id)
    issued_at = int(time.time())
    issuer, audience = (next(iter(names), "") for names in conf.pinned(published=False))
    optional = {"email": email, "name": name, "iss": issuer, "aud": audience}
    claims = {"sub": user_id, "iat": issued_at, "exp": issued_at + lifetime}
    claims |= {claim: value for claim, value in optional.items() if value}
    return jwt.encode(claims, conf.secrets[0], algorithm=SHARED_SECRET_ALGORITHM)


def is_usable_secret(secret: str) -> bool:
    """Whether tokens can be signed and checked with a secret: it is text, and no PEM or SSH key."""
    try:
        jwt.encode({}, secret, algorithm=SHARED_SECRET_ALGORITHM)
    except (jwt.PyJWTError, UnicodeEncodeError):
        return False
    return True


def is_signed_with(raw: str, secret: str) -> bool:
    """Whether a secret, usable or not, has signed a token; nothing else is checked of it."""
    signing_input, _, signature = raw.rpartition(".")
    digest = hmac.digest(
        secret.encode("utf-8", "surrogateescape"), signing_input.encode(), "sha256"
    )
    made = urlsafe_b64encode(digest).decode().rstrip("=")
    return hmac.compare_digest(made, signature)


def _check_form(raw: str) -> None:
    if len(raw) > MAX_TOKEN_LENGTH:
        raise InvalidToken("too long")
    if not _COMPACT_FORM.fullmatch(raw):
        raise InvalidToken("not a JWT")
    for part in raw.split(".")[:2]:
        # RFC 8725 section 3.7: UTF-8, while Python's reader of JSON would also take UTF-16 and
        # UTF-32, which cannot write a brace without a NUL, and a byte order mark.
        try:
            content = urlsafe_b64decode(part + "=" * (-len(part) % 4))
        except ValueError as error:
            raise InvalidToken("malformed") from error
        if b"\x00" in content or content.startswith(BOM_UTF8):
            raise InvalidToken("malformed")


def _decode(
    raw: str, key: Any, algorithm: str, issuers: Sequence[str], audiences: Sequence[str]
) -> Mapping[str, Any]:
    """Let PyJWT check signature, issuer and audience: any of those named, or unchecked for none.

    Raises `jwt.InvalidSignatureError` when another key may fit, `InvalidToken` otherwise.
    """
    options: Any = {"verify_iss": bool(issuers), "verify_aud": bool(audiences), **_NOT_BY_PYJWT}
    pinned: Any = {"issuer": issuers or None, "audience": audiences or None}
    try:
        return jwt.decode(raw, key, algorithms=[algorithm], options=options, **pinned)
    except jwt.InvalidSignatureError:
        raise
    except jwt.InvalidIssuerError as error:
        raise InvalidToken("wrong issuer") from error
    except jwt.InvalidAudienceError as error:
        raise InvalidToken("wrong audience") from error
    except jwt.MissingRequiredClaimError as error:
        raise InvalidToken(f"missing {error.claim}") from error
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise InvalidToken("malformed") from error


def _check_claims(claims: Mapping[str, Any]) -> VerifiedToken:
    """What the claims must say: first of time, so that an old token of any kind is just "expired"."""
    now = time.time()
    if "exp" not in claims:
        raise InvalidToken("missing expiry")
    expires_at = _numeric_date(claims, "exp")
    if now >= expires_at:  # RFC 7519 section 4.1.4: expired on that very second
        raise ExpiredToken
    for claim in ("iat", "nbf"):
        if claim in claims and _numeric_date(claims, claim) > now + settings.BETTER_AUTH_LEEWAY:
            raise InvalidToken("not valid yet")
    user_id = check_user_id(claims.get("sub"))
    email, name = _display_text(claims.get("email")), _display_text(claims.get("name"))
    user, issued_at = CurrentUser(user_id, email, name), claims.get("iat", NEVER)
    return VerifiedToken(user, min(expires_at, FAR_AWAY), issued_at, digests_of(user_id))


def _numeric_date(claims: Mapping[str, Any], claim: str) -> float:
    """A NumericDate (RFC 7519 section 2): a JSON number of seconds since the epoch."""
    value = claims[claim]
    # Python's JSON reader takes 1e999 and NaN for numbers, and a bool is an int.
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return value
    raise InvalidToken(f"{claim} is not a time")


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
    """`value` if it is text that UTF-8 can carry, which lone surrogates are not; else ""."""
    if not isinstance(value, str) or any("\ud800" <= character <= "\udfff" for character in value):
        return ""
    return value
