"""Telling the sockets of every server process that there is an event.

To ring the bell means: wake up whoever has sockets of an event's owner, and hand them the event. It is
a publish/subscribe channel without any guarantee. The event is on record already, and a subscriber
that a wake-up does not reach finds it there within seconds, so a writer never waits for delivery.

Listeners in this process are called directly. Other processes receive, through the channel layer,
every event in one group, since they alone know who has sockets there. One task on one event loop sends
to the layer, so that Redis sees one connection, and the events of one process keep their order.
"""

import asyncio
import atexit
import logging
import threading
from collections.abc import Callable
from typing import Any, Protocol

from channels import DEFAULT_CHANNEL_LAYER
from channels.layers import InMemoryChannelLayer, channel_layers

logger = logging.getLogger(__name__)

PROCESSES = "processes"  # the group that every process with sockets is in
EVENTS_AT_MOST = 100  # in one message; where there are more, all processes read the record instead
PAUSE = 0.01  # seconds between two messages, so that many events share one
LAYER_TIMEOUT = 2.0  # seconds that the channel layer may take
FLUSH_TIMEOUT = 2.0  # seconds that the end of a process may take


Event = tuple[int, str]  # what `record.EventMessage` is: number and text


class Listener(Protocol):
    """Who is woken up in this process: a hub, on its event loop."""

    def wants(self, user_id: str) -> bool:
        """Whether this person has sockets here. Called from any thread."""

    def deliver(self, user_id: str, event: Event) -> None:
        """There is this event of this person. Called on the loop."""


def shared_layer() -> Any:
    """The channel layer where it reaches other processes, else `None`."""
    layer = channel_layers[DEFAULT_CHANNEL_LAYER]
    return None if isinstance(layer, InMemoryChannelLayer) else layer


class Bell:
    """The bell of this process. `ring` and `flush` may be called from any thread."""

    def __init__(self) -> None:
        self._listeners: dict[asyncio.AbstractEventLoop, Listener] = {}
        self._changed = threading.Condition()  # its lock guards all below
        self._waiting: list[tuple[str, int, str]] = []
        self._look = False  # all processes are to read the record
        self._sending_on: asyncio.AbstractEventLoop | None = None
        self._sender: asyncio.Task[None] | None = None  # a task without a reference may vanish
        self._own_loop: asyncio.AbstractEventLoop | None = None
        self._serving: asyncio.AbstractEventLoop | None = None
        self._failing = False

    def listen(self, listener: Listener) -> None:
        """Wake up `listener`, on the event loop that is running."""
        self._listeners = {
            **{loop: other for loop, other in self._listeners.items() if not loop.is_closed()},
            asyncio.get_running_loop(): listener,
        }

    def serve_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Send to the channel layer from this loop, which runs as long as requests are served."""
        self._serving = loop

    def ring(self, user_id: str, event: Event) -> None:
        """Tell the owner's sockets of an event that is committed. Returns at once."""
        for loop, listener in self._listeners.items():
            # A socket that joins after this question reads the record after the commit.
            if listener.wants(user_id):
                call_soon(loop, listener.deliver, user_id, event)
        if shared_layer() is None:
            return
        with self._changed:
            self._waiting.append((user_id, *event))
            if len(self._waiting) > EVENTS_AT_MOST:
                self._look = True
                self._waiting.clear()
            if self._sending_on is None or self._sending_on.is_closed():
                self._sending_on = self._home()
                call_soon(self._sending_on, self._start_sending)

    def flush(self, timeout: float = FLUSH_TIMEOUT) -> None:
        """Wait until the channel layer has all events, at most for `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._sending_on is None or self._sending_on.is_closed(), timeout
            )
            self._sending_on = None  # given up: a second call does not wait

    def _home(self) -> asyncio.AbstractEventLoop:
        """The loop that serves requests or sockets, else one of our own on a thread of its own."""
        for loop in (self._serving, *self._listeners):
            if loop is not None and loop.is_running():
                return loop
        if self._own_loop is None:
            self._own_loop = asyncio.new_event_loop()
            run = self._own_loop.run_forever
            threading.Thread(target=run, name="bell", daemon=True).start()
        return self._own_loop

    def _start_sending(self) -> None:
        self._sender = asyncio.get_running_loop().create_task(self._send_all())

    async def _send_all(self) -> None:
        """Send to the channel layer, until nothing is left to send."""
        try:
            while True:
                with self._changed:
                    waiting, self._waiting = self._waiting, []
                    look, self._look = self._look, False
                    if not waiting and not look:
                        self._sending_on = None
                        self._changed.notify_all()
                        return
                await self._tell(waiting, look=look)
                await asyncio.sleep(PAUSE)
        except BaseException:
            with self._changed:
                self._sending_on = None
                self._changed.notify_all()
            raise

    async def _tell(self, events: list[tuple[str, int, str]], *, look: bool) -> None:
        layer = shared_layer()
        try:
            async with asyncio.timeout(LAYER_TIMEOUT):
                if look or self._failing:  # of what could not be sent, the record has everything
                    await layer.group_send(PROCESSES, {"type": "bell.look"})
                if events:
                    await layer.group_send(PROCESSES, {"type": "bell.ring", "texts": events})
        except Exception as error:  # noqa: BLE001  every layer fails in its own way
            if not self._failing:  # logged once, not for every event
                logger.warning("The channel layer cannot be told of events: %s", reason(error))
            self._failing = True
        else:
            if self._failing:
                logger.warning("The channel layer is told of events again")
            self._failing = False


def reason(error: Exception) -> str:
    return str(error) or type(error).__name__  # a `TimeoutError` says nothing


def call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[..., object], *args: Any) -> None:
    """Call back on a loop of any thread; not at all where the loop was closed meanwhile."""
    try:
        loop.call_soon_threadsafe(callback, *args)
    except RuntimeError:
        if not loop.is_closed():
            raise


bell = Bell()
atexit.register(bell.flush)
