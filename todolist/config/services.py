"""What DATABASE_URL and REDIS_URL mean.

Options after the `?` are taken over by name; bad values of theirs are refused by the drivers.
"""

import hashlib
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import environ

_CONNECTION = {"ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS"}
_DATABASE_SETTINGS = {"CONN_MAX_AGE", "DISABLE_SERVER_SIDE_CURSORS"}  # of Django, as ?name=value
_SSL_MODES = {"true": "require", "1": "require", "false": "disable", "0": "disable"}
_REDIS_OPTION = re.compile(
    "db|health_check_interval|retry_on_timeout|socket_(connect_timeout|keepalive|timeout)"
)


def parse_database_url(url: str) -> tuple[dict[str, Any], set[str]]:
    """An entry of Django's `DATABASES`, and the names of options that cannot be used.

    Raises `ValueError` or `LookupError` for what is no URL of PostgreSQL or SQLite.
    """
    scheme, separator, rest = url.partition("://")
    # SQLAlchemy appends the driver, as in postgresql+asyncpg://; Django brings its own.
    family = scheme.lower().partition("+")[0]
    if not separator or family not in ("postgres", "postgresql", "sqlite"):
        raise ValueError("scheme")
    config: dict[str, Any] = environ.Env.db_url_config(f"{family}://{rest}")
    if not config.get("NAME"):
        raise ValueError("name")
    options = config.pop("OPTIONS", {})
    refused = {name.lower() for name in config.keys() - _CONNECTION - _DATABASE_SETTINGS}
    if (cursors := config.get("DISABLE_SERVER_SIDE_CURSORS")) is not None:
        config["DISABLE_SERVER_SIDE_CURSORS"] = (
            str(cursors).lower() in environ.Env.BOOLEAN_TRUE_STRINGS
        )
    if family == "sqlite":  # settings.py says how SQLite is used
        refused |= options.keys()
    elif options := _in_words_of_libpq(options):
        config["OPTIONS"] = options
    return config, refused


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


def parse_redis_url(url: str) -> tuple[str, set[str]]:
    """The URL, and the names of options in it that cannot be used.

    Raises `ValueError` for what is no URL of Redis.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss") or parts.port == 0 or not parts.hostname:
        raise ValueError("address")
    if parts.fragment or not re.fullmatch(r"(/[0-9]{0,9})?", parts.path):
        raise ValueError("database")
    tls = parts.scheme == "rediss"
    return url, {
        option
        for option in parse_qs(parts.query, keep_blank_values=True)
        if not (_REDIS_OPTION.fullmatch(option) or (tls and option.startswith("ssl_")))
    }


def name_in_redis(redis_url: str, database: str) -> str:
    """The prefix of this deployment's channels and keys in a Redis that others may use too.

    Redis keeps the keys of its numbered databases apart, but a subscriber to a channel receives
    what is published from any of them. The prefix is derived from the number and the name of the
    database, which all processes of a deployment share, and not from host names, which may differ.
    """
    number = urlsplit(redis_url).path.strip("/") or "0"
    return "todolist-" + hashlib.sha256(f"{number}/{database}".encode()).hexdigest()[:16]
