"""What daphne needs here and has no setting for.

Imported only where daphne runs: with Twisted beneath, it is large.
"""

import asyncio
import logging
import os
import threading
from collections.abc import Generator
from typing import Any

from daphne.access import AccessLogGenerator
from daphne.server import Server
from daphne.ws_protocol import WebSocketProtocol
from django.conf import settings
from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import deferLater
from twisted.web.http import HTTPChannel

from tasks.events.hub import current_hub
from todolist.logs.formatters import redact

access = logging.getLogger("daphne.access")

MAX_BACKLOG = 256 * 1024  # bytes written to a socket that its client has not read
CLOSE_GOING_AWAY = 1001
GOODBYE = 3.0  # seconds for closing handshakes and for requests under way at shutdown
LOOK_EVERY = 0.02  # seconds

_adapted = False


def adapt_daphne() -> None:
    """Redact its access log, bound what it buffers, and let it say goodbye. Once per process."""
    global _adapted
    if _adapted:
        return
    _adapted = True
    _redact_access_log()
    _bound_backlog()
    _answer_what_is_too_long()
    _say_goodbye()


def _redact_access_log() -> None:
    """It writes to its stream directly, past `logging`; with `LOG_FORMAT=json` no longer."""
    write_entry = AccessLogGenerator.write_entry

    def write_redacted_entry(self: Any, host: Any, date: Any, request: str, **rest: Any) -> None:
        if settings.LOG_FORMAT == "json":
            access.info("%s", request, extra={"client": host, **rest})
        else:
            write_entry(self, host, date, redact(request), **rest)

    AccessLogGenerator.write_entry = write_redacted_entry


def _bound_backlog() -> None:
    """Let `await send` wait while the client has too much to read, as other servers do.

    By itself daphne hands everything to Twisted at once, which buffers it without limit. Who waits
    too long closes the socket (`tasks.events.consumers`); if the client does not even read the closing
    frame, autobahn drops the connection a second later, and the buffer with it.
    """
    handle_reply = Server.handle_reply

    async def handle_reply_and_wait(self: Any, protocol: Any, message: Any) -> None:
        if isinstance(protocol, WebSocketProtocol) and protocol.state in (
            protocol.STATE_CLOSING,
            protocol.STATE_CLOSED,
        ):
            return  # as daphne does from the end of the closing handshake on; before, it raises
        await handle_reply(self, protocol, message)
        if isinstance(protocol, WebSocketProtocol):
            while protocol.state == protocol.STATE_OPEN and _unread(protocol) > MAX_BACKLOG:  # noqa: ASYNC110
                await asyncio.sleep(LOOK_EVERY)

    Server.handle_reply = handle_reply_and_wait


def _unread(protocol: Any) -> int:
    """Bytes written to a socket that the operating system has not taken yet."""
    transport = protocol.transport
    waiting = len(getattr(transport, "dataBuffer", b"")) - getattr(transport, "offset", 0)
    return int(waiting + getattr(transport, "_tempDataLen", 0))


def _answer_what_is_too_long() -> None:
    """400 for a header line, and 1009 for a message, that is longer than daphne reads.

    By itself it drops the connection without a word.
    """
    on_connect = WebSocketProtocol.onConnect

    def connect_and_answer(self: Any, request: Any) -> Any:
        self.failByDrop = False
        return on_connect(self, request)

    WebSocketProtocol.onConnect = connect_and_answer
    channel: Any = HTTPChannel
    channel.lineLengthExceeded = lambda self, line: self._respondToBadRequestAndDisconnect()


def _say_goodbye() -> None:
    """At shutdown, close all sockets with 1001 and let the requests that are under way finish.

    By itself daphne drops the sockets, which looks like network trouble to their clients, and
    cancels the requests, whose threads may then wait for ever for the event loop that is gone.
    """
    kill = Server.kill_all_applications

    @inlineCallbacks
    def finish_and_kill(self: Any) -> Generator[Any, Any, None]:
        for listener in self.listeners:
            listener.addCallback(lambda port: port.stopListening())
        for _ in range(int(GOODBYE / LOOK_EVERY)):
            for protocol in list(self.connections):  # a handshake may end as late as now
                if (
                    isinstance(protocol, WebSocketProtocol)
                    and protocol.state == protocol.STATE_OPEN
                ):
                    # `sendClose` refuses this code; daphne itself sends 1011 in this way.
                    protocol.sendCloseFrame(code=CLOSE_GOING_AWAY)
            if not any(map(_is_busy, self.connections.values())):
                break
            yield deferLater(reactor, LOOK_EVERY, lambda: None)
        # Whatever hangs now hangs for good, and must not keep the process from ending.
        last_resort = threading.Timer(GOODBYE, os._exit, [0])
        last_resort.daemon = True
        last_resort.start()
        yield kill(self)
        yield Deferred.fromFuture(asyncio.ensure_future(current_hub().stop()))

    Server.kill_all_applications = finish_and_kill


def _is_busy(details: dict[str, Any]) -> bool:
    """Whether the application still works for one of daphne's connections."""
    application = details.get("application_instance")
    return application is not None and not application.done()
