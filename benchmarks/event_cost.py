"""What the record of events costs: creates per second with it and without, side by side.

Run `python benchmarks/event_cost.py` with DATABASE_URL naming an empty, migrated PostgreSQL database
and the other variables of `.env.example` set. Prints a ratio; the rates are the machine's.
"""

import os
import statistics
import sys
import threading
import time
from pathlib import Path
from unittest.mock import patch

THREADS = 4
SECONDS = 2.0
ROUNDS = 5


def without_event(writing: str) -> str:
    """The same statement, but for the number and the event."""
    from accounts.owned.reading import json_of
    from tasks.api.serializers import TASK

    written = f"{writing} RETURNING {json_of(TASK)} AS text"
    return f"WITH written AS ({written}) SELECT text, 0 FROM written WHERE %s <> ''"  # noqa: S608


def creates_per_second(number: int) -> float:
    from django.db import connection

    from tasks.models import Task

    counts = [0] * THREADS
    end = time.perf_counter() + SECONDS

    def work(thread: int) -> None:
        while time.perf_counter() < end:
            Task(user_id=f"user-{number}-{thread}-{counts[thread] % 50}", text="x").save()
            counts[thread] += 1
        connection.close()

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / SECONDS


def main() -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "todolist.settings")
    import django

    django.setup()
    from tasks import writing

    rates: dict[str, list[float]] = {"with": [], "without": []}
    creates_per_second(-1)  # warm up
    for number in range(ROUNDS):
        rates["with"].append(creates_per_second(number))
        writing._insertion.cache_clear()
        with patch("tasks.writing._with_event", without_event):
            rates["without"].append(creates_per_second(number + ROUNDS))
        writing._insertion.cache_clear()
    medians = {name: statistics.median(found) for name, found in rates.items()}
    print(f"creates/s, median of {ROUNDS} x {SECONDS} s, {THREADS} threads: {medians}")
    print(f"with the record / without: {medians['with'] / medians['without']:.2f}")


if __name__ == "__main__":
    main()
