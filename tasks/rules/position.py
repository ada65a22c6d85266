"""Keys that order siblings: between any two there is room for another, so that a move writes one row.

The scheme is David Greenspan's (“Implementing Fractional Indexing”), which the JavaScript library
`fractional-indexing` made common: an integer, whose first letter says its sign and its length, and
then a fraction, both in base 62 with digits in the order of their code points. What is put at the
top or the bottom takes the next integer, so its key grows with the logarithm of their number; only
between two neighbours does a fraction grow, by a character for about six insertions.

Not the library of that name for Python: its last release is of 2023, and it needs setuptools to run.
"""

import re
from string import ascii_lowercase, ascii_uppercase, digits

MAX_LENGTH = 50  # characters; rather than a longer key, siblings are all given fresh ones

_DIGITS = digits + ascii_uppercase + ascii_lowercase
_BASE = len(_DIGITS)
_FIRST = "a0"
_KEY = re.compile(r"([A-Za-z])([0-9A-Za-z]*)")


class NoRoom(ValueError):
    """No key of at most 50 characters lies between these: their siblings need `rebalanced` keys."""


def is_key(text: str) -> bool:
    """Whether this is a key that these functions could have made."""
    found = _KEY.fullmatch(text)
    if found is None or len(text) > MAX_LENGTH:
        return False
    size = _size(found[1])
    return len(found[2]) == size or (len(found[2]) > size and not text.endswith(_DIGITS[0]))


def between(before: str | None, after: str | None) -> str:
    """A key after `before` and before `after`; `None` is the beginning or the end of the list.

    Raises `NoRoom` where there is none to be had: the neighbours' keys are equal, out of order, no
    keys at all, or so near to one another that it would take more than 50 characters.
    """
    if any(key is not None and not is_key(key) for key in (before, after)):
        raise NoRoom("A neighbour has no key.")
    if before is not None and after is not None and before >= after:
        raise NoRoom("The neighbours' keys are not in order.")
    key = _between(before, after)
    if len(key) > MAX_LENGTH:
        raise NoRoom("A key between these would be too long.")
    return key


def n_between(before: str | None, after: str | None, n: int) -> list[str]:
    """So many keys in order between two, as short as can be. Raises `NoRoom` as `between` does."""
    keys: list[str] = []
    if before is None or after is None:  # one integer after another
        for _ in range(n):
            keys.append(between(before, after))
            before, after = (keys[-1], None) if after is None else (None, keys[-1])
        return keys if after is None else keys[::-1]
    if n == 0:
        return []
    middle = between(before, after)
    half = n // 2
    return [*n_between(before, middle, half), middle, *n_between(middle, after, n - half - 1)]


def rebalanced(n: int) -> list[str]:
    """So many fresh short keys in order, for siblings whose keys have grown or met."""
    return n_between(None, None, n)


def _between(before: str | None, after: str | None) -> str:
    """`between` of two keys that are in order, however long it gets."""
    if before is None and after is None:
        return _FIRST
    if before is None or after is None:
        whole, fraction = _split(before or after or "")
        if after is not None:
            return _written(whole if fraction else whole - 1)
        return _written(whole + 1)
    low, low_fraction = _split(before)
    high, high_fraction = _split(after)
    if low == high:
        return _written(low) + _halfway(low_fraction, high_fraction)
    key = _written((low + high + 1) // 2)
    return key if key < after else _written(low) + _halfway(low_fraction, None)


def _size(head: str) -> int:
    """How many digits follow the first letter of an integer."""
    return ord(head) - ord("a") + 1 if head >= "a" else ord("Z") - ord(head) + 1


def _split(key: str) -> tuple[int, str]:
    """The integer of a key, and the digits of its fraction."""
    size = _size(key[0])
    number = 0
    for digit in key[1 : size + 1]:
        number = number * _BASE + _DIGITS.index(digit)
    shorter = sum(_BASE**n for n in range(1, size))
    if key[0] < "a":
        return number - shorter - _BASE**size, key[size + 1 :]
    return number + shorter, key[size + 1 :]


def _written(number: int) -> str:
    """A key that is this integer: a0 … az, b00 … bzz, c000 …; before them Zz … Z0, Yzz …"""
    rest = number if number >= 0 else -1 - number
    size = 1
    while rest >= _BASE**size:
        rest -= _BASE**size
        size += 1
    if size > len(ascii_lowercase):
        raise NoRoom("No integer is further out.")
    if number < 0:
        rest = _BASE**size - 1 - rest
    text = ""
    for _ in range(size):
        rest, digit = divmod(rest, _BASE)
        text = _DIGITS[digit] + text
    return chr(ord("a") + size - 1 if number >= 0 else ord("Z") - size + 1) + text


def _halfway(low: str, high: str | None) -> str:
    """The digits of a short fraction between two; of none, and of one, where there is no `high`."""
    made = ""
    while True:
        here = len(made)
        floor = _DIGITS.index(low[here]) if here < len(low) else 0
        ceiling = _BASE if high is None else _DIGITS.index(high[here])
        if ceiling - floor > 1:
            return made + _DIGITS[(floor + ceiling + 1) // 2]
        if high is not None and ceiling > floor:
            if len(high) > here + 1:
                return high[: here + 1]
            high = None
        made += _DIGITS[floor]
