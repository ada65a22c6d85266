"""System checks for sign-in: one per way of getting `BETTER_AUTH_*` wrong (docs/api.md section 1)."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from accounts.signin.conf import MINIMUM_SECRET_BYTES, conf, origin_of, parse_rotated_secrets
from accounts.signin.tokens import is_usable_secret

GENERATE = "Generate one with `openssl rand -base64 32` and give it to both servers."

# Secrets that everybody can look up: ours in `.env.example`, and Better Auth's built-in default.
PLACEHOLDER_SECRETS = frozenset(
    {
        "replace-this-with-the-secret-of-your-better-auth-server",
        "replace-this-with-a-long-random-string",
        "better-auth-secret-12345678901234567890",
        "better-auth-secret-123456789",
    }
)


def is_placeholder(secret: str) -> bool:
    """Whether a secret was copied from an example rather than generated."""
    return secret.strip().lower() in PLACEHOLDER_SECRETS


@register
def check_something_is_configured(**kwargs: Any) -> Iterator[CheckMessage]:
    if not (
        settings.BETTER_AUTH_SECRET
        or settings.BETTER_AUTH_SECRETS
        or settings.BETTER_AUTH_URL
        or settings.BETTER_AUTH_JWKS_URL
    ):
        yield Error(
            "No way to verify tokens is configured: BETTER_AUTH_SECRET, BETTER_AUTH_SECRETS and "
            "BETTER_AUTH_URL are all unset.",
            hint="Set BETTER_AUTH_SECRET to the secret of your Better Auth server, or "
            "BETTER_AUTH_URL to its base URL if it uses the jwt plugin.",
            id="accounts.E001",
        )


@register
def check_secrets(**kwargs: Any) -> Iterator[CheckMessage]:
    rotated = parse_rotated_secrets(settings.BETTER_AUTH_SECRETS)
    named = [("BETTER_AUTH_SECRET", secret) for secret in [settings.BETTER_AUTH_SECRET] if secret]
    named += [("BETTER_AUTH_SECRETS", secret) for secret in rotated.secrets]
    refused, level = (Warning, "W") if settings.DEBUG else (Error, "E")
    for variable, secret in named:
        if is_placeholder(secret):
            problem = f"{variable} holds a placeholder that everybody can look up."
            yield refused(problem, hint=GENERATE, id=f"accounts.{level}002")
        elif len(secret.encode("utf-8", "surrogateescape")) < MINIMUM_SECRET_BYTES:
            problem = (
                f"{variable} holds a secret shorter than {MINIMUM_SECRET_BYTES} bytes, which can "
                "be guessed from one token."
            )
            yield refused(problem, hint=GENERATE, id=f"accounts.{level}003")
        elif not is_usable_secret(secret):
            problem = (
                f"{variable} holds no text that can be a shared secret: a PEM or SSH key, or bytes "
                "that are not UTF-8."
            )
            yield Error(problem, hint=GENERATE, id="accounts.E008")
    for mistake in rotated.mistakes:
        yield Error(
            f"BETTER_AUTH_SECRETS is malformed: {mistake}.",
            hint="Write it as Better Auth does, current secret first: 2:new,1:old",
            id="accounts.E004",
        )


@register
def check_urls(**kwargs: Any) -> Iterator[CheckMessage]:
    for variable in ("BETTER_AUTH_URL", "BETTER_AUTH_JWKS_URL"):
        url = getattr(settings, variable)
        if not url:
            continue
        origin = origin_of(url)
        if not origin.startswith(("http://", "https://")):
            yield Error(
                f"{variable} is not an http or https URL.",
                hint="Write scheme, host and, where needed, port: https://auth.example.com",
                id="accounts.E005",
            )
        elif origin.startswith("http://") and not settings.DEBUG and not _is_loopback(origin):
            yield Warning(
                f"{variable} is a plain http URL: whoever sits between the servers can put "
                "another key in place of the published one.",
                hint="Use https.",
                id="accounts.W006",
            )


@register
def check_published_keys_are_pinned(**kwargs: Any) -> Iterator[CheckMessage]:
    if conf.jwks_url and not (conf.issuer and conf.audience):
        yield Error(
            "BETTER_AUTH_JWKS_URL is set, but not which issuer and audience its tokens must name.",
            hint="Set BETTER_AUTH_URL, or both BETTER_AUTH_ISSUER and BETTER_AUTH_AUDIENCE.",
            id="accounts.E007",
        )


def _is_loopback(origin: str) -> bool:
    host = urlsplit(origin).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # another name
        return False
