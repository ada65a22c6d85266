"""System checks for sign-in: one per way of getting `BETTER_AUTH_*` wrong (docs/api.md section 1)."""

import zlib
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from accounts.signin.conf import (
    MINIMUM_SECRET_BYTES,
    conf,
    listed,
    origin_of,
    parse_rotated_secrets,
)
from accounts.signin.tokens import is_usable_secret

STRENGTH = 16  # bytes; RFC 2104 section 3 wants keys that are random, and 128 bits are out of reach

GENERATE = "Generate one with `openssl rand -base64 32` and give it to both servers."

# Secrets that everybody can look up: ours in `.env.example`, and Better Auth's built-in default.
PLACEHOLDER_SECRETS = {
    "replace-this-with-the-secret-of-your-better-auth-server",
    "replace-this-with-a-long-random-string",
    "better-auth-secret-12345678901234567890",
    "better-auth-secret-123456789",
}

THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def is_placeholder(secret: str) -> bool:
    """Whether a secret was copied from an example rather than generated."""
    return secret.strip().lower() in PLACEHOLDER_SECRETS


def is_weak(secret: str) -> bool:
    """Whether a secret follows a pattern, so that 128 bits are enough to write it down.

    Such as one letter again and again, `abcabc…`, `1234567890…`, a word that is repeated, the
    alphabet. Of a short text it is always true, and of a random key of 128 bits or more never.
    """
    raw = secret.encode("utf-8", "surrogateescape")
    steps = bytes((after - before) % 256 for before, after in pairwise(raw))  # all 1 in `abcd…`
    return min(_deflated_size(raw), _deflated_size(steps)) <= STRENGTH


def _deflated_size(content: bytes) -> int:
    """The size in bytes that DEFLATE (RFC 1951), which writes a repetition once, brings it to."""
    compressor = zlib.compressobj(level=9, wbits=-zlib.MAX_WBITS)  # without header and checksum
    return len(compressor.compress(content) + compressor.flush())


@register
def check_keys(**kwargs: Any) -> Iterator[CheckMessage]:
    ways = ("BETTER_AUTH_SECRET", "BETTER_AUTH_SECRETS", "BETTER_AUTH_URL", "BETTER_AUTH_JWKS_URL")
    if not any(getattr(settings, way) for way in ways):
        yield Error(
            "No way to verify tokens is configured: BETTER_AUTH_SECRET, BETTER_AUTH_SECRETS and "
            "BETTER_AUTH_URL are all unset.",
            hint="Set BETTER_AUTH_SECRET to the secret of your Better Auth server, or "
            "BETTER_AUTH_URL to its base URL if it uses the jwt plugin.",
            id="accounts.E001",
        )
    if conf.jwks_url and not all(conf.pinned(published=True)):
        yield Error(
            "BETTER_AUTH_JWKS_URL is set, but not which issuer and audience its tokens must name.",
            hint="Set BETTER_AUTH_URL, or both BETTER_AUTH_ISSUER and BETTER_AUTH_AUDIENCE.",
            id="accounts.E007",
        )


@register
def check_secrets(**kwargs: Any) -> Iterator[CheckMessage]:
    rotated, mistakes = parse_rotated_secrets(settings.BETTER_AUTH_SECRETS)
    single = [settings.BETTER_AUTH_SECRET] if settings.BETTER_AUTH_SECRET else []
    refused, level = (Warning, "W") if settings.DEBUG else (Error, "E")
    named = [("BETTER_AUTH_SECRET", secret) for secret in single]
    for variable, secret in (*named, *(("BETTER_AUTH_SECRETS", secret) for secret in rotated)):
        if is_placeholder(secret):
            problem = f"{variable} holds a placeholder that everybody can look up."
            yield refused(problem, hint=GENERATE, id=f"accounts.{level}002")
        elif len(secret.encode("utf-8", "surrogateescape")) < MINIMUM_SECRET_BYTES:
            problem = f"{variable} holds a secret shorter than {MINIMUM_SECRET_BYTES} bytes."
            yield refused(problem, hint=GENERATE, id=f"accounts.{level}003")
        elif not is_usable_secret(secret):
            problem = f"{variable} holds a PEM or SSH key, or bytes that are not UTF-8."
            yield Error(problem, hint=GENERATE, id="accounts.E008")
        elif is_weak(secret):
            problem = f"{variable} holds a secret that follows a pattern and can be guessed."
            yield refused(problem, hint=GENERATE, id=f"accounts.{level}009")
    for mistake in mistakes:
        yield Error(
            f"BETTER_AUTH_SECRETS is malformed: {mistake}.",
            hint="Write it as Better Auth does, current secret first: 2:new,1:old",
            id="accounts.E004",
        )


@register
def check_urls(**kwargs: Any) -> Iterator[CheckMessage]:
    for variable in ("BETTER_AUTH_URL", "BETTER_AUTH_JWKS_URL"):
        origin = urlsplit(origin_of(getattr(settings, variable)))
        if getattr(settings, variable) and origin.scheme not in ("http", "https"):
            yield Error(
                f"{variable} is not an http or https URL.",
                hint="Write scheme, host and, where needed, port: https://auth.example.com",
                id="accounts.E005",
            )
        elif origin.scheme == "http" and not (settings.DEBUG or origin.hostname in THIS_MACHINE):
            problem = (
                f"{variable} is a plain http URL: whoever sits in between can replace the keys."
            )
            yield Warning(problem, hint="Use https.", id="accounts.W006")
    for variable in ("BETTER_AUTH_ISSUER", "BETTER_AUTH_AUDIENCE"):
        if getattr(settings, variable) and not listed(getattr(settings, variable)):
            yield Error(
                f"{variable} is a list without an entry.",
                hint="Write what tokens may name, with commas in between, or leave it out.",
                id="accounts.E010",
            )
