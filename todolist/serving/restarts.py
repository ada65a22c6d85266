"""Waiting for a database that refuses connections, as one that restarts: nothing was sent to it yet.

A few threads do, and try again and again. Meanwhile requests wait on the event loop, where they take nothing
from anybody; unless other connections work, as where it is only that there may be no more of them.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

PATIENCE = 2.0  # seconds
TRY_EVERY = 0.05  # seconds
THREADS_AT_MOST = 4  # half of those for requests: the others answer that the database is away


class Restart:
    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the number of threads
        self._threads = 0  # that wait
        self._any_works: Callable[[], bool] = lambda: True
        self._watches: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Task[None]]
        self._watches = WeakKeyDictionary()

    @contextmanager
    def waiting_thread(self, any_works: Callable[[], bool]) -> Iterator[bool]:
        """Whether this thread may wait, until the end of the block; `any_works`: a connection."""
        with self._lock:
            may_wait = self._threads < THREADS_AT_MOST
            self._threads += may_wait
            self._any_works = any_works
        try:
            yield may_wait
        finally:
            with self._lock:
                self._threads -= may_wait

    async def over(self) -> None:
        """Come back when the database is back, or long away; at once where it is not away."""
        if not self._goes_on():
            return
        loop = asyncio.get_running_loop()
        if loop not in self._watches or self._watches[loop].done():
            self._watches[loop] = loop.create_task(self._watch())
        await asyncio.wait([self._watches[loop]], timeout=PATIENCE)

    async def _watch(self) -> None:
        while self._goes_on():  # noqa: ASYNC110  other threads know no event loop
            await asyncio.sleep(TRY_EVERY)

    def _goes_on(self) -> bool:
        return self._threads > 0 and not self._any_works()


restart = Restart()
