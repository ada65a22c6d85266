"""Moments that the server makes: fine enough to tell versions apart, and in order as text too."""

from datetime import UTC, datetime, timedelta

from django.utils import timezone

MICROSECOND = timedelta(microseconds=1)  # the finest step that both databases keep
LAST = datetime.max.replace(tzinfo=UTC)


def now(after: datetime | None = None) -> datetime:
    """The present moment, or the next one after `after` where the clock has not got that far.

    Its microseconds never end in a zero, so that moments written as text are in order too.
    """
    moment = timezone.now()
    if after is not None:
        moment = max(moment, after + MICROSECOND if after < LAST else LAST)
    return moment if moment.microsecond % 10 else moment + MICROSECOND


def as_text(moment: datetime) -> str:
    """A moment in ISO 8601, in UTC, with as many digits of the second as it takes."""
    text = moment.astimezone(UTC).isoformat().removesuffix("+00:00")
    return (text.rstrip("0") if "." in text else text) + "Z"
