"""Sends what is queued, many at a time, so that nobody waits for another's dead endpoint.

One thread asks the database and encrypts; another runs an event loop, with all connections.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any

from django.db import connection

from accounts.outages import Outage
from tasks.push import vapid
from tasks.push.encryption import encrypt
from tasks.push.endpoints import parse
from tasks.push.message import message_of
from tasks.push.outbox import Job, Outcome, claim, settle
from tasks.push.sending import Answer, NoAnswer, NotSent, post

logger = logging.getLogger(__name__)

AT_ONCE = 100  # of either kind: subscriptions that failed last time, and the others
POLL = 1.0  # seconds after which an idle pump looks for what others have queued
KEPT = 24 * 3600  # seconds that a push service keeps a message for a browser that is away

TRY_AGAIN = {408, 425, 429, *range(500, 600)}
GONE = {404, 410}


class Lane:
    """What is sent at the same time, and the threads that look up names for it.

    A name may take long to be looked up: as many threads as there are connections.
    """

    def __init__(self, *, failing: bool) -> None:
        self.failing = failing
        self.at_work = 0
        self.resolvers = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="push-names")


class Pump:
    """Claims, sends and settles."""

    def __init__(self) -> None:
        self.counts: Counter[Outcome] = Counter()
        self._lanes = [Lane(failing=False), Lane(failing=True)]
        self._done: SimpleQueue[tuple[Lane, Job, Future[Answer]] | None] = SimpleQueue()
        self._unsettled: list[tuple[Job, Outcome, float]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="push", daemon=True)
        self._thread.start()

    @property
    def at_work(self) -> int:
        return sum(lane.at_work for lane in self._lanes)

    def take_counts(self) -> tuple[int, int]:
        """How many were sent, and how many were not, since this was called last."""
        counts, self.counts = self.counts, Counter()
        return counts[Outcome.SENT], counts.total() - counts[Outcome.SENT]

    def wake(self) -> None:
        """Look for work at once, after something was queued."""
        self._done.put(None)

    def run_once(self, stopping: Callable[[], bool]) -> None:
        """Send what is due, as long as there is something; wait for all answers."""
        while True:
            begun = 0 if stopping() else self._begin()
            if not begun and not self.at_work and not self._unsettled:
                return
            self._finish(POLL)

    @contextmanager
    def in_background(self) -> Iterator[None]:
        """Send what is due, and what becomes due, in a thread; at the end, wait for all answers."""
        stopping = Event()
        thread = Thread(target=self._run, args=(stopping,), name="pushes", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            self.wake()
            thread.join()

    def _run(self, stopping: Event) -> None:
        outage = Outage(
            logger,
            "Push: a turn failed, there will be others: %s",
            "Push: works again",
            level=logging.ERROR,
            until_over=True,
        )
        while not stopping.is_set() or self.at_work:
            try:
                if not stopping.is_set():
                    self._begin()
                self._finish(POLL)
                outage.over()
            except Exception as error:  # noqa: BLE001  most likely the database, which comes back
                outage.failed(type(error).__name__)
                connection.close()
                stopping.wait(POLL)
        connection.close()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        for lane in self._lanes:
            lane.resolvers.shutdown(wait=False, cancel_futures=True)

    def _begin(self) -> int:
        begun = 0
        for lane in self._lanes:
            free = AT_ONCE - lane.at_work
            for job in claim(free, failing=lane.failing) if free else ():
                begun += 1
                lane.at_work += 1
                self._send(lane, job)
        return begun

    def _send(self, lane: Lane, job: Job) -> None:
        future: Future[Answer]
        try:
            sending = _post(job, lane.resolvers)
        except ValueError:
            future = Future()
            future.set_exception(NotSent())
        else:
            future = asyncio.run_coroutine_threadsafe(sending, self._loop)
        future.add_done_callback(lambda done: self._done.put((lane, job, done)))

    def _finish(self, patience: float) -> None:
        """Wait for an answer or a call to `wake`, and settle all that has come."""
        try:
            items = [self._done.get(timeout=patience)]
            while True:
                try:
                    items.append(self._done.get_nowait())
                except Empty:
                    break
        except Empty:
            items = []
        for item in filter(None, items):
            lane, job, future = item
            lane.at_work -= 1
            outcome, retry_after = _outcome(future)
            self.counts[outcome] += 1
            self._unsettled.append((job, outcome, retry_after))
        while self._unsettled:
            settle(*self._unsettled[0])
            self._unsettled.pop(0)


def _post(job: Job, resolvers: ThreadPoolExecutor) -> Coroutine[Any, Any, Answer]:
    """Raises `ValueError` for an endpoint or a key that would be refused today."""
    endpoint = parse(job.endpoint)
    if endpoint is None:
        raise ValueError("no endpoint")
    keys = vapid.decoded(job.p256dh), vapid.decoded(job.auth)
    headers = [
        ("Authorization", vapid.authorization(endpoint.origin)),
        ("Content-Encoding", "aes128gcm"),
        ("Content-Type", "application/octet-stream"),
        ("TTL", str(KEPT)),
    ]
    return post(endpoint, headers, encrypt(message_of(job.shown), *keys), resolvers)


def _outcome(future: "Future[Answer]") -> tuple[Outcome, float]:
    try:
        status, retry_after = future.result()
    except NotSent:
        return Outcome.FAILED, 0
    except NoAnswer:
        return Outcome.UNKNOWN, 0
    if 200 <= status < 300:
        return Outcome.SENT, 0
    if status in GONE:
        return Outcome.GONE, 0
    return (Outcome.FAILED, retry_after) if status in TRY_AGAIN else (Outcome.REFUSED, 0)
