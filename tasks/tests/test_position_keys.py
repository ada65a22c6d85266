"""Keys of positions: always in order, always room for another, and short."""

import random
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.position import MAX_LENGTH, NoRoom, between, is_key, n_between, rebalanced

places = st.lists(st.integers(0, 10_000), max_size=200)


def in_order(keys: list[str]) -> bool:
    """Strictly, by code point, each of them a key."""
    return all(low < high for low, high in pairwise(keys)) and all(map(is_key, keys))


def inserted(keys: list[str], place: int) -> str:
    """Put one more among keys, at a place counted from the top."""
    before = keys[place - 1] if place else None
    after = keys[place] if place < len(keys) else None
    key = between(before, after)
    keys.insert(place, key)
    return key


@given(places)
def test_whatever_is_put_wherever_all_stay_in_order(where):
    keys: list[str] = []
    for n, place in enumerate(where):
        inserted(keys, place % (n + 1))
    assert len(keys) == len(where)
    assert in_order(keys)


def test_keys_compare_as_bytes_as_they_do_by_code_point():
    keys = rebalanced(5_000)
    assert sorted(keys, key=str.encode) == sorted(keys) == keys


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        # As the JavaScript library of this scheme has it.
        *[(None, None, "a0"), ("a0", None, "a1"), ("az", None, "b00"), ("bzz", None, "c000")],
        *[(None, "a0", "Zz"), (None, "Z0", "Yzz"), (None, "Y00", "Xzzz"), (None, "a0V", "a0")],
        *[("a0", "a1", "a0V"), ("a0", "a0V", "a0G"), ("Zz", "a0", "ZzV"), ("a0V", "a1", "a0l")],
        *[("Zz", "a01", "a0"), ("a00V", "a01", "a00l"), ("a0", "a0001", "a0000V")],
        *[("a0z", "a1", "a0zV"), ("a0Vz", "a0W", "a0VzV"), ("a0V", "a0W1", "a0W")],
        # The middle of integers that lie apart.
        *[("a0", "a2", "a1"), ("Zz", "a1", "a0"), ("a0", "az", "aV"), ("Z0", "az", "a0")],
    ],
)
def test_a_key_between_two(before, after, key):
    assert between(before, after) == key


@pytest.mark.parametrize("n", [0, 1, 2, 3, 10, 1_000])
@pytest.mark.parametrize(
    ("before", "after"),
    [(None, None), ("a0", None), (None, "a0"), ("a0", "a1"), ("Zz", "a0V"), ("a0V", "a0W")],
)
def test_many_at_once(before, after, n):
    keys = n_between(before, after, n)
    assert len(keys) == n
    assert in_order([key for key in (before, *keys, after) if key is not None])
    # As short as it takes to tell them apart: two digits for a thousand, beside what their neighbours share.
    assert all(len(key) <= len(before or "a0") + 3 for key in keys)


@given(st.lists(st.integers(0, 10_000), min_size=2, max_size=60, unique=True), st.integers(0, 200))
def test_many_between_any_two(where, n):
    keys: list[str] = []
    for place in where:
        inserted(keys, place % (len(keys) + 1))
    for before, after in [*pairwise(keys[:4]), (None, keys[0]), (keys[-1], None)]:
        some = n_between(before, after, n)
        assert len(some) == n
        assert in_order([key for key in (before, *some, after) if key is not None])


@pytest.mark.parametrize("top", [True, False])
def test_always_at_the_top_or_at_the_bottom_keys_stay_short(top):
    key = None
    for _ in range(10_000):
        following = between(None, key) if top else between(key, None)
        assert key is None or (following < key) is top
        key = following
    assert key is not None
    assert len(key) == 4


@pytest.mark.parametrize("n", [1, 2, 62, 1_000, 100_000])
def test_fresh_keys_are_short(n):
    keys = rebalanced(n)
    assert len(keys) == n
    assert in_order(keys)
    assert max(map(len, keys)) <= 4


@pytest.mark.parametrize("nearer", ["before", "after", "in turn", "by chance"])
def test_between_two_that_close_in_on_one_another_a_key_grows_slowly_until_it_says_so(nearer):
    rng = random.Random(nearer)  # noqa: S311
    before, after = "a0", "a1"
    made = 0
    while True:
        try:
            key = between(before, after)
        except NoRoom:
            break
        assert is_key(key)
        assert before < key < after
        made += 1
        low = {"before": True, "after": False}.get(nearer, made % 2 == 0)
        if nearer == "by chance":
            low = rng.random() < 0.5
        before, after = (key, after) if low else (before, key)
    # Five insertions for a character, or more, until 50 of them are full.
    assert made >= 240


def test_thousands_of_random_moves_lose_nothing_and_keys_stay_short():
    rng = random.Random(5)  # noqa: S311
    keys = dict(zip(range(100), rebalanced(100), strict=True))
    order = list(range(100))
    fresh = longest = 0
    for _ in range(20_000):
        moved = rng.choice(order)
        order.remove(moved)
        place = rng.choice([0, len(order), 50, rng.randrange(len(order) + 1)])
        before = keys[order[place - 1]] if place else None
        after = keys[order[place]] if place < len(order) else None
        order.insert(place, moved)
        try:
            keys[moved] = between(before, after)
        except NoRoom:
            fresh += 1
            keys = dict(zip(order, rebalanced(100), strict=True))
        longest = max(longest, len(keys[moved]))
        assert (before is None or before < keys[moved]) or fresh
    assert sorted(keys, key=keys.__getitem__) == order
    assert in_order([keys[one] for one in order])
    assert longest <= MAX_LENGTH
    assert fresh < 200


@pytest.mark.parametrize(
    ("before", "after"),
    [
        *[("a0", "a0"), ("a1", "a0"), ("", "a0"), ("a0", ""), ("a", None), (None, "b0")],
        *[("a00", "a1"), ("a0", "a1!"), ("0", None), ("a0\n", None), ("a0é", None)],
        *[
            ("a0" + "V" * 49, None),
            ("a0" + "0" * 47 + "1", "a0" + "0" * 47 + "2"),
            ("z" * 27, None),
        ],
        *[(None, "A" + "0" * 26), (None, "A" * 51)],
    ],
)
def test_where_there_is_no_room_it_says_so(before, after):
    with pytest.raises(NoRoom):
        between(before, after)
    with pytest.raises(NoRoom):
        n_between(before, after, 3)


@given(
    st.text(max_size=60) | st.from_regex(re.compile("[A-Za-z][0-9A-Za-z]{1,55}"), fullmatch=True)
)
def test_of_any_text_it_is_known_whether_it_is_a_key(text):
    if is_key(text):
        assert 2 <= len(text) <= MAX_LENGTH
        for before, after in [(None, text), (text, None), ("a0", text), (text, "a0")]:
            try:
                key = between(before, after)
            except NoRoom:
                continue
            assert is_key(key)
            assert (before is None or before < key) and (after is None or key < after)
    else:
        with pytest.raises(NoRoom):
            between(None, text)
        with pytest.raises(NoRoom):
            between(text, None)
