"""What one socket is still to be sent."""

import asyncio
from collections import deque

from accounts.counted import counted
from tasks.events.hub import Hub
from tasks.events.protocol import Resync

REPLAY_BATCH = 200  # events read from the record at a time
QUEUE_LIMIT = 100  # live events kept in memory for a socket; the record has the others


class Outbox:
    """What one socket is still to be sent: events once and in order, live or replayed.

    Events up to number `position` were sent or wait in `queue`, and only the next number ever joins
    them. Where that is not at hand, the socket is `behind`, until it has caught up with the record.
    """

    def __init__(self, user_id: str, hub: Hub) -> None:
        self._user_id = user_id
        self._hub = hub
        self._more = asyncio.Event()
        self._missed = False  # whether there was another event while behind
        self.behind = True  # up to `start`
        self.position = 0
        self.epoch = ""  # of the history that the position belongs to
        self.queue: deque[str] = deque()

    def start(self, position: int, newest: int, epoch: str) -> None:
        """Begin after the event of number `position`, where `newest` is the newest on record."""
        self.position, self.epoch = position, epoch
        self.behind = self._missed or position != newest

    def push(self, seq: int, text: str | None) -> None:
        """There is an event of this number, and perhaps its text. It may have been pushed before."""
        if self.behind:
            self._missed = True
        elif seq > self.position:
            if seq == self.position + 1 and text is not None and len(self.queue) < QUEUE_LIMIT:
                self.queue.append(text)
                self.position = seq
            else:
                self.behind = True
            self._more.set()

    def doubt(self) -> None:
        """The record may be of another history: look whether what comes next is still ours."""
        self._missed = self.behind = True
        self._more.set()

    def push_first(self, text: str) -> None:
        """Send this text, which is no event, before all others."""
        self.queue.appendleft(text)
        self._more.set()

    async def take(self) -> str:
        """The next text to send, once there is one. By one caller at a time."""
        while not self.queue:
            if self.behind:
                await self._catch_up()
            else:
                self._more.clear()
                await self._more.wait()
        return self.queue.popleft()

    async def _catch_up(self) -> None:
        self._missed = False
        result = await self._hub.replay(self._user_id, self.position, REPLAY_BATCH, self.epoch)
        if result.complete:
            self.queue.extend(result.events)
            self.position += len(result.events)
            counted.send("events_replayed", amount=len(result.events))
        else:
            self.position, self.epoch = result.last_seq, result.epoch
            self.queue.append(Resync(self.position, result.epoch).text)
            counted.send("resyncs")
        self.behind = self._missed or self.position != result.last_seq
