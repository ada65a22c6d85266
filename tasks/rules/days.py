"""A person's days: where they begin and end, and which moment a wall clock names, in an IANA zone.

Where clocks are put forward, a time that is skipped counts by the offset before the gap; where they
are put back, a time that is doubled is the first of both. That is PEP 495's `fold=0`.

Nothing here raises `OverflowError`: beyond the years 1 to 9999, which Python's calendar has, the answer
is the first or the last day or moment of it.
"""

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from tasks.rules.moments import LAST

FIRST = datetime.min.replace(tzinfo=UTC)
DAY = timedelta(days=1)

_WALL_CLOCK = re.compile("([01][0-9]|2[0-3]):([0-5][0-9])")
_MACHINES = {"localtime", "posixrules"}  # files beside the zones: whatever that machine is set to


@cache
def zones() -> frozenset[str]:
    """The names of IANA's zones, old names included, as this server's data have them."""
    return frozenset(available_timezones() - _MACHINES)


def is_zone(name: object) -> bool:
    """Whether this names an IANA zone, letter for letter."""
    return isinstance(name, str) and name in zones()


@cache
def _zone(name: str) -> ZoneInfo:
    """The zone of this name, kept: `zoneinfo` itself holds on to the eight used last."""
    if not is_zone(name):
        raise ValueError(f"There is no time zone “{name}”.")
    return ZoneInfo(name)


def local(moment: datetime, zone: str) -> datetime:
    """What calendar and clock on the wall show at a moment: a naive datetime."""
    try:
        return moment.astimezone(_zone(zone)).replace(tzinfo=None)
    except OverflowError:
        return (LAST if moment.year > 1 else FIRST).replace(tzinfo=None)


def moment_of(wall: datetime, zone: str) -> datetime:
    """The moment in UTC at which calendar and clock on the wall show this naive datetime."""
    try:
        return wall.replace(tzinfo=_zone(zone), fold=0).astimezone(UTC)
    except OverflowError:
        return LAST if wall.year > 1 else FIRST


def today(zone: str, now: datetime) -> date:
    """The date on the wall."""
    return local(now, zone).date()


def wall_clock(text: str) -> time:
    """The time that `HH:MM` stands for, from 00:00 to 23:59."""
    found = _WALL_CLOCK.fullmatch(text)
    if found is None:
        raise ValueError("A time of day is HH:MM, from 00:00 to 23:59.")
    return time(int(found[1]), int(found[2]))


def at_wall_clock(day: date, clock: str, zone: str) -> datetime:
    """The moment in UTC at which a clock on the wall shows `HH:MM` that day."""
    return moment_of(datetime.combine(day, wall_clock(clock)), zone)


def start_of_day(day: date, zone: str) -> datetime:
    """The first moment that is of this day, or of a later one where the zone left this day out.

    Usually midnight. Where midnight is skipped it is the end of the gap. (Where clocks went back over
    midnight, as in Newfoundland until 2011, it is the first midnight, though part of the day before
    comes once more.)
    """
    wall = datetime.combine(day, time.min)
    moment = moment_of(wall, zone)
    if local(moment, zone) <= wall or moment == FIRST:
        return moment
    # In the gap, whose end lies at most its own length before what midnight counts as.
    seconds = int((local(moment, zone) - wall).total_seconds())
    early, late = moment - timedelta(seconds=seconds), moment
    while late - early > timedelta(seconds=1):
        middle = early + timedelta(seconds=(late - early) // timedelta(seconds=2))
        early, late = (early, middle) if today(zone, middle) >= day else (middle, late)
    return late


def end_of_day(day: date, zone: str) -> datetime:
    """The start of the next day: as what a bare date counts among moments, and sorts."""
    return start_of_day(day + DAY, zone) if day < date.max else LAST


def first_day_ending_from(moment: datetime, zone: str) -> date:
    """The first day that ends at this moment or later: days before it end before the moment."""
    day = today(zone, moment)
    while day > date.min and end_of_day(day - DAY, zone) >= moment:
        day -= DAY
    while end_of_day(day, zone) < moment:
        day += DAY
    return day


def first_day_ending_after(moment: datetime, zone: str) -> date | None:
    """The first day that ends later than this moment, if the calendar has one."""
    day = first_day_ending_from(moment, zone)
    while end_of_day(day, zone) <= moment:
        if day == date.max:
            return None
        day += DAY
    return day
