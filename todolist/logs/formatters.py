"""Keeps tokens and secrets out of every log line, whoever writes it (docs/api.md section 2)."""

import html
import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from math import isfinite
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from accounts.signin.conf import conf

REDACTED = "[redacted]"

_NAMES = r"(?:token|secret|password|authorization|cookie|sessionid)"
_SHAPES = re.compile(
    rf"({_NAMES}=)[^&\s\"'#<>]+"  # ?token=… in access logs
    r"|(\bbearer[\s,]+)[^\s\"',<>]+"  # header values, and offered subprotocols
    r"|(://)[^/\s:@]*:[^/\s@]+(?=@)"  # the password in a URL
    # An item of a printed dictionary or of a list of headers.
    rf"|([\"'][\w-]*{_NAMES}[\"']\s*[:,]\s*[\[(]?\s*b?)(?:\"[^\"]*\"|'[^']*')"
    r"|eyJ[\w-]*\.[\w-]+\.[\w-]*",  # a JWT anywhere: its header starts with {"
    re.IGNORECASE,
)
_SECRET_NAME = re.compile(_NAMES, re.IGNORECASE)

SHORTEST = 8  # characters; shorter secrets would be found inside ordinary words


def redact(text: str, *more: str) -> str:
    """`text` without anything that looks like a token or password, our own secrets, and `more`."""
    if known := _pattern_of((*_configured_secrets(), *more)):
        text = known.sub(REDACTED, text)
    return _SHAPES.sub(rf"\1\2\3\4{REDACTED}", text)


def _configured_secrets() -> Iterator[str]:
    yield from conf.secrets
    yield settings.BETTER_AUTH_SECRETS
    yield secret_key()
    for database in settings.DATABASES.values():
        yield database.get("PASSWORD") or ""
    yield urlsplit(settings.REDIS_URL).password or ""


def secret_key() -> str:
    try:
        return settings.SECRET_KEY
    except ImproperlyConfigured:  # Django refuses to hand out an empty one
        return ""


@lru_cache(maxsize=64)
def _pattern_of(secrets: tuple[str, ...]) -> re.Pattern[str] | None:
    """Finds these secrets as whole words, plain or as URLs, HTML and `repr` escape them."""
    spellings = {
        spelling
        for secret in secrets
        for plain in (secret, unquote(secret))
        for spelling in (plain, repr(plain)[1:-1], html.escape(plain), quote(plain, safe=""))
        if len(secret) >= SHORTEST
    }
    if not spellings:
        return None
    longest_first = sorted(spellings, key=len, reverse=True)
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(map(re.escape, longest_first))})(?![^\W_])")


def drop_misfitting_arguments(record: logging.LogRecord) -> None:
    """Drop arguments that do not fit the message: `logging` would print them to stderr as they are."""
    try:
        record.getMessage()
    except Exception:  # noqa: BLE001  whatever the arguments' own code raises
        record.msg = f"{record.msg!s} (its arguments do not fit)"
        record.args = None


class RedactingFormatter(logging.Formatter):
    """Redacts the finished line, with its arguments, traceback and all."""

    def format(self, record: logging.LogRecord) -> str:
        drop_misfitting_arguments(record)
        return redact(super().format(record))


class JSONFormatter(RedactingFormatter):
    """One JSON object a line (`LOG_FORMAT=json`), with whatever was logged as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        drop_misfitting_arguments(record)
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        line = {
            **extra,
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = record.stack_info
        return json.dumps(_without_secrets(line))


# What every record has; the rest came as `extra`.
_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}
_DEEPEST = 6  # containers within each other; deeper ones are redacted as text


def _without_secrets(value: Any, depth: int = 0) -> Any:
    """`value` as plain JSON: strings redacted, and items with a secret's name replaced whole."""
    if value is None or isinstance(value, int) or (isinstance(value, float) and isfinite(value)):
        return value
    if isinstance(value, dict) and depth < _DEEPEST:
        return {
            redact(str(name)): REDACTED
            if _SECRET_NAME.search(str(name))
            else _without_secrets(item, depth + 1)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset) and depth < _DEEPEST:
        return [_without_secrets(_named(item), depth + 1) for item in value]
    try:
        return redact(str(value))
    except Exception:  # noqa: BLE001  an object that cannot be printed must not lose the line
        return f"<{type(value).__name__}>"


def _named(item: Any) -> Any:
    """A pair of a name and a value, as in a list of headers, as a dictionary of one."""
    match item:
        case (str() as name, value):
            return {name: value}
        case (bytes() as name, value):
            return {name.decode("latin-1"): value}
    return item
