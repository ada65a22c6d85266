"""Reads the environment and `.env` through django-environ, and collects mistakes instead of raising.

One mistake must not hide the next: a value that cannot be understood is noted under its variable's
name, its default takes its place, and `todolist.checks` reports all of them together.
"""

import hashlib
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import environ

from todolist.config import parsers

Value = TypeVar("Value")

_ENV_LINE = re.compile(r"#|(export )?[A-Za-z_0-9]+=")
_NO_DATABASE = {"ENGINE": "django.db.backends.dummy"}


class Mistake(NamedTuple):
    """A variable that could not be understood; never holds its value, which may be secret."""

    variable: str
    problem: str
    hint: str
    id: str


class Environment:
    """The variables of docs/api.md section 1, typed. A variable wins over its line in `.env`.

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
        return self._parsed(name, self.text(name), parsers.flag, default)

    def whole_number(self, name: str, default: int, *, at_most: int) -> int:
        """A number from 0 to `at_most`."""
        parse = parsers.whole_number_up_to(at_most, default)
        return self._parsed(name, self.text(name), parse, default)

    def choice(self, name: str, words: tuple[str, ...]) -> str:
        """One of `words`, in any case; the first is the default."""
        return self._parsed(name, self.text(name), parsers.one_of(words), words[0])

    def items(self, name: str, default: str = "") -> tuple[str, ...]:
        """A comma-separated list without repetitions; spaces around the commas do not matter."""
        parts = (part.strip() for part in self.text(name, default).split(","))
        return tuple(dict.fromkeys(part for part in parts if part))

    def origins(self, name: str, default: str) -> tuple[str, ...]:
        """A list of browser origins, as a browser writes them in `Origin` (RFC 6454 section 7)."""
        found = (
            self._parsed(name, item, parsers.origin_at(place), "")
            for place, item in enumerate(self.items(name, default), start=1)
        )
        return tuple(filter(None, found))

    def database(self, name: str, default: str) -> dict[str, Any]:
        """An entry of Django's `DATABASES`; the dummy engine where the URL cannot be used."""
        return self._parsed(
            name, self.text(name, default), parsers.database_url, dict(_NO_DATABASE)
        )

    def redis_url(self, name: str) -> str:
        """A URL for redis-py; "" where none is set, or where it cannot be used."""
        return self._parsed(name, self.text(name), parsers.redis_url, "")

    def _parsed(self, name: str, text: str, parse: Callable[[str], Value], default: Value) -> Value:
        """What `parse` makes of a text; `default` for none, and for one that it cannot use."""
        try:
            return parse(text.strip()) if text.strip() else default
        except parsers.Unusable as error:
            self._note(name, error.problem, error.hint, error.id)
            return default

    def _note(self, variable: str, problem: str, hint: str, id: str) -> None:
        self.mistakes.append(Mistake(variable, problem, hint, id))


def name_in_redis(redis_url: str, database: str) -> str:
    """The prefix of this deployment's channels and keys in a Redis that others may use too.

    Redis keeps the keys of its numbered databases apart, but a subscriber to a channel receives
    what is published from any of them. The prefix is derived from the number and the name of the
    database, which all processes of a deployment share, and not from host names, which may differ.
    """
    number = urlsplit(redis_url).path.strip("/") or "0"
    return "todolist-" + hashlib.sha256(f"{number}/{database}".encode()).hexdigest()[:16]
