"""Reads the environment and `.env`, and remembers what was wrong instead of raising.

A mistake must not hide the next one: every value that cannot be understood is noted under its
variable's name, a harmless value stands in, and `todolist.checks` reports them all together.
"""

import hashlib
import io
import re
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import environ
import redis.asyncio
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo, PGconn

from accounts.signin.conf import origin_of
from todolist.logs.formatters import redact

TRUE_WORDS = frozenset({"1", "true", "yes", "y", "on", "ok"})
FALSE_WORDS = frozenset({"0", "false", "no", "n", "off"})


_ENV_LINE = re.compile(r"#|(export )?[A-Za-z_0-9]+=")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]+)?")

# What the URL says before its ?, or what names another place to read it from.
IN_THE_URL = {"user", "password", "port", "dbname", "hostaddr", "service", "servicefile"}
WHOLE_NUMBERS = {
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
}
REDIS_OPTIONS = {
    "db",
    "health_check_interval",
    "retry_on_timeout",
    "socket_connect_timeout",
    "socket_keepalive",
    "socket_timeout",
}


def name_in_redis(redis_url: str, database: str) -> str:
    """What this deployment's channels and keys start with in a Redis that others may use too.

    Redis keeps the keys of its numbered databases apart, but whoever listens to a channel hears
    what is said in all of them. All processes of a deployment know the number and the name of
    their database alike; they may reach the hosts by different names.
    """
    number = urlsplit(redis_url).path.strip("/") or "0"
    return "todolist-" + hashlib.sha256(f"{number}/{database}".encode()).hexdigest()[:16]


class Mistake(NamedTuple):
    """One variable that could not be understood; never holds the value, which may be secret."""

    variable: str
    problem: str
    hint: str
    id: str


class Environment:
    """The variables of contract section 1, typed. The environment wins over the file."""

    def __init__(self, env_file: Path) -> None:
        self.mistakes: list[Mistake] = []
        try:
            lines = env_file.read_text("utf-8-sig").splitlines()
        except FileNotFoundError:
            lines = []
        except (OSError, UnicodeDecodeError) as error:
            lines = []
            self._note(
                ".env",
                f"cannot be read ({type(error).__name__})",
                "Save it as UTF-8.",
                "todolist.E011",
            )
        for number, line in enumerate(lines, start=1):
            # django-environ would skip such a line, or print it, secret and all.
            if line.strip() and not _ENV_LINE.match(line):
                self._note(
                    ".env",
                    f"holds a line {number} that is not NAME=value",
                    "Write no spaces around the equals sign.",
                    "todolist.E011",
                )
        environ.Env.read_env(io.StringIO("\n".join(filter(_ENV_LINE.match, lines))))

    def text(self, name: str, default: str = "") -> str:
        """The value as it is. (`Env.str` would take a leading `$` for another variable's name.)"""
        return str(environ.Env.ENVIRON.get(name) or default)

    def flag(self, name: str, *, default: bool) -> bool:
        word = self.text(name).strip().lower()
        if not word:
            return default
        if word not in TRUE_WORDS | FALSE_WORDS:
            self._note(name, "is neither true nor false", "Write True or False.", "todolist.E001")
            return default
        return word in TRUE_WORDS

    def whole_number(self, name: str, default: int, *, at_most: int) -> int:
        """A number from 0 to `at_most`."""
        text = self.text(name).strip()
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= at_most):
            self._note(
                name,
                f"is not a whole number from 0 to {at_most}",
                f"Leave it out for the default, {default}.",
                "todolist.E002",
            )
            return default
        return int(text)

    def choice(self, name: str, words: tuple[str, ...]) -> str:
        """One of `words`; the first where nothing is said."""
        word = self.text(name).strip().lower() or words[0]
        if word not in words:
            self._note(
                name, "is none of its values", f"Write {' or '.join(words)}.", "todolist.E020"
            )
            return words[0]
        return word

    def items(self, name: str, default: str = "") -> tuple[str, ...]:
        """A comma-separated list; spaces around the commas do not matter."""
        parts = (part.strip() for part in self.text(name, default).split(","))
        return tuple(dict.fromkeys(part for part in parts if part))

    def origins(self, name: str, default: str) -> tuple[str, ...]:
        """A list of browser origins, as a browser writes them in `Origin` (RFC 6454 section 7)."""
        return tuple(
            origin for item in self.items(name, default) if (origin := self._origin(name, item))
        )

    def _origin(self, name: str, item: str) -> str:
        if item == "*":
            self._note(
                name,
                "allows every origin (*)",
                "Name the origins of your pages: https://app.example.com",
                "todolist.E003",
            )
        elif (
            not _ORIGIN.fullmatch(origin := origin_of(item.lower()))
            or "@" in item
            or (any(urlsplit(item)[2:]) and urlsplit(item)[2:] != ("/", "", ""))
        ):
            self._note(
                name,
                f"holds {redact(item)!r}, which is not an origin",
                "An origin is scheme, host and, where needed, port: https://app.example.com",
                "todolist.E004",
            )
        else:
            return origin
        return ""

    def database(self, name: str, default: str) -> dict[str, Any]:
        """A database for Django's `DATABASES`; one that refuses to work where the URL is wrong."""
        url, _, query = self.text(name, default).strip().partition("?")
        scheme, separator, rest = url.partition("://")
        # SQLAlchemy appends the driver, as in postgresql+asyncpg://; Django brings its own.
        family = scheme.lower().partition("+")[0]
        family = "postgres" if family == "postgresql" else family
        try:
            if not separator or family not in ("postgres", "sqlite"):
                raise ValueError("scheme")
            config: dict[str, Any] = environ.Env.db_url_config(f"{family}://{rest}")
            if not config.get("NAME"):
                raise ValueError("name")
        except (ValueError, LookupError):
            self._note(
                name,
                "is not a database URL that this project supports",
                "Write postgresql://user:password@host:5432/name or sqlite:////absolute/path.",
                "todolist.E005",
            )
            return {"ENGINE": "django.db.backends.dummy"}
        options = dict(parse_qsl(query, keep_blank_values=True))
        if family == "postgres":
            if (age := options.pop("conn_max_age", None)) is not None:
                config["CONN_MAX_AGE"] = int(age) if age.isdecimal() else age  # todolist.E009
            if cursors := options.pop("disable_server_side_cursors", None):
                config["DISABLE_SERVER_SIDE_CURSORS"] = cursors.lower() in TRUE_WORDS
            options = _in_words_of_libpq(options)
            refused = _refused_by_libpq(options)
        else:
            refused = set(options)  # settings.py says how SQLite is used
        if refused:
            self._note(
                name,
                f"has options that cannot be used: {', '.join(map(ascii, sorted(refused)))}",
                "After the ? come libpq's connection parameters, such as sslmode=require; "
                "for SQLite nothing.",
                "todolist.E021",
            )
        elif options:
            config["OPTIONS"] = options
        return config

    def redis_url(self, name: str) -> str:
        url = self.text(name).strip()
        if not url:
            return ""
        try:
            parts = urlsplit(url)
            if parts.scheme not in ("redis", "rediss") or parts.port == 0 or not parts.hostname:
                raise ValueError("address")
            if parts.fragment or not re.fullmatch(r"(/[0-9]{0,9})?", parts.path):
                raise ValueError("database")
        except ValueError:
            self._note(
                name,
                "is not a Redis URL",
                "Write redis://host:6379/0, or rediss:// for TLS.",
                "todolist.E006",
            )
            return ""
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        tls = parts.scheme == "rediss"
        refused = {option for option in options if not _known_to_redis(option, tls=tls)}
        if not refused:
            try:
                # They connect to nothing yet, but say what they cannot make sense of.
                redis.ConnectionPool.from_url(url).make_connection()
                redis.asyncio.ConnectionPool.from_url(url).make_connection()  # type: ignore[no-untyped-call]
            except (TypeError, ValueError, redis.RedisError):
                refused = set(options)
        if refused:
            self._note(
                name,
                f"has options that cannot be used: {', '.join(map(ascii, sorted(refused)))}",
                f"After the ? may come {', '.join(sorted(REDIS_OPTIONS))}, and with rediss:// what "
                "begins with ssl_.",
                "todolist.E022",
            )
            return ""
        return url

    def _note(self, variable: str, problem: str, hint: str, id: str) -> None:
        self.mistakes.append(Mistake(variable, problem, hint, id))


def _in_words_of_libpq(options: dict[str, str]) -> dict[str, str]:
    """The same options, where SQLAlchemy's drivers have other words for them."""
    options = dict(options)
    ssl = options.pop("ssl", None)  # asyncpg's name for sslmode
    if ssl is not None:
        words = {"true": "require", "1": "require", "false": "disable", "0": "disable"}
        options.setdefault("sslmode", words.get(ssl.lower(), ssl))
    if "timeout" in options:  # asyncpg's too
        options.setdefault("connect_timeout", options.pop("timeout"))
    for cache in ("prepared_statement_cache_size", "statement_cache_size"):
        if options.get(cache) == "0":  # Django prepares no statements anyway
            del options[cache]
    return options


def _refused_by_libpq(options: dict[str, str]) -> set[str]:
    """The options that it does not know, or whose values it does not understand."""
    known = {default.keyword.decode() for default in Conninfo.get_defaults()} - IN_THE_URL
    refused = {
        option
        for option, value in options.items()
        if option not in known or not _understood_by_libpq({option: value})
    }
    if not refused and not _understood_by_libpq(options):
        return set(options)  # each for itself, but not together
    return refused


def _understood_by_libpq(options: dict[str, str]) -> bool:
    if any("\0" in value for value in options.values()) or not all(
        re.fullmatch(r"[0-9]{1,9}", options[option]) for option in WHOLE_NUMBERS & options.keys()
    ):
        return False
    # It goes through all of its options before it looks for a server; where this points, is none.
    nowhere = {**options, "host": "/nonexistent", "user": "x", "dbname": "x"}
    attempt = PGconn.connect(make_conninfo("", **nowhere).encode())
    try:
        return b"/nonexistent" in attempt.error_message
    finally:
        attempt.finish()


def _known_to_redis(option: str, *, tls: bool) -> bool:
    return option in REDIS_OPTIONS or (tls and option.startswith("ssl_"))
