"""The threads that answer requests for an event loop."""

import asyncio
import threading
from threading import Barrier, Event

import pytest

from todolist.threads import LoopThreads

asynchronous = pytest.mark.asyncio

PATIENCE = 30.0


def nothing() -> None:
    pass


@asynchronous
async def test_it_answers_and_raises_what_the_function_does():
    threads = LoopThreads(2, initializer=nothing)
    assert await threads.call(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await threads.call(divmod, 7, 0)
    assert await threads.call(divmod, 9, 2) == (4, 1)  # the thread has survived


@asynchronous
async def test_each_thread_is_made_ready_once():
    ready: list[str] = []
    threads = LoopThreads(1, initializer=lambda: ready.append(threading.current_thread().name))
    names = [await threads.call(lambda: threading.current_thread().name) for _ in range(3)]
    assert set(names) == set(ready) and len(ready) == 1


@asynchronous
async def test_one_thread_is_enough_for_one_call_after_the_other():
    threads = LoopThreads(4, initializer=nothing)
    assert len({await threads.call(threading.get_ident) for _ in range(20)}) == 1


@asynchronous
async def test_calls_at_once_have_threads_of_their_own_and_the_rest_waits_its_turn():
    threads = LoopThreads(3, initializer=nothing)
    together = Barrier(3)

    def meet() -> int:
        together.wait(PATIENCE)  # goes on only where three are here at once
        return threading.get_ident()

    found = await asyncio.gather(*[threads.call(meet) for _ in range(9)])
    assert len(set(found)) == 3
    # Later, the one that was busy last does it alone.
    assert len({await threads.call(threading.get_ident) for _ in range(9)}) == 1


@asynchronous
async def test_a_call_that_nobody_waits_for_any_more_is_made_all_the_same():
    threads = LoopThreads(1, initializer=nothing)
    started, go_on, done = Event(), Event(), Event()
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    def work() -> None:
        started.set()
        go_on.wait(PATIENCE)
        done.set()

    call = asyncio.create_task(threads.call(work))
    await asyncio.to_thread(started.wait, PATIENCE)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    go_on.set()
    assert await threads.call(done.is_set)  # by the same thread, after the first call
    assert complaints == []


def test_a_loop_that_has_ended_meanwhile_harms_nobody():
    threads = LoopThreads(1, initializer=nothing)
    go_on = Event()

    async def leave_early() -> None:
        call = asyncio.create_task(threads.call(go_on.wait, PATIENCE))
        await asyncio.sleep(0)
        call.cancel()

    asyncio.run(leave_early())
    go_on.set()
    assert asyncio.run(threads.call(divmod, 7, 2)) == (3, 1)
