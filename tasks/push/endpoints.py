"""The URL of a push service for one subscription: a capability, which reaches no log."""

import re
from typing import NamedTuple

from django.conf import settings

LONGEST = 2048  # characters; browsers' have 150 to 700

_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>(?:[/?][\x21\x24-\x5b\x5d-\x7e]*)?)",  # no quotes, #, backslash
    re.ASCII | re.IGNORECASE,
)


class Endpoint(NamedTuple):
    """Where a push is sent: the parts of a URL."""

    scheme: str
    host: str  # without the brackets of IPv6
    port: int
    target: str  # path and query

    @property
    def authority(self) -> str:
        """Host and, where it is not the usual one, port, as `Host` names them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = 443 if self.scheme == "https" else 80
        return host if self.port == usual else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"


def parse(url: str) -> Endpoint | None:
    """The parts of an endpoint; `None` for one that may not be used (docs/api.md section 9).

    That is what is no plain URL: with a fragment, a user, a blank; and, but for `DEBUG`, without TLS.
    """
    match = _URL.fullmatch(url)
    if match is None or len(url) > LONGEST:
        return None
    scheme = match["scheme"].lower()
    if scheme != "https" and not settings.DEBUG:
        return None
    port = int(match["port"] or (443 if scheme == "https" else 80))
    if not 0 < port < 65536:
        return None
    target = match["target"]
    target = target if target.startswith("/") else f"/{target}"
    return Endpoint(scheme, match["host"].strip("[]").lower(), port, target)
