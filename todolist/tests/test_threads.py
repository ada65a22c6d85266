"""The threads that answer requests for an event loop."""

import asyncio
import threading
import time
from threading import Barrier, BrokenBarrierError, Event

import pytest

from todolist.serving.threads import HELD_UP, WHOLE, LoopThreads

asynchronous = pytest.mark.asyncio

PATIENCE = 30.0


def nothing() -> None:
    pass


@asynchronous
async def test_it_answers_and_raises_what_the_function_does():
    threads = LoopThreads(2, 2, initializer=nothing)
    assert await threads.call(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await threads.call(divmod, 7, 0)
    assert await threads.call(divmod, 9, 2) == (4, 1)  # the thread has survived


@asynchronous
async def test_each_thread_is_made_ready_once():
    ready: list[str] = []
    threads = LoopThreads(1, 1, initializer=lambda: ready.append(threading.current_thread().name))
    names = [await threads.call(lambda: threading.current_thread().name) for _ in range(3)]
    assert set(names) == set(ready) and len(ready) == 1


@asynchronous
async def test_one_thread_is_enough_for_one_call_after_the_other():
    threads = LoopThreads(4, 4, initializer=nothing)
    assert len({await threads.call(threading.get_ident) for _ in range(20)}) == 1


@asynchronous
async def test_calls_at_once_have_threads_of_their_own_and_the_rest_waits_its_turn():
    threads = LoopThreads(3, 3, initializer=nothing)
    together = Barrier(3)

    def meet() -> int:
        together.wait(PATIENCE)  # goes on only where three are here at once
        return threading.get_ident()

    found = await asyncio.gather(*[threads.call(meet) for _ in range(9)])
    assert len(set(found)) == 3
    # Later, the one that was busy last does it alone.
    assert len({await threads.call(threading.get_ident) for _ in range(9)}) == 1


@pytest.fixture
def nobody_takes_over(monkeypatch):
    monkeypatch.setattr("todolist.serving.threads.HELD_UP", 10 * PATIENCE)


@asynchronous
async def test_of_calls_that_take_half_a_thread_twice_as_many_work(nobody_takes_over):
    threads = LoopThreads(2, 8, initializer=nothing)
    together = Barrier(4)
    halves = [threads.call(together.wait, PATIENCE, share=WHOLE // 2) for _ in range(4)]
    assert sorted(await asyncio.gather(*halves)) == [0, 1, 2, 3]
    threads = LoopThreads(2, 3, initializer=nothing)
    too_many = Barrier(4)
    halves = [threads.call(too_many.wait, 10 * HELD_UP, share=WHOLE // 2) for _ in range(4)]
    with pytest.raises(BrokenBarrierError):
        await asyncio.gather(*halves)


@asynchronous
async def test_they_do_not_overtake(nobody_takes_over):
    threads = LoopThreads(2, 8, initializer=nothing)
    go_on = Event()
    started: list[str] = []

    def work(name: str) -> None:
        started.append(name)
        go_on.wait(PATIENCE)

    calls = [("whole", 10), ("half", 5), ("waits for its turn", 10), ("would fit", 5)]
    made = [asyncio.create_task(threads.call(work, name, share=share)) for name, share in calls]
    await asyncio.sleep(4 * HELD_UP)
    assert sorted(started) == ["half", "whole"]
    go_on.set()
    await asyncio.gather(*made)
    assert len(started) == 4


@asynchronous
async def test_where_a_whole_call_ends_two_halves_begin(nobody_takes_over):
    threads = LoopThreads(1, 8, initializer=nothing)
    together = Barrier(2)
    for first in (WHOLE // 2, WHOLE):  # in the end there are two threads
        await asyncio.gather(
            threads.call(nothing, share=first),
            *[threads.call(together.wait, PATIENCE, share=WHOLE // 2) for _ in range(2)],
        )


@asynchronous
async def test_others_take_over_for_those_that_are_held_up_but_not_without_end():
    threads = LoopThreads(2, 4, initializer=nothing)
    go_on, started = Event(), threading.Semaphore(0)

    def hang() -> int:
        started.release()
        go_on.wait(PATIENCE)
        return threading.get_ident()

    hanging = [asyncio.create_task(threads.call(hang)) for _ in range(6)]
    await asyncio.sleep(0)
    # Two have to wait, however long: four is all there is.
    for _ in range(4):
        assert await asyncio.to_thread(started.acquire, timeout=PATIENCE)
    assert not await asyncio.to_thread(started.acquire, timeout=10 * HELD_UP)
    waiting = asyncio.create_task(threads.call(threading.get_ident))
    go_on.set()
    assert len({await call for call in hanging}) <= 4
    assert await waiting


@asynchronous
async def test_one_that_is_held_up_holds_up_nobody_else():
    threads = LoopThreads(1, 2, initializer=nothing)
    go_on = Event()
    hanging = asyncio.create_task(threads.call(go_on.wait, PATIENCE))
    await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE / 2):
        assert len({await threads.call(threading.get_ident) for _ in range(20)}) == 1
    assert not hanging.done()
    go_on.set()
    assert await hanging


@asynchronous
async def test_once_nothing_holds_anybody_up_only_the_usual_ones_work():
    threads = LoopThreads(1, 3, initializer=nothing)
    together = Barrier(3)
    held_up = [asyncio.create_task(threads.call(together.wait, PATIENCE)) for _ in range(3)]
    await asyncio.gather(*held_up)  # so there are three threads
    busy, most, lock = 0, 0, threading.Lock()

    def work(number: int) -> None:
        nonlocal busy, most
        with lock:
            busy += 1
            if number > 200:  # by now it was seen that they make progress
                most = max(most, busy)
        time.sleep(HELD_UP / 50)
        with lock:
            busy -= 1

    await asyncio.gather(*[threads.call(work, number) for number in range(300)])
    assert most == 1


@asynchronous
async def test_what_held_them_up_is_forgotten_once_nobody_waits():
    threads = LoopThreads(1, 3, initializer=nothing)
    together = Barrier(3)
    await asyncio.gather(*[threads.call(together.wait, PATIENCE) for _ in range(3)])
    await asyncio.sleep(2 * HELD_UP)
    assert len(set(await asyncio.gather(*[threads.call(pause) for _ in range(3)]))) == 1


def pause() -> int:
    time.sleep(HELD_UP / 10)
    return threading.get_ident()


@asynchronous
async def test_a_call_that_nobody_waits_for_any_more_is_made_all_the_same():
    threads = LoopThreads(1, 1, initializer=nothing)
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
    threads = LoopThreads(1, 1, initializer=nothing)
    go_on = Event()

    async def leave_early() -> None:
        call = asyncio.create_task(threads.call(go_on.wait, PATIENCE))
        await asyncio.sleep(0)
        call.cancel()

    asyncio.run(leave_early())
    go_on.set()
    assert asyncio.run(threads.call(divmod, 7, 2)) == (3, 1)
