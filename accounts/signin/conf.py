"""A typed, lazy view of the settings that concern sign-in (docs/api.md section 1).

Read at every use, so that overriding a setting in a test simply works.
"""

from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from django.conf import settings

MINIMUM_SECRET_BYTES = 32  # RFC 7518 section 3.2: an HS256 key is at least as long as its hash.


class RotatedSecrets(NamedTuple):
    """What `BETTER_AUTH_SECRETS` holds: the secrets, the current one first, and its mistakes."""

    secrets: tuple[str, ...]
    mistakes: tuple[str, ...]


@lru_cache(maxsize=8)
def parse_rotated_secrets(text: str) -> RotatedSecrets:
    """Read Better Auth's rotation form, `2:new,1:old`.

    The mistakes name an entry by its place, never by its content, which is secret.
    """
    secrets: list[str] = []
    mistakes: list[str] = []
    versions: set[str] = set()
    for place, entry in enumerate(text.split(",") if text.strip() else [], start=1):
        version, colon, secret = (part.strip() for part in entry.partition(":"))
        if not (colon and secret and version.isascii() and version.isdigit()):
            mistakes.append(f"entry {place} is not of the form <version>:<secret>")
        elif version in versions:
            mistakes.append(f"entry {place} repeats the version number {version}")
        else:
            versions.add(version)
            secrets.append(secret)
    return RotatedSecrets(tuple(secrets), tuple(mistakes))


def origin_of(url: str) -> str:
    """The origin (scheme, host, port) of a URL as a browser writes it; "" where it has none.

    RFC 6454 section 6.2: in lower case, without the port that the scheme implies.
    """
    try:
        parts = urlsplit(url.strip())
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        return ""
    if not scheme or not host:
        return ""
    if ":" in host:
        host = f"[{host}]"
    implied = {"http": 80, "https": 443}.get(scheme)
    return f"{scheme}://{host}" + (f":{port}" if port and port != implied else "")


class BetterAuthConf:
    """The settings named `BETTER_AUTH_*`, in the form the verifier needs."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every shared secret that is accepted; the one to sign with comes first."""
        rotated = parse_rotated_secrets(settings.BETTER_AUTH_SECRETS).secrets
        single = settings.BETTER_AUTH_SECRET
        return rotated if not single or single in rotated else (*rotated, single)

    @property
    def jwks_url(self) -> str:
        """Where the published keys are; "" when tokens of the jwt plugin are not accepted."""
        origin = origin_of(settings.BETTER_AUTH_URL)
        derived = f"{origin}/api/auth/jwks" if origin else ""
        return str(settings.BETTER_AUTH_JWKS_URL or derived)

    @property
    def issuer(self) -> str:
        """The `iss` of tokens signed with a published key."""
        return str(settings.BETTER_AUTH_ISSUER or origin_of(settings.BETTER_AUTH_URL))

    @property
    def audience(self) -> str:
        """The `aud` of tokens signed with a published key."""
        return str(settings.BETTER_AUTH_AUDIENCE or origin_of(settings.BETTER_AUTH_URL))

    @property
    def shared_secret_issuer(self) -> str:
        """The `iss` of tokens signed with the shared secret; "" when it is not checked."""
        return str(settings.BETTER_AUTH_ISSUER)

    @property
    def shared_secret_audience(self) -> str:
        """The `aud` of tokens signed with the shared secret; "" when it is not checked."""
        return str(settings.BETTER_AUTH_AUDIENCE)

    @property
    def leeway(self) -> int:
        """Seconds by which `iat` and `nbf` may lie ahead of this server's clock."""
        return int(settings.BETTER_AUTH_LEEWAY)


conf = BetterAuthConf()
