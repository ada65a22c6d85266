"""What is wrong with sign-in, and what to do about it: the knowledge behind `manage.py doctor`."""

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from accounts.conf import conf, origin_of
from accounts.jwks import FetchError, KeySet, KeysUnavailable, key_set
from accounts.tokens import ExpiredToken, InvalidToken, peek, verify

# The raw session token, alone or as signed for a cookie.
_SESSION_TOKEN = re.compile(r"[A-Za-z0-9]{32}(\.[A-Za-z0-9+/]{43}=)?", re.ASCII)

GET_A_JWT = (
    "Send the JWT from GET /api/auth/token (jwt plugin), or one that a route of yours signs with "
    "BETTER_AUTH_SECRET."
)


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
    keys = KeySet(conf.jwks_url)
    try:
        keys.refresh()
    except FetchError as error:
        yield Finding(
            "keys",
            "error",
            f"No published keys from {conf.jwks_url}: {error}.",
            "Check BETTER_AUTH_URL, that the Better Auth server runs, and that its jwt plugin is "
            "on; with jwks.jwksPath set there, set BETTER_AUTH_JWKS_URL here.",
        )
        return
    count = f"{len(keys.ids)} usable key" + "s" * (len(keys.ids) != 1)
    yield Finding("keys", "ok", f"{conf.jwks_url} publishes {count}.")
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
    """Why a token is accepted or refused."""
    raw = raw.strip()
    try:
        token = verify(raw)
    except KeysUnavailable:
        return  # `examine_key_server` says why
    except ExpiredToken:
        yield _expired(raw)
    except InvalidToken as error:
        yield _refused(raw, error.reason)
    else:
        left = round(token.expires_at - time.time())
        yield Finding(
            "token",
            "ok",
            f"The token is accepted: user {token.user.id!r}, for {left} seconds more.",
        )


def _expired(raw: str) -> Finding:
    _, claims = peek(raw)
    return Finding(
        "token.expired",
        "error",
        f"The token expired {round(time.time() - max(claims['exp'], 0))} seconds ago.",
        "Get a new one; if it is new, one of the clocks is wrong.",
    )


def _refused(raw: str, reason: str) -> Finding:
    """The finding for a token that `verify` refused for `reason`."""
    if _SESSION_TOKEN.fullmatch(unquote(raw)):  # as it stands in the cookie
        return Finding(
            "token.session",
            "error",
            "This is an opaque session token, as sign-in returns it, not a JWT.",
            GET_A_JWT,
        )
    try:
        header, claims = peek(raw)
    except InvalidToken:
        header, claims = {}, {}
    if found := _known_kind(header, claims, reason):
        return found
    fault, cure = _fault(reason, header, claims)
    return Finding("token." + re.sub(r"\W+", "-", reason), "error", fault, cure)


def _known_kind(
    header: Mapping[str, Any], claims: Mapping[str, Any], reason: str
) -> Finding | None:
    """Better Auth's own tokens for other uses, whose signature may well be good."""
    if header.get("typ") == "better-auth.session-cache+jwt" or (
        "session" in claims and "user" in claims
    ):
        return Finding(
            "token.cookie-cache", "error", "This is a cookie-cache token (session_data).", GET_A_JWT
        )
    if reason == "missing user ID" and "email" in claims:
        return Finding(
            "token.email-verification",
            "error",
            "This is an e-mail-verification token: it names an e-mail address, but no user (sub).",
            GET_A_JWT,
        )
    return None


def _fault(reason: str, header: Mapping[str, Any], claims: Mapping[str, Any]) -> tuple[str, str]:
    """What to say about a refusal, and its cure."""
    match reason:
        case "no shared secret is configured":
            return (
                "The token is signed with a shared secret (HS256), but only published keys are "
                "configured here.",
                "Set BETTER_AUTH_SECRET as on the Better Auth server, or send a token of its jwt "
                "plugin.",
            )
        case "no published keys are configured":
            return (
                f"The token is signed with a published key ({header.get('alg')}), but only a "
                "shared secret is configured here.",
                "Set BETTER_AUTH_URL to the base URL of the Better Auth server.",
            )
        case "signature does not match" if header.get("alg") == "HS256":
            return (
                "The token was signed with another secret.",
                "Set BETTER_AUTH_SECRET to the very same text on both servers, without quotes or "
                "blanks; while rotating, BETTER_AUTH_SECRETS.",
            )
        case "unknown key":
            known = ", ".join(key_set(conf.jwks_url).ids) or "none"
            return (
                f"The token's key {header.get('kid')!r} ({header.get('alg')}) is not among the "
                f"published ones: {known}.",
                "Check that BETTER_AUTH_URL is the server that signed the token.",
            )
        case "wrong issuer" | "missing iss":
            expected = conf.issuer if header.get("alg") != "HS256" else conf.shared_secret_issuer
            return (
                f"The token's issuer is {claims.get('iss')!r}, expected is {expected!r}.",
                "Set BETTER_AUTH_URL, or BETTER_AUTH_ISSUER, to what the token names.",
            )
        case "wrong audience" | "missing aud":
            expected = (
                conf.audience if header.get("alg") != "HS256" else conf.shared_secret_audience
            )
            return (
                f"The token's audience is {claims.get('aud')!r}, expected is {expected!r}.",
                "Set BETTER_AUTH_URL, or BETTER_AUTH_AUDIENCE, to what the token names.",
            )
        case "not valid yet":
            times = [claims.get(claim) for claim in ("iat", "nbf")]
            ahead = round(max(t for t in times if isinstance(t, int | float)) - time.time())
            return (
                f"The token becomes valid {ahead} seconds from now by this server's clock; "
                f"{conf.leeway} are allowed.",
                "Set both clocks by NTP, or raise BETTER_AUTH_LEEWAY.",
            )
        case "missing user ID":
            return ("The token names no user: it has no sub.", GET_A_JWT)
        case _:
            return (f"The token is refused: {reason}.", GET_A_JWT)


def examine_origins(origins: tuple[str, ...], better_auth_url: str) -> Iterator[Finding]:
    """Whether the pages of the Better Auth server's own origin may call this API."""
    page = origin_of(better_auth_url)
    if not origins:
        yield Finding(
            "cors",
            "error",
            "CORS_ORIGINS is empty: no page in a browser may call this API.",
            "Set it to the origin of your frontend.",
        )
    elif page and page not in origins:
        yield Finding(
            "cors",
            "warning",
            f"CORS_ORIGINS does not hold {page}, the origin of the Better Auth server.",
            "If your pages are served from there, add it.",
        )
    else:
        yield Finding("cors", "ok", f"Pages of {', '.join(origins)} may call this API.")
