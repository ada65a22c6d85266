"""A person's days in every IANA zone: where they begin and end, and what a clock on the wall means."""

import importlib.resources
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise, product
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.rules.days import (
    FIRST,
    at_wall_clock,
    end_of_day,
    first_day_ending_after,
    first_day_ending_from,
    is_zone,
    local,
    moment_of,
    start_of_day,
    today,
    wall_clock,
    zones,
)
from tasks.rules.moments import LAST, MICROSECOND

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)

NAMES = sorted(zones())


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def offset(moment: datetime, zone: str) -> timedelta:
    """What the zone's clocks are ahead of UTC, asked of `zoneinfo` itself."""
    return moment.astimezone(ZoneInfo(zone)).utcoffset()  # type: ignore[return-value]


@cache
def changes(zone: str) -> list[tuple[datetime, timedelta, timedelta]]:
    """The moments at which the zone's offset changed, 1918 to 2038, with the offsets before and after.

    But for some of several within 20 days.
    """
    probes = [utc(1918, 1, 1) + 20 * DAY * n for n in range(2192)]
    offsets = [offset(probe, zone) for probe in probes]
    found = []
    for (early, before), (late, after) in pairwise(zip(probes, offsets, strict=True)):
        if before != after:
            low, high = 0, int((late - early).total_seconds())
            while high - low > 1:
                middle = (low + high) // 2
                same = offset(early + timedelta(seconds=middle), zone) == before
                low, high = (middle, high) if same else (low, middle)
            change = early + timedelta(seconds=high)
            just_before = change - timedelta(seconds=1)
            found.append((change, offset(just_before, zone), offset(change, zone)))
    return found


def all_changes() -> Iterator[tuple[str, datetime, timedelta, timedelta]]:
    """Every change of every zone; of names for the same zone, of one of them."""
    files = importlib.resources.files("tzdata") / "zoneinfo"
    for name in {files.joinpath(name).read_bytes(): name for name in NAMES}.values():
        for change in changes(name):
            yield name, *change


@st.composite
def days_near_changes(draw: st.DrawFn) -> tuple[str, date]:
    """A zone, and any day, or one around a change of its clocks."""
    zone = draw(st.sampled_from(NAMES))
    moments = [moment for moment, _, _ in changes(zone)]
    if not moments or draw(st.booleans()):
        return zone, draw(st.dates())
    day = (draw(st.sampled_from(moments))).date()
    return zone, day + DAY * draw(st.integers(-2, 2))


def test_every_iana_zone_is_one_and_nothing_else_is():
    iana = available_timezones() - {"localtime", "posixrules"}
    assert iana == zones()
    assert all(is_zone(name) for name in iana)
    assert {
        "UTC",
        "Europe/Berlin",
        "Asia/Kolkata",
        "US/Pacific",
        "Etc/GMT+12",
        "America/Nuuk",
    } <= iana


@pytest.mark.parametrize(
    "name",
    [
        *["", " ", "utc", "europe/berlin", "Europe/Berlin ", "Europe", "Europe/", "Europe//Berlin"],
        *["/etc/localtime", "../../etc/passwd", "posix/Europe/Berlin", "right/UTC", "zone.tab"],
        *["localtime", "posixrules", "UTC\0", "UTC\n", "Europe/Atlantis", "+02:00", "x" * 100_000],
        *[None, 0, True, b"UTC", ["UTC"]],
    ],
)
def test_what_is_no_zone(name):
    assert not is_zone(name)


def test_a_zone_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="no time zone"):
        today("Europe/Atlantis", utc(2026, 1, 1))


@pytest.mark.parametrize(
    ("zone", "day", "begins"),
    [
        ("UTC", date(2026, 3, 1), utc(2026, 3, 1)),
        ("Europe/Berlin", date(2026, 3, 29), utc(2026, 3, 28, 23)),
        ("Europe/Berlin", date(2026, 3, 30), utc(2026, 3, 29, 22)),
        ("Europe/Berlin", date(2026, 10, 26), utc(2026, 10, 25, 23)),
        # Midnight is skipped: the day begins at one o'clock.
        ("America/Sao_Paulo", date(2018, 11, 4), utc(2018, 11, 4, 3)),
        ("Africa/Cairo", date(2024, 4, 26), utc(2024, 4, 25, 22)),
        # From half past eleven to half past twelve.
        ("America/Toronto", date(1919, 3, 31), utc(1919, 3, 31, 4, 30)),
        # Midnight is doubled: it begins at the first.
        ("America/Havana", date(2026, 11, 1), utc(2026, 11, 1, 4)),
        ("America/St_Johns", date(2010, 11, 7), utc(2010, 11, 7, 2, 30)),
        # Clocks that change by half an hour.
        ("Australia/Lord_Howe", date(2026, 10, 5), utc(2026, 10, 4, 13)),
        # A day that never was ends as it begins.
        ("Pacific/Apia", date(2011, 12, 30), utc(2011, 12, 30, 10)),
        ("Pacific/Apia", date(2011, 12, 31), utc(2011, 12, 30, 10)),
        ("Pacific/Apia", date(2012, 1, 1), utc(2011, 12, 31, 10)),
        ("Asia/Kathmandu", date(2024, 2, 29), utc(2024, 2, 28, 18, 15)),
    ],
)
def test_where_a_day_begins(zone, day, begins):
    assert start_of_day(day, zone) == end_of_day(day - DAY, zone) == begins


def test_a_day_begins_at_its_first_moment_at_every_change_of_every_zone():
    checked = 0
    for zone, change, before, after in all_changes():
        for wall in {change + before, change + after}:
            for day in (wall.date(), wall.date() + DAY):
                begins = start_of_day(day, zone)
                # Straight from `zoneinfo`: that moment is of the day (or the day is left out), the one before not.
                assert (begins.replace(tzinfo=None) + offset(begins, zone)).date() >= day
                earlier = begins - MICROSECOND
                assert (earlier.replace(tzinfo=None) + offset(earlier, zone)).date() < day
                checked += 1
    assert checked > 10_000


def test_times_that_are_skipped_or_doubled_at_every_change_of_every_zone():
    skipped = doubled = 0
    for zone, change, before, after in all_changes():
        # The middle of what is skipped or doubled.
        wall = (change + before + (after - before) / 2).replace(tzinfo=None, microsecond=0)
        assert moment_of(wall, zone) == (wall - before).replace(tzinfo=UTC)
        if after > before:
            skipped += 1
            assert local(moment_of(wall, zone), zone) == wall + (after - before)
        else:
            doubled += 1
            assert local(moment_of(wall, zone), zone) == wall
            assert moment_of(wall, zone) < change
    assert skipped > 3_000
    assert doubled > 3_000


@given(days_near_changes(), st.integers(0, 9))
def test_days_follow_one_another(zone_and_day, n):
    zone, day = zone_and_day
    begins, ends = start_of_day(day, zone), end_of_day(day, zone)
    assert FIRST <= begins <= ends <= LAST
    assert begins.tzinfo is ends.tzinfo is UTC
    if day + DAY < date.max and day > date.min:
        assert start_of_day(day + DAY, zone) == ends
        assert end_of_day(day - DAY, zone) == begins
        assert ends - begins <= 49 * HOUR
        if begins < ends:
            assert today(zone, begins) == day
            assert today(zone, begins - MICROSECOND) < day


@given(
    st.sampled_from(NAMES),
    st.datetimes(timezones=st.just(UTC)) | st.sampled_from([FIRST, LAST]),
    st.integers(-3, 3),
)
@example("America/St_Johns", utc(2010, 11, 7, 3), 0)
@example("Pacific/Apia", utc(2011, 12, 30, 10), 0)
@example("Pacific/Apia", utc(2011, 12, 30, 10) - MICROSECOND, -1)
@example("Pacific/Kiritimati", LAST, 0)
@example("Pacific/Niue", FIRST, 0)
def test_a_moment_among_the_ends_of_days(zone, moment, n):
    from_it, after_it = first_day_ending_from(moment, zone), first_day_ending_after(moment, zone)
    try:
        day = today(zone, moment) + n * DAY
    except OverflowError:
        return
    assert (end_of_day(day, zone) < moment) == (day < from_it)
    assert (end_of_day(day, zone) > moment) == (after_it is not None and day >= after_it)


@given(st.sampled_from(NAMES), st.datetimes(timezones=st.just(UTC)))
def test_today_is_the_date_on_the_wall(zone, now):
    try:
        expected = now.astimezone(ZoneInfo(zone)).date()
    except OverflowError:
        expected = date.max if now.year == 9999 else date.min
    assert today(zone, now) == expected


@given(st.sampled_from(NAMES), st.dates(), st.times().map(lambda clock: f"{clock:%H:%M}"))
def test_a_clock_on_the_wall_shows_what_it_was_asked_for_unless_that_is_skipped(zone, day, clock):
    moment = at_wall_clock(day, clock, zone)
    assert FIRST <= moment <= LAST
    if FIRST < moment < LAST and f"{local(moment, zone):%H:%M}" != clock:
        # Skipped: by the offset before the gap, the clock shows that much more.
        wall = datetime.combine(day, time.fromisoformat(clock))
        gap = local(moment, zone) - wall
        assert gap == offset(moment, zone) - offset(moment - gap, zone) > timedelta(0)


@pytest.mark.parametrize(
    ("zone", "day", "clock", "moment"),
    [
        ("Europe/Berlin", date(2026, 3, 28), "09:00", utc(2026, 3, 28, 8)),
        ("Europe/Berlin", date(2026, 3, 29), "09:00", utc(2026, 3, 29, 7)),
        ("Europe/Berlin", date(2026, 3, 29), "02:30", utc(2026, 3, 29, 1, 30)),
        ("Europe/Berlin", date(2026, 10, 25), "02:30", utc(2026, 10, 25, 0, 30)),
        ("Australia/Lord_Howe", date(2026, 10, 4), "02:15", utc(2026, 10, 3, 15, 45)),
        ("Australia/Lord_Howe", date(2026, 4, 5), "01:45", utc(2026, 4, 4, 14, 45)),
        ("Pacific/Apia", date(2011, 12, 30), "09:00", utc(2011, 12, 30, 19)),
        ("America/Sao_Paulo", date(2018, 11, 4), "00:00", utc(2018, 11, 4, 3)),
        ("Asia/Tokyo", date.min, "09:00", FIRST),
        ("Pacific/Niue", date.max, "23:59", LAST),
    ],
)
def test_a_clock_on_the_wall(zone, day, clock, moment):
    assert at_wall_clock(day, clock, zone) == moment


def test_the_edges_of_the_calendar_in_every_zone():
    for zone, day in product(NAMES, (date.min, date.max)):
        assert FIRST <= start_of_day(day, zone) <= end_of_day(day, zone) <= LAST
        assert FIRST <= at_wall_clock(day, "12:00", zone) <= LAST
        assert end_of_day(date.max, zone) == LAST
        assert today(zone, FIRST) == date.min
        assert today(zone, LAST) in (date.max, date.max - DAY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "9:00",
        "09:0",
        "24:00",
        "12:60",
        "09:00:00",
        "09:00Z",
        " 09:00",
        "09:00\n",
        "\u0660\u0669:\u0660\u0660",
    ],
)
def test_what_is_no_time_of_day(text):
    with pytest.raises(ValueError, match="HH:MM"):
        wall_clock(text)
