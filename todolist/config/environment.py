"""Reads the environment and `.env` through django-environ, and collects mistakes instead of raising.

One mistake must not hide the next: a value that cannot be understood is noted under its variable's
name, its default takes its place, and `todolist.checks` reports all of them together.
"""

import io
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import environ

from accounts.signin.conf import origin_of
from todolist.config.services import parse_database_url, parse_redis_url

Value = TypeVar("Value")

WORDS = dict.fromkeys(environ.Env.BOOLEAN_TRUE_STRINGS, True) | dict.fromkeys(
    ("0", "false", "no", "n", "off"), False
)
_ENV_LINE = re.compile(r"#|(export )?[A-Za-z_0-9]+=")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]+)?")


class Mistake(NamedTuple):
    """A variable that could not be understood; never holds its value, which may be secret."""

    variable: str
    problem: str
    hint: str
    id: str


class Environment:
    """The variables of contract section 1, typed. A variable wins over its line in `.env`.

    A variable that is set to nothing counts as not set.
    """

    def __init__(self, env_file: Path) -> None:
        self.mistakes: list[Mistake] = []
        lines: list[str] = []
        try:
            lines = env_file.read_text("utf-8-sig").splitlines()
        except FileNotFoundError:
            pass
        except (OSError, UnicodeDecodeError) as error:
            problem = f"cannot be read ({type(error).__name__})"
            self._note(".env", problem, "Save it as UTF-8.", "todolist.E011")
        for number, line in enumerate(lines, start=1):
            # django-environ would log such a line, secret and all.
            if line.strip() and not _ENV_LINE.match(line):
                problem = f"holds a line {number} that is not NAME=value"
                hint = "Write no spaces around the equals sign."
                self._note(".env", problem, hint, "todolist.E011")
        environ.Env.read_env(io.StringIO("\n".join(filter(_ENV_LINE.match, lines))))

    def text(self, name: str, default: str = "") -> str:
        """The value as it is. (`Env.str` would take a leading `$` for another variable's name.)"""
        return str(environ.Env.ENVIRON.get(name) or default)

    def flag(self, name: str, *, default: bool) -> bool:
        return self._parsed(
            name,
            default,
            lambda text: WORDS[text.lower()],
            ("is neither true nor false", "Write True or False.", "todolist.E001"),
        )

    def whole_number(self, name: str, default: int, *, at_most: int) -> int:
        """A number from 0 to `at_most`."""

        def parse(text: str) -> int:
            if not re.fullmatch("[0-9]{1,9}", text) or int(text) > at_most:
                raise ValueError(name)
            return int(text)

        problem = f"is not a whole number from 0 to {at_most}"
        hint = f"Leave it out for the default, {default}."
        return self._parsed(name, default, parse, (problem, hint, "todolist.E002"))

    def choice(self, name: str, words: tuple[str, ...]) -> str:
        """One of `words`, in any case; the first is the default."""
        return self._parsed(
            name,
            words[0],
            lambda text: words[words.index(text.lower())],
            ("is none of its values", f"Write {' or '.join(words)}.", "todolist.E020"),
        )

    def items(self, name: str, default: str = "") -> tuple[str, ...]:
        """A comma-separated list without repetitions; spaces around the commas do not matter."""
        parts = (part.strip() for part in self.text(name, default).split(","))
        return tuple(dict.fromkeys(part for part in parts if part))

    def origins(self, name: str, default: str) -> tuple[str, ...]:
        """A list of browser origins, as a browser writes them in `Origin` (RFC 6454 section 7)."""
        entries = [(item, _origin(item.lower())) for item in self.items(name, default)]
        for number, (item, origin) in enumerate(entries, start=1):
            if item == "*":
                hint = "Name the origins of your pages: https://app.example.com"
                self._note(name, "allows every origin (*)", hint, "todolist.E003")
            elif not origin:
                problem = f"holds an entry {number} that is not an origin"
                hint = "An origin is scheme, host and, where needed, port: https://app.example.com"
                self._note(name, problem, hint, "todolist.E004")
        return tuple(origin for _, origin in entries if origin)

    def database(self, name: str, default: str) -> dict[str, Any]:
        """An entry of Django's `DATABASES`; the dummy engine where the URL cannot be used."""
        hint = "Write postgresql://user:password@host:5432/name or sqlite:////absolute/path."
        problem = "is not a database URL that this project supports"
        config, refused = self._parsed(
            name,
            ({"ENGINE": "django.db.backends.dummy"}, set[str]()),
            parse_database_url,
            (problem, hint, "todolist.E005"),
            unset=default,
        )
        hint = (
            "After the ? come libpq's connection parameters, such as sslmode=require; for SQLite "
            "nothing."
        )
        self._note_options(name, refused, hint, "todolist.E021")
        return config

    def redis_url(self, name: str) -> str:
        """A URL for redis-py; "" where none is set, or where it cannot be used."""
        hint = "Write redis://host:6379/0, or rediss:// for TLS."
        url, refused = self._parsed(
            name,
            ("", set[str]()),
            parse_redis_url,
            ("is not a Redis URL", hint, "todolist.E006"),
        )
        hint = (
            "After the ? may come db, health_check_interval, retry_on_timeout, "
            "socket_connect_timeout, socket_keepalive, socket_timeout, and with rediss:// what "
            "begins with ssl_."
        )
        self._note_options(name, refused, hint, "todolist.E022")
        return "" if refused else url

    def _parsed(
        self,
        name: str,
        default: Value,
        parse: Callable[[str], Value],
        mistake: tuple[str, str, str],
        *,
        unset: str = "",
    ) -> Value:
        """What `parse` makes of the value; `default` for none, and for one that it cannot parse.

        `mistake` is the problem, the hint and the id of the note that is left in the latter case.
        """
        text = self.text(name, unset).strip()
        if not text:
            return default
        try:
            return parse(text)
        except (ValueError, LookupError):
            self._note(name, *mistake)
            return default

    def _note(self, variable: str, problem: str, hint: str, id: str) -> None:
        self.mistakes.append(Mistake(variable, problem, hint, id))

    def _note_options(self, variable: str, refused: Iterable[str], hint: str, id: str) -> None:
        if named := ", ".join(map(ascii, sorted(refused))):
            self._note(variable, f"has options that cannot be used: {named}", hint, id)


def _origin(text: str) -> str:
    """The origin that a text consists of, a slash at its end aside; "" where it is not one."""
    return origin_of(text) if _ORIGIN.fullmatch(text.removesuffix("/")) else ""
