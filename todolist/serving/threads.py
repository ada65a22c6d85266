"""Threads at the service of an event loop."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

from tasks.events.bell import call_soon

HELD_UP = 0.05  # seconds that a call may take before another thread takes over
WHOLE = 10  # what a call takes of a thread is said in tenths

Answer = TypeVar("Answer")


class Job(NamedTuple):
    function: Callable[..., Any]
    args: tuple[Any, ...]
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[Any]
    share: int


class LoopThreads:
    """A few threads that stay, and call functions for event loops; the one that was busy last comes next.

    Python runs one thread at a time, so `usual` of them are at work. Those that something slow holds up
    do not count: for each of them another one takes over, as far as `most` altogether. A call that waits
    for a good part of its time counts for its `share` only.
    """

    def __init__(self, usual: int, most: int, *, initializer: Callable[[], object]) -> None:
        self._usual, self._most = usual, most
        self._initializer = initializer
        self._lock = threading.Lock()  # guards all below
        self._limit = usual * WHOLE  # to the shares of those that are busy
        self._busy: dict[int, tuple[float, int]] = {}  # since when, and the share
        self._idle: list[SimpleQueue[Job]] = []
        self._waiting: deque[Job] = deque()
        self._watching: asyncio.AbstractEventLoop | None = None  # by which loop it is seen to

    async def call(self, function: Callable[..., Answer], *args: Any, share: int = WHOLE) -> Answer:
        """What `function` answers, or raises, on one of the threads.

        It runs to its end, even where the caller is cancelled. `share` is in tenths of a thread.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Answer] = loop.create_future()
        job = Job(function, args, loop, done, share)
        with self._lock:
            if not self._waiting and self._fits(job):
                self._start(job)
            else:
                self._waiting.append(job)
                if self._watching is None or self._watching.is_closed():
                    self._watch(loop)
        return await done

    def _fits(self, job: Job) -> bool:
        if len(self._busy) >= self._most:
            return False
        return sum(share for _, share in self._busy.values()) + job.share <= self._limit

    def _start(self, job: Job) -> None:
        if self._idle:
            inbox = self._idle.pop()
        else:
            inbox = SimpleQueue()
            name = f"request_{len(self._busy) + 1}"  # all others are busy
            threading.Thread(target=self._work, args=(inbox,), name=name, daemon=True).start()
        self._busy[id(inbox)] = time.monotonic(), job.share
        inbox.put(job)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        self._watching = loop
        loop.call_later(HELD_UP, self._help, loop)

    def _help(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let others take over for those that are held up, as long as calls wait."""
        with self._lock:
            if not self._waiting:
                self._watching, self._limit = None, self._usual * WHOLE
                return
            before = time.monotonic() - HELD_UP
            held_up = sum(share for since, share in self._busy.values() if since < before)
            self._limit = self._usual * WHOLE + held_up
            self._watch(loop)
            while self._waiting and self._fits(self._waiting[0]):
                self._start(self._waiting[0])  # which may fail
                self._waiting.popleft()

    def _work(self, inbox: SimpleQueue[Job]) -> None:
        self._initializer()
        job: Job | None = None
        while True:
            if job is None:
                job = inbox.get()
            function, args, loop, done, _ = job
            job = answer = failure = None
            try:
                answer = function(*args)
            except BaseException as error:  # noqa: BLE001  whoever asked has to deal with it
                failure = error
            del function, args  # nobody's request is kept until the next one
            with self._lock:
                job = self._next(inbox)
            # Only now, so that whoever calls again at once finds this thread at leisure.
            call_soon(loop, _settle, done, answer, failure)
            del loop, done, answer, failure

    def _next(self, inbox: SimpleQueue[Job]) -> Job | None:
        """What the thread with this inbox has to do after its call, if anything."""
        del self._busy[id(inbox)]
        if not (self._waiting and self._fits(self._waiting[0])):
            self._idle.append(inbox)
            return None
        job = self._waiting.popleft()
        self._busy[id(inbox)] = time.monotonic(), job.share
        while self._idle and self._waiting and self._fits(self._waiting[0]):
            self._start(self._waiting.popleft())  # in the room that a longer call has left
        return job


def _settle(done: asyncio.Future[Any], answer: Any, failure: BaseException | None) -> None:
    if done.done():
        return  # cancelled
    if failure is None:
        done.set_result(answer)
    else:
        done.set_exception(failure)
