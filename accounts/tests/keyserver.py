"""A real key server on a real port, and the keys it publishes."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from accounts.tests.proxy import listening, wrap

RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
ALGORITHMS = ("EdDSA", "Ed25519", "ES256", "ES384", "ES512", *RSA)
CURVES: dict[str, Any] = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}


class SigningKey:
    """A private key, with the JWK that Better Auth would publish for it."""

    def __init__(self, algorithm: str = "EdDSA", kid: str | None = None, bits: int = 2048) -> None:
        self.algorithm = algorithm
        self.kid = kid or uuid4().hex
        self.private: Any
        if algorithm in CURVES:
            self.private = ec.generate_private_key(CURVES[algorithm]())
            jwk = ECAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        elif algorithm.startswith("Ed"):
            self.private = ed25519.Ed25519PrivateKey.generate()
            jwk = OKPAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        else:
            self.private = rsa.generate_private_key(65537, bits)
            jwk = RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
            jwk.pop("key_ops", None)
        self.jwk: dict[str, Any] = {**jwk, "alg": algorithm, "kid": self.kid}

    def sign(
        self, origin: str, sub: str = "alice", headers: dict[str, Any] | None = None, **claims: Any
    ) -> str:
        """A token as Better Auth's jwt plugin makes them: no `typ`, `iss` and `aud` its origin."""
        now = int(time.time())
        payload = {"sub": sub, "iat": now, "exp": now + 900, "iss": origin, "aud": origin, **claims}
        payload = {claim: value for claim, value in payload.items() if value is not None}
        header = {"kid": self.kid, **(headers or {})}
        header = {name: value for name, value in header.items() if value is not None}
        header.setdefault("typ", None)  # PyJWT's way of leaving it out
        return jwt.encode(payload, self.private, algorithm=self.algorithm, headers=header)


class KeyServer:
    """Publishes `keys` at `path`, or misbehaves as `mood` says; counts who asks."""

    def __init__(self, *keys: SigningKey, certificate: Path | None = None) -> None:
        self.keys = list(keys)
        self.path = "/api/auth/jwks"
        self.mood = "well"
        self.redirect = 302
        self.fetches = 0
        self.headers = Message()  # of the last one who asked
        self.clock_lead = 0  # seconds by which its clock is ahead of ours
        self.asked = Event()
        self.may_answer = Event()
        self.may_answer.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.fetches += 1
                outer.headers = self.headers
                outer.asked.set()
                outer.may_answer.wait(10)
                with suppress(OSError):  # the client had enough
                    outer.answer(self)

            def date_time_string(self, timestamp: float | None = None) -> str:
                return super().date_time_string(time.time() + outer.clock_lead)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        if certificate:
            wrap(self.http, certificate)
        scheme = "https" if certificate else "http"
        self.origin = f"{scheme}://127.0.0.1:{self.http.server_address[1]}"
        self.url = f"{self.origin}{self.path}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        published = json.dumps({"keys": [key.jwk for key in self.keys]}).encode()
        status, body = 200, published
        if handler.path not in (self.path, "/elsewhere"):
            status, body = 404, b"{}"
        elif self.mood == "redirecting" and handler.path != "/elsewhere":
            status, body = self.redirect, b""
        elif self.mood == "failing":
            status, body = 500, b"<h1>Oops</h1>"
        elif self.mood in BODIES:
            body = BODIES[self.mood]
        elif self.mood == "dripping headers":
            while True:  # never ends by itself
                handler.wfile.write(b"X")
                time.sleep(0.05)
        handler.send_response(status)
        if 300 <= status < 400:
            handler.send_header("Location", f"{self.origin}/elsewhere")
        if self.mood == "endless":
            handler.end_headers()
            while True:
                handler.wfile.write(b" " * 65536)
        if self.mood == "dripping":
            handler.end_headers()
            while True:
                handler.wfile.write(b" ")
                time.sleep(0.05)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


BODIES = {
    "HTML": b"<!doctype html><title>Sign in</title>",
    "garbage": b"\xff\xfe\x00{",
    "deep": b"[" * 100_000,
    "another document": b'{"issuer": "x"}',
    "no list": b'{"keys": {}}',
    "no keys": b'{"keys": []}',
    "useless keys": b'{"keys": [null, 1, {}, {"kty": "oct", "k": "AAAA", "alg": "HS256"}]}',
}


@contextmanager
def serving(*keys: SigningKey, certificate: Path | None = None) -> Iterator[KeyServer]:
    """A key server; with a certificate, and its key in the same file, over TLS."""
    server = KeyServer(*keys, certificate=certificate)
    with listening(server.http):
        try:
            yield server
        finally:
            server.may_answer.set()
