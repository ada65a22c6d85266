"""Tokens put together by hand: what no signing library would make, but anybody can send."""

import hmac
import json
import time
from base64 import urlsafe_b64encode
from typing import Any

from conftest import ALICE, SECRET

NO_SIGNATURE = ""
GOOD_HEADER = {"alg": "HS256", "typ": "JWT"}
GOOD_CLAIMS = object()  # stands for the claims of a token made this moment


def base64url(data: bytes) -> str:
    """RFC 7515 section 2: without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def segment(content: object) -> str:
    """One part of a token: bytes as they are, anything else as JSON."""
    return base64url(content if isinstance(content, bytes) else json.dumps(content).encode())


def hs_signature(signing_input: str, *, key: str | bytes = SECRET, digest: str = "sha256") -> str:
    secret = key.encode() if isinstance(key, str) else key
    return base64url(hmac.digest(secret, signing_input.encode(), digest))


def good_claims(**claims: Any) -> dict[str, Any]:
    """The payload of a good token, but for what `claims` change."""
    now = int(time.time())
    return {"sub": ALICE, "iat": now, "exp": now + 3600, **claims}


def forge(
    payload: object = GOOD_CLAIMS,
    *,
    header: object = GOOD_HEADER,
    key: str | bytes = SECRET,
    digest: str = "sha256",
    signature: str | None = None,
) -> str:
    """A token with just these parts; truly signed unless `signature` says otherwise."""
    if payload is GOOD_CLAIMS:
        payload = good_claims()
    signing_input = f"{segment(header)}.{segment(payload)}"
    if signature is None:
        signature = hs_signature(signing_input, key=key, digest=digest)
    return f"{signing_input}.{signature}"


def forge_with_claim(name: str, json_text: str) -> str:
    """A truly signed token, one claim of which is this very JSON text."""
    claims = good_claims()
    claims.pop(name, None)
    rest = json.dumps(claims).removesuffix("}")
    return forge(f'{rest}, "{name}": {json_text}}}'.encode())
