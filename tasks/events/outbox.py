"""What one socket is still to be sent: events once and in order, live or replayed."""

from tasks.events.hub import Hub
from tasks.events.record import EventMessage, encode

REPLAY_BATCH = 200  # events read from the record at a time
QUEUE_LIMIT = 100  # live events kept in memory; the record has the others


class Outbox:
    """The texts that follow the last one sent.

    `position` is the number of the last event that `take` gave out, and only the next number is
    ever given out. Live events wait in `queue`; whatever is missing before them is replayed from
    the record.
    """

    __slots__ = ("_hub", "_replayed", "_user_id", "behind", "notice", "position", "queue")

    def __init__(self, user_id: str, hub: Hub) -> None:
        self._user_id = user_id
        self._hub = hub
        self._replayed: list[EventMessage] = []
        self.position: int | None = None  # `None` before the client was told where it stands
        self.queue: list[EventMessage] = []
        self.behind = False  # the record holds events that come next
        self.notice: str | None = None  # a text that goes before all events

    def add(self, event: EventMessage) -> None:
        if len(self.queue) < QUEUE_LIMIT:
            self.queue.append(event)
        else:
            self.behind = True

    async def take(self) -> str | None:
        """The next text to send; `None` where there is none by now. By one caller at a time."""
        assert self.position is not None  # noqa: S101
        while True:
            if self.notice is not None:
                notice, self.notice = self.notice, None
                return notice
            if self._replayed:
                event = self._replayed.pop(0)
            elif self.behind:
                if not await self._replay():
                    return encode({"type": "resync", "seq": self.position})
                continue
            elif self.queue:
                event = self.queue.pop(0)
            else:
                return None
            if event.seq == self.position + 1:
                self.position = event.seq
                return event.text
            if event.seq > self.position:
                self.behind = True  # one was missed; the record has it, and this one too

    async def _replay(self) -> bool:
        """Read a batch from the record; false where it does not reach back to `position`."""
        assert self.position is not None  # noqa: S101
        self.behind = False
        result = await self._hub.replay(self._user_id, self.position, REPLAY_BATCH)
        if not result.complete:
            self.position = result.last_seq
            return False
        self._replayed = result.events
        last = result.events[-1].seq if result.events else self.position
        self.behind = self.behind or last < result.last_seq
        return True
