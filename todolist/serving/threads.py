"""Threads at the service of an event loop, shared fairly among those who call."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import chain
from queue import SimpleQueue
from typing import Any, TypeVar

from tasks.events.bell import call_soon
from todolist.serving.jobs import Job, Receive, Sort, alike

HELD_UP = 0.05  # seconds that a call may take before another thread takes over
WHOLE = 10  # what a call takes of a thread is said in tenths
EACH = 2  # threads at work for one person at the same time
QUEUE = 100  # calls of one person that wait
STUCK = 1.0  # seconds that a call takes where what it asks hangs
PATIENCE = 1.5  # seconds that a call waits while others are stuck, by default
SPARE = 2  # threads that are not for calls of a sort that is held up already
SLOW = 0.25  # seconds after which it is

Answer = TypeVar("Answer")


class Busy(Exception):
    """No thread can be had for a call, and it does not wait for one; says why."""


class Gone(Exception):
    """Whoever called has hung up, and the call was not made."""


class LoopThreads:
    """A few threads that stay, and call functions for event loops; the one that was busy last comes next.

    Python runs one thread at a time, so `usual` of them are at work. Those that something slow holds up
    do not count: for each of them another one takes over, as far as `most` altogether. A call that waits
    for a good part of its time counts for its `share` only.

    Nobody has more than `EACH` of them at a time, and those who have calls waiting take turns; calls of
    no person are not limited. What is kept of a person is gone with their last call.

    Nor has anything that hangs all of them, such as a table that is locked: the last `SPARE` are for calls
    of a sort of which none is held up. While calls are stuck, others wait for `patience` seconds, and are
    `Busy` then.
    """

    def __init__(
        self,
        usual: int,
        most: int,
        initializer: Callable[[], object],
        *,
        patience: float = PATIENCE,
    ) -> None:
        self._usual, self._most, self._patience = usual, most, patience
        self._initializer = initializer
        self._lock = threading.Lock()  # guards all below
        self._limit = usual * WHOLE  # to the shares of those that are busy
        self._busy: dict[int, tuple[float, int, Sort]] = {}  # since when, and the share
        self._idle: list[SimpleQueue[Job]] = []
        self._at_work: dict[str, int] = {}  # threads of each person, and of each kind of call
        self._waiting: dict[str, deque[Job]] = {}  # of each person; whose turn it is comes first
        self._watching: asyncio.AbstractEventLoop | None = None  # by which loop it is seen to

    @property
    def busy(self) -> int:
        """How many threads are at work."""
        return len(self._busy)

    @property
    def waiting(self) -> int:
        """How many calls wait for one."""
        return sum(map(len, list(self._waiting.values())))

    async def call(
        self,
        function: Callable[..., Answer],
        *args: Any,
        share: int = WHOLE,
        person: str = "",
        kind: str = "",
        sort: tuple[str, str] = ("", ""),
        receive: Receive | None = None,
    ) -> Answer:
        """What `function` answers, or raises, on one of the threads.

        It runs to its end, even where the caller is cancelled. `share` is in tenths of a thread; of a
        `kind` that is named, too, no more than `EACH` run at a time. `sort` is the method and path of a
        request, to tell what it may hang on. `receive` is that of an ASGI
        request whose body was read: where its client leaves while it waits for long, the call is not
        made. Raises `Busy` and `Gone`.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Answer] = loop.create_future()
        job = Job(function, args, loop, done, share, person, kind, receive, sort)
        with self._lock:
            if (self._waiting and self._first()) or not self._may_start(job):
                self._queue(job)
            else:
                self._start(job)
        return await done

    async def _skip_if_client_leaves(self, job: Job, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass  # the end of the body
        with self._lock:
            theirs = self._waiting.get(job.person, ())
            if job not in theirs:
                return  # it is being made
            self._waiting[job.person].remove(job)
            if not theirs:
                del self._waiting[job.person]
        _settle(job.done, None, Gone())

    def _queue(self, job: Job) -> None:
        theirs = self._waiting.get(job.person)
        if theirs is None:
            self._waiting[job.person] = deque((job,))
        elif len(theirs) >= QUEUE and job.person:
            raise Busy(f"{QUEUE} requests of one person wait")
        else:
            theirs.append(job)
        job.since = time.monotonic()
        if self._watching is None or self._watching.is_closed():
            self._watch(job.loop)

    def _first(self) -> Job | None:
        """The call whose turn it is: of those who may have another thread, whoever had none the longest."""
        for theirs in self._waiting.values():
            if self._may_have_another(theirs[0]):
                return theirs[0]
            if len(theirs) > 1 and self._limit > self._usual * WHOLE:  # it may hang on something
                other = next((job for job in theirs if not alike(job, theirs[0])), None)
                if other is not None and self._may_have_another(other):
                    return other
        return None

    def _may_have_another(self, job: Job) -> bool:
        at_work = self._at_work
        if job.kind and at_work.get(job.kind, 0) >= EACH:
            return False
        if len(self._busy) >= self._most - SPARE and job.sort[1] and self._hangs(job):
            return False
        if not job.person or at_work.get(job.person, 0) < EACH:
            return True
        return self._is_held_up_elsewhere(job)

    def _may_start(self, job: Job) -> bool:
        if not self._may_have_another(job):
            return False
        if self._limit != self._usual * WHOLE or not self._fits(job):
            self._count_those_held_up()
        return self._fits(job)

    def _fits(self, job: Job) -> bool:
        if len(self._busy) >= self._most:
            return False
        return sum(share for _, share, _ in self._busy.values()) + job.share <= self._limit

    def _hangs(self, job: Job) -> bool:
        """Whether calls of the same sort are held up, or have as many threads as they may."""
        before = time.monotonic() - SLOW
        same = [since for since, _, other in self._busy.values() if alike(job, other)]
        return len(same) >= self._most - SPARE or any(since < before for since in same)

    def _is_held_up_elsewhere(self, job: Job) -> bool:
        """Whether this person's calls, all of another sort, are held up: one more may be made."""
        before = time.monotonic() - SLOW
        theirs = [
            (since, other) for since, _, other in self._busy.values() if other.person == job.person
        ]
        return len(theirs) == EACH and all(
            since < before and not alike(job, other) for since, other in theirs
        )

    def _count_those_held_up(self) -> None:
        before = time.monotonic() - HELD_UP
        held_up = sum(share for since, share, _ in self._busy.values() if since < before)
        self._limit = self._usual * WHOLE + held_up

    def _next_of_those_waiting(self) -> Job | None:
        """The call whose turn it is, out of the queue; `None` where no thread is to be had for it."""
        job = self._first() if self._waiting else None
        if job is None or not self._fits(job):
            return None
        theirs = self._waiting.pop(job.person)
        theirs.remove(job)
        if theirs:
            self._waiting[job.person] = theirs  # after all others
        return job

    def _start(self, job: Job) -> None:
        if self._idle:
            inbox = self._idle.pop()
        else:
            inbox = SimpleQueue()
            name = f"request_{len(self._busy) + 1}"  # all others are busy
            threading.Thread(target=self._work, args=(inbox,), name=name, daemon=True).start()
        self._take(inbox, job)
        inbox.put(job)

    def _take(self, inbox: SimpleQueue[Job], job: Job) -> None:
        self._busy[id(inbox)] = time.monotonic(), job.share, Sort(job.person, job.sort)
        self._at_work[job.person] = self._at_work.get(job.person, 0) + 1
        if job.kind:
            self._at_work[job.kind] = self._at_work.get(job.kind, 0) + 1

    def _let_go(self, inbox: SimpleQueue[Job], names: tuple[str, ...]) -> None:
        del self._busy[id(inbox)]
        for name in names:
            if self._at_work[name] > 1:
                self._at_work[name] -= 1
            else:
                del self._at_work[name]

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        self._watching = loop
        loop.call_later(HELD_UP, self._help, loop)

    def _help(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let others take over for those that are held up, as long as calls wait.

        Only now is it looked at whether clients leave: whoever waits for less costs nothing.
        """
        with self._lock:
            if not self._waiting:
                self._watching, self._limit = None, self._usual * WHOLE
                return
            self._count_those_held_up()
            self._watch(loop)
            self._give_up_on_those_stuck()
            for job in chain.from_iterable(self._waiting.values()):
                if job.watched is None and job.receive is not None and job.loop is loop:
                    watch = self._skip_if_client_leaves(job, job.receive)
                    job.watched = loop.create_task(watch)
                    job.done.add_done_callback(partial(_stop, job.watched))
            while (first := self._next_of_those_waiting()) is not None:
                self._start(first)

    def _give_up_on_those_stuck(self) -> None:
        """Refuse who waits behind calls that hang: they may hang as long as a statement may take."""
        now = time.monotonic()
        if all(since >= now - STUCK for since, _, _ in self._busy.values()):
            return
        for person, theirs in [*self._waiting.items()]:
            while theirs and theirs[0].since < now - self._patience:
                job = theirs.popleft()
                call_soon(job.loop, _settle, job.done, None, Busy("others hang"))
            if not theirs:
                del self._waiting[person]

    def _work(self, inbox: SimpleQueue[Job]) -> None:
        self._initializer()
        job: Job | None = None
        while True:
            if job is None:
                job = inbox.get()
            function, args, loop, done = job.function, job.args, job.loop, job.done
            names = (job.person, job.kind) if job.kind else (job.person,)
            job = answer = failure = None
            try:
                answer = function(*args)
            except BaseException as error:  # noqa: BLE001  whoever asked has to deal with it
                failure = error
            del function, args  # nobody's request is kept until the next one
            with self._lock:
                self._let_go(inbox, names)
                job = self._next(inbox)
            # Only now, so that whoever calls again at once finds this thread at leisure.
            call_soon(loop, _settle, done, answer, failure)
            del loop, done, answer, failure

    def _next(self, inbox: SimpleQueue[Job]) -> Job | None:
        """What the thread with this inbox has to do after its call, if anything."""
        job = self._next_of_those_waiting()
        if job is None:
            self._idle.append(inbox)
            return None
        self._take(inbox, job)
        while self._idle and (another := self._next_of_those_waiting()) is not None:
            self._start(another)  # in the room that a longer call has left
        return job


def _stop(watch: asyncio.Task[None], done: asyncio.Future[Any]) -> None:
    watch.cancel()


def _settle(done: asyncio.Future[Any], answer: Any, failure: BaseException | None) -> None:
    if done.done():
        return  # cancelled
    if failure is None:
        done.set_result(answer)
    else:
        done.set_exception(failure)
