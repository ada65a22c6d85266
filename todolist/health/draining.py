"""The time between being told to stop and stopping: not ready any more, and answering all the same.

So whoever looks at `/health/ready` sends no more requests by the time that connections are refused.
"""

import asyncio
import os
import signal
import threading
from typing import Any

VARIABLE = "TODOLIST_DRAIN"  # of the environment: seconds; `serve --drain` sets it

draining = threading.Event()


def drain_at_sigterm() -> None:
    """Let the server that runs this event loop hear of SIGTERM only after the drain.

    Nothing changes where no drain is asked for, or where the server handles signals in another way.
    """
    seconds = float(os.environ.get(VARIABLE, "0"))  # noqa: TID251  from `serve` to its workers
    leave: Any = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or not callable(leave):
        return
    loop = asyncio.get_running_loop()

    def drain(*signal_and_frame: Any) -> None:
        if seconds <= 0:
            draining.set()
            leave(*signal_and_frame)
        elif not draining.is_set():
            draining.set()
            loop.call_soon_threadsafe(loop.call_later, seconds, leave, *signal_and_frame)

    signal.signal(signal.SIGTERM, drain)
