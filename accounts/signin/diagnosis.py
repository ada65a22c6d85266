"""What is wrong with sign-in, and what to do about it: the knowledge behind `manage.py doctor`."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from reprlib import Repr
from typing import Any, NamedTuple
from urllib.parse import unquote

from django.conf import settings

from accounts.signin.conf import conf, origin_of
from accounts.signin.errors import (
    ExpiredToken,
    FetchError,
    InvalidToken,
    KeysUnavailable,
    SignedOut,
)
from accounts.signin.keyset import key_set
from accounts.signin.known_tokens import verify_now
from accounts.signin.tokens import FAR_AWAY, is_signed_with, peek
from accounts.signout import sign_outs

# The raw session token, alone or as signed for a cookie.
_SESSION_TOKEN = re.compile(r"[A-Za-z0-9]{32}(\.[A-Za-z0-9+/]{43}=)?", re.ASCII)

# The cookie cache where it is no JWT: JSON that starts with {"session":{ and, encrypted, five parts.
_SESSION_DATA = re.compile(r"eyJzZXNzaW9uIjp7[\w-]*|[\w-]+\.[\w-]*(\.[\w-]+){3}", re.ASCII)

_SCHEME = re.compile(r"(authorization:\s*)?bearer\s+", re.IGNORECASE)

# What `.env` files give a meaning to, and not every reader of them the same.
_MARKS = {
    "a #": re.compile("#"),
    "a $": re.compile(r"\$"),
    "quotes": re.compile("[\"'`]"),
    "blanks": re.compile(r"\s"),
    "a backslash": re.compile(r"\\"),
}

_MANY_YEARS = 10 * 365 * 24 * 3600  # seconds; no clock is that wrong

GET_A_JWT = "Send a JWT: of GET /api/auth/token, or of a route that signs with BETTER_AUTH_SECRET."
NAME_THE_USER = f"{GET_A_JWT} If that route made it, let it put the user's id into sub."
ASK_ITS_SERVER = "Check that BETTER_AUTH_URL is the server that signed the token."

_short = Repr()
_short.maxstring = _short.maxother = 120
_quote = _short.repr  # of what anybody may have written into a token

Claims = Mapping[str, Any]


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
        found = keys.refresh().keys
    except FetchError as error:
        cure = f"Check that the jwt plugin runs there, and has its table, jwks. {_why_there()}"
        yield Finding("keys", "error", f"No published keys from {keys.url}: {error}.", cure)
        return
    yield Finding("keys", "ok", f"Usable keys that {keys.url} publishes: {len(found)}.")
    issuers, audiences = conf.pinned(published=True)
    if issuers and audiences:  # otherwise a system check complains
        named = f"issuer {' or '.join(issuers)} and audience {' or '.join(audiences)}"
        yield Finding("issuer", "ok", f"Tokens must name {named}.")
    ahead = round(keys.clock_lead or 0)
    if abs(ahead) > max(settings.BETTER_AUTH_LEEWAY, 2):
        than = "behind" if ahead > 0 else "ahead of"
        says = f"This server's clock is {abs(ahead)} seconds {than} the Better Auth server's."
        yield Finding("clock", "error", says, "Set both clocks by NTP.")
    elif keys.clock_lead is not None:
        yield Finding("clock", "ok", "This server's clock agrees with the Better Auth server's.")


def examine_token(raw: str) -> Iterator[Finding]:
    """Why a token is accepted or refused, by the keys that `examine_key_server` has fetched."""
    raw = _SCHEME.sub("", raw.strip(), count=1)  # it may come with the header around it
    header: Claims = {}
    claims: Claims = {}
    try:
        header, claims = peek(raw)
        with suppress(Exception):  # that the database does not answer is a finding of its own
            sign_outs.read()
        token = verify_now(raw)
    except KeysUnavailable:
        reason = "no keys at hand"
    except ExpiredToken:
        reason = "expired"
    except SignedOut:
        reason = "signed out"
    except InvalidToken as error:
        reason = error.reason
    else:
        left = round(token.expires_at - time.time())
        says = f"The token is accepted: user {_quote(token.user.id)}, for {left} seconds more."
        yield Finding("token", "ok", says)
        return
    # What was made for another use stays wrong, also when its time or signature is as well.
    id, fault, cure = _known_kind(raw, header, claims) or (
        re.sub(r"\W+", "-", reason),
        *_fault(reason, raw, header, claims),
    )
    yield Finding(f"token.{id}", "error", fault, cure)


def _known_kind(raw: str, header: Claims, claims: Claims) -> tuple[str, str, str] | None:
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
        fault = "This is an e-mail-verification token: it names an address, but no user (sub)."
        return ("email-verification", fault, NAME_THE_USER)
    return None


def _why_there() -> str:
    """What the URL of the published keys was made of, and what else to try."""
    if settings.BETTER_AUTH_JWKS_URL:
        return "The address is that of BETTER_AUTH_JWKS_URL."
    origin = origin_of(settings.BETTER_AUTH_URL)
    if conf.jwks_url == f"{origin}/api/auth/jwks":
        return "If its basePath is not /api/auth, write BETTER_AUTH_URL with that path."
    usual = f"{origin}/api/auth/jwks"
    return f"BETTER_AUTH_URL has a path, so /jwks below it was tried, and not {usual}."


def _likely_difference(raw: str) -> str:
    """What of the secrets here another reader of `.env` takes for something else; "" for nothing."""
    for secret in conf.secrets:
        for says, variant in _as_read_elsewhere(secret):
            if variant and variant != secret and is_signed_with(raw, variant):
                return f" It is the one that is set here, {says}."
    found = [name for name, mark in _MARKS.items() if any(mark.search(one) for one in conf.secrets)]
    if not found:
        return ""
    return (
        f" The one that is set here holds {' and '.join(found)}, which is the likely difference: in a"
        " .env file # begins a comment, Next.js replaces $NAME, and quotes and blanks around it fall"
        " away. In single quotes it stays as it is."
    )


def _as_read_elsewhere(secret: str) -> Iterator[tuple[str, str]]:
    yield "up to its #", secret.partition("#")[0].rstrip()
    yield "with what follows its $ replaced", re.sub(r"\$(\w+|\{[^}]*\})", "", secret)
    yield "without its quotes", secret.strip("\"'`")
    yield "without the blanks around it", secret.strip()
    for quote in "\"'`":
        yield f"in quotes ({quote})", f"{quote}{secret}{quote}"


def _fault(reason: str, raw: str, header: Claims, claims: Claims) -> tuple[str, str]:
    """What to say about a refusal, and its cure."""
    shared = header.get("alg") == "HS256"
    match reason:
        case "no shared secret is configured":
            others = "only published keys are" if conf.jwks_url else "none is"
            fault = f"The token is signed with a shared secret, but {others} configured here."
            cure = "Set BETTER_AUTH_SECRET as on the Better Auth server."
        case "no published keys are configured":
            others = "only a shared secret is" if conf.secrets else "no such keys are"
            alg = header.get("alg")
            fault = f"The token is signed with a published key ({alg}), but {others} configured."
            cure = "Set BETTER_AUTH_URL to the base URL of the Better Auth server."
        case "no issuer and audience are configured":
            fault = "Which issuer and audience the token must name is not configured here."
            cure = "Set BETTER_AUTH_URL, or both BETTER_AUTH_ISSUER and BETTER_AUTH_AUDIENCE."
        case "no keys at hand":
            fault = "The token is signed with a published key, and there is none to check it with."
            cure = "Cure what is wrong with the published keys first."
        case "unknown key":
            snapshot = key_set(conf.jwks_url).snapshot()
            published = ", ".join(_quote(key.kid) for key in snapshot.keys) if snapshot else ""
            fault = f"The token's key {_quote(header.get('kid'))} is not published: {published}."
            cure = ASK_ITS_SERVER
        case "signature does not match" if shared:
            fault = f"The token was signed with another secret.{_likely_difference(raw)}"
            cure = "Set BETTER_AUTH_SECRET to the very same text on both servers, without quotes."
        case "signature does not match":
            fault = "The token was not signed with the published key it names, or changed since."
            cure = ASK_ITS_SERVER
        case "wrong issuer" | "missing iss" | "wrong audience" | "missing aud":
            issuers, audiences = conf.pinned(published=not shared)
            claim, name, allowed = "iss", "issuer", issuers
            if "aud" in reason:
                claim, name, allowed = "aud", "audience", audiences
            expected = " or ".join(map(repr, allowed))
            fault = f"The token's {name} is {_quote(claims.get(claim))}, expected is {expected}."
            cure = f"Make BETTER_AUTH_{name.upper()} here equal to jwt.{name} or baseURL there."
        case "missing user ID":
            fault, cure = "The token names no user: it has no sub.", NAME_THE_USER
        case "expired":
            ago = round(time.time() - max(claims["exp"], 0))
            fault = f"The token expired {ago} seconds ago."
            cure = "Get a new one; if it is new, one of the clocks is wrong."
            if claims["exp"] < _MANY_YEARS:
                cure = 'Write its lifetime as text, "15m": a number is a moment, seconds from 1970.'
        case "signed out":
            fault = "Staff have signed this person out since the token was issued."
            cure = "Sign in again, and get a new one."
        case "not valid yet":
            times = [claims.get(claim) for claim in ("iat", "nbf")]
            latest = max(value for value in times if isinstance(value, int | float))
            ahead = round(min(latest, FAR_AWAY) - time.time())
            fault = f"The token becomes valid {ahead} seconds from now by this server's clock."
            cure = "Set both clocks by NTP, or raise BETTER_AUTH_LEEWAY."
            if ahead > _MANY_YEARS:
                cure = "Write iat and nbf in seconds, not in milliseconds."
        case _:
            fault, cure = f"The token is refused: {reason}.", GET_A_JWT
    return fault, cure
