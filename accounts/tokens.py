"""What makes a token good: the acceptance rules of contract section 2.

With `jwks` the only module that knows PyJWT. It knows nothing of requests, sockets or statuses.
"""

import json
import math
import re
import threading
import time
import unicodedata
from base64 import urlsafe_b64decode
from codecs import BOM_UTF8
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

import jwt

from accounts.conf import conf
from accounts.jwks import PUBLISHED_ALGORITHMS, key_set
from accounts.users import CurrentUser

SHARED_SECRET_ALGORITHM = "HS256"  # noqa: S105  a name, not a secret
MAX_TOKEN_LENGTH = 16_384  # characters; HTTP servers stop headers at about the same length
FAR_AWAY = 1e15  # seconds; JSON numbers know no bounds, but the time that is left must be a float
MAX_USER_ID_LENGTH = 255  # characters; the width of the owner columns

# RFC 7515 section 3.1: three base64url parts. Checked before any decoding, so that blanks, padding
# and bytes outside the alphabet never reach a more forgiving parser.
_COMPACT_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)


class TokenError(Exception):
    """A token that cannot be accepted. The text is fit for the caller to see."""


class InvalidToken(TokenError):
    """The token is wrong; it will not become right by trying again."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Invalid token: {reason}")
        self.reason = reason


class ExpiredToken(TokenError):
    """The token was good until its `exp` passed."""

    def __init__(self) -> None:
        super().__init__("Token has expired")


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """A good token: the person it speaks for, and until when (seconds since the epoch)."""

    user: CurrentUser
    expires_at: float


def verify(raw: str, *, wait: bool = True) -> VerifiedToken:
    """Check a token as received; one that was good a moment ago is known by its digest.

    Raises `ExpiredToken` when its time has passed, `InvalidToken` for everything else that is wrong
    with it, and `jwks.KeysUnavailable` where the keys to check it with cannot be had. Where that
    would take waiting for the network and `wait` is false, raises `jwks.MustWait`.
    """
    digest = sha256(raw.encode("utf-8", "surrogatepass")).digest()
    known = _known.get(digest)
    if known is not None and known.grounds == _grounds(published=known.published):
        if time.time() >= known.token.expires_at:
            raise ExpiredToken
        return known.token
    token = _read(raw)
    _check_header(token.header)
    # One kind of key for each kind of algorithm, so that no token can have its signature checked
    # with a key of another kind (RFC 8725 section 3.1).
    algorithm = token.header.get("alg")
    published = isinstance(algorithm, str) and algorithm in PUBLISHED_ALGORITHMS
    grounds = _grounds(published=published)  # before the check: what is fetched meanwhile is newer
    if published:
        claims = _claims_signed_with_published_key(token, str(algorithm), wait=wait)
    elif algorithm == SHARED_SECRET_ALGORITHM:
        claims = _claims_signed_with_secret(token)
    else:
        raise InvalidToken("algorithm not accepted")
    # The time comes before the person, so that an old token of any kind is just "expired".
    expires_at = _check_times(claims)
    verified = VerifiedToken(user=_user_from(claims), expires_at=expires_at)
    if all(ground is not None for ground in grounds):
        _remember(digest, _Known(verified, published, grounds))
    return verified


class _Known(NamedTuple):
    """A token that was found good, and on what grounds."""

    token: VerifiedToken
    published: bool  # signed with a published key, not with the shared secret
    grounds: Sequence[object]


MAX_KNOWN = 10_000  # tokens; about 500 bytes each
_known: dict[bytes, _Known] = {}  # by SHA-256: the tokens themselves are not kept
_known_lock = threading.Lock()


def _grounds(*, published: bool) -> Sequence[object]:
    """Everything but the clock that a good signature of this kind rests on.

    A token is known for as long as all of it is the same: whenever a secret is rotated, or the keys
    are fetched anew (every few minutes, `jwks`), its signature is checked again.
    """
    if published:
        url = conf.jwks_url
        snapshot = key_set(url).snapshot() if url else None
        return (snapshot, conf.issuer, conf.audience, conf.leeway)
    return (*conf.secrets, conf.shared_secret_issuer, conf.shared_secret_audience, conf.leeway)


def _remember(digest: bytes, known: _Known) -> None:
    with _known_lock:
        if len(_known) >= MAX_KNOWN:
            del _known[next(iter(_known))]  # the first to have come
        _known[digest] = known


def issue(
    user_id: str, *, email: str = "", name: str = "", lifetime: int, now: float | None = None
) -> str:
    """Sign a token for `user_id` with the current shared secret, to live `lifetime` seconds.

    Raises `InvalidToken` for a user id that `verify` would refuse and `LookupError` where no
    shared secret is configured.
    """
    check_user_id(user_id)
    if not conf.secrets:
        raise LookupError("no shared secret is configured")
    issued_at = int(time.time() if now is None else now)
    claims: dict[str, Any] = {"sub": user_id, "iat": issued_at, "exp": issued_at + lifetime}
    optional = {
        "email": email,
        "name": name,
        "iss": conf.shared_secret_issuer,
        "aud": conf.shared_secret_audience,
    }
    claims |= {claim: value for claim, value in optional.items() if value}
    return jwt.encode(claims, conf.secrets[0], algorithm=SHARED_SECRET_ALGORITHM)


def check_user_id(value: object) -> str:
    """Return `value` when it may be a user id, byte for byte; raise `InvalidToken` otherwise."""
    if value is None or (isinstance(value, str) and not value.strip()):
        raise InvalidToken("missing user ID")
    if not isinstance(value, str):
        raise InvalidToken("user ID is not a string")
    if len(value) > MAX_USER_ID_LENGTH:
        raise InvalidToken("user ID is too long")
    # Cc: control characters. Cs: lone surrogates, which no database and no UTF-8 text can hold.
    # Neither is printable, so most ids need no look at each character.
    if not value.isprintable() and any(
        unicodedata.category(character) in ("Cc", "Cs") for character in value
    ):
        raise InvalidToken("user ID holds characters that are not allowed")
    return value


def is_usable_secret(secret: str) -> bool:
    """Whether tokens can be signed and checked with a secret: it is text, and no PEM or SSH key."""
    try:
        jwt.encode({}, secret, algorithm=SHARED_SECRET_ALGORITHM)
    except (jwt.PyJWTError, UnicodeEncodeError):
        return False
    return True


def peek(raw: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Header and claims as they are written, with nothing verified: to explain, never to trust.

    Raises `InvalidToken` where they cannot be read.
    """
    token = _read(raw)
    return token.header, _claims(token)


class _Read(NamedTuple):
    """A token taken apart, with nothing verified yet."""

    signed: bytes  # header and payload as they came, which the signature is of
    header: Mapping[str, Any]
    payload: bytes
    signature: bytes


# Only takes apart; `_is_signed_with` verifies. So each part is decoded once, however many keys
# there are to try.
_reader = jwt.PyJWS(options={"verify_signature": False})


def _read(raw: str) -> _Read:
    _check_form(raw)
    try:
        parts = _reader.decode_complete(raw)
    except jwt.PyJWTError as error:
        raise InvalidToken("malformed") from error
    signed = raw.rpartition(".")[0].encode()
    return _Read(signed, parts["header"], parts["payload"], parts["signature"])


def _check_header(header: Mapping[str, Any]) -> None:
    """Check the protected header as far as it can be before the signature is."""
    # RFC 7515 section 4.1.11: an extension we do not implement must be refused; we have none.
    if "crit" in header:
        raise InvalidToken("critical extensions are not supported")
    # RFC 8725 section 3.11: tokens for other uses (`at+jwt`, session caches) name another type.
    if header.get("typ", "JWT") != "JWT":
        raise InvalidToken("type not accepted")


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


def _claims_signed_with_secret(token: _Read) -> Mapping[str, Any]:
    """The claims of a token that one of the shared secrets signed."""
    if not conf.secrets:
        raise InvalidToken("no shared secret is configured")
    # Any of them: perhaps it was signed before or after a rotation.
    if not any(_is_signed_with(token, secret, SHARED_SECRET_ALGORITHM) for secret in conf.secrets):
        raise InvalidToken("signature does not match")
    claims = _claims(token)
    _check_issuer_and_audience(claims, conf.shared_secret_issuer, conf.shared_secret_audience)
    return claims


def _claims_signed_with_published_key(
    token: _Read, algorithm: str, *, wait: bool
) -> Mapping[str, Any]:
    """The claims of a token that one of the Better Auth server's keys signed."""
    if not conf.jwks_url:
        raise InvalidToken("no published keys are configured")
    if not (conf.issuer and conf.audience):
        # The same keys sign tokens for other uses; only these two claims tell them apart.
        raise InvalidToken("no issuer and audience are configured")
    keys = key_set(conf.jwks_url).find(token.header.get("kid"), algorithm, wait=wait)
    if not keys:
        raise InvalidToken("unknown key")
    if not any(_is_signed_with(token, published.key, algorithm) for published in keys):
        raise InvalidToken("signature does not match")
    claims = _claims(token)
    _check_issuer_and_audience(claims, conf.issuer, conf.audience)
    return claims


def _is_signed_with(token: _Read, key: Any, algorithm: str) -> bool:
    """Let PyJWT check the signature. Raises `InvalidToken` where the key itself is of no use."""
    checker = jwt.get_algorithm_by_name(algorithm)
    try:
        if algorithm == SHARED_SECRET_ALGORITHM:
            prepared = _prepared_secret(key)
        else:
            prepared = checker.prepare_key(key)
        return checker.verify(token.signed, prepared, token.signature)
    except (jwt.PyJWTError, ValueError) as error:
        raise InvalidToken("malformed") from error


@lru_cache(maxsize=8)
def _prepared_secret(secret: str) -> bytes:
    """The secret as a key, once PyJWT has made sure that it is no other kind of key."""
    key: bytes = jwt.get_algorithm_by_name(SHARED_SECRET_ALGORITHM).prepare_key(secret)
    return key


def _claims(token: _Read) -> Mapping[str, Any]:
    try:
        claims = json.loads(token.payload)
    except (ValueError, RecursionError) as error:
        raise InvalidToken("malformed") from error
    if not isinstance(claims, dict):
        raise InvalidToken("malformed")
    return claims


def _check_issuer_and_audience(claims: Mapping[str, Any], issuer: str, audience: str) -> None:
    """Check `iss` and `aud`; "" leaves one unchecked."""
    if issuer:
        if "iss" not in claims:
            raise InvalidToken("missing iss")
        if claims["iss"] != issuer:
            raise InvalidToken("wrong issuer")
    if audience:
        named = claims.get("aud")
        if not named:
            raise InvalidToken("missing aud")
        # RFC 7519 section 4.1.3: one, or an array of them.
        names = named if isinstance(named, list) else [named]
        if audience not in names or not all(isinstance(name, str) for name in names):
            raise InvalidToken("wrong audience")


def _check_times(claims: Mapping[str, Any]) -> float:
    """Check `exp`, `iat` and `nbf` against this server's clock; return `exp`."""
    now = time.time()
    if "exp" not in claims:
        raise InvalidToken("missing expiry")
    expires_at = _numeric_date(claims, "exp")
    # RFC 7519 section 4.1.4: on or after this moment the token must not be accepted.
    if now >= expires_at:
        raise ExpiredToken
    for claim in ("iat", "nbf"):
        if claim in claims and _numeric_date(claims, claim) > now + conf.leeway:
            raise InvalidToken("not valid yet")
    return min(expires_at, FAR_AWAY)


def _numeric_date(claims: Mapping[str, Any], claim: str) -> float:
    """A time claim as RFC 7519 section 2 has it: a JSON number of seconds since the epoch."""
    value = claims[claim]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidToken(f"{claim} is not a time")
    if isinstance(value, float) and not math.isfinite(
        value
    ):  # 1e999 and NaN pass as JSON in Python
        raise InvalidToken(f"{claim} is not a time")
    return value


def _user_from(claims: Mapping[str, Any]) -> CurrentUser:
    """The person: `sub` alone says who it is; e-mail and name are decoration."""
    return CurrentUser(
        id=check_user_id(claims.get("sub")),
        email=_display_text(claims.get("email")),
        name=_display_text(claims.get("name")),
    )


def _display_text(value: object) -> str:
    """`value` if it is text that UTF-8 can carry, else ""."""
    if not isinstance(value, str):
        return ""
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return ""
    return value
