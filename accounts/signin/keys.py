"""Published keys: which entries of a JWK set (RFC 7517) may verify tokens, and by which algorithms.

With `tokens` the only module that knows PyJWT.
"""

import json
from contextlib import suppress
from typing import Any, NamedTuple

import jwt

from accounts.signin.errors import FetchError

MAX_KEYS = 100
MINIMUM_RSA_BITS = 2048  # RFC 7518 section 3.3

# For each kind of key its algorithms (RFC 7518 section 3.1, RFC 8037, RFC 9864), and the members of
# a JWK that make up its public half (RFC 7518 section 6). Nothing else of an entry is loaded, least
# of all the private members that a misconfigured server might publish.
_EDDSA = frozenset({"EdDSA", "Ed25519"})  # two names of one algorithm
_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_KINDS = {
    ("OKP", "Ed25519"): (_EDDSA, ("crv", "x")),
    ("EC", "P-256"): (frozenset({"ES256"}), ("crv", "x", "y")),
    ("EC", "P-384"): (frozenset({"ES384"}), ("crv", "x", "y")),
    ("EC", "P-521"): (frozenset({"ES512"}), ("crv", "x", "y")),
    ("RSA", None): (_RSA, ("n", "e")),
}
PUBLISHED_ALGORITHMS = frozenset[str]().union(*(algorithms for algorithms, _ in _KINDS.values()))

with suppress(ValueError):  # once PyJWT knows Ed25519 under its newer name
    jwt.register_algorithm("Ed25519", jwt.get_algorithm_by_name("EdDSA"))


class PublishedKey(NamedTuple):
    """A public key, its id, and the algorithms it may be used with."""

    kid: str | None
    key: Any
    algorithms: frozenset[str]


def parse_keys(body: bytes) -> tuple[PublishedKey, ...]:
    """The usable keys of a JWK set; the others are skipped (RFC 7517 section 5).

    Raises `FetchError` where there is no such set, or no usable key in it.
    """
    try:
        entries = json.loads(body)["keys"][:MAX_KEYS]
    except (ValueError, RecursionError) as error:
        raise FetchError("the answer is not JSON") from error
    except (LookupError, TypeError) as error:
        raise FetchError('the answer is not a key set: it has no list "keys"') from error
    keys = tuple(filter(None, map(_load, entries)))
    if not keys:
        raise FetchError("the key set holds no usable key")
    return keys


def _load(entry: Any) -> PublishedKey | None:
    """The key in one entry of a set; `None` if it cannot verify tokens."""
    try:
        kty, kid, alg = entry["kty"], entry.get("kid"), entry.get("alg")
        algorithms, members = _KINDS[kty, None if kty == "RSA" else entry["crv"]]
        key = jwt.PyJWK({"kty": kty, **{member: entry[member] for member in members}}).key
        usable = (
            isinstance(kid, str | None)
            and (alg is None or alg in algorithms)
            and entry.get("use", "sig") == "sig"
            and "verify" in entry.get("key_ops", ["verify"])
            and (kty != "RSA" or key.key_size >= MINIMUM_RSA_BITS)
        )
    except (jwt.PyJWTError, LookupError, TypeError, ValueError, AttributeError):
        return None
    if not usable:
        return None
    return PublishedKey(kid, key, algorithms if alg in (None, *_EDDSA) else frozenset({alg}))
