"""One bounded HTTP GET: by time as a whole, by size, and without following redirects."""

import http.client
import socket
import ssl
import threading
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from accounts.signin.errors import FetchError

FETCH_TIMEOUT = 3.0  # seconds, from connecting to the last byte
MAX_BODY_SIZE = 256 * 1024  # bytes; a key set is a few hundred


class Answer(NamedTuple):
    """A body, and the server's `Date` (seconds since the epoch; RFC 9110 section 6.6.1)."""

    body: bytes
    date: float | None


def fetch(url: str) -> Answer:
    """The 200 answer to GET `url`, an http or https URL.

    Raises `FetchError` for every other outcome, after `FETCH_TIMEOUT` at the latest.
    """
    parts = urlsplit(url)
    connection_class = (
        http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    )
    connection = connection_class(parts.hostname or "", parts.port, timeout=FETCH_TIMEOUT)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    # The timeout of a socket bounds each of its operations, not a server that keeps sending a byte
    # now and then. So a timer shuts the socket down.
    overdue = threading.Event()
    opened: list[socket.socket] = []  # http.client forgets its socket once the headers are read

    def give_up() -> None:
        overdue.set()
        for each in opened:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(FETCH_TIMEOUT, give_up)
    timer.daemon = True
    timer.start()
    try:
        connection.connect()
        opened.append(connection.sock)
        connection.request("GET", target, headers={"Accept": "application/json"})
        response = connection.getresponse()
        if response.status != http.client.OK:
            raise FetchError(f"the answer was {response.status}, not 200")
        body = response.read(MAX_BODY_SIZE + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        if overdue.is_set() or isinstance(error, TimeoutError):
            raise FetchError(f"no answer within {FETCH_TIMEOUT:.0f} s") from error
        if isinstance(error, ssl.SSLError):
            raise FetchError(f"TLS failed: {error.reason or 'certificate'}") from error
        raise FetchError(f"not reachable ({type(error).__name__})") from error
    finally:
        timer.cancel()
        connection.close()
    if overdue.is_set():  # a body that the timer cut off may look complete
        raise FetchError(f"no answer within {FETCH_TIMEOUT:.0f} s")
    if len(body) > MAX_BODY_SIZE:
        raise FetchError(f"the answer is larger than {MAX_BODY_SIZE} bytes")
    try:
        date = parsedate_to_datetime(response.headers["Date"]).timestamp()
    except (TypeError, ValueError, OverflowError):  # missing or malformed
        date = None
    return Answer(body, date)
