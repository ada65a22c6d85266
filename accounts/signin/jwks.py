"""The published keys of the Better Auth server: fetched, remembered, refreshed (RFC 7517).

Three rules shape this module. A request whose key is known never waits for the network. A key that
is not known is worth one fetch, but strangers who make up key ids cause no more than one fetch per
`COOLDOWN`. Keys on hand go on verifying while the key server is away, up to `MAX_STALE`.

With `tokens` the only module that knows PyJWT. It knows nothing of claims.
"""

import http.client
import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

logger = logging.getLogger(__name__)

# All in seconds.
FETCH_TIMEOUT = 3.0  # for the whole of a fetch, and for whoever waits for one
COOLDOWN = 4.0  # from the start of one fetch to the next that an unknown key may cause
REFRESH_AFTER = 300.0  # keys older than this are refreshed in the background
RETRY_REFRESH_AFTER = 30.0  # the same, after a refresh that failed
MAX_STALE = 48 * 3600.0  # keys older than this verify nothing any more

MAX_BODY_SIZE = 256 * 1024  # bytes; a key set is a few hundred
MAX_KEYS = 100
MINIMUM_RSA_BITS = 2048  # RFC 7518 section 3.3

# One algorithm for each kind of key (RFC 7518 section 3.1, RFC 8037, RFC 9864).
EDDSA_NAMES = frozenset({"EdDSA", "Ed25519"})
ALGORITHMS_BY_CURVE = {
    "Ed25519": EDDSA_NAMES,
    "P-256": frozenset({"ES256"}),
    "P-384": frozenset({"ES384"}),
    "P-521": frozenset({"ES512"}),
}
RSA_ALGORITHMS = frozenset({"RS256", "PS256"})
PUBLISHED_ALGORITHMS = frozenset[str]().union(*ALGORITHMS_BY_CURVE.values(), RSA_ALGORITHMS)

# The members that make up each kind of public key; nothing else of a JWK is loaded, least of all
# the private ones that a misconfigured server might publish.
_PUBLIC_MEMBERS = {"OKP": ("crv", "x"), "EC": ("crv", "x", "y"), "RSA": ("n", "e")}

# PyJWT knows Ed25519 only under its older name.
if "Ed25519" not in jwt.PyJWS().get_algorithms():
    jwt.register_algorithm("Ed25519", jwt.get_algorithm_by_name("EdDSA"))


class KeysUnavailable(Exception):
    """No key can be had: nothing was ever fetched, or so long ago that it no longer counts."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("The keys to check tokens with cannot be had at the moment")
        self.retry_after = max(1, round(retry_after + 0.5))  # whole seconds


class MustWait(Exception):
    """An answer needs a fetch, and the caller asked not to wait for one."""


class FetchError(Exception):
    """The key server did not answer with a key set. The text says why, on one line."""


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A public key, its id, and the algorithms it may be used with."""

    kid: str | None
    key: Any = field(repr=False)
    algorithms: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """What one fetch brought; never changed, only replaced."""

    keys: tuple[PublishedKey, ...]
    fetched_at: float

    def find(self, kid: str | None, algorithm: str) -> tuple[PublishedKey, ...]:
        """The keys that may have signed a token; those of its algorithm where it names none."""
        return tuple(
            key
            for key in self.keys
            if algorithm in key.algorithms and (kid is None or key.kid == kid)
        )


class KeySet:
    """The keys behind one URL, for all threads of this process."""

    def __init__(
        self,
        url: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url
        self.last_error = ""
        self.clock_lead: float | None = None  # seconds by which the key server's clock is ahead
        self._clock = clock
        self._snapshot: Snapshot | None = None
        self._lock = threading.Lock()  # guards the three below; never held during a fetch
        self._running: threading.Event | None = None
        self._last_start = float("-inf")
        self._refresh_at = float("-inf")

    def find(self, kid: str | None, algorithm: str, *, wait: bool) -> tuple[PublishedKey, ...]:
        """The published keys that may have signed a token; none where its key is unknown.

        Raises `KeysUnavailable` where nothing is known about any key, and `MustWait` instead of
        waiting for a fetch where `wait` is false.
        """
        snapshot = self.snapshot()
        if snapshot is not None and (found := snapshot.find(kid, algorithm)):
            return found
        fetched = self._start_fetch()
        if fetched is not None:
            if not wait:
                raise MustWait
            fetched.wait(FETCH_TIMEOUT)
        snapshot = self._usable_snapshot()
        if snapshot is None:
            raise KeysUnavailable(self._last_start + COOLDOWN - self._clock())
        return snapshot.find(kid, algorithm)

    def snapshot(self) -> Snapshot | None:
        """The keys on hand, while they count; sees to it that they do not get old."""
        snapshot = self._usable_snapshot()
        if snapshot is not None and self._clock() >= self._refresh_at:
            self._start_fetch()  # and do not wait for it
        return snapshot

    @property
    def ids(self) -> list[str]:
        """The ids of the keys on hand."""
        return [] if self._snapshot is None else [str(key.kid) for key in self._snapshot.keys]

    @property
    def age(self) -> float | None:
        """Seconds since the keys were fetched; `None` where they never were."""
        return None if self._snapshot is None else self._clock() - self._snapshot.fetched_at

    def refresh(self) -> None:
        """Fetch now, in this thread. Raises `FetchError` and keeps what there was."""
        now = self._clock()
        try:
            answer = fetch(self.url)
            keys = parse_keys(answer.body)
        except FetchError as error:
            self.last_error = str(error)
            self._refresh_at = self._clock() + RETRY_REFRESH_AFTER
            raise
        self._snapshot = Snapshot(keys, fetched_at=now)
        self.clock_lead = None if answer.date is None else answer.date - time.time()
        self._refresh_at = now + REFRESH_AFTER
        self.last_error = ""

    def _usable_snapshot(self) -> Snapshot | None:
        snapshot = self._snapshot
        if snapshot is None or self._clock() - snapshot.fetched_at > MAX_STALE:
            return None
        return snapshot

    def _start_fetch(self) -> threading.Event | None:
        """The fetch that is running, or a new one; `None` while the last is too recent."""
        with self._lock:
            if self._running is not None:
                return self._running
            now = self._clock()
            if now - self._last_start < COOLDOWN:
                return None
            self._last_start = now
            self._running = done = threading.Event()
        try:
            threading.Thread(target=self._run, args=(done,), name="jwks", daemon=True).start()
        except RuntimeError:  # no more threads
            self._finish(done)
            raise
        return done

    def _run(self, done: threading.Event) -> None:
        try:
            self.refresh()
            logger.info("Fetched the published keys from %s", self.url)
        except FetchError as error:
            age = (
                "none are on hand"
                if self.age is None
                else f"those on hand are {self.age:.0f} s old"
            )
            logger.warning("No published keys from %s: %s; %s", self.url, error, age)
        except Exception:
            logger.exception("No published keys from %s", self.url)
        finally:
            self._finish(done)

    def _finish(self, done: threading.Event) -> None:
        with self._lock:
            self._running = None
        done.set()


@lru_cache(maxsize=4)
def key_set(url: str) -> KeySet:
    """The key set behind `url`, the same one for the whole process."""
    return KeySet(url)


class Answer(NamedTuple):
    """What a server said, and what time it was there (seconds since the epoch; RFC 9110 6.6.1)."""

    body: bytes
    date: float | None


def fetch(url: str) -> Answer:
    """The 200 answer to GET `url`; redirects are not followed.

    Raises `FetchError` for everything else, after `FETCH_TIMEOUT` at the latest: also when the
    server sends, but ever so slowly.
    """
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    connection_class = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = connection_class(parts.hostname or "", parts.port, timeout=FETCH_TIMEOUT)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    overdue = threading.Event()

    sockets: list[socket.socket] = []  # the connection forgets its own once the headers are read

    def give_up() -> None:
        overdue.set()
        for opened in sockets:
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    watchdog = threading.Timer(FETCH_TIMEOUT, give_up)
    watchdog.daemon = True
    watchdog.start()
    try:
        connection.connect()
        sockets.append(connection.sock)
        connection.request("GET", target, headers={"Accept": "application/json"})
        response = connection.getresponse()
        if response.status != http.client.OK:
            raise FetchError(f"the answer was {response.status}, not 200")
        body = response.read(MAX_BODY_SIZE + 1)
    except (OSError, http.client.HTTPException, UnicodeError, ValueError) as error:
        if overdue.is_set() or isinstance(error, TimeoutError):
            raise FetchError(f"no answer within {FETCH_TIMEOUT:.0f} s") from error
        if isinstance(error, ssl.SSLError):
            raise FetchError(f"TLS failed: {error.reason or 'certificate'}") from error
        raise FetchError(f"not reachable ({type(error).__name__})") from error
    finally:
        watchdog.cancel()
        connection.close()
    if overdue.is_set():  # a body cut off by the watchdog may look complete
        raise FetchError(f"no answer within {FETCH_TIMEOUT:.0f} s")
    if len(body) > MAX_BODY_SIZE:
        raise FetchError(f"the answer is larger than {MAX_BODY_SIZE} bytes")
    try:
        date = parsedate_to_datetime(response.headers["Date"]).timestamp()
    except (TypeError, ValueError, OverflowError):  # there is none, or it is none
        date = None
    return Answer(body, date)


def parse_keys(body: bytes) -> tuple[PublishedKey, ...]:
    """The usable keys of a JWK set; the others are skipped (RFC 7517 section 5).

    Raises `FetchError` where there is no such set, or no usable key in it.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FetchError("the answer is not JSON") from error
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise FetchError('the answer is not a key set: it has no list "keys"')
    keys = tuple(key for entry in entries[:MAX_KEYS] if (key := _load(entry)) is not None)
    if not keys:
        raise FetchError("the key set holds no usable key")
    return keys


def _load(entry: Any) -> PublishedKey | None:
    """The key in one entry of a set; `None` if it is of no use here."""
    if not isinstance(entry, dict):
        return None
    algorithms = _algorithms_of(entry)
    members = _PUBLIC_MEMBERS.get(str(entry.get("kty")))
    kid = entry.get("kid")
    if not algorithms or members is None or not isinstance(kid, str | None):
        return None
    operations = entry.get("key_ops", ["verify"])
    if entry.get("use", "sig") != "sig" or not isinstance(operations, list):
        return None
    if "verify" not in operations:
        return None
    public = {"kty": entry["kty"], **{member: entry.get(member) for member in members}}
    try:
        # PyJWK knows only the older name; for loading a key the names are the same.
        name = "EdDSA" if algorithms == EDDSA_NAMES else min(algorithms)
        key = jwt.PyJWK.from_dict(public, algorithm=name).key
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError, KeyError):
        return None
    if isinstance(key, RSAPublicKey) and key.key_size < MINIMUM_RSA_BITS:
        return None
    return PublishedKey(kid, key, algorithms)


def _algorithms_of(entry: Mapping[str, Any]) -> frozenset[str]:
    """What a key may be used with: what its kind allows, narrowed down to its `alg` if it has one."""
    possible = (
        RSA_ALGORITHMS
        if entry.get("kty") == "RSA"
        else ALGORITHMS_BY_CURVE.get(str(entry.get("crv")), frozenset())
    )
    declared = entry.get("alg")
    if declared is None or (possible == EDDSA_NAMES and declared in EDDSA_NAMES):
        return possible
    return possible & {declared} if isinstance(declared, str) else frozenset()
