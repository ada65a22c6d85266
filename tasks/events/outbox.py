"""What one socket is still to be sent: events once and in order, live or replayed."""

from collections import deque

from tasks.events.hub import Hub
from tasks.events.record import encode

REPLAY_BATCH = 200  # events read from the record at a time
QUEUE_LIMIT = 100  # live events kept in memory; the record has the others


class Outbox:
    """The texts that come next.

    Events up to number `position` were sent or wait in `queue`, and only the next number ever joins
    them. Where that is not at hand, the socket is `behind`, until it has caught up with the record.
    """

    __slots__ = ("_hub", "_missed", "_user_id", "behind", "position", "queue")

    def __init__(self, user_id: str, hub: Hub) -> None:
        self._user_id = user_id
        self._hub = hub
        self._missed = False  # whether there was another event while behind
        self.behind = True
        self.position = -1  # before `start`
        self.queue: deque[str] = deque()

    def start(self, position: int, newest: int) -> None:
        """Begin after the event of number `position`, where `newest` is the newest on record."""
        self.position = position
        self.behind = self._missed or position != newest

    def push(self, seq: int, text: str | None) -> None:
        """There is an event of this number, and perhaps its text."""
        if self.behind:
            self._missed = True
        elif seq == self.position + 1 and text is not None and len(self.queue) < QUEUE_LIMIT:
            self.queue.append(text)
            self.position = seq
        elif seq > self.position:
            self.behind = True

    def has_more(self) -> bool:
        return self.position >= 0 and bool(self.queue or self.behind)

    async def take(self) -> str | None:
        """The next text to send; `None` where there is none by now. By one caller at a time."""
        while self.behind and not self.queue:
            self._missed = False
            result = await self._hub.replay(self._user_id, self.position, REPLAY_BATCH)
            self.queue.extend(result.events)
            self.position = (
                self.position + len(result.events) if result.complete else result.last_seq
            )
            self.behind = self._missed or self.position != result.last_seq
            if not result.complete:
                return encode({"type": "resync", "seq": self.position})
        return self.queue.popleft() if self.queue else None
