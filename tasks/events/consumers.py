"""The socket of `/ws/notifications`, from greeting to close (docs/api.md section 5)."""

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from channels.consumer import get_handler_name
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from accounts import erasures
from accounts.closing import Close
from accounts.counted import counted
from accounts.outages import DATABASE_ERRORS, database
from accounts.signin.errors import (
    ExpiredToken,
    InvalidToken,
    KeysUnavailable,
    SignedOut,
    TokenError,
)
from accounts.signin.known_tokens import verify_async
from accounts.signin.refusals import log_refused_socket
from accounts.signin.tokens import VerifiedToken
from accounts.signin.websocket import (
    Receive,
    Send,
    chosen_subprotocol,
    close_for,
)
from accounts.signout import sign_outs
from tasks.events.hub import current_hub
from tasks.events.outbox import Outbox
from tasks.events.protocol import (
    MAX_FRAME_SIZE,
    Message,
    NewToken,
    NotUnderstood,
    Ping,
    Pong,
    Query,
    Resync,
    SocketReady,
    TokenExpiring,
    TokenRenewed,
)
from tasks.rules.moments import as_text

logger = logging.getLogger(__name__)

WARN_BEFORE = 60  # seconds before the token expires
BETWEEN_MESSAGES = 0.005  # seconds from one message of a client to the next, if they come faster
SEND_TIMEOUT = 10  # seconds that a client may take to read
CLOCK_CHECK = 60  # seconds; the wall clock, by which tokens expire, may be set meanwhile
LAST_MOMENT = datetime.max.replace(microsecond=0, tzinfo=UTC).timestamp()


class NotificationConsumer(AsyncWebsocketConsumer):
    """Greets, sends events, answers messages, and closes when the token expires.

    Routed inside `TokenMiddleware`: only good tokens get this far. Events come from the hub, which
    subscribes to the channel layer once for all sockets of the process: a layer here would cost each
    of them a channel and a task.
    """

    # No layer: none is configured under this alias. (The stubs know only `str`.)
    channel_layer_alias = None  # type: ignore[assignment]

    scope: Any  # the stubs know nothing of what middleware adds
    token: VerifiedToken
    closed = False
    erasure: str | None = None  # what names the last one before this was opened, once it is known
    warning = ""  # that the token expires soon, once it is due
    expiry: asyncio.TimerHandle | None = None
    sender: asyncio.Task[None] | None = None
    closing: asyncio.Task[None] | None = None  # a task without a reference may vanish

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        self.token, self.hub = scope["token"], current_hub()
        self.user_id = self.token.user.id
        self.outbox = Outbox(self.user_id, self.hub)
        try:
            await super().__call__(scope, receive, send)
        except Exception as error:  # noqa: BLE001  from any handler
            await self.fail(error)
        finally:  # after an error, or where the server cancels, `disconnect` is not called
            self.leave()

    # Before each handler and after `disconnect` Channels closes old database connections, in one thread
    # for all: a quarter of the work of a handshake, for connections that only the hub has.

    async def dispatch(self, message: dict[str, Any]) -> None:
        await getattr(self, get_handler_name(message))(message)

    async def websocket_disconnect(self, message: Any) -> None:
        raise StopConsumer

    async def connect(self) -> None:
        """Say where the client stands, and start to send what comes after that."""
        await self.accept(chosen_subprotocol(self.scope))
        if self.hub.count(self.user_id) >= settings.SOCKETS_PER_USER:
            await self.end(Close.TOO_MANY)
            return
        # Before the record is asked: of whatever is written after the answer the hub tells.
        self.hub.join(self.user_id, self)
        newest, epoch = await self.hub.position(self.user_id)
        self.erasure = erasures.part_of(epoch)
        query = Query.read(self.scope["query_string"])
        since = newest if query.since is None else query.number
        seq = newest if since is None else since
        await self.say(SocketReady(seq, self.expires_at(), epoch))
        if since is None or query.epoch not in (None, epoch):
            seq = newest
            await self.say(Resync(newest, epoch))
            counted.send("resyncs")
        self.outbox.start(seq, newest, epoch)
        self.sender = asyncio.create_task(self.send_events())
        self.watch_expiry()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Answer a message of the client; whatever it is, it is no error of this socket."""
        await asyncio.sleep(BETWEEN_MESSAGES)  # in which others have their turn
        if self.closed:
            return
        if len((text_data or "").encode()) + len(bytes_data or b"") > MAX_FRAME_SIZE:
            await self.end(Close.TOO_BIG)
            return
        try:
            message = json.loads(text_data or "")
        except (ValueError, RecursionError):
            message = None
        match message:
            case {"type": Ping.type}:
                await self.say(Pong())
            case {"type": NewToken.type}:
                await self.renew(message.get("token"))
            case _:
                await self.say(NotUnderstood())

    def push(self, seq: int, text: str | None = None) -> None:
        """There is an event, perhaps sent already. Called by the hub."""
        self.outbox.push(seq, text)

    def doubt(self) -> None:
        """The record may be of another history. Called by the hub."""
        self.outbox.doubt()

    async def send_events(self) -> None:
        try:
            while not self.closed:
                await self.send_text(await self.outbox.take())
                counted.send("events_sent")
        except Exception as error:  # noqa: BLE001
            await self.fail(error)

    async def say(self, message: Message) -> None:
        await self.send_text(message.text)

    async def send_text(self, text: str) -> None:
        """Send, unless closed. Raises `TimeoutError` where the client does not read."""
        if not self.closed:
            async with asyncio.timeout(SEND_TIMEOUT):
                await self.send(text)

    async def end(self, why: Close) -> None:
        """Close once; from here on nothing else is sent, and the hub knows nothing of the socket."""
        if self.closed:
            return
        self.leave()
        counted.send("sockets_closed", code=str(why.code))
        code = why.code_at(self.scope.get("asgi", {}).get("spec_version", "2.0"))
        with suppress(OSError):  # gone already, or it reads nothing: the server has to drop it
            async with asyncio.timeout(SEND_TIMEOUT):
                await self.close(code, why.reason)

    async def fail(self, error: Exception) -> None:
        """Close after an error: a socket that is open delivers."""
        if isinstance(error, TimeoutError):
            await self.end(Close.TOO_SLOW)
        elif isinstance(error, OSError):
            self.leave()  # the client is gone: some servers say so to whoever sends
        else:
            if isinstance(error, DATABASE_ERRORS):
                database.failed(error)
            else:
                logger.error("A socket failed and is closed", exc_info=error)
            # What was not sent is on record: the client asks for it when it comes back.
            await self.end(Close.TRY_AGAIN_LATER)

    def leave(self) -> None:
        """Undo whatever `connect` did, or began to do. May be called more than once."""
        self.closed = True
        self.hub.leave(self.user_id, self)
        if self.expiry is not None:
            self.expiry.cancel()
        if self.sender is not None and self.sender is not asyncio.current_task():
            self.sender.cancel()
            self.sender = None  # whose exception refers to this socket

    def expires_at(self) -> str:
        """When the token expires; far beyond the calendar, its last second."""
        return as_text(datetime.fromtimestamp(min(self.token.expires_at, LAST_MOMENT), UTC))

    async def renew(self, raw: object) -> None:
        """Let the socket live on to the expiry of a new token of the same person."""
        try:
            token = await verify_async(raw if isinstance(raw, str) else "")
            if token.user != self.token.user:
                raise InvalidToken("another user")
        except (TokenError, KeysUnavailable) as error:
            log_refused_socket(self.scope, error)
            await self.end(close_for(error))
            return
        self.token = token
        with suppress(ValueError):  # of the old one
            self.outbox.queue.remove(self.warning)
        self.warning = ""
        await self.say(TokenRenewed(self.expires_at()))
        self.watch_expiry()

    def watch_expiry(self) -> None:
        """Warn before the token expires, and close when it does, whether the client reads or not."""
        if self.expiry is not None:
            self.expiry.cancel()
        if self.closed:
            return
        left = self.token.expires_at - time.time()
        if left <= 0:
            self.refuse(ExpiredToken())
            return
        self.watch_sign_out()  # it may have come while the socket was let in
        if left <= WARN_BEFORE and not self.warning:
            self.warning = TokenExpiring(self.expires_at()).text
            self.outbox.push_first(self.warning)
        pause = left if self.warning else left - WARN_BEFORE
        self.expiry = asyncio.get_running_loop().call_later(
            min(pause, CLOCK_CHECK), self.watch_expiry
        )

    def watch_sign_out(self) -> None:
        """Close where the token is from before its person was signed out. Called by the hub as well."""
        if not self.closed and sign_outs.include(self.token):
            self.refuse(SignedOut())

    def watch_erasures(self, epochs: Mapping[bytes, str]) -> None:
        """Close where its person was erased since it was opened. Called by the hub."""
        known = self.erasure
        if self.closed or known is None:
            return
        if any(epochs.get(digest, known) != known for digest in self.token.digests):
            self.closing = asyncio.create_task(self.end(Close.ERASED))

    def refuse(self, error: TokenError) -> None:
        """Close for what the token is no longer good for, in a task of its own."""
        log_refused_socket(self.scope, error)
        self.closing = asyncio.create_task(self.end(close_for(error)))
