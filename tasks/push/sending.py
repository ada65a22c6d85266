"""One push over HTTP: to the very address that was checked, once, in a bounded time.

With asyncio and h11 rather than a client for everything: those look names up themselves, when they
connect, which may be another answer than the one that was checked; follow redirects; keep time for each
part of a request, and not for the whole; and do not tell whether anything had been sent when they failed.
"""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import NamedTuple
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import h11
from django.conf import settings

from tasks.push.addresses import NoPublicAddress, addresses_of
from tasks.push.endpoints import Endpoint

CONNECT_TIMEOUT = 3.0  # seconds for one address
TIMEOUT = 10.0  # seconds for all of it
ADDRESSES = 3  # that are tried
ANSWER = 64 * 1024  # bytes that are read before a status has come


class NotSent(Exception):
    """Not a byte of a message has left, for a reason that may pass."""


class NoAnswer(Exception):
    """It was sent, perhaps in part, and there is no answer."""


class Answer(NamedTuple):
    status: int
    retry_after: float  # seconds; 0 where it does not say


async def post(
    endpoint: Endpoint, headers: Sequence[tuple[str, str]], body: bytes, resolvers: Executor
) -> Answer:
    """The answer to a POST, whose body is not read. Raises `NotSent` or `NoAnswer`."""
    begun = False
    try:
        async with asyncio.timeout(TIMEOUT), _connected(endpoint, resolvers) as (reader, writer):
            http = h11.Connection(h11.CLIENT)
            request = h11.Request(
                method="POST",
                target=endpoint.target,
                headers=[
                    ("Host", endpoint.authority),
                    ("User-Agent", f"todolist/{settings.VERSION}"),
                    ("Connection", "close"),
                    ("Content-Length", str(len(body))),
                    *headers,
                ],
            )
            begun = True
            writer.write(http.send(request) or b"")
            writer.write(http.send(h11.Data(body)) or b"")
            response = await _response(http, reader)
            return Answer(response.status_code, _retry_after(response))
    except (OSError, EOFError, ValueError, h11.ProtocolError) as error:
        raise NoAnswer if begun else NotSent from error
    except NoPublicAddress as error:
        raise NotSent from error


async def _response(http: h11.Connection, reader: asyncio.StreamReader) -> h11.Response:
    """The head of the answer, past those that only say that it goes on."""
    taken = 0
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            data = await reader.read(4096)
            taken += len(data)
            if not data or taken > ANSWER:
                raise EOFError
            http.receive_data(data)
        elif isinstance(event, h11.Response):
            return event
        elif not isinstance(event, h11.InformationalResponse):
            raise EOFError


@asynccontextmanager
async def _connected(
    endpoint: Endpoint, resolvers: Executor
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to an address that is checked, whoever `endpoint` then says it is by TLS."""
    loop = asyncio.get_running_loop()
    addresses = await loop.run_in_executor(resolvers, addresses_of, endpoint.host, endpoint.port)
    proxy = _proxy_for(endpoint)
    name = endpoint.host if endpoint.scheme == "https" else None
    failure: OSError = TimeoutError()
    for address in addresses[:ADDRESSES]:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                if proxy is None:
                    reader, writer = await _opened(address, endpoint.port, name)
                else:
                    reader, writer = await _through(proxy, address, endpoint)
            break
        except OSError as error:  # a timeout as well
            failure = error
    else:
        raise failure
    try:
        yield reader, writer
    finally:
        writer.transport.abort()  # the rest of the answer does not matter


async def _opened(
    address: str, port: int, name: str | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection, by TLS where it has to show that it is `name`."""
    if name is None:
        return await asyncio.open_connection(address, port)
    return await asyncio.open_connection(address, port, ssl=_tls(), server_hostname=name)


async def _through(
    proxy: str, address: str, endpoint: Endpoint
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A tunnel to an address: a proxy that was given the name would look it up anew."""
    parts = urlsplit(proxy)
    name = parts.hostname if parts.scheme == "https" else None
    reader, writer = await _opened(parts.hostname or "", parts.port or 80, name)
    try:
        target = f"[{address}]:{endpoint.port}" if ":" in address else f"{address}:{endpoint.port}"
        headers = [("Host", target)]
        if parts.username is not None:
            who = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers.append(("Proxy-Authorization", f"Basic {b64encode(who.encode()).decode()}"))
        http = h11.Connection(h11.CLIENT)
        writer.write(
            http.send(h11.Request(method="CONNECT", target=target, headers=headers)) or b""
        )
        writer.write(http.send(h11.EndOfMessage()) or b"")
        if (response := await _response(http, reader)).status_code != 200:
            raise OSError(f"the proxy answered {response.status_code}")
        if endpoint.scheme == "https":
            await writer.start_tls(_tls(), server_hostname=endpoint.host)
    except BaseException:
        writer.transport.abort()
        raise
    return reader, writer


def _proxy_for(endpoint: Endpoint) -> str | None:
    if proxy_bypass(endpoint.host):
        return None
    proxy = getproxies().get(endpoint.scheme)
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _retry_after(response: h11.Response) -> float:
    """What `Retry-After` says, in seconds or as a moment."""
    found = (value for name, value in response.headers if name == b"retry-after")
    text = next(found, b"").decode("latin-1")
    if text.isascii() and text.isdigit():
        return float(text[:9])
    with suppress(ValueError, TypeError, OverflowError):
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    return 0.0
