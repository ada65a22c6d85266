"""Following the channel layer: what other processes tell of, and whether it would be heard.

A layer whose store hangs brings nothing, and never says so. So each process sends itself a beat twice a
second; as long as none comes back, it is deaf, and the hub compares with the record all the time.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from accounts.outages import Outage
from tasks.events.bell import LAYER_TIMEOUT, PROCESSES, shared_layer

logger = logging.getLogger(__name__)

RETRY_INTERVAL = 1.0  # seconds before a channel layer that failed is tried again
BEAT_INTERVAL = 0.5  # seconds from the end of one beat to the next
BEAT_TIMEOUT = 0.7  # seconds that one may take until it is back
BEAT = "follower.beat"  # the type of its message


class LayerFollower:
    """Gives each message of others to `take`, and calls `turned` whenever `deaf` has changed."""

    def __init__(self, take: Callable[[dict[str, Any]], None], turned: Callable[[], None]) -> None:
        self.deaf = True  # until the first beat is back
        self._take, self._turned = take, turned
        self._channel = ""
        self._beat = asyncio.Event()  # whether it is back
        self._heard_at = time.monotonic()
        self._outage = Outage(
            logger,
            "The channel layer brings no events: %s",
            "The channel layer brings events",
            until_over=True,
        )

    async def follow(self) -> None:
        """Receive what others send, without end."""
        layer = shared_layer()
        while not cancelled():
            try:
                async with asyncio.timeout(LAYER_TIMEOUT):
                    self._channel = self._channel or await layer.new_channel()
                    await layer.group_add(PROCESSES, self._channel)
                while not cancelled():
                    message = await layer.receive(self._channel)
                    if message["type"] == BEAT:
                        self._beat.set()
                    else:
                        self._take(message)
            except Exception as error:  # noqa: BLE001  every layer fails in its own way
                self._outage.failed(repr(error))
                await asyncio.sleep(RETRY_INTERVAL)

    async def beat(self) -> None:
        """Notice, without end, whether what is sent is received."""
        layer, loop = shared_layer(), asyncio.get_running_loop()
        while not cancelled():
            self._beat.clear()
            deadline = loop.time() + BEAT_TIMEOUT
            try:
                # Twice: a client of the layer that swallows the first one's cancellation loses it.
                async with asyncio.timeout_at(deadline):
                    if self._channel:
                        await layer.send(self._channel, {"type": BEAT})
                async with asyncio.timeout_at(deadline):
                    await self._beat.wait()
            except Exception as error:  # noqa: BLE001  every layer fails in its own way
                self._turn(deaf=True)
                if time.monotonic() - self._heard_at > LAYER_TIMEOUT:  # no hiccup
                    self._outage.failed(repr(error))
            else:
                self._heard_at = time.monotonic()
                self._turn(deaf=False)
                self._outage.over()
            await asyncio.sleep(BEAT_INTERVAL)

    def _turn(self, *, deaf: bool) -> None:
        before, self.deaf = self.deaf, deaf
        if deaf != before:
            self._turned()


def cancelled() -> bool:
    """Whether the current task was cancelled, which the Redis client swallows while it connects."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
