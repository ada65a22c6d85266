"""The key set of the Better Auth server: fetched when needed, cached, refreshed (RFC 7517).

A request whose key is cached never waits for the network. Made-up key ids cause at most one fetch per
`COOLDOWN`. Cached keys go on verifying while the key server is away, up to `MAX_STALE`.
"""

import http.client
import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from accounts.signin.errors import FetchError, KeysUnavailable, MustWait
from accounts.signin.keys import PublishedKey, parse_keys

logger = logging.getLogger(__name__)

# All in seconds.
COOLDOWN = 4.0  # from the start of one fetch to the next that an unknown key may cause
REFRESH_AFTER = 300.0  # keys older than this are refreshed in the background
RETRY_REFRESH_AFTER = 30.0  # the same, after a refresh that failed
MAX_STALE = 48 * 3600.0  # keys older than this verify nothing any more
FETCH_TIMEOUT = 3.0  # for connecting, and again for the whole answer

MAX_BODY_SIZE = 256 * 1024  # bytes; a key set is a few hundred


class Snapshot(NamedTuple):
    """The keys of one fetch, and when it started (by the key set's clock)."""

    fetched_at: float
    keys: tuple[PublishedKey, ...]


class KeySet:
    """The keys behind one URL, for all threads of this process."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.url = url
        self.clock_lead: float | None = None  # seconds by which the key server's clock is ahead
        self._clock = clock
        self._snapshot: Snapshot | None = None
        self._refresh_at = self._last_start = float("-inf")
        self._fetching: threading.Thread | None = None
        self._lock = threading.Lock()  # so that one fetch runs at a time; never held during it

    def find(self, kid: str | None, algorithm: str, *, wait: bool) -> tuple[PublishedKey, ...]:
        """The published keys that may have signed a token; none where its key is unknown.

        Raises `KeysUnavailable` where no keys are cached and none can be fetched, and `MustWait`
        instead of waiting for a fetch where `wait` is false.
        """
        if not (found := self._cached(kid, algorithm)):
            if (fetching := self._start_fetch()) is not None:
                if not wait:
                    raise MustWait
                fetching.join(FETCH_TIMEOUT)
            found = self._cached(kid, algorithm)
        if found is None:
            raise KeysUnavailable(self._last_start + COOLDOWN - self._clock())
        return found

    def snapshot(self) -> Snapshot | None:
        """The cached keys, unless they are too stale; starts a refresh where one is due."""
        snapshot, now = self._snapshot, self._clock()
        if snapshot is None or now - snapshot.fetched_at > MAX_STALE:
            return None
        if now >= self._refresh_at:
            self._start_fetch()  # in the background
        return snapshot

    @property
    def age(self) -> float | None:
        """Seconds since the keys were fetched; `None` where they never were."""
        return None if self._snapshot is None else self._clock() - self._snapshot.fetched_at

    def refresh(self) -> Snapshot:
        """Fetch now, in this thread. Raises `FetchError`, and then keeps what was cached."""
        self._last_start = now = self._clock()
        self._refresh_at = now + RETRY_REFRESH_AFTER
        body, date = _get(self.url)
        self._snapshot = snapshot = Snapshot(now, parse_keys(body))
        self._refresh_at = now + REFRESH_AFTER
        try:  # RFC 9110 section 6.6.1
            self.clock_lead = parsedate_to_datetime(date).timestamp() - time.time()
        except (TypeError, ValueError, OverflowError):  # missing or malformed
            self.clock_lead = None
        return snapshot

    def _cached(self, kid: str | None, algorithm: str) -> tuple[PublishedKey, ...] | None:
        """The cached keys that fit: of a token without `kid` all of its algorithm; `None` for no keys."""
        if (snapshot := self.snapshot()) is None:
            return None
        fitting = (key for key in snapshot.keys if algorithm in key.algorithms)
        return tuple(key for key in fitting if kid is None or key.kid == kid)

    def _start_fetch(self) -> threading.Thread | None:
        """The fetch that is running, or a new one; `None` during the cooldown."""
        with self._lock:
            if self._fetching is None or not self._fetching.is_alive():
                if self._clock() - self._last_start < COOLDOWN:
                    return None
                self._last_start = self._clock()
                self._fetching = threading.Thread(target=self._fetch, name="jwks", daemon=True)
                self._fetching.start()
            return self._fetching

    def _fetch(self) -> None:
        try:
            self.refresh()
            logger.info("Fetched the published keys from %s", self.url)
        except FetchError as error:
            age = self.age
            cached = "none are on hand" if age is None else f"those on hand are {age:.0f} s old"
            logger.warning("No published keys from %s: %s; %s", self.url, error, cached)


@lru_cache(maxsize=4)
def key_set(url: str) -> KeySet:
    """The key set behind `url`, the same one for the whole process."""
    return KeySet(url)


def _get(url: str) -> tuple[bytes, str]:
    """Body and `Date` of the 200 answer to GET `url`; redirects are not followed.

    Raises `FetchError` for every other outcome.
    """
    overdue = threading.Event()
    try:
        parts = urlsplit(url)
        target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
        https = parts.scheme == "https"
        connection_class = http.client.HTTPSConnection if https else http.client.HTTPConnection
        connection = connection_class(parts.hostname or "", parts.port, timeout=FETCH_TIMEOUT)
        with closing(connection):
            connection.connect()
            # The timeout of a socket bounds each of its operations, not a server that keeps sending
            # a byte now and then. And http.client forgets the socket once the headers are read.
            timer = threading.Timer(FETCH_TIMEOUT, _shut_down, [connection.sock, overdue])
            timer.daemon = True
            timer.start()
            try:
                connection.request("GET", target, headers={"Accept": "application/json"})
                response = connection.getresponse()
                body = response.read(MAX_BODY_SIZE + 1)
            finally:
                timer.cancel()
    except (OSError, http.client.HTTPException, ValueError) as error:
        if overdue.is_set() or isinstance(error, TimeoutError):
            raise FetchError(f"no answer within {FETCH_TIMEOUT:.0f} s") from error
        raise FetchError(f"not reachable ({type(error).__name__})") from error
    if overdue.is_set():  # a body that was cut off may look complete
        raise FetchError(f"no answer within {FETCH_TIMEOUT:.0f} s")
    if response.status != http.client.OK:
        raise FetchError(f"the answer was {response.status}, not 200")
    if len(body) > MAX_BODY_SIZE:
        raise FetchError(f"the answer is larger than {MAX_BODY_SIZE} bytes")
    return body, response.headers["Date"]


def _shut_down(opened: socket.socket, overdue: threading.Event) -> None:
    overdue.set()
    with suppress(OSError):
        opened.shutdown(socket.SHUT_RDWR)
