"""The cache in Redis. It knows JSON alone: whoever can write there must not run code here by pickle."""

import json
import re
from typing import Any

from django.core.cache.backends.redis import RedisCache
from redis.exceptions import ResponseError

_MISSING = object()
_WHOLE_NUMBER = re.compile(rb"0|-?[1-9][0-9]{0,17}")  # as Redis counts (INCR)


class JSONSerializer:
    """Writes values as JSON (RFC 8259). Raises `TypeError` for what JSON has no form for."""

    def dumps(self, value: Any) -> str:
        return json.dumps(value)

    def loads(self, data: bytes) -> Any:
        """Raises `ValueError` or `RecursionError` where that is no JSON."""
        return json.loads(data)


class WholeNumberSerializer(JSONSerializer):
    """For a cache that counts: whatever is no whole number is unreadable."""

    def loads(self, data: bytes) -> int:
        if not _WHOLE_NUMBER.fullmatch(data):
            raise ValueError("not a whole number")
        return int(data)


class JSONCache(RedisCache):
    """Django's. A value that cannot be read is as if it were not there."""

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        try:
            return super().get(key, default, version)
        except (ValueError, RecursionError):
            return default
        except ResponseError as error:
            if str(error).startswith("WRONGTYPE"):  # a list or a hash of somebody else's
                return default
            raise

    def get_many(self, keys: Any, version: int | None = None) -> dict[Any, Any]:
        found = {key: self.get(key, _MISSING, version) for key in keys}
        return {key: value for key, value in found.items() if value is not _MISSING}

    def add(self, key: Any, value: Any, *args: Any, **kwargs: Any) -> bool:
        if super().add(key, value, *args, **kwargs):
            return True
        version = kwargs.get("version", args[1] if len(args) > 1 else None)
        if self.get(key, _MISSING, version) is not _MISSING:
            return False
        self.set(key, value, *args, **kwargs)
        return True
