"""What a push says: the notification as REST shows it, shortened to what a message can hold."""

import json
from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

from tasks.push.encryption import LARGEST

SHORTENED = ("message", "title")  # in this order


def message_of(shown: Mapping[str, Any], largest: int = LARGEST) -> bytes:
    """JSON of `largest` bytes at most; texts that are cut end with an ellipsis."""
    said = dict(shown)
    for name in SHORTENED:
        if len(_written(said)) <= largest:
            break
        text = said[name]

        def is_too_long(length: int, name: str = name, text: str = text) -> bool:
            return len(_written({**said, name: f"{text[:length]}…"})) > largest

        # Searched by halves, as characters have 1 to 6 bytes in JSON.
        fits = max(0, bisect_left(range(len(text)), True, key=is_too_long) - 1)
        said[name] = f"{text[:fits]}…"
    return _written(said)


def _written(said: Mapping[str, Any]) -> bytes:
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
