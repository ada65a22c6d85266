"""What uvicorn needs here and has no setting for, or whose default is wrong for this application.

Applied whichever way uvicorn is started, so that `uvicorn todolist.asgi:application` is right as it
stands. Imported only where uvicorn runs.
"""

from typing import Any

from uvicorn.server import Server

from tasks.events.hub import current_hub
from todolist.serving.uvicorn_protocols import LimitedHTTP, PoliteSocket

MAX_MESSAGE = 64 * 1024  # bytes of a socket's message (contract section 4)
GOODBYE = 4  # seconds that requests and sockets have to come to an end at shutdown


def adapt_uvicorn() -> None:
    """Set right what uvicorn does with connections, before it starts to listen. Once a process."""
    server: Any = Server
    if hasattr(server, "adapted"):
        return
    startup, shutdown = server.startup, server.shutdown

    async def adapted_startup(self: Any, *args: Any, **kwargs: Any) -> None:
        adapt_config(self.config)
        await startup(self, *args, **kwargs)

    async def adapted_shutdown(self: Any, *args: Any, **kwargs: Any) -> None:
        await shutdown(self, *args, **kwargs)
        await current_hub().stop()

    server.adapted = True
    server.startup, server.shutdown = adapted_startup, adapted_shutdown


def adapt_config(config: Any) -> None:
    config.http_protocol_class = LimitedHTTP
    config.ws_protocol_class = PoliteSocket
    config.ws_max_size = MAX_MESSAGE
    config.ws_per_message_deflate = False  # memory for each socket, to shorten half a KiB
    if config.timeout_graceful_shutdown is None:
        config.timeout_graceful_shutdown = GOODBYE
