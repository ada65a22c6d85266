"""Threads at the service of an event loop."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from tasks.bell import call_soon

Answer = TypeVar("Answer")
Job = tuple[Callable[..., Any], tuple[Any, ...], asyncio.AbstractEventLoop, asyncio.Future[Any]]


class LoopThreads:
    """A few threads that stay, and call functions for event loops.

    Half the cost of `concurrent.futures`, whose futures serve threads that wait for others; here
    only loops wait. The thread that was busy last is the next one, so that there are no more
    threads, with no more of what each keeps open, than there is work at one time.
    """

    def __init__(self, most: int, *, initializer: Callable[[], object]) -> None:
        self._most = most
        self._initializer = initializer
        self._lock = threading.Lock()  # guards the three below
        self._number = 0
        self._idle: list[SimpleQueue[Job]] = []
        self._waiting: deque[Job] = deque()

    async def call(self, function: Callable[..., Answer], *args: Any) -> Answer:
        """What `function` answers, or raises, on one of the threads.

        It is called to its end, even where the caller is cancelled meanwhile, but not beyond the end
        of the process.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Answer] = loop.create_future()
        job = (function, args, loop, done)
        with self._lock:
            if self._idle:
                self._idle.pop().put(job)
            elif self._number < self._most:
                name = f"request_{self._number + 1}"
                threading.Thread(target=self._work, args=(job,), name=name, daemon=True).start()
                self._number += 1  # only now: starting may fail
            else:
                self._waiting.append(job)
        return await done

    def _work(self, job: Job | None) -> None:
        self._initializer()
        inbox: SimpleQueue[Job] = SimpleQueue()
        while True:
            if job is None:
                job = inbox.get()
            function, args, loop, done = job
            job = answer = failure = None
            try:
                answer = function(*args)
            except BaseException as error:  # noqa: BLE001  whoever asked has to deal with it
                failure = error
            del function, args  # nobody's request is kept until the next one
            with self._lock:
                if self._waiting:
                    job = self._waiting.popleft()
                else:
                    self._idle.append(inbox)
            # Only now, so that whoever calls again at once finds this thread at leisure.
            call_soon(loop, _settle, done, answer, failure)
            del loop, done, answer, failure


def _settle(done: asyncio.Future[Any], answer: Any, failure: BaseException | None) -> None:
    if done.done():
        return  # cancelled
    if failure is None:
        done.set_result(answer)
    else:
        done.set_exception(failure)
