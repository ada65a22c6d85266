"""What systemd is told of this process (sd_notify(3)); nothing where nobody listens."""

import os
import socket
from contextlib import suppress

READY = "READY=1"
ALIVE = "WATCHDOG=1"  # within WatchdogSec of its unit; else it is ended and started again


def tell(state: str) -> None:
    if not (address := os.environ.get("NOTIFY_SOCKET")):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram:
        # "@": Linux's abstract namespace, which begins with a null byte.
        datagram.sendto(
            state.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address
        )
