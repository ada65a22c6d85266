"""Calls that wait for a thread, or have one (todolist/serving/threads.py)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

READING = frozenset({"GET", "HEAD", "OPTIONS"})

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Any], Awaitable[Any]]


@dataclass(eq=False, slots=True)
class Job:
    function: Callable[..., Any]
    args: tuple[Any, ...]
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[Any]
    share: int
    person: str
    kind: str
    receive: Receive | None
    sort: tuple[str, str]
    since: float = 0  # when it began to wait
    watched: asyncio.Task[None] | None = None  # whether its client leaves


class Sort(NamedTuple):
    """What is known of a call that is being made: whose it is, and its method and path."""

    person: str
    sort: tuple[str, str]


def alike(one: Job | Sort, other: Job | Sort) -> bool:
    """Whether two requests are likely to want the same tables: reading or writing, below one path."""
    (method, path), (other_method, other_path) = one.sort, other.sort
    return (method in READING) == (other_method in READING) and (
        path.split("/", 2)[1:2] == other_path.split("/", 2)[1:2]
    )
