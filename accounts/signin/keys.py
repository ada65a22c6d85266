"""Published keys: which entries of a JWK set (RFC 7517) may verify tokens, and by which algorithms.

With `tokens` the only module that knows PyJWT.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from accounts.signin.errors import FetchError

MAX_KEYS = 100
MINIMUM_RSA_BITS = 2048  # RFC 7518 section 3.3

# For each kind of key its algorithms (RFC 7518 section 3.1, RFC 8037, RFC 9864), and the members of
# a JWK that make up its public half (RFC 7518 section 6). Nothing else of an entry is loaded, least
# of all the private members that a misconfigured server might publish.
_EDDSA = frozenset({"EdDSA", "Ed25519"})  # two names of one algorithm
_KINDS = {
    ("OKP", "Ed25519"): (_EDDSA, ("crv", "x")),
    ("EC", "P-256"): (frozenset({"ES256"}), ("crv", "x", "y")),
    ("EC", "P-384"): (frozenset({"ES384"}), ("crv", "x", "y")),
    ("EC", "P-521"): (frozenset({"ES512"}), ("crv", "x", "y")),
    ("RSA", ""): (frozenset({"RS256", "PS256"}), ("n", "e")),
}
PUBLISHED_ALGORITHMS = frozenset[str]().union(*(algorithms for algorithms, _ in _KINDS.values()))

# PyJWT knows Ed25519 only under its older name.
if "Ed25519" not in jwt.PyJWS().get_algorithms():
    jwt.register_algorithm("Ed25519", jwt.get_algorithm_by_name("EdDSA"))


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A public key, its id, and the algorithms it may be used with."""

    kid: str | None
    key: Any = field(repr=False)
    algorithms: frozenset[str]


def parse_keys(body: bytes) -> tuple[PublishedKey, ...]:
    """The usable keys of a JWK set; the others are skipped (RFC 7517 section 5).

    Raises `FetchError` where there is no such set, or no usable key in it.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FetchError("the answer is not JSON") from error
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise FetchError('the answer is not a key set: it has no list "keys"')
    keys = tuple(key for entry in entries[:MAX_KEYS] if (key := _load(entry)) is not None)
    if not keys:
        raise FetchError("the key set holds no usable key")
    return keys


def _load(entry: Any) -> PublishedKey | None:
    """The key in one entry of a set; `None` if it cannot verify tokens."""
    if not isinstance(entry, dict):
        return None
    kty, curve = str(entry.get("kty")), str(entry.get("crv"))
    algorithms, members = _KINDS.get((kty, "" if kty == "RSA" else curve), (frozenset(), ()))
    declared = entry.get("alg")
    if declared is not None and not (algorithms == _EDDSA and declared in ("EdDSA", "Ed25519")):
        algorithms = frozenset(name for name in algorithms if name == declared)
    kid, operations = entry.get("kid"), entry.get("key_ops", ["verify"])
    if (
        not algorithms
        or not isinstance(kid, str | None)
        or entry.get("use", "sig") != "sig"
        or not (isinstance(operations, list) and "verify" in operations)
    ):
        return None
    public = {"kty": kty, **{member: entry.get(member) for member in members}}
    try:
        # PyJWK knows only the older name; for loading a key the names are the same.
        name = "EdDSA" if algorithms == _EDDSA else min(algorithms)
        key = jwt.PyJWK.from_dict(public, algorithm=name).key
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError, KeyError):
        return None
    if isinstance(key, RSAPublicKey) and key.key_size < MINIMUM_RSA_BITS:
        return None
    return PublishedKey(kid, key, algorithms)
