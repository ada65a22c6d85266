"""One person's socket: greets, replays, forwards, answers, and closes when the token expires."""

import asyncio
import json
import logging
import time
from collections import deque
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from accounts.jwks import KeysUnavailable
from accounts.tokens import ExpiredToken, InvalidToken, TokenError, VerifiedToken
from accounts.websocket import (
    CLOSE_TRY_AGAIN_LATER,
    chosen_subprotocol,
    close_code_and_reason,
    verify_async,
)
from tasks.events import EventMessage, last_seq, parse_seq, replay
from tasks.hub import Hub, current_hub

logger = logging.getLogger(__name__)

MAX_FRAME_SIZE = 64 * 1024  # bytes
WARN_BEFORE = 60  # seconds before the token expires
SEND_TIMEOUT = 10  # seconds that a client may take to read
REPLAY_BATCH = 200  # events read from the record at a time
RUNG_AT_MOST = 100  # events waiting to be sent; the record has the others
CLOSE_TOO_BIG = 1009
CLOSE_TOO_SLOW = 1013
CLOSE_TOO_MANY = 4008

LAST_MOMENT = datetime.max.replace(microsecond=0, tzinfo=UTC)


class NotificationConsumer(AsyncWebsocketConsumer):
    """`/ws/notifications` (contract section 4). Only sockets with a good token get this far.

    A client sees its owner's events once and in order: `position` is the number of the last one
    sent, and only the next number is ever sent. What the channel layer brings is forwarded if it is
    that one; whatever is missing before it comes out of the record.
    """

    channel_layer_alias = "none: the hub listens for all sockets"

    async def connect(self) -> None:
        scope = cast("dict[str, Any]", self.scope)
        self.token: VerifiedToken = scope["token"]
        self.user_id = self.token.user.id
        self.position: int | None = None
        self.hub: Hub = current_hub()
        self.expiry: asyncio.Task[None] | None = None
        self.forwarding: asyncio.Task[None] | None = None
        self.rung: deque[EventMessage] = deque(maxlen=RUNG_AT_MOST)
        self.behind = False
        await self.accept(subprotocol=chosen_subprotocol(scope))
        if self.hub.count(self.user_id) >= settings.SOCKETS_PER_USER:
            await self.close(CLOSE_TOO_MANY, "Too many sockets")
            return
        # Before the look at the record: whatever comes after that look rings.
        await self.hub.join(self.user_id, self)
        try:
            newest = await database_sync_to_async(last_seq)(self.user_id)
        except Exception:
            logger.exception("The record of events cannot be read; a socket is sent away")
            await self.close(CLOSE_TRY_AGAIN_LATER, "Try again later")
            return
        await self.greet(newest, requested_since(scope))

    async def greet(self, newest: int, since: str | None) -> None:
        """Say where the client stands, and start to send what comes after that."""
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
        self.expiry = asyncio.create_task(self.watch_expiry())

    async def disconnect(self, code: int) -> None:
        for task in (self.expiry, self.forwarding):
            if task is not None:
                task.cancel()
        await self.hub.leave(self.user_id, self)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Answer a message of the client; whatever it is, it does not end the socket by an error."""
        if frame_size(text_data, bytes_data) > MAX_FRAME_SIZE:
            await self.close(self.sendable(CLOSE_TOO_BIG), "Message too big")
            return
        try:
            message = json.loads(text_data or "")
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
        if event is None:
            self.behind = True
        else:
            self.rung.append(event)
        self.wake()

    def wake(self) -> None:
        """See to it that what is due is being sent, by one task at a time."""
        if self.position is None or (self.forwarding is not None and not self.forwarding.done()):
            return
        if self.rung or self.behind:
            self.forwarding = asyncio.create_task(self.forward())

    async def forward(self) -> None:
        """Send what is due, until nothing is."""
        try:
            while self.rung or self.behind:
                if self.behind:
                    await self.catch_up()
                else:
                    await self.send_if_next(self.rung.popleft())
        except TimeoutError:
            await self.close(self.sendable(CLOSE_TOO_SLOW), "Too slow")
        except Exception:
            # What was not sent is on record: the client asks for it when it comes back.
            logger.exception("Events cannot be sent; a socket is sent away")
            await self.close(CLOSE_TRY_AGAIN_LATER, "Try again later")

    async def send_if_next(self, event: EventMessage) -> None:
        assert self.position is not None  # noqa: S101  nothing is forwarded before the greeting
        if event["seq"] <= self.position:
            return  # sent already
        if event["seq"] > self.position + 1:
            self.behind = True  # a ring got lost; the record has this event too
            return
        await self.send_message(event)
        self.position = event["seq"]

    async def catch_up(self) -> None:
        """Send what the record holds after `position`."""
        assert self.position is not None  # noqa: S101
        self.behind = False
        result = await database_sync_to_async(replay)(self.user_id, self.position, REPLAY_BATCH)
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
        if self.expiry is not None:
            self.expiry.cancel()
        self.token = token
        await self.send_message({"type": "auth.ok", "expires_at": timestamp(token.expires_at)})
        self.expiry = asyncio.create_task(self.watch_expiry())

    async def watch_expiry(self) -> None:
        """Warn a minute before the token expires, and close when it does, to the second."""
        await sleep_until(self.token.expires_at - WARN_BEFORE)
        expires_at = timestamp(self.token.expires_at)
        await self.send_message({"type": "auth.expiring", "expires_at": expires_at})
        await sleep_until(self.token.expires_at)
        await self.close(*close_code_and_reason(ExpiredToken()))

    # What goes out

    async def send_message(self, message: dict[str, Any] | EventMessage) -> None:
        """Send one JSON object. Raises `TimeoutError` where the client does not read."""
        text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
        async with asyncio.timeout(SEND_TIMEOUT):
            await self.send(text_data=text)

    async def send_error(self, detail: str) -> None:
        await self.send_message({"type": "error", "detail": detail})

    def sendable(self, code: int) -> int:
        """A standard close code, 3000 higher on servers older than ASGI 2.3: daphne refuses it."""
        version = cast("dict[str, Any]", self.scope).get("asgi", {}).get("spec_version", "2.0")
        return code + 3000 if version < "2.3" else code


def requested_since(scope: dict[str, Any]) -> str | None:
    """`?since=` as it was sent; `None` where it was not."""
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    return query["since"][-1] if "since" in query else None


async def sleep_until(moment: float) -> None:
    """Sleep until the wall clock, by which `exp` is told and which may be set, shows `moment`."""
    while (left := moment - time.time()) > 0:  # noqa: ASYNC110
        await asyncio.sleep(min(left, 60))


def frame_size(text: str | None, data: bytes | None) -> int:
    """How many bytes the message took on the wire."""
    return len((text or "").encode()) + len(data or b"")


def timestamp(seconds: float) -> str:
    """Seconds since the epoch in ISO 8601; far beyond the calendar, its last second."""
    moment = datetime.fromtimestamp(min(seconds, LAST_MOMENT.timestamp()), UTC)
    return moment.isoformat().replace("+00:00", "Z")
