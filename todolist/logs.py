"""Keeps tokens out of every log line, whoever writes it (contract section 2)."""

import logging
import re
from typing import Any

REDACTED = "[redacted]"

_SECRETS = re.compile(
    r"(?P<query>\btoken=)[^&\s\"'#]+"  # ?token=… in access logs
    r"|(?P<scheme>\bbearer[\s,]+)[^\s\"',]+"  # header values, and offered subprotocols
    r"|(?P<account>://)[^/\s:@]*:[^/\s@]+(?=@)"  # the password in a URL
    r"|eyJ[\w-]*\.[\w-]+\.[\w-]*",  # a JWT anywhere: its header starts with {"
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """`text` without anything that looks like a token."""
    return _SECRETS.sub(
        lambda match: (match["query"] or match["scheme"] or match["account"] or "") + REDACTED,
        text,
    )


class RedactingFormatter(logging.Formatter):
    """Redacts the finished line, with its arguments, traceback and all."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def redact_daphne_access_log() -> None:
    """Make daphne's access log redact as well.

    It writes to its stream directly, past `logging`, and has no setting for what it writes.
    """
    from daphne.access import AccessLogGenerator

    if getattr(AccessLogGenerator.write_entry, "redacts", False):
        return
    write_entry = AccessLogGenerator.write_entry

    def write_redacted_entry(self: Any, host: Any, date: Any, request: str, **rest: Any) -> None:
        write_entry(self, host, date, redact(request), **rest)

    write_redacted_entry.redacts = True  # type: ignore[attr-defined]
    AccessLogGenerator.write_entry = write_redacted_entry
