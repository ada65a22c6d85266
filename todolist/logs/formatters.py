"""Keeps tokens and secrets out of every log line, whoever writes it (docs/api.md section 2).

Records are cleaned where they are made: servers bring handlers and formatters of their own, and put them
in the place of those of `settings.LOGGING`.
"""

import json
import logging
import logging.config
import re
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from todolist.logs import request_ids
from todolist.logs.redaction import (
    LONGEST_TRACEBACK,
    NAMES,
    REDACTED,
    cut_and_redact,
    redact,
)

__all__ = ["CleanRecord", "JSONFormatter", "RedactingFormatter", "configure", "redact"]

_SECRET_NAME = re.compile(NAMES, re.IGNORECASE)
# What would begin another line, turn the direction of writing, or tell a terminal to do something.
_CONTROLS = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
_WITHIN_A_LINE = re.compile(rf"[\t\n{_CONTROLS}]")
_WITHIN_A_TRACEBACK = re.compile(rf"[{_CONTROLS}]")


LONGEST_REFUSAL = 500  # characters of what is said of a request that was wrong


def configure(config: dict[str, Any]) -> None:
    """Django's `LOGGING_CONFIG`: as by default, and clean records whichever handler gets them."""
    logging.config.dictConfig(config)
    logging.setLogRecordFactory(CleanRecord)


def clean(record: logging.LogRecord) -> None:
    """Take secrets, control characters and undue length out of what a record says.

    Arguments that are clean stay what they are, for formatters that ask for them.
    """
    if (message := _message(record)) != (said := on_one_line(message)):
        if isinstance(record.args, tuple):
            record.args = tuple(map(_clean_argument, record.args))
        if _message(record) != said:
            record.msg, record.args = said, None
    if _is_refusal(record):
        record.exc_info = None
        record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
        if len(said) > LONGEST_REFUSAL:
            record.msg, record.args = f"{said[:LONGEST_REFUSAL]}…", None
    if record.exc_info and not record.exc_text:
        record.exc_text = _indented(logging.Formatter().formatException(record.exc_info))
    if record.stack_info:
        record.stack_info = _indented(record.stack_info)


class CleanRecord(logging.LogRecord):
    """A record that is clean from the start."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        clean(self)
        if request_id := request_ids.current.get():
            self.request_id = redact(request_id)  # which a client may have made of its token


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001  whatever the arguments' own code raises
        # `logging` would print them to stderr as they are.
        record.msg, record.args = f"{record.msg!s} (its arguments do not fit)", None
        return record.getMessage()


def _is_refusal(record: logging.LogRecord) -> bool:
    """Whether it is about a request that was wrong, not this server: a traceback would tell nothing."""
    return record.name.startswith("django.security.") or (
        record.name == "django.request" and record.levelno < logging.ERROR
    )


def _clean_argument(value: Any) -> Any:
    if value is None or isinstance(value, int | float):
        return value
    text = str(value)
    said = on_one_line(text)
    return value if said == text else said


def on_one_line(text: str) -> str:
    return _WITHIN_A_LINE.sub(_escaped, cut_and_redact(text))


def _indented(text: str) -> str:
    """Lines that cannot be taken for other records, whatever is quoted in them."""
    clean = cut_and_redact(text, LONGEST_TRACEBACK)
    return _WITHIN_A_TRACEBACK.sub(_escaped, clean).replace("\n", "\n  ")


def _escaped(control: re.Match[str]) -> str:
    return control[0].encode("unicode_escape").decode()


class RedactingFormatter(logging.Formatter):
    """For records that were made elsewhere as well."""

    def format(self, record: logging.LogRecord) -> str:
        if not isinstance(record, CleanRecord):
            clean(record)
        return super().format(record)


class JSONFormatter(RedactingFormatter):
    """One JSON object a line (`LOG_FORMAT=json`), with whatever was logged as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        if not isinstance(record, CleanRecord):
            clean(record)
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        line = {
            **_without_secrets(extra),
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_text:
            line["exception"] = record.exc_text
        if record.stack_info:
            line["stack"] = record.stack_info
        return json.dumps(line)


# What every record has, and uvicorn's message for terminals; the rest came as `extra`.
_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"}
_DEEPEST = 6  # containers within each other; deeper ones are redacted as text


def _without_secrets(value: Any, depth: int = 0) -> Any:
    """`value` as plain JSON: strings redacted, and items with a secret's name replaced whole."""
    if value is None or isinstance(value, int) or (isinstance(value, float) and isfinite(value)):
        return value
    if isinstance(value, dict) and depth < _DEEPEST:
        return {
            cut_and_redact(str(name)): REDACTED
            if _SECRET_NAME.search(str(name))
            else _without_secrets(item, depth + 1)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset) and depth < _DEEPEST:
        return [_without_secrets(_named(item), depth + 1) for item in value]
    try:
        return cut_and_redact(str(value))
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
