"""The key set of the Better Auth server: fetched when needed, cached, refreshed (RFC 7517).

A request whose key is cached never waits for the network. Tokens that no cached key fits, made up or
of a key just rotated, cause at most one fetch per `COOLDOWN`, and wait for it on the event loop. Cached
keys go on verifying while the key server is away, up to `MAX_STALE`.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import NamedTuple

from accounts.counted import counted
from accounts.outages import Outage
from accounts.signin.download import FETCH_TIMEOUT, download
from accounts.signin.errors import FetchError, KeysUnavailable
from accounts.signin.keys import PublishedKey, parse_keys

logger = logging.getLogger(__name__)

# All in seconds.
COOLDOWN = 4.0  # from the start of one fetch to the next
REFRESH_AFTER = 300.0  # keys older than this are refreshed in the background
RETRY_REFRESH_AFTER = 30.0  # the same, after a refresh that failed
MAX_STALE = 48 * 3600.0  # keys older than this verify nothing any more
BETWEEN_SLICES = 0.01

MAX_WAITING = 1000  # callers at a time, each with its request in memory
SLICE = 5  # callers that go on at once after a fetch; between two slices others have their turn


class Snapshot(NamedTuple):
    """The keys of one fetch, and when it started (by the key set's clock)."""

    fetched_at: float
    keys: tuple[PublishedKey, ...]


class Waiting(NamedTuple):
    """Somebody who waits for a fetch to end, and the id of the key that they hope for."""

    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[None]
    kid: str | None


class KeySet:
    """The keys behind one URL, for all threads of this process."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.url = url
        self.clock_lead: float | None = None  # seconds by which the key server's clock is ahead
        self.started = self.ended = 0  # fetches so far; one runs at a time
        self._outage = Outage(
            *(logger, "No published keys from %s", f"Published keys come from {url} again"),
            until_over=True,
        )
        self._clock = clock
        self._snapshot: Snapshot | None = None
        self._refresh_at = self._last_start = float("-inf")
        self._lock = threading.Lock()  # for the numbers and the two below; not held during a fetch
        self._fetcher: threading.Thread | None = None  # fetches, or waits for the cooldown's end
        self._waiting: dict[asyncio.Future[None], Waiting] = {}

    def find(self, kid: str | None, algorithm: str) -> tuple[PublishedKey, ...]:
        """The cached keys that may have signed a token: where it names none, all of its algorithm.

        Raises `KeysUnavailable` where no keys are cached.
        """
        ended = self.ended
        if (snapshot := self.snapshot()) is None:
            raise KeysUnavailable(self.cooldown, ended)
        fitting = (key for key in snapshot.keys if algorithm in key.algorithms)
        return tuple(key for key in fitting if kid is None or key.kid == kid)

    def snapshot(self) -> Snapshot | None:
        """The cached keys, unless they are too stale; starts a refresh where one is due."""
        snapshot, now = self._snapshot, self._clock()
        if snapshot is None or now - snapshot.fetched_at > MAX_STALE:
            return None
        if now >= self._refresh_at:
            self.see_to_a_fetch()
        return snapshot

    @property
    def age(self) -> float | None:
        """Seconds since the keys were fetched; `None` where they never were."""
        return None if self._snapshot is None else self._clock() - self._snapshot.fetched_at

    @property
    def cooldown(self) -> float:
        """Seconds until a fetch may start."""
        return max(0.0, self._last_start + COOLDOWN - self._clock())

    async def fetched(self, ended: int, kid: str | None) -> None:
        """Wait until more fetches than `ended` have ended, well or not; the next one is seen to.

        Raises `TimeoutError` where that takes too long, and `KeysUnavailable` where too many wait.
        """
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        with self._lock:
            if self.ended > ended:
                return
            self._see_to_a_fetch()
            if len(self._waiting) >= MAX_WAITING:
                raise KeysUnavailable(self.cooldown, ended)
            self._waiting[done] = Waiting(loop, done, kid)
            patience = self.cooldown + 2 * FETCH_TIMEOUT
        try:
            async with asyncio.timeout(patience):
                await done
        finally:
            with self._lock:
                self._waiting.pop(done, None)

    def see_to_a_fetch(self) -> None:
        """Let a fetch start in the background, as soon as the cooldown lets it."""
        with self._lock:
            self._see_to_a_fetch()

    def refresh(self) -> Snapshot:
        """Fetch now, in this thread. Raises `FetchError`, and then keeps what was cached."""
        self._last_start = now = self._clock()
        self._refresh_at = now + RETRY_REFRESH_AFTER
        body, date = download(self.url)
        keys = parse_keys(body)
        if self._snapshot is not None and keys == self._snapshot.keys:
            keys = self._snapshot.keys  # the very same: what was checked with them stays so
        self._snapshot = snapshot = Snapshot(now, keys)
        self._refresh_at = now + REFRESH_AFTER
        try:  # RFC 9110 section 6.6.1
            self.clock_lead = parsedate_to_datetime(date).timestamp() - time.time()
        except (TypeError, ValueError, OverflowError):  # missing or malformed
            self.clock_lead = None
        return snapshot

    def _see_to_a_fetch(self) -> None:
        """Let a fetch start as soon as it may, unless one runs or is to start. With the lock held."""
        if self._fetcher is None:
            fetcher = threading.Thread(target=self._fetch, name="jwks", daemon=True)
            fetcher.start()
            self._fetcher = fetcher

    def _fetch(self) -> None:
        time.sleep(self.cooldown)
        with self._lock:
            self.started += 1
        before = self._snapshot.keys if self._snapshot else ()
        try:
            self.refresh()
            self._outage.over()
            counted.send("key_fetches", outcome="ok")
            logger.info("Fetched the published keys from %s", self.url)
        except FetchError as error:
            age = self.age
            cached = "none are on hand" if age is None else f"those on hand are {age:.0f} s old"
            self._outage.failed(f"{self.url}: {error}; {cached}")
            counted.send("key_fetches", outcome="failed")
        finally:
            with self._lock:
                self.ended, self._fetcher = self.started, None
                waiting, self._waiting = [*self._waiting.values()], {}
            self._let_go_on(waiting, before)

    def _let_go_on(self, waiting: list[Waiting], before: tuple[PublishedKey, ...]) -> None:
        """Wake who waits: first those whose key is new since `before`, then the others."""
        keys = self._snapshot.keys if self._snapshot else ()
        new = [key.kid for key in keys if key not in before]
        waiting.sort(key=lambda each: not new or (each.kid is not None and each.kid not in new))
        for loop in {each.loop for each in waiting}:
            theirs = deque(each.done for each in waiting if each.loop is loop)
            with suppress(RuntimeError):  # that loop has ended
                loop.call_soon_threadsafe(_wake, loop, theirs)


@lru_cache(maxsize=4)
def key_set(url: str) -> KeySet:
    """The key set behind `url`, the same one for the whole process."""
    return KeySet(url)


def _wake(loop: asyncio.AbstractEventLoop, waiting: deque[asyncio.Future[None]]) -> None:
    """Wake a slice of them, and the rest a little later: each has work to do, and others as well."""
    for _ in range(min(SLICE, len(waiting))):
        done = waiting.popleft()
        if not done.done():
            done.set_result(None)
    if waiting:
        loop.call_later(BETWEEN_SLICES, _wake, loop, waiting)
