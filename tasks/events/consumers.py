"""The consumer of `/ws/notifications`: one socket of one person, from greeting to close."""

import asyncio
import json
import logging
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from channels.consumer import get_handler_name
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from accounts.signin.errors import ExpiredToken, InvalidToken, KeysUnavailable, TokenError
from accounts.signin.known_tokens import verify_async
from accounts.signin.tokens import VerifiedToken
from accounts.signin.websocket import (
    CLOSE_TRY_AGAIN_LATER,
    Receive,
    Send,
    chosen_subprotocol,
    close_code_and_reason,
)
from tasks.events.hub import current_hub
from tasks.events.outbox import Outbox
from tasks.events.record import EventMessage, encode, parse_seq

logger = logging.getLogger(__name__)

MAX_FRAME_SIZE = 64 * 1024  # bytes
WARN_BEFORE = 60  # seconds before the token expires
SEND_TIMEOUT = 10  # seconds that a client may take to read
CLOCK_CHECK = 60  # seconds; the wall clock, by which tokens expire, may be set meanwhile
CLOSE_TOO_BIG = 1009
CLOSE_TOO_SLOW = 1013
CLOSE_TOO_MANY = 4008

LAST_MOMENT = datetime.max.replace(microsecond=0, tzinfo=UTC)


class NotificationConsumer(AsyncWebsocketConsumer):
    """Greets, sends events, answers messages, and closes when the token expires.

    Routed inside `TokenMiddleware`, which lets only sockets with a good token get this far. Events
    come from the hub, which subscribes to the channel layer once for all sockets of the process: a
    layer here would cost each of them a channel and a task.
    """

    # No layer: `get_channel_layer` has none where the alias is not configured.
    channel_layer_alias = None  # type: ignore[assignment]  # the stubs know only `str`

    scope: Any  # the stubs know nothing of what middleware adds
    token: VerifiedToken
    outbox: Outbox

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.hub = current_hub()
        self.closed = False
        self.warned = False  # that the token expires soon
        self.expiry: asyncio.TimerHandle | None = None
        self.task: asyncio.Task[None] | None = None  # sends from the outbox, or closes

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        self.token = scope["token"]
        self.outbox = Outbox(self.token.user.id, self.hub)
        try:
            await super().__call__(scope, receive, send)
        except Exception as error:  # noqa: BLE001  from any handler
            await self.fail(error)
        finally:  # after an error, or where the server cancels, `disconnect` is not called
            self.leave()

    # Before each handler and after `disconnect` Channels closes old database connections, in the one
    # thread that all consumers share. That is a quarter of the work of a handshake, and nothing to
    # do here: only the hub has connections.

    async def dispatch(self, message: dict[str, Any]) -> None:
        await getattr(self, get_handler_name(message))(message)

    async def websocket_disconnect(self, message: Any) -> None:
        await self.disconnect(message["code"])
        raise StopConsumer

    async def connect(self) -> None:
        """Say where the client stands, and start to send what comes after that."""
        await self.accept(chosen_subprotocol(self.scope))
        if self.hub.count(self.token.user.id) >= settings.SOCKETS_PER_USER:
            await self.close(CLOSE_TOO_MANY, "Too many sockets")
            return
        # Before the record is asked: of whatever is written after the answer the hub tells.
        self.hub.join(self.token.user.id, self)
        newest = await self.hub.last_seq(self.token.user.id)
        since = requested_since(self.scope["query_string"])
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
        self.outbox.position = seq
        self.outbox.behind = seq != newest
        self.wake_up()
        self.watch_expiry()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Answer a message of the client; whatever it is, it is no error of this socket."""
        if self.closed:
            return
        if frame_size(text_data, bytes_data) > MAX_FRAME_SIZE:
            await self.close(CLOSE_TOO_BIG, "Message too big")
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

    async def disconnect(self, code: int) -> None:
        self.leave()

    def leave(self) -> None:
        """Undo whatever `connect` did, or began to do. May be called more than once."""
        self.closed = True
        self.hub.leave(self.token.user.id, self)
        if self.expiry is not None:
            self.expiry.cancel()
        if self.task is not None and self.task is not asyncio.current_task():
            self.task.cancel()

    # Events

    def push(self, event: EventMessage) -> None:
        """Send this event when its turn comes. Called by the hub."""
        position = self.outbox.position
        if position is not None and event.seq <= position and not self.is_sending():
            # The channel layer echoes what this process has heard directly. While something is
            # sent, `position` may yet go back: a resync of a client that was ahead of the record.
            return
        self.outbox.add(event)
        self.wake_up()

    def catch_up(self, newest: int) -> None:
        """Send what is on record up to the event of this number. Called by the hub."""
        if self.outbox.position is not None and self.outbox.position < newest:
            self.outbox.behind = True
            self.wake_up()

    def is_sending(self) -> bool:
        return self.task is not None and not self.task.done()

    def wake_up(self) -> None:
        """Send what is in the outbox, in one task at a time; a socket without any has none."""
        if not (self.closed or self.outbox.position is None or self.is_sending()):
            self.task = asyncio.create_task(self.send_events())

    async def send_events(self) -> None:
        try:
            while not self.closed and (text := await self.outbox.take()) is not None:
                await self.send(text)
        except Exception as error:  # noqa: BLE001
            await self.fail(error)

    # What goes out

    async def send(  # type: ignore[override]  # as in the stubs of Channels' own class
        self, text_data: str | None = None, bytes_data: bytes | None = None, close: bool = False
    ) -> None:
        """Send, unless closed. Raises `TimeoutError` where the client does not read."""
        if self.closed:
            return
        async with asyncio.timeout(SEND_TIMEOUT):
            await super().send(text_data, bytes_data)
        if close:
            await self.close(close)

    async def send_message(self, message: dict[str, Any]) -> None:
        await self.send(encode(message))

    async def send_error(self, detail: str) -> None:
        await self.send_message({"type": "error", "detail": detail})

    async def close(self, code: int | bool | None = None, reason: str | None = None) -> None:
        """Close once; from here on nothing else is sent, and the hub knows nothing of the socket."""
        if self.closed:
            return
        self.leave()
        if code in (CLOSE_TOO_BIG, CLOSE_TOO_SLOW) and is_old_server(self.scope):
            code += 3000  # into the range that is free for applications
        with suppress(OSError):  # gone already, or it reads nothing: the server has to drop it
            async with asyncio.timeout(SEND_TIMEOUT):
                await super().close(code, reason)

    async def fail(self, error: Exception) -> None:
        """Close after an error: a socket that is open delivers."""
        if isinstance(error, TimeoutError):
            await self.close(CLOSE_TOO_SLOW, "Too slow")
        elif isinstance(error, OSError):
            self.leave()  # the client is gone: some servers say so to whoever sends
        else:
            # What was not sent is on record: the client asks for it when it comes back.
            logger.error("A socket failed and is closed", exc_info=error)
            await self.close(CLOSE_TRY_AGAIN_LATER, "Try again later")

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
        self.warned = False
        self.outbox.notice = None  # of the old one's expiry
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
        loop = asyncio.get_running_loop()
        left = self.token.expires_at - time.time()
        if left <= 0:
            if self.task is not None:
                self.task.cancel()
            self.task = loop.create_task(self.close(*close_code_and_reason(ExpiredToken())))
            return
        if left <= WARN_BEFORE and not self.warned:
            self.warned = True
            expires_at = timestamp(self.token.expires_at)
            self.outbox.notice = encode({"type": "auth.expiring", "expires_at": expires_at})
            self.wake_up()
        pause = left if self.warned else left - WARN_BEFORE
        self.expiry = loop.call_later(min(pause, CLOCK_CHECK), self.watch_expiry)


def is_old_server(scope: Any) -> bool:
    """Whether the server is older than ASGI 2.3, as daphne is, and refuses standard close codes."""
    return bool(scope.get("asgi", {}).get("spec_version", "2.0") < "2.3")


def requested_since(query_string: bytes) -> str | None:
    """`?since=` as it was sent; `None` where it was not."""
    query = parse_qs(query_string.decode("latin-1"), keep_blank_values=True)
    return query["since"][-1] if "since" in query else None


def frame_size(text: str | None, data: bytes | None) -> int:
    """How many bytes the message took on the wire."""
    return len((text or "").encode()) + len(data or b"")


def timestamp(seconds: float) -> str:
    """Seconds since the epoch in ISO 8601; far beyond the calendar, its last second."""
    moment = datetime.fromtimestamp(min(seconds, LAST_MOMENT.timestamp()), UTC)
    return moment.isoformat().replace("+00:00", "Z")
