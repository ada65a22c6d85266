"""What the values of variables mean: each function takes a text, without blanks around it.

All of them raise `Unusable` for a text that they cannot use. Options after the `?` of a URL are
taken over by name; what is wrong with their values, the drivers say.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import environ

from accounts.signin.conf import origin_of

TRUE_WORDS = environ.Env.BOOLEAN_TRUE_STRINGS
FALSE_WORDS = ("0", "false", "no", "n", "off")

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]+)?")
_CONNECTION = {"ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS"}
_DATABASE_SETTINGS = {"CONN_MAX_AGE", "DISABLE_SERVER_SIDE_CURSORS"}  # of Django, as ?name=value
_BEFORE_THE_QUERY = {"user", "password", "port", "dbname"}  # redaction looks for a password there
_SSL_MODES = {"true": "require", "1": "require", "false": "disable", "0": "disable"}
_REDIS_OPTION = re.compile(
    "db|health_check_interval|retry_on_timeout|socket_(connect_timeout|keepalive|timeout)"
)


class Unusable(ValueError):
    """A value cannot be used: the problem, what to do about it, and the id of the system check."""

    def __init__(self, problem: str, hint: str, id: str) -> None:
        super().__init__(problem)
        self.problem, self.hint, self.id = problem, hint, id


def flag(text: str) -> bool:
    if text.lower() in (*TRUE_WORDS, *FALSE_WORDS):
        return text.lower() in TRUE_WORDS
    raise Unusable("is neither true nor false", "Write True or False.", "todolist.E001")


def whole_number_up_to(at_most: int, default: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if re.fullmatch("[0-9]{1,9}", text) and int(text) <= at_most:
            return int(text)
        hint = f"Leave it out for the default, {default}."
        raise Unusable(f"is not a whole number from 0 to {at_most}", hint, "todolist.E002")

    return parse


def one_of(words: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() in words:
            return text.lower()
        raise Unusable("is none of its values", f"Write {' or '.join(words)}.", "todolist.E020")

    return parse


def origin_at(place: int) -> Callable[[str], str]:
    """For an entry of a list: the origin as a browser writes it (RFC 6454 section 6.2)."""

    def parse(text: str) -> str:
        if text == "*":
            hint = "Name the origins of your pages: https://app.example.com"
            raise Unusable("allows every origin (*)", hint, "todolist.E003")
        if _ORIGIN.fullmatch(text.lower().removesuffix("/")) and (origin := origin_of(text)):
            return origin
        hint = "An origin is scheme, host and, where needed, port: https://app.example.com"
        raise Unusable(f"holds an entry {place} that is not an origin", hint, "todolist.E004")

    return parse


def database_url(url: str) -> dict[str, Any]:
    """An entry of Django's `DATABASES`, for PostgreSQL or SQLite."""
    scheme, separator, rest = url.partition("://")
    # SQLAlchemy appends the driver, as in postgresql+asyncpg://; Django brings its own.
    family = scheme.lower().partition("+")[0]
    try:
        if not separator or family not in ("postgres", "postgresql", "sqlite"):
            raise ValueError("scheme")
        config: dict[str, Any] = environ.Env.db_url_config(f"{family}://{rest}")
        if not config.get("NAME"):
            raise ValueError("name")
    except (ValueError, LookupError):
        raise Unusable(
            "is not a database URL that this project supports",
            "Write postgresql://user:password@host:5432/name or sqlite:////absolute/path.",
            "todolist.E005",
        ) from None  # it may hold a password
    options = config.pop("OPTIONS", {})
    refused = {name.lower() for name in config.keys() - _CONNECTION - _DATABASE_SETTINGS}
    if family == "sqlite":  # settings.py says how SQLite is used
        refused |= options.keys()
    elif options := _in_words_of_libpq(options):
        config["OPTIONS"] = options
        refused |= options.keys() & _BEFORE_THE_QUERY
    if "DISABLE_SERVER_SIDE_CURSORS" in config:
        text = str(config["DISABLE_SERVER_SIDE_CURSORS"])
        config["DISABLE_SERVER_SIDE_CURSORS"] = text.lower() in TRUE_WORDS
    _refuse(
        refused,
        "After the ? come libpq's connection parameters, such as sslmode=require; "
        "for SQLite nothing.",
        "todolist.E021",
    )
    return config


def _in_words_of_libpq(options: dict[str, Any]) -> dict[str, Any]:
    """The same options, where SQLAlchemy's drivers have other words for them."""
    options = dict(options)
    if "ssl" in options:  # asyncpg's name for sslmode
        mode = str(options.pop("ssl"))
        options.setdefault("sslmode", _SSL_MODES.get(mode.lower(), mode))
    if "timeout" in options:  # asyncpg's too
        options.setdefault("connect_timeout", options.pop("timeout"))
    for cache in ("prepared_statement_cache_size", "statement_cache_size"):
        if options.get(cache) == 0:  # meant for asyncpg behind a pooler; unknown to libpq
            del options[cache]
    return options


def redis_url(url: str) -> str:
    """The URL itself, for redis-py."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("redis", "rediss") or parts.port == 0 or not parts.hostname:
            raise ValueError("address")
        if parts.fragment or not re.fullmatch(r"(/[0-9]{0,9})?", parts.path):
            raise ValueError("database")
    except ValueError:
        hint = "Write redis://host:6379/0, or rediss:// for TLS."
        raise Unusable("is not a Redis URL", hint, "todolist.E006") from None
    tls = parts.scheme == "rediss"
    _refuse(
        (
            option
            for option in parse_qs(parts.query, keep_blank_values=True)
            if not (_REDIS_OPTION.fullmatch(option) or (tls and option.startswith("ssl_")))
        ),
        "After the ? may come db, health_check_interval, retry_on_timeout, "
        "socket_connect_timeout, socket_keepalive, socket_timeout, and with rediss:// what begins "
        "with ssl_.",
        "todolist.E022",
    )
    return url


def _refuse(options: Iterable[str], hint: str, id: str) -> None:
    if named := ", ".join(map(ascii, sorted(options))):
        raise Unusable(f"has options that cannot be used: {named}", hint, id)
