"""Which processor a worker runs on."""

import os
import socket
from contextlib import suppress


def claimed_processor(workers: int) -> socket.socket | None:
    """Where there are as many workers as processors, keep this one to its own, while this is open.

    Python runs one thread at a time: on two processors each would wake the next one from afar. The
    kernel frees the claimed name when a worker ends. Threads that are started later keep to it too.
    """
    processors = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    for processor in processors if len(processors) == workers else ():
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with suppress(OSError):  # another worker has it
            claim.bind(f"\0todolist-{os.getppid()}-{processor}")
            os.sched_setaffinity(0, {processor})
            return claim
    return None
