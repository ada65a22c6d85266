"""Messages that only one browser can read (RFC 8291): a single record of `aes128gcm` (RFC 8188)."""

import os

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

RECORD = 4096  # bytes of a message that every push service takes (RFC 8030 section 7.2)
SALT, KEY, TAG = 16, 65, 16  # bytes
HEAD = SALT + 4 + 1 + KEY  # salt, size of a record, length of a key, that key
LARGEST = RECORD - HEAD - 1 - TAG  # bytes of a text; one says that it is the last record


def point(raw: bytes) -> EllipticCurvePublicKey:
    """A browser's public key. Raises `ValueError` for what is no uncompressed point of P-256."""
    if len(raw) != KEY:
        raise ValueError("not 65 bytes")
    return EllipticCurvePublicKey.from_encoded_point(SECP256R1(), raw)


def encrypt(
    text: bytes,
    receiver: bytes,
    secret: bytes,
    *,
    sender: EllipticCurvePrivateKey | None = None,
    salt: bytes | None = None,
) -> bytes:
    """The body of a push; `receiver` and `secret` are `p256dh` and `auth` of the subscription.

    `sender` and `salt` are new ones for each message, but where a test compares with an example.
    """
    sender = sender or generate_private_key(SECP256R1())
    salt = salt or os.urandom(SALT)
    public = sender.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    shared = sender.exchange(ECDH(), point(receiver))
    material = _derived(shared, secret, b"WebPush: info\0" + receiver + public, 32)
    key = _derived(material, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derived(material, salt, b"Content-Encoding: nonce\0", 12)
    head = salt + RECORD.to_bytes(4) + len(public).to_bytes(1) + public
    return head + AESGCM(key).encrypt(nonce, text + b"\x02", None)


def _derived(material: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt, info).derive(material)
