"""UUIDs that sort by the time they were made (RFC 9562 section 5.7, UUID version 7)."""

import os
import time
from uuid import UUID


def uuid7() -> UUID:
    """48 bits of milliseconds since the epoch, then 74 random bits (RFC 9562 section 5.7).

    No counter: it would make the neighbours of a known id easier to guess.
    """
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10))
    value = (milliseconds & (1 << 48) - 1) << 80 | random
    value &= ~(0xF << 76 | 0b11 << 62)
    return UUID(int=value | 0x7 << 76 | 0b10 << 62)
