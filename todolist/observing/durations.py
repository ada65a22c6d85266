"""How long requests take, noted at next to no cost.

An observation by prometheus_client takes locks and system calls, which at a request of a tenth of a millisecond
is to be noticed. Here it is put aside; what all of them come to goes to prometheus_client soon after.
"""

import atexit
import os
import threading
from bisect import bisect_left
from collections import deque

from prometheus_client import Histogram

SOON = 1.0  # seconds after the first observation that prometheus_client does not know of

Labels = tuple[str, ...]


class _InBulk(Histogram):
    """A histogram of prometheus_client, which has no public way to add many observations at once."""

    def add(self, buckets: list[int], total: float) -> None:
        """So many observations in each bucket, the last one without a bound, and what they come to."""
        for bucket, number in zip(self._buckets, buckets, strict=True):
            if number:
                bucket.inc(number)
        self._sum.inc(total)


class Durations:
    """A histogram of seconds by labels. May be used from any thread."""

    def __init__(self, name: str, what: str, labels: Labels, bounds: tuple[float, ...]) -> None:
        self._histogram = _InBulk(name, what, labels, buckets=bounds)
        self._bounds = bounds
        self._new: deque[tuple[Labels, float]] = deque()  # which needs no lock
        self._due = False  # a flush is
        atexit.register(self.flush)
        os.register_at_fork(after_in_child=self._forget)

    def observe(self, labels: Labels, seconds: float) -> None:
        self._new.append((labels, seconds))
        if not self._due:
            self._due = True
            later = threading.Timer(SOON, self.flush)
            later.daemon = True
            later.start()

    def flush(self) -> None:
        """Tell prometheus_client, and through it the other processes."""
        self._due = False  # first: whoever observes from now on sees to another one
        buckets: dict[Labels, list[int]] = {}
        totals: dict[Labels, float] = {}
        for _ in range(len(self._new)):
            try:
                labels, seconds = self._new.popleft()
            except IndexError:  # another thread flushes as well
                break
            if labels not in buckets:
                buckets[labels], totals[labels] = [0] * (len(self._bounds) + 1), 0.0
            buckets[labels][bisect_left(self._bounds, seconds)] += 1
            totals[labels] += seconds
        for labels, its in buckets.items():
            self._histogram.labels(*labels).add(its, totals[labels])

    def _forget(self) -> None:
        """What was observed before a fork is the parent's to tell, and its timer is there alone."""
        self._new.clear()
        self._due = False
