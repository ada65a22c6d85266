"""Threads at the service of an event loop."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

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
                self._number += 1
                name = f"request_{self._number}"
                threading.Thread(target=self._work, args=(job,), name=name, daemon=True).start()
            else:
                self._waiting.append(job)
        return await done

    def _work(self, job: Job) -> None:
        self._initializer()
        inbox: SimpleQueue[Job] = SimpleQueue()
        while True:
            _do(*job)
            with self._lock:
                if self._waiting:
                    job = self._waiting.popleft()
                    continue
                self._idle.append(inbox)
            del job  # nobody's request is kept until the next one
            job = inbox.get()


def _do(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    loop: asyncio.AbstractEventLoop,
    done: asyncio.Future[Any],
) -> None:
    answer, failure = None, None
    try:
        answer = function(*args)
    except BaseException as error:  # noqa: BLE001  whoever asked has to deal with it
        failure = error
    try:
        loop.call_soon_threadsafe(_settle, done, answer, failure)
    except RuntimeError:
        if not loop.is_closed():  # else nobody waits any more
            raise


def _settle(done: asyncio.Future[Any], answer: Any, failure: BaseException | None) -> None:
    if done.done():
        return  # cancelled
    if failure is None:
        done.set_result(answer)
    else:
        done.set_exception(failure)
