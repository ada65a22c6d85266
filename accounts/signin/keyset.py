"""The key set of the Better Auth server: fetched when needed, cached, refreshed (RFC 7517).

- A request whose key is cached never waits for the network.
- An unknown key is worth one fetch, but made-up key ids cause at most one fetch per `COOLDOWN`,
  whether it succeeds or fails.
- Cached keys go on verifying while the key server is away, up to `MAX_STALE`.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from accounts.signin.download import FETCH_TIMEOUT, fetch
from accounts.signin.errors import FetchError, KeysUnavailable, MustWait
from accounts.signin.keys import PublishedKey, parse_keys

logger = logging.getLogger(__name__)

# All in seconds.
COOLDOWN = 4.0  # from the start of one fetch to the next that an unknown key may cause
REFRESH_AFTER = 300.0  # keys older than this are refreshed in the background
RETRY_REFRESH_AFTER = 30.0  # the same, after a refresh that failed
MAX_STALE = 48 * 3600.0  # keys older than this verify nothing any more


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """The keys of one fetch, and when it started (by the key set's clock); immutable."""

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

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
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

        Raises `KeysUnavailable` where no keys are cached and none can be fetched, and `MustWait`
        instead of waiting for a fetch where `wait` is false.
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
        """The cached keys, unless they are too stale; starts a refresh where one is due."""
        snapshot = self._usable_snapshot()
        if snapshot is not None and self._clock() >= self._refresh_at:
            self._start_fetch()  # in the background
        return snapshot

    @property
    def ids(self) -> list[str]:
        """The ids of the cached keys."""
        return [] if self._snapshot is None else [str(key.kid) for key in self._snapshot.keys]

    @property
    def age(self) -> float | None:
        """Seconds since the keys were fetched; `None` where they never were."""
        return None if self._snapshot is None else self._clock() - self._snapshot.fetched_at

    def refresh(self) -> None:
        """Fetch now, in this thread. Raises `FetchError`, and then keeps what was cached."""
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
        """The end of the running fetch, or of a new one; `None` during the cooldown."""
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
            age = self.age
            cached = "none are on hand" if age is None else f"those on hand are {age:.0f} s old"
            logger.warning("No published keys from %s: %s; %s", self.url, error, cached)
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
