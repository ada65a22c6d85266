"""Recurrence rules as RFC 5545 writes them: those of its parts that docs/api.md section 4 names.

What RFC 5545 forbids is refused, though `dateutil` would make something of it.
"""

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime

MAX_LENGTH = 500  # characters of a rule

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_SPANS = {"DAILY": 1, "WEEKLY": 7, "MONTHLY": 31, "YEARLY": 366}  # days of a period, at most
_MOST = 10**9  # of INTERVAL and of COUNT: more than the calendar has days

_PART = re.compile("([A-Z]+)=([A-Z0-9,+-]+)")
_NUMBER = re.compile("[+-]?[0-9]{1,10}")
_DAY_OF_WEEK = re.compile("([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_DATE = re.compile("[0-9]{8}")
_MOMENT = re.compile("[0-9]{8}T[0-9]{6}Z")
_COUNT = re.compile("(?<![A-Z])COUNT=[0-9]+", re.IGNORECASE)


class InvalidRule(ValueError):
    """What is wrong with a rule, as a sentence for whoever wrote it."""


@dataclass(frozen=True)
class Rule:
    """A rule, understood. Weekdays count from 0, Monday; with 0 for every one of a period, or the nth."""

    freq: str
    interval: int = 1
    byday: tuple[tuple[int, int], ...] = ()
    bymonthday: tuple[int, ...] = ()
    bymonth: tuple[int, ...] = ()
    bysetpos: tuple[int, ...] = ()
    wkst: int = 0
    until: date | datetime | None = None
    count: int | None = None

    def period(self, day: date) -> int:
        """The number of the year, month, week or day that this day is of."""
        match self.freq:
            case "YEARLY":
                return day.year
            case "MONTHLY":
                return day.year * 12 + day.month
            case "WEEKLY":
                return (day.toordinal() - 1 - self.wkst) // 7  # the first day of all was a Monday
            case _:
                return day.toordinal()

    def repeating(self, first: date) -> "Rule":
        """What repeats, without an end; what the rule leaves open is as the first date has it."""
        rule = replace(self, until=None, count=None)
        if rule.byday or rule.bymonthday:
            return rule
        match self.freq:
            case "YEARLY":
                return replace(
                    rule, bymonth=rule.bymonth or (first.month,), bymonthday=(first.day,)
                )
            case "MONTHLY":
                return replace(rule, bymonthday=(first.day,))
            case "WEEKLY":
                return replace(rule, byday=((first.weekday(), 0),))
            case _:
                return replace(rule, byday=tuple((day, 0) for day in range(7)))


def parse(text: str) -> Rule:
    """The rule that a text says, or `InvalidRule`. Upper and lower case are one, as RFC 5545 has it."""
    if len(text) > MAX_LENGTH:
        raise InvalidRule(f"A rule has at most {MAX_LENGTH} characters.")
    parts: dict[str, str] = {}
    for part in text.upper().split(";") if text.isascii() else [""]:
        found = _PART.fullmatch(part)
        if found is None:
            raise InvalidRule("A rule is NAME=VALUE;NAME=VALUE;…, such as FREQ=WEEKLY;BYDAY=MO,FR.")
        if found[1] in parts:
            raise InvalidRule(f"{found[1]} stands twice.")
        parts[found[1]] = found[2]
    freq = parts.pop("FREQ", "")
    if freq not in _SPANS:
        raise InvalidRule("FREQ is needed: DAILY, WEEKLY, MONTHLY or YEARLY.")
    if {"UNTIL", "COUNT"} <= parts.keys():
        raise InvalidRule("UNTIL and COUNT exclude one another.")
    rule = Rule(
        freq=freq,
        interval=_number(parts, "INTERVAL") or 1,
        byday=_by_day(parts, freq),
        bymonthday=_numbers(parts, "BYMONTHDAY", 31),
        bymonth=_numbers(parts, "BYMONTH", 12, signed=False),
        bysetpos=_numbers(parts, "BYSETPOS", _SPANS[freq]),
        wkst=_week_start(parts),
        until=_until(parts),
        count=_number(parts, "COUNT"),
    )
    if parts:
        raise InvalidRule(f"{next(iter(parts))[:20]} is not supported.")
    if any(abs(nth) > 5 for _, nth in rule.byday) and (freq == "MONTHLY" or rule.bymonth):
        raise InvalidRule("BYDAY counts to 5 and -5 in a month.")  # `dateutil` would break on it
    if rule.bymonthday and freq == "WEEKLY":
        raise InvalidRule("BYMONTHDAY does not go with FREQ=WEEKLY.")
    if rule.bysetpos and not (rule.byday or rule.bymonthday or rule.bymonth):
        raise InvalidRule("BYSETPOS needs BYDAY, BYMONTHDAY or BYMONTH.")
    return rule


def with_count(text: str, count: int) -> str:
    """The same rule as it was written, with another `COUNT`."""
    return _COUNT.sub(f"COUNT={count}", text)


def _number(parts: dict[str, str], name: str) -> int | None:
    """Take the whole number from 1 on of a part, if there is the part."""
    text = parts.pop(name, None)
    if text is None:
        return None
    if not text.isdigit() or not 1 <= int(text) <= _MOST:
        raise InvalidRule(f"{name} is a whole number from 1 on.")
    return int(text)


def _numbers(parts: dict[str, str], name: str, most: int, signed: bool = True) -> tuple[int, ...]:
    """Take the numbers of a part, sorted and each of them once."""
    numbers = set()
    for text in parts.pop(name).split(",") if name in parts else []:
        number = int(text) if _NUMBER.fullmatch(text) else 0
        if not 1 <= abs(number) <= most or not (signed or text.isdigit()):
            raise InvalidRule(
                f"{name} holds numbers from 1 to {most}{f', or -1 to -{most}' if signed else ''}."
            )
        numbers.add(number)
    return tuple(sorted(numbers))


def _by_day(parts: dict[str, str], freq: str) -> tuple[tuple[int, int], ...]:
    """Take the weekdays of `BYDAY`, each of them once."""
    days = set()
    for text in parts.pop("BYDAY").split(",") if "BYDAY" in parts else []:
        found = _DAY_OF_WEEK.fullmatch(text)
        nth = int(found[1] or 0) if found else 0
        if found is None or abs(nth) > 53 or (found[1] and not nth):
            raise InvalidRule("BYDAY holds days such as MO, 1MO or -1MO.")
        if nth and freq not in ("MONTHLY", "YEARLY"):
            raise InvalidRule(f"Days such as 1MO in BYDAY do not go with FREQ={freq}.")
        days.add((WEEKDAYS.index(found[2]), nth))
    return tuple(sorted(days))


def _week_start(parts: dict[str, str]) -> int:
    """Take the day that `WKST` names."""
    day = parts.pop("WKST", "MO")
    if day not in WEEKDAYS:
        raise InvalidRule("WKST is one of MO, TU, WE, TH, FR, SA and SU.")
    return WEEKDAYS.index(day)


def _until(parts: dict[str, str]) -> date | datetime | None:
    """Take the date or the moment of `UNTIL`."""
    text = parts.pop("UNTIL", None)
    if text is None:
        return None
    with suppress(ValueError):  # there is no such day, or no such time
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
        if _MOMENT.fullmatch(text):
            return datetime.fromisoformat(text)
    raise InvalidRule("UNTIL is a date, such as 20271231, or a moment, such as 20271231T235959Z.")
