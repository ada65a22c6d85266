"""SQLite has no limit to how long a statement may take: here a request has one as a whole."""

import threading
import time

from django.conf import settings

STEPS = 100_000  # of SQLite's virtual machine, between two looks at the clock: some milliseconds

_thread = threading.local()


def begin_request() -> None:
    """From now on the statements of this thread are interrupted once the request takes too long."""
    _thread.deadline = time.monotonic() + settings.STATEMENT_TIMEOUT


def is_overdue() -> bool:
    return time.monotonic() > getattr(_thread, "deadline", float("inf"))
