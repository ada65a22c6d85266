"""uvicorn's server, which at its end answers whoever could still connect."""

import asyncio
import os
import socket
from contextlib import suppress

import uvicorn

LAST_REQUESTS = 0.5  # seconds that a connection of the last moment has to send its request


class PoliteServer(uvicorn.Server):
    """Loses no request at shutdown.

    By itself uvicorn closes its listening socket, upon which the kernel resets connections that wait to
    be accepted, and then connections of which nothing was read yet. A proxy has sent requests on both,
    and must not send a POST to another server, as it may have been done.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        for connection in self._stop_listening():
            await loop.connect_accepted_socket(self._protocol, connection)
        await asyncio.sleep(LAST_REQUESTS)
        await super().shutdown(sockets)

    def _stop_listening(self) -> list[socket.socket]:
        """Accept all that waits and close, with nothing in between that takes time."""
        accepted: list[socket.socket] = []
        for server in self.servers:
            listening = [socket.socket(fileno=os.dup(each.fileno())) for each in server.sockets]
            for each in listening:
                each.setblocking(False)
                with suppress(OSError):  # BlockingIOError: that was the last one
                    while True:
                        accepted.append(each.accept()[0])
            server.close()
            for each in listening:
                each.close()
        return accepted

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
