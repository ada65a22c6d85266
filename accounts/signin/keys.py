"""Published keys: which entries of a JWK set (RFC 7517) may verify tokens, and by which algorithms.

With `tokens` the only module that knows PyJWT.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from accounts.signin.errors import FetchError

MAX_KEYS = 100
MINIMUM_RSA_BITS = 2048  # RFC 7518 section 3.3

# One kind of key for each algorithm (RFC 7518 section 3.1, RFC 8037, RFC 9864).
EDDSA_NAMES = frozenset({"EdDSA", "Ed25519"})
ALGORITHMS_BY_CURVE = {
    "Ed25519": EDDSA_NAMES,
    "P-256": frozenset({"ES256"}),
    "P-384": frozenset({"ES384"}),
    "P-521": frozenset({"ES512"}),
}
RSA_ALGORITHMS = frozenset({"RS256", "PS256"})
PUBLISHED_ALGORITHMS = frozenset[str]().union(*ALGORITHMS_BY_CURVE.values(), RSA_ALGORITHMS)

# The members that make up each kind of public key (RFC 7518 section 6). Nothing else of a JWK is
# loaded, least of all the private members that a misconfigured server might publish.
_PUBLIC_MEMBERS = {"OKP": ("crv", "x"), "EC": ("crv", "x", "y"), "RSA": ("n", "e")}

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
    kid = entry.get("kid")
    algorithms = _algorithms_of(entry)
    members = _PUBLIC_MEMBERS.get(str(entry.get("kty")))
    operations = entry.get("key_ops", ["verify"])
    if (
        not isinstance(kid, str | None)
        or not algorithms
        or members is None
        or entry.get("use", "sig") != "sig"
        or not isinstance(operations, list)
        or "verify" not in operations
    ):
        return None
    public = {"kty": entry["kty"], **{member: entry.get(member) for member in members}}
    try:
        # PyJWK knows only the older name; for loading a key the names are the same.
        name = "EdDSA" if algorithms == EDDSA_NAMES else min(algorithms)
        key = jwt.PyJWK.from_dict(public, algorithm=name).key
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError, KeyError):
        return None
    if isinstance(key, RSAPublicKey) and key.key_size < MINIMUM_RSA_BITS:
        return None
    return PublishedKey(kid, key, algorithms)


def _algorithms_of(entry: Mapping[str, Any]) -> frozenset[str]:
    """What a key may be used with: what its kind allows, narrowed down to its `alg` if it has one."""
    possible = (
        RSA_ALGORITHMS
        if entry.get("kty") == "RSA"
        else ALGORITHMS_BY_CURVE.get(str(entry.get("crv")), frozenset())
    )
    declared = entry.get("alg")
    if declared is None or (possible == EDDSA_NAMES and declared in EDDSA_NAMES):
        return possible
    return possible & {declared} if isinstance(declared, str) else frozenset()
