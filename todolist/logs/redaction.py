"""Takes tokens and secrets out of text, in time that grows no faster than the text does."""

import html
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import quote, unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from accounts.signin.conf import conf

REDACTED = "[redacted]"
SHORTEST = 8  # characters; shorter secrets would be found inside ordinary words
LONGEST_LINE = 4096  # characters of it that are logged
LONGEST_TRACEBACK = 32 * 1024
MARGIN = 1024  # characters, more than a password in a URL has

# Strangers write most of what is searched, so no quantifier gives back what it took to look again: it is
# possessive, or nothing that follows can be a part of what it takes.
NAMES = r"(?:token|secret|password|authorization|cookie|sessionid|confirm)"  # confirm: an id of who is gone
_ITEM = rf"[\"'][\w-]*{NAMES}[\"']\s*+[:,]\s*+(?:[\[(]\s*+)?+b?"
_SHAPES = re.compile(
    rf"({NAMES}(?:=|%3D))[^&\s\"'#<>]++"  # ?token=… in access logs
    r"|(\bbearer[\"']?[\s,]++[\"']?)[^\s\"',<>]++"  # header values, and offered subprotocols
    r"|(\bauthorization:[ \t]*+(?:\w++[ \t]++)?+)[^\s\"'\\<]++"  # a line of a head
    r"|(\bcookie:[ \t]*+)[^\r\n\"\\<]++"
    r"|(://)[^/\s:@]*+:[^/\s@]++(?=@)"  # the password in a URL
    # An item of a printed dictionary or of a list of headers, perhaps cut off.
    rf"|({_ITEM}\")(?:[^\"\\]|\\.)*+\\?|({_ITEM}')(?:[^'\\]|\\.)*+\\?"
    r"|(/calendar/)[^/\s\"'<>?]++"  # the secret address of a feed
    # A JWT anywhere, perhaps cut off: its header starts with {". Looked for from where a word begins:
    # from each of its letters, it would take the square of its length.
    r"|(?<![\w-])((?>[\w-]*?(?=(?-i:eyJ)[\w-]{8})))[\w-]++(?:(?:\.|%2E)[\w-]*+){0,2}+",
    re.IGNORECASE | re.DOTALL,
)
_AS_FOUND = r"\1\2\3\4\5\6\7\8\9" + REDACTED


def redact(text: str, more: Iterable[str] = ()) -> str:
    """`text` without what looks like a token or password, without our own secrets, and `more`."""
    ours = _pattern_of(tuple(_configured_secrets()))
    theirs = _find(_spellings(more))  # of one request: not worth keeping
    for known in filter(None, (ours, theirs)):
        text = known.sub(REDACTED, text)
    return _SHAPES.sub(_AS_FOUND, text)


def cut_and_redact(text: str, longest: int = LONGEST_LINE) -> str:
    """`redact` for a log: of a long text its beginning, and how much is missing.

    Decoded, where that shows what percent signs hide (`?%74oken=…`).
    """
    missing = len(text) - longest
    clean = redact(text[:longest])
    if "%" in clean and (plain := redact(decoded := unquote(clean))) != decoded:
        clean = plain
    if missing <= 0:
        return clean
    # What was cut in two, and so not found, is at the end, and no longer than what is taken off.
    margin = max(MARGIN, *map(len, _spellings(_configured_secrets())))
    return f"{clean[:-margin]}… [{missing + margin} more characters]"


def _configured_secrets() -> Iterator[str]:
    yield from conf.secrets
    yield settings.BETTER_AUTH_SECRETS
    yield secret_key()
    yield from settings.SECRET_KEY_FALLBACKS
    yield settings.VAPID_PRIVATE_KEY
    for database in settings.DATABASES.values():
        yield database.get("PASSWORD") or ""
    yield urlsplit(settings.REDIS_URL).password or ""


def secret_key() -> str:
    try:
        return settings.SECRET_KEY
    except ImproperlyConfigured:  # Django refuses to hand out an empty one
        return ""


@lru_cache(maxsize=8)
def _pattern_of(secrets: tuple[str, ...]) -> re.Pattern[str] | None:
    return _find(_spellings(secrets))


def _spellings(secrets: Iterable[str]) -> set[str]:
    """These secrets, plain and as URLs, HTML and `repr` escape them."""
    return {
        spelling
        for secret in secrets
        if len(secret) >= SHORTEST
        for plain in (secret, unquote(secret))
        for spelling in (plain, repr(plain)[1:-1], html.escape(plain), quote(plain, safe=""))
    }


def _find(spellings: set[str]) -> re.Pattern[str] | None:
    """Finds these as whole words."""
    if not spellings:
        return None
    longest_first = sorted(spellings, key=len, reverse=True)
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(map(re.escape, longest_first))})(?![^\W_])")
