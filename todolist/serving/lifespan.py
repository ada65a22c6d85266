"""The lifespan of a server process (ASGI's lifespan protocol): live events begin and end with it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tasks.events.bell import bell
from tasks.events.hub import current_hub
from todolist.health.draining import drain_at_sigterm


async def lifespan(
    scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    """Tell other processes of events from this event loop, and stop listening before it ends.

    Servers without this protocol, such as daphne, tell them from a thread beside.
    """
    while (await receive())["type"] != "lifespan.shutdown":
        bell.serve_on(asyncio.get_running_loop())
        drain_at_sigterm()
        await send({"type": "lifespan.startup.complete"})
    await current_hub().stop()
    await send({"type": "lifespan.shutdown.complete"})
