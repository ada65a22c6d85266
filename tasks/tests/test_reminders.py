"""The rule of reminders: a pure function of state, clock and what was made (docs/api.md section 6)."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.reminders import OFFSETS, Kind, State, due, next_moment

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

minutes = st.integers(-10_000, 10_000).map(lambda number: NOON + number * MINUTE)
kinds = st.frozensets(st.sampled_from(list(Kind)))
states = st.builds(State, st.booleans(), st.none() | minutes, kinds)


def test_each_kind_in_its_time():
    state = State(completed=False, deadline=NOON)
    assert due(state, NOON - 31 * MINUTE) is None
    assert due(state, NOON - 30 * MINUTE) is Kind.REMINDER
    assert due(state, NOON) is Kind.REACHED
    assert due(state, NOON + 59 * MINUTE) is Kind.REACHED
    assert due(state, NOON + 60 * MINUTE) is Kind.OVERDUE


def test_after_a_long_outage_only_the_most_telling_kind():
    state = State(completed=False, deadline=NOON)
    assert due(state, NOON + timedelta(days=3)) is Kind.OVERDUE
    told = state._replace(made=frozenset({Kind.OVERDUE}))
    assert due(told, NOON + timedelta(days=3)) is None


@given(states, minutes)
def test_never_for_a_task_that_is_done_or_has_no_deadline(state, now):
    if state.completed or state.deadline is None:
        assert due(state, now) is None and next_moment(state) is None


@given(states, minutes)
def test_never_before_its_moment_and_never_twice(state, now):
    kind = due(state, now)
    if kind is not None:
        assert state.deadline is not None and state.deadline + OFFSETS[kind] <= now
        assert kind not in state.made
        again = state._replace(made=frozenset({*state.made, kind}))
        assert due(again, now) is None


@given(states, minutes)
def test_nothing_is_due_before_the_next_moment(state, now):
    at = next_moment(state)
    if due(state, now) is not None:
        assert at is not None and at <= now


@given(minutes, st.integers(1, 120))
def test_looking_often_enough_gives_each_kind_once_and_in_order(deadline, every):
    made: list[Kind] = []
    now = deadline - timedelta(hours=2)
    while now < deadline + timedelta(hours=6):
        kind = due(State(completed=False, deadline=deadline, made=frozenset(made)), now)
        made += [kind] if kind else []
        now += every * MINUTE
    order = list(Kind)
    assert made == sorted(set(made), key=order.index)
    assert made[-1] is Kind.OVERDUE
    if every <= 30:
        assert made == order


def test_at_the_ends_of_the_calendar():
    for deadline in (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)):
        due(State(completed=False, deadline=deadline), NOON)
        next_moment(State(completed=False, deadline=deadline))
