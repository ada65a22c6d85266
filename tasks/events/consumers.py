"""One person's socket: greets, replays, forwards, answers, and closes when the token expires.

A plain ASGI application: thousands are open at once, and one of Channels' consumers costs each of
them two more tasks and a channel of its own.
"""

import asyncio
import json
import logging
import time
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from django.conf import settings

from accounts.signin.errors import ExpiredToken, InvalidToken, KeysUnavailable, TokenError
from accounts.signin.known_tokens import verify_async
from accounts.signin.tokens import VerifiedToken
from accounts.signin.websocket import (
    CLOSE_TRY_AGAIN_LATER,
    Receive,
    Scope,
    Send,
    chosen_subprotocol,
    close_code_and_reason,
)
from tasks.events.hub import current_hub
from tasks.events.record import EventMessage, encode, parse_seq

logger = logging.getLogger(__name__)

MAX_FRAME_SIZE = 64 * 1024  # bytes
WARN_BEFORE = 60  # seconds before the token expires
SEND_TIMEOUT = 10  # seconds that a client may take to read
REPLAY_BATCH = 200  # events read from the record at a time
RUNG_AT_MOST = 100  # events waiting to be sent; the record has the others
CLOCK_CHECK = 60  # seconds; the wall clock, by which tokens expire, may be set meanwhile
CLOSE_TOO_BIG = 1009
CLOSE_TOO_SLOW = 1013
CLOSE_TOO_MANY = 4008

LAST_MOMENT = datetime.max.replace(microsecond=0, tzinfo=UTC)


async def notifications(scope: Scope, receive: Receive, send: Send) -> None:
    """`/ws/notifications` (contract section 4). Only sockets with a good token get this far."""
    await receive()  # websocket.connect
    await send({"type": "websocket.accept", "subprotocol": chosen_subprotocol(scope)})
    await NotificationSocket(scope, send).serve(requested_since(scope), receive)


class NotificationSocket:
    """A socket from its greeting to its end.

    A client sees its owner's events once and in order: `position` is the number of the last one
    sent, and only the next number is ever sent. What rings is forwarded if it is that one; whatever
    is missing before it comes out of the record.
    """

    __slots__ = (
        *("behind", "closed", "expiry", "forwarding", "hub", "position", "rung", "send"),
        *("shift", "token", "user_id", "warning_due", "warned"),
    )

    def __init__(self, scope: Scope, send: Send) -> None:
        self.token: VerifiedToken = scope["token"]
        self.user_id = self.token.user.id
        self.send = send
        # Servers older than ASGI 2.3, such as daphne, refuse to send the standard close codes.
        self.shift = 3000 if scope.get("asgi", {}).get("spec_version", "2.0") < "2.3" else 0
        self.hub = current_hub()
        self.position: int | None = None
        self.rung: list[EventMessage] = []
        self.behind = False  # the record holds something to send
        self.warned = False  # that the token expires soon
        self.warning_due = False
        self.closed = False
        self.expiry: asyncio.TimerHandle | None = None
        self.forwarding: asyncio.Task[None] | None = None

    async def serve(self, since: str | None, receive: Receive) -> None:
        """Everything from here to the end of the socket, whichever way it ends."""
        try:
            await self.open(since)
            while (message := await receive())["type"] != "websocket.disconnect":
                if not self.closed:
                    await self.answer(message.get("text"), message.get("bytes"))
        except TimeoutError:
            await self.close(CLOSE_TOO_SLOW + self.shift, "Too slow")
        except OSError:
            pass  # the client is gone: some servers say so to whoever sends
        except Exception:
            logger.exception("A socket failed and is sent away")
            await self.close(CLOSE_TRY_AGAIN_LATER, "Try again later")
        finally:
            self.leave()

    async def open(self, since: str | None) -> None:
        """Say where the client stands, and start to send what comes after that."""
        if self.hub.count(self.user_id) >= settings.SOCKETS_PER_USER:
            await self.close(CLOSE_TOO_MANY, "Too many sockets")
            return
        # Before the look at the record: whatever comes after that look rings.
        self.hub.join(self.user_id, self)
        newest = await self.hub.last_seq(self.user_id)
        seq = newest if since is None else parse_seq(since)
        await self.send_message(
            {
                "type": "ready",
                "seq": newest if seq is None else seq,
                "expires_at": timestamp(self.token.expires_at),
            }
        )
        if seq is None:
            await self.send_message({"type": "resync", "seq": newest})
            seq = newest
        self.position = seq
        self.behind = seq != newest
        self.wake()
        self.watch_expiry()

    async def close(self, code: int, reason: str) -> None:
        """Close once; from here on nothing else is sent, and the hub knows nothing of the socket."""
        if self.closed:
            return
        self.leave()
        with suppress(OSError):  # gone already, or so deaf that the server has to drop it
            async with asyncio.timeout(SEND_TIMEOUT):
                await self.send({"type": "websocket.close", "code": code, "reason": reason})

    def leave(self) -> None:
        self.closed = True
        self.hub.leave(self.user_id, self)
        if self.expiry is not None:
            self.expiry.cancel()
        if self.forwarding is not None and self.forwarding is not asyncio.current_task():
            self.forwarding.cancel()

    async def answer(self, text: str | None, data: bytes | None) -> None:
        """Answer a message of the client; whatever it is, it does not end the socket by an error."""
        if frame_size(text, data) > MAX_FRAME_SIZE:
            await self.close(CLOSE_TOO_BIG + self.shift, "Message too big")
            return
        try:
            message = json.loads(text or "")
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            await self.send_error("Messages are JSON objects")
        elif message.get("type") == "ping":
            await self.send_message({"type": "pong"})
        elif message.get("type") == "auth":
            await self.renew(message.get("token"))
        else:
            await self.send_error("Unknown message type")

    # Events

    def ring(self, event: EventMessage | None) -> None:
        """Called by the hub: there is this event, or something in the record."""
        if (
            event is not None
            and self.position is not None
            and event.seq <= self.position
            and (self.forwarding is None or self.forwarding.done())
        ):
            # The channel layer echoes what was heard directly. But while something is being sent,
            # `position` may yet go back, where the client was ahead of the record.
            return
        if event is None or len(self.rung) >= RUNG_AT_MOST:
            self.behind = True
        else:
            self.rung.append(event)
        self.wake()

    def wake(self) -> None:
        """See to it that what is due is being sent, by one task at a time."""
        if self.closed or self.position is None:
            return
        if self.forwarding is None or self.forwarding.done():
            self.start(self.forward())

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        self.forwarding = asyncio.get_running_loop().create_task(work)

    async def forward(self) -> None:
        """Send what is due, until nothing is."""
        try:
            while not self.closed:
                if self.warning_due:
                    self.warning_due = False
                    await self.warn()
                elif self.behind:
                    await self.catch_up()
                elif self.rung:
                    await self.send_if_next(self.rung.pop(0))
                else:
                    return
        except TimeoutError:
            await self.close(CLOSE_TOO_SLOW + self.shift, "Too slow")
        except OSError:
            self.leave()  # the client is gone
        except Exception:
            # What was not sent is on record: the client asks for it when it comes back.
            logger.exception("Events cannot be sent; a socket is sent away")
            await self.close(CLOSE_TRY_AGAIN_LATER, "Try again later")

    async def send_if_next(self, event: EventMessage) -> None:
        assert self.position is not None  # noqa: S101  nothing is forwarded before the greeting
        if event.seq <= self.position:
            return  # sent already
        if event.seq > self.position + 1:
            self.behind = True  # a ring got lost; the record has this event too
            return
        await self.send_text(event.text)
        self.position = event.seq

    async def catch_up(self) -> None:
        """Send what the record holds after `position`."""
        assert self.position is not None  # noqa: S101
        self.behind = False
        result = await self.hub.replay(self.user_id, self.position, REPLAY_BATCH)
        if not result.complete:
            await self.send_message({"type": "resync", "seq": result.last_seq})
            self.position = result.last_seq
        for event in result.events:
            await self.send_if_next(event)
        self.behind = self.behind or self.position < result.last_seq

    # The token

    async def renew(self, raw: object) -> None:
        """Let the socket live on to the expiry of a new token of the same person."""
        try:
            token = await verify_async(raw if isinstance(raw, str) else "")
            if token.user != self.token.user:
                raise InvalidToken("another user")
        except (TokenError, KeysUnavailable) as error:
            await self.close(*close_code_and_reason(error))
            return
        if self.closed:
            return  # the old one expired meanwhile
        self.token = token
        self.warned = self.warning_due = False
        await self.send_message({"type": "auth.ok", "expires_at": timestamp(token.expires_at)})
        self.watch_expiry()

    def watch_expiry(self) -> None:
        """Warn a minute before the token expires, and close when it does, to the second.

        By a timer, and not by a task that sends: a client that does not read must not outlive its
        token by that.
        """
        if self.expiry is not None:
            self.expiry.cancel()
        if self.closed:
            return
        left = self.token.expires_at - time.time()
        if left <= 0:
            if self.forwarding is not None:
                self.forwarding.cancel()
            self.start(self.close(*close_code_and_reason(ExpiredToken())))
            return
        if left <= WARN_BEFORE and not self.warned:
            self.warned = self.warning_due = True
            self.wake()
        pause = left if self.warned else left - WARN_BEFORE
        loop = asyncio.get_running_loop()
        self.expiry = loop.call_later(min(pause, CLOCK_CHECK), self.watch_expiry)

    async def warn(self) -> None:
        expires_at = timestamp(self.token.expires_at)
        await self.send_message({"type": "auth.expiring", "expires_at": expires_at})

    # What goes out

    async def send_message(self, message: dict[str, Any]) -> None:
        await self.send_text(encode(message))

    async def send_text(self, text: str) -> None:
        """Send one JSON object. Raises `TimeoutError` where the client does not read."""
        if self.closed:
            return
        async with asyncio.timeout(SEND_TIMEOUT):
            await self.send({"type": "websocket.send", "text": text})

    async def send_error(self, detail: str) -> None:
        await self.send_message({"type": "error", "detail": detail})


def requested_since(scope: Scope) -> str | None:
    """`?since=` as it was sent; `None` where it was not."""
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    return query["since"][-1] if "since" in query else None


def frame_size(text: str | None, data: bytes | None) -> int:
    """How many bytes the message took on the wire."""
    return len((text or "").encode()) + len(data or b"")


def timestamp(seconds: float) -> str:
    """Seconds since the epoch in ISO 8601; far beyond the calendar, its last second."""
    moment = datetime.fromtimestamp(min(seconds, LAST_MOMENT.timestamp()), UTC)
    return moment.isoformat().replace("+00:00", "Z")
