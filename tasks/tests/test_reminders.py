"""The rule of reminders: a pure function of dates, wishes, clock and what was made (docs/api.md section 6)."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.rules.days import FIRST, end_of_day, zones
from tasks.rules.moments import LAST
from tasks.rules.reminders import Kind, State, Wishes, due, first_look, upcoming, wording

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

minutes = st.integers(-10_000, 10_000).map(lambda number: NOON + number * MINUTE)
kinds = st.frozensets(st.sampled_from(list(Kind)))
names = st.sampled_from(sorted(zones()))
clocks = st.times().map(lambda clock: f"{clock:%H:%M}")
wishes = st.builds(Wishes, names, clocks, st.none() | st.integers(0, 10_080))
# Around both changes of clocks of north and south, a leap day, the end of a year; and any.
days = st.sampled_from(
    [
        *(date(2027, 3, 14), date(2027, 3, 28), date(2027, 4, 4), date(2027, 10, 3)),
        *(date(2027, 10, 31), date(2027, 11, 7), date(2028, 2, 29), date(2027, 12, 31)),
        date(2011, 12, 30),  # which Samoa left out
    ]
) | st.dates(date(1970, 1, 1), date(2036, 12, 31))
deadlines = st.builds(State, st.booleans(), minutes, st.none(), kinds)
of_days = st.builds(State, st.booleans(), st.none(), days, kinds)
states = deadlines | of_days | st.builds(State, st.booleans(), st.none(), st.none(), kinds)


def told(state: State, wanted: Wishes, now: datetime) -> Kind | None:
    return due(upcoming(state, wanted), now)


def test_each_kind_of_a_deadline_in_its_time():
    state = State(completed=False, deadline=NOON)
    wanted = Wishes()
    assert told(state, wanted, NOON - 31 * MINUTE) is None
    assert told(state, wanted, NOON - 30 * MINUTE) is Kind.REMINDER
    assert told(state, wanted, NOON) is Kind.REACHED
    assert told(state, wanted, NOON + 59 * MINUTE) is Kind.REACHED
    assert told(state, wanted, NOON + 60 * MINUTE) is Kind.OVERDUE


def test_a_deadline_as_its_owner_wishes():
    state = State(completed=False, deadline=NOON)
    for before in (1, 60, 10_080):
        moments = upcoming(state, Wishes(remind_before=before))
        assert moments[Kind.REMINDER] == NOON - before * MINUTE
    assert list(upcoming(state, Wishes(remind_before=None))) == [Kind.REACHED, Kind.OVERDUE]
    at_once = Wishes(remind_before=0)
    assert told(state, at_once, NOON - MINUTE) is None
    assert told(state, at_once, NOON) is Kind.REACHED


@pytest.mark.parametrize(
    ("zone", "clock", "day", "reminder", "overdue"),
    [
        ("UTC", "09:00", "2030-05-01", "2030-05-01T09:00Z", "2030-05-02T09:00Z"),
        # Clocks go forward in the night between: 23 hours.
        ("Europe/Berlin", "09:00", "2027-03-27", "2027-03-27T08:00Z", "2027-03-28T07:00Z"),
        # They go back: 25 hours.
        ("Europe/Berlin", "09:00", "2027-10-30", "2027-10-30T07:00Z", "2027-10-31T08:00Z"),
        # Skipped: the offset before the gap counts. Doubled: the first.
        ("Europe/Berlin", "02:30", "2027-03-28", "2027-03-28T01:30Z", "2027-03-29T00:30Z"),
        ("Europe/Berlin", "02:30", "2027-10-31", "2027-10-31T00:30Z", "2027-11-01T01:30Z"),
        ("Pacific/Kiritimati", "00:00", "2027-12-31", "2027-12-30T10:00Z", "2027-12-31T10:00Z"),
        ("Pacific/Niue", "23:59", "2028-02-28", "2028-02-29T10:59Z", "2028-03-01T10:59Z"),
    ],
)
def test_a_day_by_the_clock_on_its_owners_wall(zone, clock, day, reminder, overdue):
    state = State(completed=False, deadline=None, due_on=date.fromisoformat(day))
    assert upcoming(state, Wishes(zone, clock)) == {
        Kind.REMINDER: datetime.fromisoformat(reminder),
        Kind.OVERDUE: datetime.fromisoformat(overdue),
    }


@settings(max_examples=200)
@given(days, wishes)
def test_a_day_in_every_zone_is_one_of_zoneinfo(day, wanted):
    state, zone = State(completed=False, deadline=None, due_on=day), ZoneInfo(wanted.time_zone)
    clock = time.fromisoformat(wanted.remind_at)
    reminder = datetime.combine(day, clock, zone).astimezone(UTC)
    overdue = datetime.combine(day + DAY, clock, zone).astimezone(UTC)
    assert list(upcoming(state, wanted).values()) == [reminder, overdue]
    assert told(state, wanted, reminder - MINUTE) is None


def test_after_a_long_outage_only_the_most_telling_kind():
    state = State(completed=False, deadline=NOON)
    assert told(state, Wishes(), NOON + 3 * DAY) is Kind.OVERDUE
    again = state._replace(made=frozenset({Kind.OVERDUE}))
    assert told(again, Wishes(), NOON + 3 * DAY) is None


@given(states, wishes, minutes)
def test_never_for_a_task_that_is_done_or_has_no_date(state, wanted, now):
    if state.completed or (state.deadline is None and state.due_on is None):
        assert upcoming(state, wanted) == {}


@given(states, wishes, minutes)
def test_never_before_its_moment_and_never_twice(state, wanted, now):
    kind = told(state, wanted, now)
    if kind is not None:
        assert upcoming(state, wanted)[kind] <= now
        assert kind not in state.made
        again = state._replace(made=frozenset({*state.made, kind}))
        assert told(again, wanted, now) is None


@settings(max_examples=200)
@given(deadlines | of_days, wishes, names)
def test_the_first_look_comes_before_everything_whatever_is_wished_later(state, wanted, before):
    due_at = state.deadline
    if state.due_on is not None:  # as it was worked out in the zone of before
        due_at = end_of_day(state.due_on, before)
    look = first_look(due_at)
    assert look is not None
    assert all(look <= at for at in upcoming(state, wanted).values())


@given(minutes, st.integers(1, 120))
def test_looking_often_enough_gives_each_kind_once_and_in_order(deadline, every):
    made: list[Kind] = []
    now = deadline - timedelta(hours=2)
    while now < deadline + timedelta(hours=6):
        state = State(completed=False, deadline=deadline, made=frozenset(made))
        kind = told(state, Wishes(), now)
        made += [kind] if kind else []
        now += every * MINUTE
    order = list(Kind)
    assert made == sorted(set(made), key=order.index)
    assert made[-1] is Kind.OVERDUE
    if every <= 30:
        assert made == order


@given(wishes)
def test_at_the_ends_of_the_calendar(wanted):
    for deadline in (FIRST, LAST):
        state = State(completed=False, deadline=deadline)
        assert Kind.REACHED in upcoming(state, wanted)
        assert first_look(deadline) is not None
        wording(Kind.REMINDER, "x", state, wanted.time_zone)
    for day in (date.min, date.max):
        state = State(completed=False, deadline=None, due_on=day)
        assert Kind.REMINDER in upcoming(state, wanted)
        assert FIRST <= first_look(end_of_day(day, wanted.time_zone)) <= LAST  # type: ignore[operator]
