"""The cache of verified tokens: a signature is checked once, not with every request."""

import threading
import time
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from asgiref.sync import sync_to_async

from accounts.signin.conf import conf
from accounts.signin.errors import ExpiredToken, MustWait
from accounts.signin.keyset import key_set
from accounts.signin.tokens import VerifiedToken, check, read_header

MAX_KNOWN = 10_000  # tokens; about 500 bytes each


class KnownToken(NamedTuple):
    """A token that was found good, and on what grounds."""

    token: VerifiedToken
    published: bool  # signed with a published key, not with the shared secret
    grounds: Sequence[object]


_known: dict[bytes, KnownToken] = {}  # by SHA-256: the tokens themselves are not kept
_lock = threading.Lock()


def verify(raw: str, *, wait: bool = True) -> VerifiedToken:
    """Check a token as received, by all the rules of docs/api.md section 2.

    Raises `ExpiredToken` when its time has passed, `InvalidToken` for everything else that is wrong
    with it, and `KeysUnavailable` where the keys to check it with cannot be had. Where that would
    take waiting for the network and `wait` is false, raises `MustWait`.
    """
    digest = sha256(raw.encode("utf-8", "surrogatepass")).digest()
    known = _known.get(digest)
    if known is not None and known.grounds == _grounds(published=known.published):
        if time.time() >= known.token.expires_at:
            raise ExpiredToken
        return known.token
    header = read_header(raw)
    # Before the check: keys that are fetched meanwhile make the entry outdated, never the reverse.
    grounds = _grounds(published=header.published)
    token = check(raw, header, wait=wait)
    if all(ground is not None for ground in grounds):
        with _lock:
            if len(_known) >= MAX_KNOWN:
                del _known[next(iter(_known))]  # the oldest entry
            _known[digest] = KnownToken(token, header.published, grounds)
    return token


async def verify_async(raw: str) -> VerifiedToken:
    """`verify` for the event loop, which it leaves only to wait for published keys.

    So requests with made-up key ids wait among themselves, and take no thread from the others.
    """
    try:
        return verify(raw, wait=False)
    except MustWait:
        return await sync_to_async(verify, thread_sensitive=False)(raw)


def _grounds(*, published: bool) -> Sequence[object]:
    """Everything but the clock that the verification of such a token depends on.

    An entry counts for as long as its grounds are equal to these: once a secret is rotated, or the
    keys are fetched again (every few minutes, `keyset`), the signature is checked again. `None`
    stands for keys that have not been fetched yet.
    """
    if published:
        url = conf.jwks_url
        snapshot = key_set(url).snapshot() if url else None
        return (snapshot, conf.issuer, conf.audience, conf.leeway)
    return (*conf.secrets, conf.shared_secret_issuer, conf.shared_secret_audience, conf.leeway)
