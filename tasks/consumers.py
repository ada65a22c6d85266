"""One person's socket: greets, forwards their events, answers, and closes when the token expires."""

import asyncio
import json
import logging
import time
from datetime import UTC, datetime
from typing import Any, cast

from channels.generic.websocket import AsyncWebsocketConsumer

from accounts.jwks import KeysUnavailable
from accounts.ownership import owner_group
from accounts.tokens import ExpiredToken, InvalidToken, TokenError, VerifiedToken
from accounts.websocket import (
    CLOSE_TRY_AGAIN_LATER,
    chosen_subprotocol,
    close_code_and_reason,
    verify_async,
)

logger = logging.getLogger(__name__)

MAX_FRAME_SIZE = 64 * 1024  # bytes
WARN_BEFORE = 60  # seconds before the token expires
CLOSE_TOO_BIG = 1009
CLOSE_TOO_BIG_FOR_DAPHNE = 4009

LAST_MOMENT = datetime.max.replace(microsecond=0, tzinfo=UTC)


class NotificationConsumer(AsyncWebsocketConsumer):
    """`/ws/notifications` (contract section 4). Only sockets with a good token get this far."""

    async def connect(self) -> None:
        scope = cast("dict[str, Any]", self.scope)
        self.token: VerifiedToken = scope["token"]
        self.group = owner_group(self.token.user.id)
        self.expiry: asyncio.Task[None] | None = None
        await self.accept(subprotocol=chosen_subprotocol(scope))
        try:
            # Before the greeting: whoever has been greeted misses nothing from then on.
            await self.channel_layer.group_add(self.group, self.channel_name)
        except Exception:
            logger.exception("The channel layer does not answer; a socket is sent away")
            await self.close(CLOSE_TRY_AGAIN_LATER, "Try again later")
            return
        await self.send_message({"type": "ready", "expires_at": timestamp(self.token.expires_at)})
        self.expiry = asyncio.create_task(self.watch_expiry())

    async def disconnect(self, code: int) -> None:
        if self.expiry is not None:
            self.expiry.cancel()
            await self.channel_layer.group_discard(self.group, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Answer a message of the client; whatever it is, it does not end the socket by an error."""
        if frame_size(text_data, bytes_data) > MAX_FRAME_SIZE:
            await self.close(self.code_for_too_big(), "Message too big")
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

    async def live_event(self, message: dict[str, Any]) -> None:
        """Forward an event that the channel layer brought."""
        await self.send_message(message["event"])

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

    async def send_message(self, message: dict[str, Any]) -> None:
        await self.send(text_data=json.dumps(message, ensure_ascii=False, separators=(",", ":")))

    async def send_error(self, detail: str) -> None:
        await self.send_message({"type": "error", "detail": detail})

    def code_for_too_big(self) -> int:
        """1009, or 4009 on servers older than ASGI 2.3, such as daphne, which cannot send 1009."""
        version = cast("dict[str, Any]", self.scope).get("asgi", {}).get("spec_version", "2.0")
        return CLOSE_TOO_BIG_FOR_DAPHNE if version < "2.3" else CLOSE_TOO_BIG


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
