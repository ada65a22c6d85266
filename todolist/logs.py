"""Keeps tokens out of every log line, whoever writes it (contract section 2)."""

import logging
import re

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
