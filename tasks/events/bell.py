"""Telling the sockets of every server process that there is an event.

Without any guarantee: a socket that the bell does not reach finds the event on record within seconds.
The hub of this process is called directly; the others receive every event by the channel layer, and
after a time without it hear that something was lost.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Container
from concurrent.futures import Future, wait
from typing import Any

from channels.layers import InMemoryChannelLayer, get_channel_layer

from accounts.outages import Outage

logger = logging.getLogger(__name__)

PROCESSES = "processes"  # the group that every process with sockets is in
EVENTS_AT_MOST = 1000  # in one message; of those before, other processes hear from the record
PAUSE = 0.01  # seconds between two messages, so that many events share one
LAYER_TIMEOUT = 1.0  # seconds that the channel layer may take
RETRY_INTERVAL = 0.25  # seconds before one that failed is tried again
FLUSH_TIMEOUT = 2.0  # seconds that the end of a process may take

Deliver = Callable[[str, int, str], None]  # owner, number, and the text that a socket receives
Look = Callable[[], object]


def shared_layer() -> Any:
    """The channel layer where it reaches other processes, else `None`."""
    layer = get_channel_layer()
    return None if isinstance(layer, InMemoryChannelLayer) else layer


class Bell:
    """The bell of this process. `ring` and `flush` may be called from any thread."""

    def __init__(self) -> None:
        self._hub: tuple[asyncio.AbstractEventLoop, Container[str], Deliver, Look] | None = None
        self._lock = threading.Lock()  # guards the five below
        self._waiting: deque[tuple[str, int, str]] = deque(maxlen=EVENTS_AT_MOST)
        self._signed_out = False  # whether others are to hear of somebody
        self._lost = (
            False  # whether others are to compare with the record: they were not told of all
        )
        self._sender: Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # that sends
        self._outage = Outage(
            logger,
            "The channel layer cannot be told of events: %s",
            "The channel layer is told of events",
            until_over=True,
        )

    def listen(self, people: Container[str], deliver: Deliver, look: Look) -> None:
        """Call `deliver`, on the event loop that is running, with each event of these people.

        And `look` when the record has changed in another way than by an event.
        """
        self._hub = asyncio.get_running_loop(), people, deliver, look

    def serve_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Send to the channel layer from this loop, which runs as long as requests are served."""
        self._loop = loop

    def ring(self, user_id: str, seq: int, text: str) -> None:
        """Tell the owner's sockets of an event that is committed. Returns at once."""
        if self._hub is not None:
            loop, people, deliver, _ = self._hub
            # A socket that joins after this question reads the record after the commit.
            if user_id in people:
                call_soon(loop, deliver, user_id, seq, text)
        if shared_layer() is None:
            return
        with self._lock:
            self._waiting.append((user_id, seq, text))
            self._start_to_send()

    def ring_for_sign_out(self, **kwargs: Any) -> None:
        """Tell other processes that somebody was signed out: a receiver of that signal."""
        if shared_layer() is None:
            return
        with self._lock:
            self._signed_out = True
            self._start_to_send()

    def ring_for_erasure(self, **kwargs: Any) -> None:
        """Let all processes compare with the record, as somebody was erased: a receiver of that signal."""
        if self._hub is not None:
            loop, _, _, look = self._hub
            call_soon(loop, look)
        if shared_layer() is None:
            return
        with self._lock:
            self._lost = True
            self._start_to_send()

    def _start_to_send(self) -> None:
        """Unless it is being done. With the lock held."""
        if self._sender is None or self._sender.done():
            self._sender = asyncio.run_coroutine_threadsafe(self._send_all(), self._home())

    def flush(self) -> None:
        """Wait until the channel layer has all events, or has taken too long."""
        with self._lock:
            sender, self._sender = self._sender, None  # a second call does not wait
        if sender is not None:
            wait([sender], FLUSH_TIMEOUT)
            sender.cancel()

    def _home(self) -> asyncio.AbstractEventLoop:
        """The loop that serves, else one of our own on a thread of its own."""
        if self._loop is None or not self._loop.is_running():
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="bell", daemon=True).start()
        return self._loop

    async def _send_all(self) -> None:
        """Send to the channel layer, until nothing is left to send. One task, which keeps the order."""
        while True:
            with self._lock:
                events, signed_out, lost = list(self._waiting), self._signed_out, self._lost
                self._waiting.clear()
                self._signed_out = self._lost = False
                if not (events or signed_out or lost):
                    self._sender = None
                    return
            try:
                async with asyncio.timeout(LAYER_TIMEOUT):
                    message = {
                        "type": "bell.ring",
                        "texts": events,
                        "signed_out": signed_out,
                        "lost": lost,
                    }
                    await shared_layer().group_send(PROCESSES, message)
            except Exception as error:  # noqa: BLE001  every layer fails in its own way
                self._outage.failed(repr(error))
                with self._lock:
                    self._signed_out, self._lost = self._signed_out or signed_out, True
                await asyncio.sleep(RETRY_INTERVAL)
            else:
                self._outage.over()
                await asyncio.sleep(PAUSE)


def call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[..., object], *args: Any) -> None:
    """Call back on a loop of any thread; not at all where the loop was closed meanwhile."""
    try:
        loop.call_soon_threadsafe(callback, *args)
    except RuntimeError:
        if not loop.is_closed():
            raise


bell = Bell()
