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
from todolist.logs.formatters import on_one_line
from todolist.serving.connections.limits import MAX_HEAD, MAX_HEADERS

access = logging.getLogger("daphne.access")

MAX_BACKLOG = 256 * 1024  # bytes written to a socket that its client has not read
CLOSE_GOING_AWAY = 1001
GOODBYE = 3.0  # seconds for closing handshakes and for requests under way at shutdown
LOOK_EVERY = 0.02  # seconds

write_entry = AccessLogGenerator.write_entry
handle_reply = Server.handle_reply
kill_all_applications = Server.kill_all_applications
on_connect = WebSocketProtocol.onConnect


def adapt_daphne() -> None:
    """Redact its access log, bound what it buffers, answer what is too long, and say goodbye."""
    channel: Any = HTTPChannel
    AccessLogGenerator.write_entry = write_redacted_entry
    Server.handle_reply = handle_reply_and_wait
    Server.kill_all_applications = say_goodbye_and_kill
    WebSocketProtocol.onConnect = connect_and_answer
    channel.lineLengthExceeded = refuse_line
    # Twisted's own: 16 KiB, which the longest token alone takes.
    channel.MAX_LENGTH = channel.totalHeadersSize = MAX_HEAD
    channel.maxHeaders = MAX_HEADERS


def write_redacted_entry(self: Any, host: Any, date: Any, request: str, **rest: Any) -> None:
    """By itself it writes to its stream directly, past `logging`."""
    if settings.LOG_FORMAT == "json":
        access.info("%s", request, extra={"client": host, **rest})
    else:
        write_entry(self, host, date, on_one_line(request), **rest)


async def handle_reply_and_wait(self: Any, protocol: Any, message: Any) -> None:
    """Let `await send` wait while the client of a socket has too much to read, as other servers do.

    By itself daphne hands everything to Twisted at once, which buffers it without limit.
    """
    if not isinstance(protocol, WebSocketProtocol):
        await handle_reply(self, protocol, message)
        return
    if protocol.state in (protocol.STATE_CLOSING, protocol.STATE_CLOSED):
        return  # as daphne does from the end of the closing handshake on; before, it raises
    await handle_reply(self, protocol, message)
    while protocol.state == protocol.STATE_OPEN and unread(protocol.transport) > MAX_BACKLOG:  # noqa: ASYNC110
        await asyncio.sleep(LOOK_EVERY)


def unread(transport: Any) -> int:
    """Bytes written to a connection that the operating system has not taken yet."""
    waiting = len(getattr(transport, "dataBuffer", b"")) - getattr(transport, "offset", 0)
    return int(waiting + getattr(transport, "_tempDataLen", 0))


def connect_and_answer(self: Any, request: Any) -> Any:
    """1009 for a message that is too long. By itself it drops the connection without a word."""
    self.failByDrop = False
    return on_connect(self, request)


def refuse_line(self: Any, line: bytes) -> None:
    """400 for a line of the head that is too long. By itself it drops the connection."""
    self.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    self.loseConnection()


@inlineCallbacks
def say_goodbye_and_kill(self: Any) -> Generator[Any, Any, None]:
    """At shutdown, close all sockets with 1001 and let the requests that are under way finish.

    By itself daphne drops the sockets and cancels the requests, whose threads may wait for ever.
    """
    for listener in self.listeners:
        listener.addCallback(lambda port: port.stopListening())
    for _ in range(int(GOODBYE / LOOK_EVERY)):
        for protocol in list(self.connections):  # a handshake may end as late as now
            if isinstance(protocol, WebSocketProtocol) and protocol.state == protocol.STATE_OPEN:
                # `sendClose` refuses this code; daphne itself sends 1011 in this way.
                protocol.sendCloseFrame(code=CLOSE_GOING_AWAY)
        at_work = (details.get("application_instance") for details in self.connections.values())
        if all(application is None or application.done() for application in at_work):
            break
        yield deferLater(reactor, LOOK_EVERY, lambda: None)
    # Whatever hangs now hangs for good, and must not keep the process from ending.
    last_resort = threading.Timer(GOODBYE, os._exit, [0])
    last_resort.daemon = True
    last_resort.start()
    yield kill_all_applications(self)
    yield Deferred.fromFuture(asyncio.ensure_future(current_hub().stop()))
