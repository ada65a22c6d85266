"""Which date comes after which, by a recurrence rule of RFC 5545 (docs/api.md section 4).

`dateutil` says which days of a year the parts of a rule name. Stepping is done here: by itself it goes
on by one period at a time, to the year 9999 where nothing matches. Which days of a year are named
depends on no more than its first weekday and whether it is a leap year, so 14 years say all, and which
periods `INTERVAL` leaves is arithmetic: a rule costs what a look at 14 years costs, at most.

Where a task's own date is no date of its rule, `COUNT` does not count it; `dateutil` has it so as well.
"""

from bisect import bisect_left
from calendar import isleap
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import groupby, islice, takewhile
from typing import NamedTuple

from dateutil.rrule import WEEKLY, YEARLY, rrule, weekdays

from tasks.rules.days import local, moment_of, today
from tasks.rules.recurrence_rule import InvalidRule, Rule, parse, with_count

HORIZON = 36_525  # days: a hundred years, within which one date must follow another

_LAST_DAY = date.max.toordinal()


class Next(NamedTuple):
    """The date or moment of the next task, and its rule: empty where it is the last for a hundred years."""

    on: date | datetime
    rule: str


def require_dates(rule: Rule, on: date | datetime, zone: str) -> None:
    """Refuse a rule that does not suit a task with this date or deadline, or gives it no dates.

    It must have a date within a hundred years of the task's own, and unless it ends there, another
    within a hundred years of that. The clock is not asked: a task that was good stays good.
    """
    series = _Series(rule, on, zone)
    first = next(series.days(series.first.toordinal()), None)
    if first is None or series.over(series.at(first)) or not series.lasts(first, rule.count):
        raise InvalidRule("The rule has no date in the hundred years after the task's.")


def next_after(text: str, on: date | datetime, now: datetime, zone: str) -> Next | None:
    """What comes after a task's date: later than that and than now (a bare date: than today).

    The clock on the wall shows the same, whatever is done to it meanwhile. `None` after the last date.
    """
    rule = parse(text)
    series = _Series(rule, on, zone)
    start = series.first.toordinal() + 1
    passed: date | datetime
    if isinstance(on, datetime):
        passed = max(on, now)
        start = max(
            start, today(zone, passed).toordinal() - 1
        )  # what is skipped may count a day later
    else:
        passed = max(on, today(zone, now))
        start = max(start, passed.toordinal() + 1)
    day = next((day for day in series.days(start) if series.at(day) > passed), None)
    if day is None or series.over(series.at(day)):
        return None
    left = None
    if rule.count is not None:
        left = rule.count - series.number_before(day, rule.count)
        if left < 1:
            return None
        text = with_count(text, left)
    return Next(series.at(day), text if series.lasts(day, left) else "")


class _Series:
    """The dates of a rule from a task's own date on, without the end that `COUNT` sets."""

    def __init__(self, rule: Rule, on: date | datetime, zone: str) -> None:
        self.zone = zone
        self.wall = local(on, zone) if isinstance(on, datetime) else None
        self.first = self.wall.date() if self.wall else on
        if rule.until and isinstance(rule.until, datetime) != isinstance(on, datetime):
            raise InvalidRule(
                "UNTIL is a moment in UTC with a deadline, such as 20271231T235959Z, "
                "and a date with due_on, such as 20271231."
            )
        self.until = rule.until
        self.rule = rule.repeating(self.first)
        self.phase = self.rule.period(self.first)

    def at(self, day: date) -> date | datetime:
        """What a task of this day has: the date, or the moment that its clock on the wall shows."""
        if self.wall is None:
            return day
        return moment_of(datetime.combine(day, self.wall.time()), self.zone)

    def over(self, when: date | datetime) -> bool:
        """Whether this is later than `UNTIL`."""
        return self.until is not None and when > self.until

    def lasts(self, day: date, count: int | None) -> bool:
        """Whether another date follows this one within a hundred years, or the rule ends as it says."""
        start = day.toordinal() + 1
        if count == 1 or any(self.days(start)):
            return True
        end = date.fromordinal(min(start + HORIZON, _LAST_DAY))
        return self.over(self.at(end))

    def days(self, start: int) -> Iterator[date]:
        """The days of the rule from an ordinal on, for a hundred years."""
        stop = min(start + HORIZON, _LAST_DAY)
        if start > stop:
            return
        for year in range(date.fromordinal(start).year, date.fromordinal(stop).year + 1):
            first, days = self._year(year)
            for day in islice(days, bisect_left(days, start - first), None):
                if first + day > stop:
                    return
                yield date.fromordinal(first + day)

    def number_before(self, end: date, most: int) -> int:
        """How many days of the rule there are from the first date on, before this day: counted
        until they are more than `most`."""
        number = 0
        for year in range(self.first.year, end.year + 1):
            first, days = self._year(year)
            number += bisect_left(days, end.toordinal() - first)
            number -= bisect_left(days, self.first.toordinal() - first)
            if number > most:
                break
        return number

    def _year(self, year: int) -> tuple[int, tuple[int, ...]]:
        """The ordinal of the first of January, and which days after it are of the rule."""
        new_year = date(year, 1, 1)
        first = self.rule.period(new_year)
        residue = (self.phase - first) % self.rule.interval
        if residue > self.rule.period(date(year, 12, 31)) - first:
            return new_year.toordinal(), ()
        table = _table(self.rule, _ALIKE[new_year.weekday(), isleap(year)])
        return new_year.toordinal(), table.get(residue, ())


# One of each of the 14 kinds of year.
_ALIKE = {(date(year, 1, 1).weekday(), isleap(year)): year for year in range(2001, 2029)}


@lru_cache(maxsize=128)
def _table(rule: Rule, year: int) -> dict[int, tuple[int, ...]]:
    """The days of a year that a rule names, from 0, by the number of their period modulo `INTERVAL`."""
    new_year = date(year, 1, 1)
    ordinal, period = new_year.toordinal(), rule.period(new_year)
    table: dict[int, list[int]] = {}
    for day in _named(rule, new_year):
        residue = (rule.period(day) - period) % rule.interval
        table.setdefault(residue, []).append(day.toordinal() - ordinal)
    return {residue: tuple(days) for residue, days in table.items()}


def _named(rule: Rule, new_year: date) -> list[datetime]:
    """The days of a year that a rule names where `INTERVAL` leaves none out, in order."""
    if rule.freq == "WEEKLY":
        return _named_weekly(rule, new_year)
    plain = [weekdays[day] for day, nth in rule.byday if not nth]
    numbered = [weekdays[day](nth) for day, nth in rule.byday if nth]
    named: set[datetime] = set()
    # `dateutil` asks for both of `MO,1TU`, where RFC 5545 means either.
    for some in filter(None, (plain, numbered)) if rule.byday else (None,):
        # As a rule by the year, and over with it: the next one would be 10,000 years later.
        named.update(
            rrule(
                YEARLY,
                dtstart=new_year,
                interval=10_000,
                bymonth=rule.bymonth or (None if rule.freq == "YEARLY" else range(1, 13)),
                bymonthday=rule.bymonthday or None,
                byweekday=some,
            )
        )
    if not rule.bysetpos:
        return sorted(named)
    periods = [list(days) for _, days in groupby(sorted(named), rule.period)]
    chosen = ({days[at] for at in _indices(rule.bysetpos, len(days))} for days in periods)
    return sorted(set().union(*chosen))


def _indices(positions: tuple[int, ...], length: int) -> list[int]:
    """Where in a list of this length these positions are: from 1 on, or backwards from -1."""
    return [at - (at > 0) for at in positions if abs(at) <= length]


def _named_weekly(rule: Rule, new_year: date) -> list[datetime]:
    """The same of a rule by the week. It begins with a whole one: `dateutil` cuts the first short."""
    if rule.bysetpos and not _indices(rule.bysetpos, len(rule.byday)):
        return []  # no week has so many days, however many years one looks
    days = rrule(
        WEEKLY,
        dtstart=new_year - timedelta(days=(new_year.weekday() - rule.wkst) % 7),
        wkst=rule.wkst,
        bymonth=rule.bymonth or None,
        byweekday=[day for day, _ in rule.byday],
        bysetpos=rule.bysetpos or None,
    )
    year = new_year.year
    return [day for day in takewhile(lambda day: day.year <= year, days) if day.year == year]
