"""SQLite has no limit to how long a statement may take: here it has one, as PostgreSQL has."""

import threading
import time

from django.conf import settings

STEPS = 100_000  # of SQLite's virtual machine, between two looks at the clock: some milliseconds

_thread = threading.local()


def begin_statement() -> None:
    """What this thread has SQLite do next is interrupted once it takes too long."""
    _thread.deadline = time.monotonic() + settings.STATEMENT_TIMEOUT


def is_overdue() -> bool:
    return time.monotonic() > getattr(_thread, "deadline", float("inf"))
