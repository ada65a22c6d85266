"""One GET of a key set: bounded in time and size, through the proxy that the environment names."""

import re
from contextlib import suppress
from http.client import OK, HTTPConnection, HTTPException, HTTPSConnection
from socket import SHUT_RDWR, socket
from threading import Timer
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from django.conf import settings

from accounts.signin.errors import FetchError

FETCH_TIMEOUT = 3.0  # seconds, for all of it; a slow handshake of TLS has as much again
MAX_BODY_SIZE = 256 * 1024  # bytes; a key set is a few hundred


def download(url: str) -> tuple[bytes, str]:
    """Body and `Date` of the 200 answer to GET `url`; redirects are not followed.

    Goes through the proxy of `HTTPS_PROXY` or `HTTP_PROXY`, unless `NO_PROXY` names the host. Raises
    `FetchError` for every other outcome; its text holds no credentials.
    """
    bounded = _BoundedHandler()
    timer = Timer(FETCH_TIMEOUT, bounded.cut_off)
    timer.daemon = True
    timer.start()
    through = ""
    try:
        parts = urlsplit(url)
        address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        agent = f"todolist/{settings.VERSION}"
        headers = {"Accept": "application/json", "User-Agent": agent}
        request = Request(address, headers=headers)  # noqa: S310  files and the like are not opened
        host = request.host
        try:
            with _opener(bounded).open(request, timeout=FETCH_TIMEOUT) as response:
                body, date = response.read(MAX_BODY_SIZE + 1), response.headers["Date"]
                status = response.status
        finally:
            if request.host != host:  # by now that of the proxy
                through = f", through the proxy of {parts.scheme.upper()}_PROXY"
    except HTTPError as error:
        with error:
            body, date, status = b"", "", error.code
            if 300 <= status < 400 and (target := error.headers["Location"]):
                to = f"a redirect to {_printable(target)}, which is not followed"
                raise FetchError(f"the answer was {status}, {to}{through}") from error
    except (OSError, HTTPException, ValueError) as error:
        if bounded.overdue or isinstance(getattr(error, "reason", error), TimeoutError):
            raise FetchError(f"no answer within {FETCH_TIMEOUT:.0f} s{through}") from error
        raise FetchError(f"not reachable ({_what(error)}){through}") from error
    finally:
        timer.cancel()
    if bounded.overdue:  # a body that was cut off may look complete
        raise FetchError(f"no answer within {FETCH_TIMEOUT:.0f} s{through}")
    if status != OK:
        raise FetchError(f"the answer was {status}, not 200{through}")
    if len(body) > MAX_BODY_SIZE:
        raise FetchError(f"the answer is larger than {MAX_BODY_SIZE} bytes{through}")
    return body, date


class _BoundedHandler(HTTPHandler):
    """Opens connections that can be cut off, whatever they are doing.

    The timeout of a socket bounds each of its operations (and a handshake of TLS as a whole), not a
    server or proxy that keeps sending a byte now and then.
    """

    https_request = HTTPHandler.http_request

    def __init__(self) -> None:
        super().__init__()
        self.overdue = False
        self.connection: HTTPConnection | None = None
        self.opened: socket | None = None  # http.client forgets it once it has read the headers

    def http_open(self, request: Request) -> Any:
        return self.do_open(lambda *args, **options: _Connection(self, *args, **options), request)

    def https_open(self, request: Request) -> Any:
        return self.do_open(
            lambda *args, **options: _TLSConnection(self, *args, **options), request
        )

    def keep(self, opened: socket) -> None:
        self.opened = opened
        if self.overdue:  # meanwhile
            raise TimeoutError

    def cut_off(self) -> None:
        self.overdue = True
        # While a proxy is asked for a tunnel, only the connection knows its socket.
        opened: socket | None = self.opened or getattr(self.connection, "sock", None)
        with suppress(OSError):  # closed, or in the middle of a handshake
            if opened is not None:
                opened.shutdown(SHUT_RDWR)


class _Connection(HTTPConnection):
    def __init__(self, handler: _BoundedHandler, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.handler = handler
        self.handler.connection = self

    def connect(self) -> None:
        super().connect()  # and asks the proxy for a tunnel, where there is one
        self.handler.keep(self.sock)


class _TLSConnection(_Connection, HTTPSConnection):
    pass


def _opener(handler: _BoundedHandler) -> OpenerDirector:
    """Without what `build_opener` adds: redirects, files, FTP."""
    opener = OpenerDirector()
    others = (ProxyHandler(), HTTPErrorProcessor(), HTTPDefaultErrorHandler(), UnknownHandler())
    for each in (handler, *others):
        opener.add_handler(each)
    return opener


def _what(error: Exception) -> str:
    """What kind of error it is, and what the network says of it.

    Texts of other errors are left out: they may quote a proxy's URL with its password.
    """
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, OSError):
        return _printable(f"{type(cause).__name__}: {cause}")
    return _printable(cause) if isinstance(cause, str) else type(cause).__name__


def _printable(text: str) -> str:
    """What others have written, in short, and on one line."""
    return re.sub(r"[^ -~]", "?", text[:300])
