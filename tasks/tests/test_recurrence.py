"""Recurrence: which rules are taken, and which date comes next, held against `dateutil` itself."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrule, rrulestr
from hypothesis import assume, event, example, given, settings
from hypothesis import strategies as st

from tasks.rules import recurrence
from tasks.rules.days import zones
from tasks.rules.recurrence import next_after, require_dates
from tasks.rules.recurrence_rule import WEEKDAYS, InvalidRule, parse

DAY = timedelta(days=1)
# Both calendars are alike after 400 years. `dateutil` looks for dates until the year 9999, whether there
# are any or not: so it is asked about the last years before that.
SHIFT = 8_000
SEEN = date(9999 - SHIFT, 12, 31)
_YEARS = st.dates(date(1960, 1, 1), date(1985, 12, 31))
FIRSTS = st.one_of(_YEARS, _YEARS, _YEARS, st.dates(date(1895, 1, 1), date(1905, 12, 31)))
CENTURY = 36_525 * DAY
LONG_AGO = datetime(1800, 1, 1, tzinfo=UTC)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def shifted(day: date, years: int) -> date:
    return day.replace(year=day.year + years)


def dates(text: str, first: date) -> Iterator[date]:
    """The dates of a rule without an end from a day on, slowly, one by one, as `dateutil` has them."""
    start = shifted(first, SHIFT)
    rule = parse(text)
    if (
        rule.freq == "WEEKLY" and rule.bysetpos
    ):  # `dateutil` leaves days out of a week begun in its middle
        if not rule.byday:
            text += f";BYDAY={WEEKDAYS[first.weekday()]}"
        start -= (start.weekday() - rule.wkst) % 7 * DAY
    with suppress(ValueError):  # it goes on to the year 10000 where a week does
        for moment in rrulestr(text, dtstart=datetime.combine(start, time.min)):
            if (day := shifted(moment.date(), -SHIFT)) >= first:
                yield day


def numbers(most: int, *, signed: bool = True) -> st.SearchStrategy[str]:
    """Some numbers of a part, small ones more often than not."""
    number = st.integers(1, most) | st.integers(1, min(5, most))
    if signed:
        number = st.builds(int.__mul__, number, st.sampled_from([1, 1, -1]))
    return st.lists(number, min_size=1, max_size=4).map(lambda some: ",".join(map(str, some)))


@st.composite
def rules(draw: st.DrawFn) -> str:
    """Rules that RFC 5545 allows; many of them match seldom or never."""
    freq = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    parts = [f"FREQ={freq}"]
    if draw(st.booleans()):
        interval = draw(st.integers(1, 6) | st.integers(1, 60) | st.integers(1, 50_000))
        parts.append(f"INTERVAL={interval}")
    months = draw(numbers(12, signed=False)) if draw(st.booleans()) else ""
    if draw(st.booleans()):
        nths = st.just("")
        if freq in ("MONTHLY", "YEARLY") and draw(st.booleans()):
            most = 53 if freq == "YEARLY" and not months else 5
            nths = st.tuples(st.sampled_from("+-"), st.integers(1, most).map(str)).map("".join)
        days = st.tuples(nths, st.sampled_from(WEEKDAYS)).map("".join)
        parts.append("BYDAY=" + ",".join(draw(st.lists(days, min_size=1, max_size=7))))
    if freq != "WEEKLY" and draw(st.booleans()):
        parts.append("BYMONTHDAY=" + draw(numbers(31)))
    if months:
        parts.append(f"BYMONTH={months}")
    if any(part.startswith("BY") for part in parts) and draw(st.booleans()):
        most = {"DAILY": 1, "WEEKLY": 7, "MONTHLY": 31, "YEARLY": 366}[freq]
        parts.append("BYSETPOS=" + draw(numbers(most)))
    if draw(st.booleans()):
        parts.append("WKST=" + draw(st.sampled_from(WEEKDAYS)))
    return ";".join([parts[0], *draw(st.permutations(parts[1:]))])


@settings(max_examples=1_500)
@given(rules(), FIRSTS, st.integers(-10, 800))
@example("FREQ=MONTHLY;BYMONTHDAY=31;BYMONTH=2", date(1900, 1, 31), 0)
@example("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", date(1896, 2, 29), 0)
@example("FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=SU", date(1897, 8, 5), 10)
@example("FREQ=WEEKLY;BYDAY=MO,WE;BYSETPOS=2", date(1897, 8, 3), 0)
@example("FREQ=WEEKLY;BYDAY=MO,WE;BYSETPOS=2", date(1979, 12, 26), 0)
def test_the_next_date_is_the_first_of_dateutils_after_the_old_one_and_today(text, first, later):
    """Over thousands of rules, those included that match seldom or never."""
    now = datetime.combine(first, time(12), UTC) + later * DAY
    passed = max(first, now.date())
    expected = next((day for day in dates(text, first) if day > passed), None)
    following = next_after(text, first, now, "UTC")
    if following is None or following.on > SEEN:  # none for a hundred years, or none that was seen
        assert expected is None or expected - passed > CENTURY
    else:
        assert following.on == expected
        assert following.rule in (text, "")


@settings(max_examples=150)
@given(rules(), FIRSTS, st.integers(1, 12))
def test_step_by_step_come_all_dates_and_count_runs_down(text, first, count):
    expected = list(islice(dates(text, first), count))
    rule, on, came = f"{text};COUNT={count}", first, []
    while (following := next_after(rule, on, LONG_AGO, "UTC")) and following.on <= SEEN:
        on, rule = following
        came.append(on)
        if rule == "":  # none in the hundred years after it
            break
        assert rule == f"{text};COUNT={count - expected.index(on)}"
    assert came == [day for day in expected if day > first][: len(came)]
    rest = [day for day in expected if day > on]
    assert not rest or rest[0] - on > CENTURY


@settings(max_examples=150)
@given(rules(), FIRSTS, st.integers(1, 60), st.integers(0, 60))
def test_dates_that_are_skipped_are_counted(text, first, count, skipped):
    expected = list(islice(dates(text, first), count))
    assume(skipped < len(expected) and all(b - a < CENTURY for a, b in pairwise(expected)))
    passed = max(first, expected[skipped])
    now = datetime.combine(passed, time(23, 59), UTC)
    following = next_after(f"COUNT={count};{text}", first, now, "UTC")
    left = [day for day in expected if day > passed]
    if left:
        assert following is not None
        assert following.on == left[0]
        assert following.rule in (f"COUNT={count - expected.index(left[0])};{text}", "")
    else:
        assert following is None or following.on > SEEN


def test_dateutil_counts_the_same():
    on, rule = date(2026, 11, 3), "FREQ=WEEKLY;BYDAY=MO,TH;COUNT=4"  # a Tuesday: not counted
    days = [day.date() for day in rrulestr(rule, dtstart=datetime.combine(on, time.min))]
    assert len(days) == 4
    for n, day in enumerate(days):
        on, rule = next_after(rule, on, LONG_AGO, "UTC") or pytest.fail("there is one more")
        assert (on, rule) == (day, f"FREQ=WEEKLY;BYDAY=MO,TH;COUNT={4 - n}")
    assert next_after(rule, on, LONG_AGO, "UTC") is None


@settings(max_examples=300)
@given(
    st.sampled_from(["FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,SU", "FREQ=MONTHLY;BYDAY=-1SU,2SU,1FR"]),
    st.sampled_from(sorted(zones())),
    st.datetimes(datetime(1971, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.timedeltas(-1_000 * DAY, 1_000 * DAY),
)
@example("FREQ=DAILY", "Pacific/Apia", utc(2011, 12, 29, 19), timedelta(0))
@example("FREQ=DAILY", "Europe/Berlin", utc(2026, 3, 28, 1, 30), timedelta(0))
@example("FREQ=DAILY", "Europe/Berlin", utc(2026, 10, 25, 1, 30), timedelta(0))
def test_a_deadline_keeps_the_time_on_the_wall(text, zone, on, ahead):
    here = ZoneInfo(zone)
    wall = on.astimezone(here)
    midnight = datetime.combine(wall, time.min)
    days = rrulestr(text, dtstart=midnight).xafter(midnight)
    moments = (datetime.combine(day, wall.time(), here).astimezone(UTC) for day in days)
    now = on + ahead
    expected = next(moment for moment in moments if moment > max(on, now))
    assert next_after(text, on, now, zone) == (expected, text)


BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("text", "on", "now", "zone", "following"),
    [
        # Nine in the morning, over both changes.
        ("FREQ=DAILY", utc(2026, 3, 28, 8), LONG_AGO, BERLIN, utc(2026, 3, 29, 7)),
        ("FREQ=DAILY", utc(2026, 10, 24, 7), LONG_AGO, BERLIN, utc(2026, 10, 25, 8)),
        # Half past two: skipped, by the offset before; doubled, the first.
        ("FREQ=DAILY", utc(2026, 3, 28, 1, 30), LONG_AGO, BERLIN, utc(2026, 3, 29, 1, 30)),
        ("FREQ=DAILY", utc(2026, 10, 24, 0, 30), LONG_AGO, BERLIN, utc(2026, 10, 25, 0, 30)),
        # What is skipped before midnight comes after it, and so may still be to come then.
        (
            "FREQ=DAILY",
            utc(1919, 3, 30, 4, 45),
            utc(1919, 3, 31, 4, 40),
            "America/Toronto",
            utc(1919, 3, 31, 4, 45),
        ),
        # After now, too: of the same day where its hour is still to come.
        ("FREQ=DAILY", utc(2026, 5, 1, 7), utc(2026, 5, 9, 6), BERLIN, utc(2026, 5, 9, 7)),
        ("FREQ=DAILY", utc(2026, 5, 1, 7), utc(2026, 5, 9, 7), BERLIN, utc(2026, 5, 10, 7)),
        ("FREQ=DAILY", utc(1970, 1, 1), utc(2026, 5, 9, 7), "UTC", utc(2026, 5, 10)),
        # The day is the person's.
        ("FREQ=WEEKLY", utc(2026, 5, 3, 23), LONG_AGO, BERLIN, utc(2026, 5, 10, 23)),
        ("FREQ=MONTHLY;BYMONTHDAY=1", utc(2026, 5, 31, 22), LONG_AGO, BERLIN, utc(2026, 6, 30, 22)),
        (
            "FREQ=DAILY",
            utc(2026, 5, 1, 7, 5, 1, 250),
            LONG_AGO,
            "UTC",
            utc(2026, 5, 2, 7, 5, 1, 250),
        ),
        # Bare dates: after today, which is the person's.
        ("FREQ=DAILY", date(2026, 5, 1), utc(2026, 5, 9, 11), "UTC", date(2026, 5, 10)),
        (
            "FREQ=DAILY",
            date(2026, 5, 1),
            utc(2026, 5, 9, 11),
            "Pacific/Kiritimati",
            date(2026, 5, 11),
        ),
        ("FREQ=DAILY", date(2026, 5, 1), utc(2026, 5, 9, 11), "Etc/GMT+12", date(2026, 5, 9)),
        ("FREQ=DAILY", date(2026, 6, 1), utc(2026, 5, 9), "UTC", date(2026, 6, 2)),
        ("FREQ=MONTHLY", date(2026, 1, 31), LONG_AGO, "UTC", date(2026, 3, 31)),
        ("FREQ=YEARLY", date(2024, 2, 29), LONG_AGO, "UTC", date(2028, 2, 29)),
        ("FREQ=YEARLY", date(2096, 2, 29), LONG_AGO, "UTC", date(2104, 2, 29)),
        ("FREQ=MONTHLY;BYDAY=MO,1TU", date(2026, 11, 30), LONG_AGO, "UTC", date(2026, 12, 1)),
        ("FREQ=MONTHLY;BYDAY=MO,1TU", date(2026, 12, 1), LONG_AGO, "UTC", date(2026, 12, 7)),
        ("freq=weekly;byday=fr", date(2026, 11, 30), LONG_AGO, "UTC", date(2026, 12, 4)),
        # A rule that ends.
        ("FREQ=DAILY;UNTIL=20260502", date(2026, 5, 1), LONG_AGO, "UTC", date(2026, 5, 2)),
        ("FREQ=DAILY;UNTIL=20260502", date(2026, 5, 2), LONG_AGO, "UTC", None),
        ("FREQ=DAILY;UNTIL=20260502", date(2026, 5, 1), utc(2026, 5, 2), "UTC", None),
        (
            "FREQ=DAILY;UNTIL=20260502T070000Z",
            utc(2026, 5, 1, 7),
            LONG_AGO,
            BERLIN,
            utc(2026, 5, 2, 7),
        ),
        ("FREQ=DAILY;UNTIL=20260502T065959Z", utc(2026, 5, 1, 7), LONG_AGO, BERLIN, None),
        ("FREQ=DAILY;COUNT=1", date(2026, 5, 1), LONG_AGO, "UTC", None),
        # And the calendar.
        ("FREQ=DAILY", date.max, LONG_AGO, "UTC", None),
        ("FREQ=DAILY", datetime.max.replace(tzinfo=UTC), LONG_AGO, "Pacific/Kiritimati", None),
        ("FREQ=DAILY", datetime.max.replace(tzinfo=UTC), LONG_AGO, "Pacific/Niue", None),
        ("FREQ=DAILY", date.min, datetime.min.replace(tzinfo=UTC), "Pacific/Niue", date(1, 1, 2)),
    ],
)
def test_what_comes_next(text, on, now, zone, following):
    found = next_after(text, on, now, zone)
    assert (found and found.on) == following
    assert found is None or found.rule == text


def test_count_is_lowered_where_it_stands_as_it_was_written():
    assert next_after(
        "Freq=Daily;count=010;Interval=2", date(2026, 5, 1), utc(2026, 5, 6), "UTC"
    ) == (
        date(2026, 5, 7),
        "Freq=Daily;COUNT=7;Interval=2",
    )


def test_a_date_after_which_none_comes_for_a_hundred_years_is_the_last():
    """A leap day that is a Sunday, every fifth year: 40 years apart, then 220."""
    text, on = "FREQ=YEARLY;INTERVAL=5;BYMONTH=2;BYMONTHDAY=29;BYDAY=SU", date(2088, 2, 29)
    require_dates(parse(text), on, "UTC")
    on = date(2128, 2, 29)
    assert next_after(text, date(2088, 2, 29), LONG_AGO, "UTC") == (on, "")
    assert next_after(text, on, LONG_AGO, "UTC") is None
    with pytest.raises(InvalidRule, match="hundred years"):
        require_dates(parse(text), on, "UTC")


@settings(max_examples=150)
@given(rules(), FIRSTS, st.sampled_from(["", ";COUNT=1", ";COUNT=3"]))
def test_a_rule_is_taken_if_it_has_dates_and_what_follows_a_good_one_is_good(text, first, end):
    some = list(islice(dates(text, first), 2))
    try:
        require_dates(parse(text + end), first, "UTC")
    except InvalidRule:
        none = not some or some[0] - first > CENTURY
        assert none or (end != ";COUNT=1" and (len(some) < 2 or some[1] - some[0] > CENTURY))
    else:
        assert some or SEEN - first < CENTURY
        following = next_after(text + end, first, LONG_AGO, "UTC")
        if following is not None and following.rule:
            require_dates(parse(following.rule), following.on, "UTC")


@pytest.mark.parametrize(
    "text",
    [
        *[
            "FREQ=DAILY",
            "FREQ=WEEKLY;BYDAY=MO,TU",
            "FREQ=MONTHLY;BYDAY=-1FR",
            "FREQ=YEARLY;COUNT=1",
        ],
        *[
            "freq=daily",
            "INTERVAL=2;FREQ=DAILY",
            "FREQ=MONTHLY;BYMONTHDAY=-1,+15,31",
            "FREQ=YEARLY",
        ],
        *[
            "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
            "FREQ=DAILY;UNTIL=20261130",
            "FREQ=YEARLY;INTERVAL=99",
        ],
        *["FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "FREQ=WEEKLY;BYDAY=MO,MO;WKST=SU"],
        "FREQ=YEARLY;BYMONTHDAY=" + ",".join(["1"] * 238),  # 499 characters
    ],
)
def test_rules_that_are_taken(text):
    require_dates(parse(text), date(2026, 11, 30), "UTC")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *[
            (text, "such as FREQ=WEEKLY")
            for text in ("", ";", "FREQ", "FREQ=DAILY;", "FREQ=", "daily")
        ],
        *[("RRULE:FREQ=DAILY", "NAME=VALUE"), ("FREQ=DAILY\nRRULE:FREQ=DAILY", "NAME=VALUE")],
        *[
            ("FREQ=DAILY ;COUNT=1", "NAME=VALUE"),
            ("FREQ=DAILY\n", "NAME=VALUE"),
            ("FREQ=DA\0LY", "NAME"),
        ],
        *[("FREQ=DAİLY", "NAME=VALUE"), ("FREQ=DAILY;COUNT=\u0663", "NAME=VALUE")],
        *[(f"FREQ={freq}", "FREQ is needed") for freq in ("HOURLY", "SECONDLY", "FORTNIGHTLY")],
        *[("COUNT=3", "FREQ is needed"), ("FREQ=DAILY;FREQ=DAILY", "FREQ stands twice")],
        *[(f"FREQ=YEARLY;{name}=1", f"{name} is not supported") for name in ("BYHOUR", "BYWEEKNO")],
        *[(f"FREQ=YEARLY;{name}=1", f"{name} is not") for name in ("BYYEARDAY", "BYEASTER", "X")],
        *[
            (f"FREQ=DAILY;INTERVAL={n}", "INTERVAL is")
            for n in ("0", "-1", "+1", "1,2", "9" * 400, "A")
        ],
        *[(f"FREQ=DAILY;COUNT={n}", "COUNT is") for n in ("0", "-1", "1000000001", "1,2", "B")],
        *[
            (f"FREQ=YEARLY;BYMONTH={n}", "BYMONTH holds")
            for n in ("0", "13", "-1", "+1", "1,", "JAN")
        ],
        *[
            (f"FREQ=MONTHLY;BYMONTHDAY={n}", "BYMONTHDAY holds")
            for n in ("0", "32", "-32", "1,,2", "--1")
        ],
        *[
            (f"FREQ=MONTHLY;BYDAY={day}", "BYDAY holds")
            for day in ("XX", "0MO", "54MO", "MO1", "MO,", "1")
        ],
        *[
            ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=32", "BYSETPOS holds"),
            ("FREQ=DAILY;WKST=1", "WKST is"),
        ],
        *[
            ("FREQ=YEARLY;BYDAY=MO;BYSETPOS=367", "BYSETPOS holds"),
            ("FREQ=MONTHLY;BYDAY=6MO", "BYDAY counts"),
            ("FREQ=YEARLY;BYMONTH=12;BYDAY=-8MO", "BYDAY counts"),
            ("FREQ=DAILY;WKST=1MO", "WKST is"),
        ],
        *[("FREQ=WEEKLY;BYDAY=1MO", "FREQ=WEEKLY"), ("FREQ=DAILY;BYDAY=-1MO", "FREQ=DAILY")],
        *[("FREQ=WEEKLY;BYMONTHDAY=1", "FREQ=WEEKLY"), ("FREQ=DAILY;BYSETPOS=1", "BYSETPOS needs")],
        *[("FREQ=DAILY;COUNT=2;UNTIL=20270101", "exclude one another")],
        *[
            (f"FREQ=DAILY;UNTIL={day}", "UNTIL is")
            for day in ("20270229", "2027-01-01", "00000101", "1")
        ],
        *[
            (f"FREQ=DAILY;UNTIL=20270101T{at}", "UNTIL is")
            for at in ("000000", "250000Z", "0000Z", "Z")
        ],
        ("FREQ=YEARLY;BYMONTHDAY=" + ",".join(["1"] * 240), "at most 500 characters"),
    ],
)
def test_what_is_no_rule(text, reason):
    with pytest.raises(InvalidRule, match=reason):
        parse(text)


@given(
    st.text(max_size=600)
    | st.from_regex("(;?(FREQ|COUNT|BYDAY|UNTIL)=[A-Z0-9,+-]*)*", fullmatch=True)
)
def test_of_any_text_it_is_known_whether_it_is_a_rule(text):
    try:
        rule = parse(text)
    except InvalidRule as error:
        event(str(error))
    else:
        assert rule.freq in ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")


@pytest.mark.parametrize(
    "text",
    [
        *["FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=DAILY;BYMONTH=4,6,9,11;BYMONTHDAY=31"],
        *[
            "FREQ=YEARLY;INTERVAL=101",
            "FREQ=DAILY;INTERVAL=1000000000",
            "FREQ=MONTHLY;INTERVAL=1201",
        ],
        *[
            "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=6",
            "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=2",
            "FREQ=YEARLY;BYDAY=53MO;BYMONTHDAY=1",
        ],
        *[
            "FREQ=DAILY;UNTIL=20261129",
            "FREQ=WEEKLY;BYDAY=TU;UNTIL=20261130",
            "FREQ=WEEKLY;INTERVAL=5300",
        ],
        *["FREQ=DAILY;UNTIL=20270101T000000Z", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;COUNT=1"],
    ],
)
def test_rules_that_give_a_date_no_next_one_are_refused(text):
    with pytest.raises(InvalidRule, match=r"hundred years|UNTIL is a moment"):
        require_dates(parse(text), date(2026, 11, 30), "UTC")  # a Monday


def test_until_suits_what_the_task_has():
    moment, day = utc(2026, 11, 30, 9), date(2026, 11, 30)
    require_dates(parse("FREQ=DAILY;UNTIL=20261130"), day, "UTC")
    require_dates(parse("FREQ=DAILY;UNTIL=20261130T090000Z"), moment, "UTC")
    for until, on in [("20261130", moment), ("20261130T090000Z", day)]:
        with pytest.raises(InvalidRule, match="UNTIL is a moment in UTC with a deadline"):
            require_dates(parse(f"FREQ=DAILY;UNTIL={until}"), on, "UTC")
    with pytest.raises(InvalidRule, match="hundred years"):
        require_dates(parse("FREQ=DAILY;UNTIL=20261130T085959Z"), moment, "UTC")


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("FREQ=DAILY;COUNT=1000000", date(1970, 1, 1)),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", date(1, 1, 1)),
        ("FREQ=YEARLY;BYDAY=MO;BYSETPOS=54", date(2026, 11, 30)),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR,SA;BYSETPOS=28", date(2026, 11, 30)),
    ],
)
def test_whatever_the_rule_dateutil_is_asked_about_14_years_at_most(text, first, monkeypatch):
    """A count, not a time: by itself it would go through every period to the year 9999."""
    asked = []

    def counting(*args, **options):
        asked.append(options["dtstart"])
        return rrule(*args, **options)

    recurrence._table.cache_clear()
    monkeypatch.setattr(recurrence, "rrule", counting)
    next_after(text, first, utc(2026, 11, 30), "UTC")
    assert 0 < len(asked) <= 14
