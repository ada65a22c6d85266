"""A push service and the browsers behind it: real HTTP, messages decrypted, tokens verified.

Reads RFC 8291 and RFC 8188 by itself, with HKDF from `hmac`, rather than by what it tests.
"""

import hashlib
import hmac
import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock
from typing import Any, NamedTuple

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from accounts.tests.proxy import listening, wrap


def base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def raw_of(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def public_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def hkdf(salt: bytes, material: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869, where one block of output is enough."""
    pseudorandom = hmac.digest(salt, material, hashlib.sha256)
    return hmac.digest(pseudorandom, info + b"\x01", hashlib.sha256)[:length]


class Browser:
    """One that has subscribed, and can read what it is sent."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.auth = os.urandom(16)

    def subscription(self, endpoint: str, **more: Any) -> dict[str, Any]:
        """As `PushSubscription.toJSON` has it."""
        keys = {"p256dh": base64url(public_bytes(self.key)), "auth": base64url(self.auth)}
        return {"endpoint": endpoint, "expirationTime": None, "keys": keys, **more}

    def read(self, body: bytes) -> bytes:
        """The text of a message (RFC 8291 section 3.4, RFC 8188 section 2)."""
        assert len(body) <= 4096
        salt, size, length = body[:16], int.from_bytes(body[16:20]), body[20]
        sender, encrypted = body[21 : 21 + length], body[21 + length :]
        assert size <= 4096 and len(encrypted) <= size  # a single record
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
        shared = self.key.exchange(ec.ECDH(), point)
        info = b"WebPush: info\0" + public_bytes(self.key) + sender
        material = hkdf(self.auth, shared, info, 32)
        key = hkdf(salt, material, b"Content-Encoding: aes128gcm\0", 16)
        nonce = hkdf(salt, material, b"Content-Encoding: nonce\0", 12)
        padded = AESGCM(key).decrypt(nonce, encrypted, None).rstrip(b"\0")
        assert padded[-1:] == b"\x02"  # the last record
        return padded[:-1]


class Push(NamedTuple):
    """A request that came."""

    path: str
    headers: dict[str, str]
    body: bytes

    def verified(self, origin: str) -> tuple[dict[str, Any], str]:
        """The claims of its token, and the key that it is signed with (RFC 8292)."""
        scheme, _, parameters = self.headers["Authorization"].partition(" ")
        assert scheme == "vapid"
        said = dict(each.strip().split("=", 1) for each in parameters.split(","))
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw_of(said["k"]))
        claims: dict[str, Any] = jwt.decode(said["t"], key, algorithms=["ES256"], audience=origin)
        return claims, said["k"]


class ManyAtOnce(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True


class PushService:
    """Keeps what comes; answers 201, or what `statuses` has for a path."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.pushes: list[Push] = []
        self.statuses: dict[str, int] = {}
        self.headers: dict[str, str] = {}  # of the answers
        self.holds: dict[str, Event] = {}  # by path, until when it does not answer
        self.arrived: dict[str, Event] = {}  # by path, set when something comes
        self.at_once: Counter[str] = Counter()  # by path, at most
        self._present: Counter[str] = Counter()
        self._lock = Lock()
        self.http = ManyAtOnce(("127.0.0.1", 0), self._handler())
        if certificate:
            wrap(self.http, certificate)
        self.port = self.http.server_address[1]
        self.origin = f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with outer._lock:
                    outer._present[self.path] += 1
                    outer.at_once[self.path] = max(
                        outer.at_once[self.path], outer._present[self.path]
                    )
                    outer.pushes.append(Push(self.path, dict(self.headers.items()), body))
                if self.path in outer.arrived:
                    outer.arrived[self.path].set()
                if self.path in outer.holds:
                    outer.holds[self.path].wait(30)
                with outer._lock:
                    outer._present[self.path] -= 1
                with suppress(OSError):  # the client had enough
                    self.send_response(outer.statuses.get(self.path, 201))
                    for name, value in outer.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def do_GET(self) -> None:
                raise AssertionError("nobody asks for anything here")

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler

    def hold(self, path: str) -> Event:
        """Let nobody have an answer at this path until the event is set; tell when somebody came."""
        self.arrived[path] = Event()
        self.holds[path] = Event()
        return self.holds[path]

    def at(self, path: str) -> list[Push]:
        return [push for push in self.pushes if push.path == path]

    def read(self, path: str, browser: Browser) -> list[dict[str, Any]]:
        """What came at a path, as that browser reads it."""
        return [json.loads(browser.read(push.body)) for push in self.at(path)]


@contextmanager
def serving(certificate: Path | None = None) -> Iterator[PushService]:
    service = PushService(certificate)
    with listening(service.http):
        try:
            yield service
        finally:
            for held in service.holds.values():
                held.set()
