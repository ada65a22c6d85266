"""What makes a token good: the acceptance rules of contract section 2.

With `jwks` the only module that knows PyJWT. It knows nothing of requests, sockets or statuses.
"""

import math
import re
import threading
import time
import unicodedata
from base64 import urlsafe_b64decode
from codecs import BOM_UTF8
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

import jwt

from accounts.signin.conf import conf
from accounts.signin.jwks import PUBLISHED_ALGORITHMS, key_set
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
    header = _read_header(raw)
    # One kind of key for each kind of algorithm, so that no token can have its signature checked
    # with a key of another kind (RFC 8725 section 3.1).
    algorithm = header.get("alg")
    published = isinstance(algorithm, str) and algorithm in PUBLISHED_ALGORITHMS
    grounds = _grounds(published=published)  # before the check: what is fetched meanwhile is newer
    if published:
        claims = _claims_signed_with_published_key(
            raw, header.get("kid"), str(algorithm), wait=wait
        )
    elif algorithm == SHARED_SECRET_ALGORITHM:
        claims = _claims_signed_with_secret(raw)
    else:
        raise InvalidToken("algorithm not accepted")
    # The time comes before the person, so that an old token of any kind is just "expired".
    expires_at = _check_times(claims)
    token = VerifiedToken(user=_user_from(claims), expires_at=expires_at)
    if all(ground is not None for ground in grounds):
        _remember(digest, _Known(token, published, grounds))
    return token


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
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
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
    _check_form(raw)
    try:
        header = jwt.get_unverified_header(raw)
        return header, jwt.decode(raw, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise InvalidToken("malformed") from error


def _read_header(raw: str) -> Mapping[str, Any]:
    """The protected header, checked as far as it can be before the signature is."""
    _check_form(raw)
    try:
        header = jwt.get_unverified_header(raw)
    except jwt.PyJWTError as error:
        raise InvalidToken("malformed") from error
    # RFC 7515 section 4.1.11: an extension we do not implement must be refused; we have none.
    if "crit" in header:
        raise InvalidToken("critical extensions are not supported")
    # RFC 8725 section 3.11: tokens for other uses (`at+jwt`, session caches) name another type.
    if header.get("typ", "JWT") != "JWT":
        raise InvalidToken("type not accepted")
    return header


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


def _claims_signed_with_secret(raw: str) -> Mapping[str, Any]:
    """The claims of a token that one of the shared secrets signed."""
    if not conf.secrets:
        raise InvalidToken("no shared secret is configured")
    for secret in conf.secrets:
        try:
            return _decode(
                raw,
                secret,
                SHARED_SECRET_ALGORITHM,
                issuer=conf.shared_secret_issuer,
                audience=conf.shared_secret_audience,
            )
        except jwt.InvalidSignatureError:
            continue  # perhaps it was signed before or after a rotation
    raise InvalidToken("signature does not match")


def _claims_signed_with_published_key(
    raw: str, kid: str | None, algorithm: str, *, wait: bool
) -> Mapping[str, Any]:
    """The claims of a token that one of the Better Auth server's keys signed."""
    if not conf.jwks_url:
        raise InvalidToken("no published keys are configured")
    if not (conf.issuer and conf.audience):
        # The same keys sign tokens for other uses; only these two claims tell them apart.
        raise InvalidToken("no issuer and audience are configured")
    keys = key_set(conf.jwks_url).find(kid, algorithm, wait=wait)
    if not keys:
        raise InvalidToken("unknown key")
    for published in keys:
        try:
            return _decode(
                raw, published.key, algorithm, issuer=conf.issuer, audience=conf.audience
            )
        except jwt.InvalidSignatureError:
            continue
    raise InvalidToken("signature does not match")


def _decode(raw: str, key: Any, algorithm: str, *, issuer: str, audience: str) -> Mapping[str, Any]:
    """Let PyJWT check signature, issuer and audience; "" leaves one unchecked.

    Raises `jwt.InvalidSignatureError` when another key may fit, `InvalidToken` otherwise.
    """
    try:
        return jwt.decode(
            raw,
            key,
            algorithms=[algorithm],
            issuer=issuer or None,
            audience=audience or None,
            options={
                "verify_iss": bool(issuer),
                "verify_aud": bool(audience),
                # Times and subject are stricter here than in PyJWT, which takes "12" for a time.
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
                "verify_sub": False,
                "verify_jti": False,
            },
        )
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
