"""The threads that answer requests for an event loop."""

import asyncio
import threading
import time
from threading import Barrier, BrokenBarrierError, Event

import pytest

from todolist.serving.threads import HELD_UP, QUEUE, WHOLE, Busy, Gone, LoopThreads

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


# Shared fairly among people


@asynchronous
async def test_nobody_has_more_than_two_and_nobody_else_waits_for_them(nobody_takes_over):
    threads = LoopThreads(4, 8, initializer=nothing)
    go_on, started = Event(), threading.Semaphore(0)

    def hang() -> None:
        started.release()
        go_on.wait(PATIENCE)

    greedy = [asyncio.create_task(threads.call(hang, person="greedy")) for _ in range(9)]
    for _ in range(2):
        assert await asyncio.to_thread(started.acquire, timeout=PATIENCE)
    async with asyncio.timeout(PATIENCE / 2):
        for _ in range(20):
            assert await threads.call(divmod, 7, 2, person="other") == (3, 1)
    assert not await asyncio.to_thread(started.acquire, timeout=4 * HELD_UP)
    go_on.set()
    await asyncio.gather(*greedy)
    assert threads._at_work == threads._waiting == {}  # nothing is kept of anybody


@asynchronous
async def test_those_who_wait_take_turns(nobody_takes_over):
    threads = LoopThreads(1, 1, initializer=nothing)
    go_on = Event()
    first = asyncio.create_task(threads.call(go_on.wait, PATIENCE, person="first"))
    await asyncio.sleep(0)
    served: list[str] = []
    calls = [
        asyncio.create_task(threads.call(served.append, person, person=person))
        for person in ("a", "a", "a", "b", "a", "b", "c")
    ]
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(first, *calls)
    assert served == ["a", "b", "c", "a", "b", "a", "a"]


@asynchronous
async def test_no_more_than_two_of_a_kind_are_made_whoever_calls(nobody_takes_over):
    threads = LoopThreads(8, 8, initializer=nothing)
    go_on, started = Event(), threading.Semaphore(0)

    def hang() -> None:
        started.release()
        go_on.wait(PATIENCE)

    costly = [
        asyncio.create_task(threads.call(hang, person=str(number), kind="costly"))
        for number in range(5)
    ]
    for _ in range(2):
        assert await asyncio.to_thread(started.acquire, timeout=PATIENCE)
    assert not await asyncio.to_thread(started.acquire, timeout=4 * HELD_UP)
    assert await threads.call(divmod, 7, 2, person="0") == (3, 1)
    go_on.set()
    await asyncio.gather(*costly)
    assert threads._at_work == {}


@asynchronous
async def test_who_comes_while_all_are_held_up_waits_for_no_timer(monkeypatch):
    threads = LoopThreads(1, 2, initializer=nothing)
    go_on = Event()
    hanging = asyncio.create_task(threads.call(go_on.wait, PATIENCE, person="slow"))
    await asyncio.sleep(2 * HELD_UP)
    monkeypatch.setattr(threads, "_watch", None)  # it would fail
    assert await threads.call(divmod, 7, 2, person="other") == (3, 1)
    go_on.set()
    await hanging


@asynchronous
async def test_a_line_has_an_end_and_who_leaves_it_makes_room():
    threads = LoopThreads(1, 1, initializer=nothing)
    go_on, left = Event(), asyncio.Event()
    served: list[int] = []

    async def receive() -> dict[str, str]:
        await left.wait()
        return {"type": "http.disconnect"}

    first = asyncio.create_task(threads.call(go_on.wait, PATIENCE, person="a"))
    await asyncio.sleep(0)
    calls = [
        asyncio.create_task(
            threads.call(served.append, number, person="a", receive=receive if number else None)
        )
        for number in range(QUEUE)
    ]
    await asyncio.sleep(0)
    with pytest.raises(Busy, match=f"{QUEUE} requests of one person wait"):
        await threads.call(nothing, person="a")
    other = asyncio.create_task(threads.call(served.append, -1, person="b"))
    left.set()
    gone = await asyncio.gather(*calls[1:], return_exceptions=True)
    assert all(isinstance(each, Gone) for each in gone)
    go_on.set()
    await asyncio.gather(first, other, calls[0])
    assert served == [0, -1]
    assert threads._at_work == threads._waiting == {}
