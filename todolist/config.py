"""The environment and `.env`, read through django-environ.

One mistake must not hide the next: the default takes the place of a value that cannot be understood,
and `todolist.checks` reports all of them together.
"""

import hashlib
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import environ

from accounts.signin.conf import origin_of
from tasks.push.vapid import private_key

Value = TypeVar("Value")

# An entry of `.env` as `dotenv` 16 and Next.js read it, whose pattern this is but for blank lines in it.
_ENTRY = re.compile(
    r"[^\S\n]*(?:export[^\S\n]+)?([\w.-]+)(?:[^\S\n]*=[^\S\n]*|:[^\S\n]+)"
    r"('(?:\\'|[^'])*'|\"(?:\\\"|[^\"])*\"|`(?:\\`|[^`])*`|[^#\n]+)?[^\S\n]*(#.*)?$",
    re.ASCII | re.MULTILINE,
)
_NO_ENTRY = re.compile(r"([^\S\n]*(?:#.*)?)(.*)")
_QUOTES = ("'", '"', "`")
_TRUE = environ.Env.BOOLEAN_TRUE_STRINGS
_FALSE = ("0", "false", "no", "n", "off")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]+)?/?")
_CONNECTION = {"ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS"}
_BEFORE_THE_QUERY = {"user", "password", "port", "dbname"}  # redaction looks for a password there
# Sizes of its own caches, for poolers, mean nothing to libpq.
_OF_ASYNCPG = {"ssl": "sslmode", "timeout": "connect_timeout"}
_OF_ASYNCPG |= {"statement_cache_size": "", "prepared_statement_cache_size": ""}
_SSL_MODES = {"true": "require", "1": "require", "false": "disable", "0": "disable"}
_REDIS_OPTION = re.compile(
    "db|health_check_interval|retry_on_timeout|socket_(connect_timeout|keepalive|timeout)"
)


class Mistake(ValueError):
    """What is wrong with a variable, what to do about it, and the id of the system check.

    Never holds the value, which may be secret.
    """

    variable = ""

    def __init__(self, problem: str, hint: str, id: str) -> None:
        super().__init__(problem)
        self.problem, self.hint, self.id = problem, hint, id


class Environment:
    """The variables of docs/api.md section 1, typed. A variable wins over its line in `.env`.

    A variable that is set to nothing counts as not set.
    """

    def __init__(self, env_file: Path) -> None:
        self.mistakes: list[Mistake] = []
        text = ""
        try:
            text = env_file.read_text("utf-8-sig") if env_file.exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            problem = f"cannot be read ({type(error).__name__})"
            self._note(".env", Mistake(problem, "Save it as UTF-8.", "todolist.E011"))
        for name, value in self._entries(text).items():
            environ.Env.ENVIRON.setdefault(name, value)

    def _entries(self, text: str) -> dict[str, str]:
        """Names and values of a `.env`; what is said twice counts as it is said last."""
        found = {}
        place = 0
        while place < len(text):
            number = text.count("\n", 0, place) + 1
            if entry := _ENTRY.match(text, place):
                name, value, comment = entry.groups(default="")
                found[name] = _unquoted(value.strip())
                if comment and value[-1:] not in ("", " ", "\t", *_QUOTES):
                    problem = f"has a # without a blank before it on line {number}: a comment begins there"
                    hint = "If it is a part of the value, write quotes around that; else a blank before it."
                    self._note(".env", Mistake(problem, hint, "todolist.W025"))
            elif (entry := _NO_ENTRY.match(text, place)) and entry[2]:
                problem = f"holds a line {number} that is not NAME=value"
                hint = "A name has letters, digits and underscores; a comment begins with #."
                self._note(".env", Mistake(problem, hint, "todolist.E011"))
            assert entry  # noqa: S101  the second pattern fits everything
            place = entry.end() + 1
        return found

    def text(self, name: str, default: str = "") -> str:
        """The value as it is. (`Env.str` would take a leading `$` for another variable's name.)"""
        return str(environ.Env.ENVIRON.get(name) or default)

    def flag(self, name: str, *, default: bool) -> bool:
        return self._parsed(name, self.text(name), _flag, default)

    def whole_number(self, name: str, default: int, *, at_least: int = 0, at_most: int) -> int:

        def parse(text: str) -> int:
            if re.fullmatch("[0-9]{1,9}", text) and at_least <= int(text) <= at_most:
                return int(text)
            hint = f"Leave it out for the default, {default}."
            problem = f"is not a whole number from {at_least} to {at_most}"
            raise Mistake(problem, hint, "todolist.E002")

        return self._parsed(name, self.text(name), parse, default)

    def choice(self, name: str, words: tuple[str, ...]) -> str:
        """One of `words`, in any case; the first is the default."""

        def parse(text: str) -> str:
            if text.lower() in words:
                return text.lower()
            raise Mistake("is none of its values", f"Write {' or '.join(words)}.", "todolist.E020")

        return self._parsed(name, self.text(name), parse, words[0])

    def items(self, name: str, default: str = "") -> tuple[str, ...]:
        """A comma-separated list without repetitions; spaces around the commas do not matter."""
        parts = (part.strip() for part in self.text(name, default).split(","))
        return tuple(dict.fromkeys(part for part in parts if part))

    def origins(self, name: str, default: str) -> tuple[str, ...]:
        """A list of browser origins, as a browser writes them in `Origin` (RFC 6454 section 6.2)."""
        found = (
            self._parsed(name, text, partial(_origin, place), "")
            for place, text in enumerate(self.items(name, default), start=1)
        )
        return tuple(filter(None, found))

    def database(self, name: str, default: str) -> dict[str, Any]:
        """An entry of Django's `DATABASES`; the dummy engine where the URL cannot be used."""
        unusable = {"ENGINE": "django.db.backends.dummy"}
        return self._parsed(name, self.text(name, default), _database, unusable)

    def redis_url(self, name: str) -> str:
        """A URL for redis-py; "" where none is set, or where it cannot be used."""
        return self._parsed(name, self.text(name), _redis_url, "")

    def vapid_key(self, name: str) -> str:
        """A private key for Web Push; "" where none is set, or where it cannot be used."""
        return self._parsed(name, self.text(name), _vapid_key, "")

    def vapid_subject(self, name: str) -> str:
        """Whom push services may write to; "" where nobody is named, or where it cannot be used."""
        return self._parsed(name, self.text(name), _vapid_subject, "")

    def _parsed(self, name: str, text: str, parse: Callable[[str], Value], default: Value) -> Value:
        """What `parse` makes of a text; `default` for none, and for one that it cannot use."""
        try:
            return parse(text.strip()) if text.strip() else default
        except Mistake as mistake:
            self._note(name, mistake)
            return default

    def _note(self, variable: str, mistake: Mistake) -> None:
        mistake.variable = variable
        self.mistakes.append(mistake)


def _unquoted(value: str) -> str:
    """A value without the quotes around it; in double ones `\\n` and `\\r` are line ends."""
    inside = value[1:-1] if len(value) > 1 and value[0] == value[-1] in _QUOTES else value
    return inside.replace(r"\n", "\n").replace(r"\r", "\r") if value[:1] == '"' else inside


def _flag(text: str) -> bool:
    if text.lower() in (*_TRUE, *_FALSE):
        return text.lower() in _TRUE
    raise Mistake("is neither true nor false", "Write True or False.", "todolist.E001")


def _origin(place: int, text: str) -> str:
    if text == "*":
        hint = "Name the origins of your pages: https://app.example.com"
        raise Mistake("allows every origin (*)", hint, "todolist.E003")
    if _ORIGIN.fullmatch(text.lower()) and (origin := origin_of(text)):
        return origin
    hint = "An origin is scheme, host and, where needed, port: https://app.example.com"
    raise Mistake(f"holds an entry {place} that is not an origin", hint, "todolist.E004")


def _database(url: str) -> dict[str, Any]:
    """For PostgreSQL or SQLite. What is wrong with the values of options, the drivers say."""
    scheme, separator, rest = url.partition("://")
    # SQLAlchemy appends the driver, as in postgresql+asyncpg://; Django brings its own.
    family = scheme.lower().partition("+")[0]
    config: dict[str, Any] = {}
    if separator and family in ("postgres", "postgresql", "sqlite"):
        with suppress(ValueError, LookupError):
            config = environ.Env.db_url_config(f"{family}://{rest}")
    if not config.get("NAME"):
        problem = "is not a database URL that this project supports"
        hint = "Write postgresql://user:password@host:5432/name or sqlite:////absolute/path."
        raise Mistake(problem, hint, "todolist.E005")
    options = config["OPTIONS"] = _in_words_of_libpq(config.get("OPTIONS", {}))
    refused = {name.lower() for name in config.keys() - _CONNECTION}  # of Django's
    refused |= options.keys() & _BEFORE_THE_QUERY if family != "sqlite" else options.keys()
    hint = "After the ? come libpq's connection parameters, such as sslmode=require; for SQLite nothing."
    _refuse(refused, hint, "todolist.E021")
    return config


def _in_words_of_libpq(options: dict[str, Any]) -> dict[str, Any]:
    """The same options, where asyncpg, SQLAlchemy's driver, has other words for them."""
    found = {_OF_ASYNCPG.get(name, name): value for name, value in options.items()}
    found.pop("", None)
    if "ssl" in options:
        found["sslmode"] = _SSL_MODES.get(str(options["ssl"]).lower(), options["ssl"])
    return found


def _redis_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("redis", "rediss") or parts.port == 0 or not parts.hostname:
            raise ValueError("address")
        if parts.fragment or not re.fullmatch(r"(/[0-9]{0,9})?", parts.path):
            raise ValueError("database")
    except ValueError:
        hint = "Write redis://host:6379/0, or rediss:// for TLS."
        raise Mistake("is not a Redis URL", hint, "todolist.E006") from None
    refused = (
        option
        for option in parse_qs(parts.query, keep_blank_values=True)
        if not _REDIS_OPTION.fullmatch(option)
        and not (parts.scheme == "rediss" and option.startswith("ssl_"))
    )
    hint = (
        "After the ? may come db, health_check_interval, retry_on_timeout, socket_connect_timeout, "
        "socket_keepalive, socket_timeout, and with rediss:// what begins with ssl_."
    )
    _refuse(refused, hint, "todolist.E022")
    return url


def _vapid_key(text: str) -> str:
    try:
        private_key(text)
    except ValueError:
        hint = "Print one with: python manage.py make_vapid_key"
        problem = "is not the private key of P-256 in 32 bytes of base64url"
        raise Mistake(problem, hint, "todolist.E026") from None
    return text


def _vapid_subject(text: str) -> str:
    if re.fullmatch(r"mailto:[!-~]+@[!-~]+|https://[!-~]+", text):
        return text
    hint = "Write mailto:somebody@example.com, or https:// and where one can be reached."
    raise Mistake("is neither a mailto: nor an https: URL", hint, "todolist.E027")


def _refuse(options: Iterable[str], hint: str, id: str) -> None:
    if named := ", ".join(map(ascii, sorted(options))):
        raise Mistake(f"has options that cannot be used: {named}", hint, id)


def name_in_redis(redis_url: str, database: str) -> str:
    """The prefix of this deployment's channels and keys in a Redis that others may use too.

    From what all its processes share; channels, unlike keys, are not kept apart by Redis' numbers.
    """
    number = urlsplit(redis_url).path.strip("/") or "0"
    return "todolist-" + hashlib.sha256(f"{number}/{database}".encode()).hexdigest()[:16]
