"""How far behind reminders are: from the database and the cache, as another process makes them."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from datetime import timedelta

from django.core.cache import cache
from django.db import connections
from django.utils import timezone

from accounts.outages import DATABASE_ERRORS, database
from accounts.owned.acting import acting_as_everyone
from tasks.due import LAST_RUN
from tasks.models import Preferences, Task

PATIENCE = 1.0  # seconds that database and cache may take
ENOUGH = 1000  # reminders that are looked at

_asker = ThreadPoolExecutor(1, thread_name_prefix="metrics")
_question: Future[tuple[float, float | None]] | None = None


def state_of_reminders() -> Iterator[tuple[str, str, float]]:
    """Name, meaning and value; nothing where the database does not answer in time."""
    global _question
    if _question is None or _question.done():
        _question = _asker.submit(_ask)
    try:
        lag, last_pass = _question.result(PATIENCE)
    except TookTooLong:
        return
    except DATABASE_ERRORS as error:
        database.failed(error)
        return
    yield "reminders_lag_seconds", "For how long the reminder that is due for longest has been", lag
    if last_pass is not None:
        said = "When the last pass of send_reminders ended, in seconds since 1970"
        yield "reminders_last_pass_timestamp_seconds", said, last_pass


def _ask() -> tuple[float, float | None]:
    try:
        with acting_as_everyone():
            now = timezone.now()
            due = Task.objects.filter(next_reminder_at__lte=now).order_by("next_reminder_at")
            moments = [*due.values_list("next_reminder_at", "updated_at", "user_id")[:ENOUGH]]
            people = {owner for *_, owner in moments}
            wanted = Preferences.objects.filter(user_id__in=people)
            since = dict(wanted.values_list("user_id", "updated_at"))
        # One whose date had passed when it was given waits since then, and not since that date; so do
        # those whose owner wants to be reminded otherwise.
        waits = (
            now - max(at, changed, since.get(owner, at)) for at, changed, owner in moments if at
        )
        lag = max(waits, default=timedelta()).total_seconds()
    finally:
        connections.close_all()
    try:
        return lag, cache.get(LAST_RUN)
    except Exception:  # noqa: BLE001  every cache fails in its own way
        return lag, None
