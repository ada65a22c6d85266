"""What is wrong with sign-in, and what to do about it: the knowledge behind `manage.py doctor`."""

import re
import time
from collections.abc import Iterator, Mapping
from reprlib import Repr
from typing import Any, NamedTuple
from urllib.parse import unquote

from accounts.signin.claims import FAR_AWAY
from accounts.signin.conf import conf
from accounts.signin.errors import ExpiredToken, FetchError, InvalidToken, KeysUnavailable
from accounts.signin.keys import PUBLISHED_ALGORITHMS
from accounts.signin.keyset import KeySet, key_set
from accounts.signin.known_tokens import verify
from accounts.signin.tokens import peek

# The raw session token, alone or as signed for a cookie.
_SESSION_TOKEN = re.compile(r"[A-Za-z0-9]{32}(\.[A-Za-z0-9+/]{43}=)?", re.ASCII)

# The cookie cache where it is no JWT: JSON that starts with {"session":{ and, encrypted, five parts.
_SESSION_DATA = re.compile(r"eyJzZXNzaW9uIjp7[\w-]*|[\w-]+\.[\w-]*(\.[\w-]+){3}", re.ASCII)

_SCHEME = re.compile(r"(authorization:\s*)?bearer\s+", re.IGNORECASE)

_NO_KEYS = "no keys at hand"
_MANY_YEARS = 10 * 365 * 24 * 3600  # seconds; no clock is that wrong

GET_A_JWT = (
    "Send the JWT from GET /api/auth/token (jwt plugin), or one that a route of yours signs with "
    "BETTER_AUTH_SECRET."
)
NAME_THE_USER = f"{GET_A_JWT} If that route made it, let it put the user's id into sub."
ASK_ITS_SERVER = "Check that BETTER_AUTH_URL is the server that signed the token."

_short = Repr()
_short.maxstring = _short.maxother = 120
_quote = (
    _short.repr
)  # a part of a token that anybody may have written: as Python writes it, in short


class Finding(NamedTuple):
    """One thing looked at: `level` is "ok", "warning" or "error"; a fault comes with its cure."""

    id: str
    level: str
    message: str
    cure: str = ""


def examine_key_server() -> Iterator[Finding]:
    """Fetch the published keys, if any are configured, as the server itself would."""
    if not conf.jwks_url:
        return
    keys = key_set(conf.jwks_url)
    try:
        keys.refresh()
    except Exception as error:  # noqa: BLE001  what is no URL fails in many ways
        reason = f"this URL cannot be used ({type(error).__name__})"
        yield Finding(
            "keys",
            "error",
            f"No published keys from {conf.jwks_url}: "
            f"{error if isinstance(error, FetchError) else reason}.",
            "Check BETTER_AUTH_URL, that the Better Auth server runs, and that its jwt plugin is "
            "on; with jwks.jwksPath set there, set BETTER_AUTH_JWKS_URL here.",
        )
        return
    count = f"{len(keys.ids)} usable key" + "s" * (len(keys.ids) != 1)
    yield Finding("keys", "ok", f"{conf.jwks_url} publishes {count}.")
    if conf.issuer and conf.audience:  # otherwise a system check complains
        yield Finding(
            "issuer", "ok", f"Tokens must name issuer {conf.issuer} and audience {conf.audience}."
        )
    yield from _examine_clock(keys)


def _examine_clock(keys: KeySet) -> Iterator[Finding]:
    if keys.clock_lead is None:
        return
    ahead = round(keys.clock_lead)
    if abs(ahead) <= max(conf.leeway, 2):
        yield Finding("clock", "ok", "This server's clock agrees with the Better Auth server's.")
        return
    direction = "behind" if ahead > 0 else "ahead of"
    yield Finding(
        "clock",
        "error",
        f"This server's clock is {abs(ahead)} seconds {direction} the Better Auth server's.",
        "Set both clocks by NTP.",
    )


def examine_token(raw: str) -> Iterator[Finding]:
    """Why a token is accepted or refused, by the keys that `examine_key_server` has fetched."""
    raw = _SCHEME.sub("", raw.strip(), count=1)  # it may come with the header around it
    header: Mapping[str, Any] = {}
    claims: Mapping[str, Any] = {}
    try:
        header, claims = peek(raw)
        if _wants_missing_keys(header):
            raise InvalidToken(_NO_KEYS)
        token = verify(raw)
    except KeysUnavailable:
        reason = _NO_KEYS
    except ExpiredToken:
        reason = "expired"
    except InvalidToken as error:
        reason = error.reason
    else:
        left = round(token.expires_at - time.time())
        user = _quote(token.user.id)
        yield Finding(
            "token", "ok", f"The token is accepted: user {user}, for {left} seconds more."
        )
        return
    # What was made for another use stays wrong, also when its time or signature is as well.
    id, fault, cure = _known_kind(raw, header, claims) or (
        re.sub(r"\W+", "-", reason),
        *_fault(reason, header, claims),
    )
    yield Finding(f"token.{id}", "error", fault, cure)


def _wants_missing_keys(header: Mapping[str, Any]) -> bool:
    """Whether `verify` would only try again to fetch what could not be fetched a moment ago."""
    return (
        conf.jwks_url != ""
        and str(header.get("alg")) in PUBLISHED_ALGORITHMS
        and key_set(conf.jwks_url).age is None
    )


def _known_kind(
    raw: str, header: Mapping[str, Any], claims: Mapping[str, Any]
) -> tuple[str, str, str] | None:
    """Better Auth's own tokens for other uses, whose signature may well be good: id, fault, cure."""
    if _SESSION_TOKEN.fullmatch(unquote(raw)):  # as it stands in the cookie
        fault = "This is an opaque session token, as sign-in returns it, not a JWT."
        return ("session", fault, GET_A_JWT)
    if (
        header.get("typ") == "better-auth.session-cache+jwt"
        or claims.get("aud") == "better-auth:session-cache"
        or ("session" in claims and "user" in claims and "sub" not in claims)
        or _SESSION_DATA.fullmatch(raw)
    ):
        return ("cookie-cache", "This is a cookie-cache token (session_data).", GET_A_JWT)
    if "email" in claims and "sub" not in claims:
        fault = (
            "This is an e-mail-verification token: it names an e-mail address, but no user (sub)."
        )
        return ("email-verification", fault, NAME_THE_USER)
    return None


# What to say about a refusal, by its reason, and its cure.
_FAULTS = {
    "no shared secret is configured": (
        "The token is signed with a shared secret (HS256), but {other_keys} configured here.",
        "Set BETTER_AUTH_SECRET as on the Better Auth server, or send a token of its jwt plugin.",
    ),
    "no published keys are configured": (
        "The token is signed with a published key ({alg}), but {other_secrets} configured here.",
        "Set BETTER_AUTH_URL to the base URL of the Better Auth server.",
    ),
    "no issuer and audience are configured": (
        "Which issuer and audience the token must name is not configured here.",
        "Set BETTER_AUTH_URL, or both BETTER_AUTH_ISSUER and BETTER_AUTH_AUDIENCE.",
    ),
    _NO_KEYS: (
        "The token is signed with a published key, and there is none to check it with.",
        "Cure what is wrong with the published keys first.",
    ),
    "signature does not match": (
        "The token was not signed with the published key it names, or was changed since.",
        ASK_ITS_SERVER,
    ),
    "unknown key": (
        "The token's key {kid} ({alg}) is not among the published ones: {published}.",
        ASK_ITS_SERVER,
    ),
    "missing user ID": ("The token names no user: it has no sub.", NAME_THE_USER),
}
_ANOTHER_SECRET = (
    "The token was signed with another secret.",
    "Set BETTER_AUTH_SECRET to the very same text on both servers, without quotes or blanks; while "
    "rotating, BETTER_AUTH_SECRETS.",
)
_PINNED = {
    "wrong issuer": ("iss", "issuer"),
    "missing iss": ("iss", "issuer"),
    "wrong audience": ("aud", "audience"),
    "missing aud": ("aud", "audience"),
}


def _fault(reason: str, header: Mapping[str, Any], claims: Mapping[str, Any]) -> tuple[str, str]:
    """What to say about a refusal, and its cure."""
    shared = header.get("alg") == "HS256"
    if reason in _PINNED:
        claim, name = _PINNED[reason]
        expected = getattr(conf, f"shared_secret_{name}" if shared else name)
        return (
            f"The token's {name} is {_quote(claims.get(claim))}, expected is {expected!r}.",
            f"Make them equal: here by BETTER_AUTH_URL or BETTER_AUTH_{name.upper()}, there by "
            f"baseURL or jwt.{name}.",
        )
    if reason == "expired":
        ago = round(time.time() - max(claims["exp"], 0))
        cure = "Get a new one; if it is new, one of the clocks is wrong."
        if claims["exp"] < _MANY_YEARS:
            cure = 'Write its lifetime as text, "15m": a number is a moment, seconds from 1970.'
        return (f"The token expired {ago} seconds ago.", cure)
    if reason == "not valid yet":
        times = [claims.get(claim) for claim in ("iat", "nbf")]
        latest = max(value for value in times if isinstance(value, int | float))
        ahead = round(min(latest, FAR_AWAY) - time.time())
        cure = "Set both clocks by NTP, or raise BETTER_AUTH_LEEWAY."
        if ahead > _MANY_YEARS:
            cure = "Write iat and nbf in seconds, not in milliseconds."
        return (
            f"The token becomes valid {ahead} seconds from now by this server's clock; "
            f"{conf.leeway} are allowed.",
            cure,
        )
    if reason == "signature does not match" and shared:
        return _ANOTHER_SECRET
    fault, cure = _FAULTS.get(reason, (f"The token is refused: {reason}.", GET_A_JWT))
    facts = {
        "alg": header.get("alg"),
        "kid": _quote(header.get("kid")),
        "other_keys": "only published keys are" if conf.jwks_url else "none is",
        "other_secrets": "only a shared secret is" if conf.secrets else "no such keys are",
        "published": ", ".join(map(_quote, key_set(conf.jwks_url).ids)) if conf.jwks_url else "",
    }
    return (fault.format(**facts), cure)
