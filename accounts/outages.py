"""What does not work for a while: told when it begins and when it ends, however often it fails."""

import logging
import threading
import time

from django.db import InterfaceError, OperationalError

QUIET = 5.0  # seconds without a failure, after which an outage is over
DATABASE_ERRORS = (OperationalError, InterfaceError)  # by which a database is away, or too slow


class Outage:
    """One line of the log at the first failure, and one with the number of all at the end.

    That is when `over` is called or, but where somebody will know to call it, `QUIET` seconds after the
    last failure. May be used from any thread.
    """

    def __init__(
        self,
        logger: logging.Logger,
        begun: str,
        ended: str,
        *,
        level: int = logging.WARNING,
        until_over: bool = False,
    ) -> None:
        """`begun` has a `%s` for the first error; with `until_over`, somebody will call that."""
        self._logger, self._begun, self._ended, self._level = logger, begun, ended, level
        self._until_over = until_over
        self._lock = threading.Lock()  # guards all below
        self._failures = 0
        self._first = self._last = 0.0

    def failed(self, error: object) -> None:
        with self._lock:
            self._failures += 1
            self._last = time.monotonic()
            if self._failures > 1:
                return
            self._first = self._last
        self._logger.log(self._level, self._begun, error)
        if not self._until_over:
            self._look_after(QUIET)

    def over(self) -> None:
        """It works; perhaps it always did."""
        with self._lock:
            failures, self._failures = self._failures, 0
            seconds = self._last - self._first
        if failures:
            times = "once" if failures == 1 else f"{failures} times in {seconds:.0f} s"
            self._logger.log(self._level, "%s. It failed %s.", self._ended, times)

    def _look_after(self, seconds: float) -> None:
        timer = threading.Timer(seconds, self._look)
        timer.daemon = True
        timer.start()

    def _look(self) -> None:
        left = self._last + QUIET - time.monotonic()
        if left > 0:
            self._look_after(left)
        else:
            self.over()


database = Outage(
    logging.getLogger("todolist.database"),
    "The database does not answer: %s",
    f"The database has not failed for {QUIET:.0f} s",
    level=logging.ERROR,
)
