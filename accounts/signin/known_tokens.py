"""The cache of verified tokens: a signature is checked once, not with every request."""

import asyncio
import sys
import threading
import time
from hashlib import sha256
from typing import NamedTuple

from asgiref.sync import async_to_sync
from django.conf import settings

from accounts.signin.conf import conf
from accounts.signin.errors import (
    ExpiredToken,
    InvalidToken,
    KeysUnavailable,
    NoKeyFits,
    SignedOut,
)
from accounts.signin.keyset import key_set
from accounts.signin.tokens import VerifiedToken, check, read_header
from accounts.signout import sign_outs

MAX_KNOWN = 10_000  # tokens; about 500 bytes each
MAX_TEXT = (
    1024  # bytes of id, address and name in memory; a token that says more is checked each time
)


class KnownToken(NamedTuple):
    """A token that was found good, and on what grounds."""

    token: VerifiedToken
    published: bool  # signed with a published key, not with the shared secret
    grounds: tuple[object, ...]


_known: dict[bytes, KnownToken] = {}  # by SHA-256: the tokens themselves are not kept
_lock = threading.Lock()


def bearer_token(header: bytes) -> str | None:
    """The token in the value of an `Authorization` header (RFC 6750 section 2.1).

    `None` for none or another scheme. Raises `InvalidToken` where not one token follows ours.
    """
    parts = header.split()
    if not parts or parts[0].lower() != b"bearer":
        return None
    if len(parts) != 2:
        raise InvalidToken("not one token after Bearer")
    return parts[1].decode("latin-1")


def verify_now(raw: str) -> VerifiedToken:
    """Check a token as received, by all the rules of docs/api.md section 2 and the keys on hand.

    Raises `ExpiredToken` when its time has passed, `SignedOut`, `InvalidToken` for everything else that is wrong
    with it (`NoKeyFits` where newer keys might do), and `KeysUnavailable` where there are none.
    """
    digest = sha256(raw.encode("utf-8", "surrogatepass")).digest()
    known = _known.get(digest)
    if known is not None and known.grounds == _grounds(published=known.published):
        if time.time() >= known.token.expires_at:
            raise ExpiredToken
        if sign_outs.moments and sign_outs.include(known.token):
            raise SignedOut
        return known.token
    header = read_header(raw)
    # Before the check: keys that are fetched meanwhile make the entry outdated, never the reverse.
    grounds = _grounds(published=header.published)
    token = check(raw, header)
    if None not in grounds and _size(token) <= MAX_TEXT:
        with _lock:
            if len(_known) >= MAX_KNOWN:
                del _known[next(iter(_known))]  # the oldest entry
            _known[digest] = KnownToken(token, header.published, grounds)
    if sign_outs.include(token):
        raise SignedOut
    return token


async def verify_async(raw: str) -> VerifiedToken:
    """The same, where a token that no key fits waits for newer keys, on the event loop.

    It is refused once a fetch has ended that started after it came: at once, or when the cooldown is
    over. Where there are no keys at all and the cooldown bars a fetch, nobody waits: "try again later"
    is as good. Raises what `verify_now` does.
    """
    if not sign_outs.asked:
        await asyncio.to_thread(sign_outs.begin)
    needed: int | None = None
    while True:
        try:
            return verify_now(raw)
        except (NoKeyFits, KeysUnavailable) as refusal:
            keys = key_set(conf.jwks_url)
            needed = keys.started + 1 if needed is None else needed
            resting = keys.started == keys.ended and keys.cooldown > 0
            if refusal.fetches >= needed or (resting and isinstance(refusal, KeysUnavailable)):
                raise
            try:
                await keys.fetched(refusal.fetches, refusal.kid)
            except TimeoutError:
                raise refusal from None


def verify(raw: str) -> VerifiedToken:
    """The same for a thread without an event loop, which waits itself."""
    if not sign_outs.asked:
        sign_outs.begin()
    try:
        return verify_now(raw)
    except (NoKeyFits, KeysUnavailable):
        return async_to_sync(verify_async)(raw)


def _size(token: VerifiedToken) -> int:
    return sum(map(sys.getsizeof, (token.user.id, token.user.email, token.user.name)))


def _grounds(*, published: bool) -> tuple[object, ...]:
    """Everything but the clock that the verification of such a token depends on."""
    pinned = (*conf.pinned(published=published), settings.BETTER_AUTH_LEEWAY)
    if not published:
        return (*conf.secrets, *pinned)
    snapshot = key_set(url).snapshot() if (url := conf.jwks_url) else None
    return (snapshot and snapshot.keys, *pinned)
