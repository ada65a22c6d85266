"""This server's key, by which push services tell it from others (RFC 8292)."""

import re
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    derive_private_key,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings

PERIOD = 3600  # seconds that a token is used; services want no new one for each message
GOOD_FOR = 12 * 3600  # seconds; a day at most, says RFC 8292

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+={0,2}", re.ASCII)


def decoded(text: str) -> bytes:
    """The bytes of base64url, padded or not. Raises `ValueError` for anything else."""
    if not _BASE64URL.fullmatch(text):
        raise ValueError("no base64url")
    text = text.rstrip("=")
    found = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encoded(found) != text:  # bits left over at the end
        raise ValueError("no base64url")
    return found


def encoded(raw: bytes) -> str:
    """Bytes in base64url without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


@lru_cache(maxsize=8)
def private_key(text: str) -> EllipticCurvePrivateKey:
    """The key that `VAPID_PRIVATE_KEY` holds. Raises `ValueError` for what is none."""
    raw = decoded(text)
    if len(raw) != 32:
        raise ValueError("not 32 bytes")
    return derive_private_key(int.from_bytes(raw), SECP256R1())


def new_private_key() -> str:
    number = generate_private_key(SECP256R1()).private_numbers().private_value
    return encoded(number.to_bytes(32))


def public_key() -> str:
    """The key that browsers subscribe with (`applicationServerKey`)."""
    public = private_key(settings.VAPID_PRIVATE_KEY).public_key()
    return encoded(public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


def authorization(origin: str) -> str:
    """The value of `Authorization` for a push service."""
    period = int(time.time()) // PERIOD
    token = _token(settings.VAPID_PRIVATE_KEY, settings.VAPID_SUBJECT, origin, period)
    return f"vapid t={token}, k={public_key()}"


@lru_cache(maxsize=1024)
def _token(key: str, subject: str, origin: str, period: int) -> str:
    claims: dict[str, object] = {"aud": origin, "exp": period * PERIOD + GOOD_FOR}
    if subject:
        claims["sub"] = subject
    return jwt.encode(claims, private_key(key), algorithm="ES256")
