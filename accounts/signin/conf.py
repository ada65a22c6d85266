"""The settings named `BETTER_AUTH_*` in the form the verifier needs (docs/api.md section 1).

Read at every use, so that tests can override settings.
"""

from functools import lru_cache
from urllib.parse import urlsplit

from django.conf import settings

MINIMUM_SECRET_BYTES = 32  # RFC 7518 section 3.2: an HS256 key is at least as long as its hash


@lru_cache(maxsize=8)
def parse_rotated_secrets(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read Better Auth's rotation form, `2:new,1:old`: the secrets, and the mistakes.

    The mistakes name an entry by its place, never by its content, which is secret.
    """
    secrets: dict[str, str] = {}  # by version
    mistakes = []
    for place, entry in enumerate(text.split(",") if text.strip() else [], start=1):
        version, _, secret = (part.strip() for part in entry.partition(":"))
        if not (secret and version.isascii() and version.isdigit()):
            mistakes.append(f"entry {place} is not of the form <version>:<secret>")
        elif version in secrets:
            mistakes.append(f"entry {place} repeats the version number {version}")
        else:
            secrets[version] = secret
    return tuple(secrets.values()), tuple(mistakes)


@lru_cache(maxsize=32)
def origin_of(url: str) -> str:
    """The origin of a URL as a browser writes it (RFC 6454 section 6.2); "" where it has none."""
    try:
        parts = urlsplit(url.strip())
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        return ""
    if not scheme or not host:
        return ""
    host = f"[{host}]" if ":" in host else host
    implied = {"http": 80, "https": 443}.get(scheme)
    return f"{scheme}://{host}" + (f":{port}" if port and port != implied else "")


@lru_cache(maxsize=8)
def jwks_url_of(url: str) -> str:
    """Where the Better Auth server of this base URL publishes its keys; "" for no URL.

    Below the base URL, which is `/api/auth` of the origin where it has no path of its own.
    """
    if not (origin := origin_of(url)):
        return ""
    return f"{origin}{urlsplit(url.strip()).path.rstrip('/') or '/api/auth'}/jwks"


@lru_cache(maxsize=8)
def listed(text: str) -> tuple[str, ...]:
    """The entries of a comma-separated list."""
    return tuple(filter(None, (entry.strip() for entry in text.split(","))))


class BetterAuthConf:
    @property
    def secrets(self) -> tuple[str, ...]:
        """Every shared secret that is accepted; the one to sign with comes first."""
        rotated, _ = parse_rotated_secrets(settings.BETTER_AUTH_SECRETS)
        single = settings.BETTER_AUTH_SECRET
        return rotated if not single or single in rotated else (*rotated, single)

    @property
    def jwks_url(self) -> str:
        """Where the published keys are; "" when tokens of the jwt plugin are not accepted."""
        return settings.BETTER_AUTH_JWKS_URL or jwks_url_of(settings.BETTER_AUTH_URL)

    def pinned(self, *, published: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What `iss` and `aud` of a token may be, by its kind of key; none where that is anything."""
        derived = listed(origin_of(settings.BETTER_AUTH_URL)) if published else ()
        issuers, audiences = settings.BETTER_AUTH_ISSUER, settings.BETTER_AUTH_AUDIENCE
        return listed(issuers) or derived, listed(audiences) or derived


conf = BetterAuthConf()
