"""Who may open a socket: which pages, and with which tokens."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple

import pytest
from channels.testing import WebsocketCommunicator

from accounts.tests.forging import forge, forge_with_claim
from conftest import ALICE, OTHER_SECRET, PAGE_ORIGIN, sign

# A socket that is let in is greeted with where its owner's record of events stands.
pytestmark = [pytest.mark.asyncio, pytest.mark.django_db(transaction=True)]

PATH = "/ws/notifications"
UNAUTHORIZED = {"type": "websocket.close", "code": 4001, "reason": "Unauthorized"}
EXPIRED = {"type": "websocket.close", "code": 4001, "reason": "Token has expired"}

# Told apart by when they expire, which the greeting says.
GOOD_UNTIL = "2100-01-01T00:00:00Z"
ANOTHER_UNTIL = "2101-01-01T00:00:00Z"


def good(**claims: Any) -> str:
    return sign(ALICE, **{"exp": 4102444800, **claims})


def another_good() -> str:
    return sign(ALICE, exp=4133980800)


class Handshake(NamedTuple):
    """How the server answered a handshake."""

    socket: WebsocketCommunicator
    accepted: bool
    subprotocol: str | None


Open = Callable[..., AbstractAsyncContextManager[Handshake]]


@pytest.fixture
def open_socket() -> Open:
    """Open a socket of the whole application; it is closed afterwards."""
    # Not at the top: importing it runs the system checks, on the configuration of this test.
    from todolist.asgi import application

    @asynccontextmanager
    async def opened(
        path: str = PATH,
        *,
        query: bytes | str = b"",
        headers: tuple[tuple[bytes, bytes], ...] = (),
        subprotocols: tuple[str, ...] = (),
        scheme: str = "ws",
    ) -> AsyncIterator[Handshake]:
        socket = WebsocketCommunicator(application, path, list(headers), list(subprotocols))
        socket.scope["query_string"] = query.encode() if isinstance(query, str) else query
        socket.scope["scheme"] = scheme
        accepted, answer = await socket.connect()
        try:
            yield Handshake(socket, accepted, answer if isinstance(answer, str) else None)
        finally:
            await socket.disconnect()

    return opened


def authorization(value: str) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"authorization", value.encode("latin-1")),)


def origin(value: bytes) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"origin", value),)


async def greeted_until(handshake: Handshake) -> str:
    """What the greeting says about the expiry of the token that was taken."""
    assert handshake.accepted
    greeting = await handshake.socket.receive_json_from()
    assert greeting["type"] == "ready"
    until: str = greeting["expires_at"]
    return until


async def assert_closed(handshake: Handshake, how: dict[str, Any] = UNAUTHORIZED) -> None:
    """Accepted first, so that a page can read the code; then closed, without another word."""
    assert handshake.accepted
    assert await handshake.socket.receive_output() == how
    assert await handshake.socket.receive_nothing(timeout=0.01, interval=0.001)


# The three places for a token


async def test_the_token_may_stand_in_the_url(open_socket):
    async with open_socket(query=f"token={good()}") as handshake:
        assert await greeted_until(handshake) == GOOD_UNTIL
        assert handshake.subprotocol is None


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_token_may_stand_in_the_authorization_header(open_socket, scheme):
    async with open_socket(headers=authorization(f"{scheme} {good()}")) as handshake:
        assert await greeted_until(handshake) == GOOD_UNTIL


async def test_the_token_may_be_offered_as_a_subprotocol(open_socket):
    async with open_socket(subprotocols=("bearer", good())) as handshake:
        assert await greeted_until(handshake) == GOOD_UNTIL
        assert handshake.subprotocol == "bearer"  # a browser wants one of its offers answered


async def test_a_trailing_slash_makes_no_difference(open_socket):
    async with open_socket(f"{PATH}/", query=f"token={good()}") as handshake:
        assert await greeted_until(handshake) == GOOD_UNTIL


@pytest.mark.parametrize("query", ["since=0&token={}", "token={}&since=0", "a=b&token={}&&="])
async def test_other_parameters_do_not_hide_the_token(open_socket, query):
    async with open_socket(query=query.format(good())) as handshake:
        assert await greeted_until(handshake) == GOOD_UNTIL


async def test_the_token_in_the_url_comes_first(open_socket):
    async with open_socket(
        query=f"token={good()}",
        headers=authorization(f"Bearer {another_good()}"),
        subprotocols=("bearer", another_good()),
    ) as handshake:
        assert await greeted_until(handshake) == GOOD_UNTIL
        assert handshake.subprotocol == "bearer"


async def test_the_header_comes_before_the_subprotocol(open_socket):
    async with open_socket(
        headers=authorization(f"Bearer {good()}"), subprotocols=("bearer", another_good())
    ) as handshake:
        assert await greeted_until(handshake) == GOOD_UNTIL


async def test_each_place_really_is_read(open_socket):
    """Otherwise the two tests above would hold by always taking the same place."""
    async with open_socket(headers=authorization(f"Bearer {another_good()}")) as handshake:
        assert await greeted_until(handshake) == ANOTHER_UNTIL
    async with open_socket(subprotocols=("bearer", another_good())) as handshake:
        assert await greeted_until(handshake) == ANOTHER_UNTIL


@pytest.mark.parametrize("query", ["token=garbage", "token="])
async def test_a_bad_token_in_the_url_is_not_made_good_elsewhere(open_socket, query):
    async with open_socket(
        query=query,
        headers=authorization(f"Bearer {good()}"),
        subprotocols=("bearer", good()),
    ) as handshake:
        await assert_closed(handshake)


async def test_a_bad_token_in_the_header_is_not_made_good_by_a_subprotocol(open_socket):
    async with open_socket(
        headers=authorization("Bearer garbage"), subprotocols=("bearer", good())
    ) as handshake:
        await assert_closed(handshake)


# No good token


async def test_without_a_token_the_socket_is_closed_with_4001(open_socket):
    async with open_socket() as handshake:
        await assert_closed(handshake)


@pytest.mark.parametrize(
    "query",
    [
        b"",
        b"?",
        b"&&&===",
        b"token",
        b"token=",
        b"Token=" + good().encode(),
        b"access_token=" + good().encode(),
        b"token=garbage",
        b"token=..",
        b"token=%00",
        b"token=%FF%FE",
        b"token=%ED%A0%BE",
        b"token=%",
        b"token=%u1234",
        b"token=\xff\xfe",
        b"token=t\xc3\xb6k\xc3\xa9n",
        b"token=\x00",
        b"\xff\xfe=\xfd",
        b"token=" + b"a" * 2**20,
        b"token=" + b"." * 10_000,
        b"token=" + good().encode() + b"%20",
        b"token=%20" + good().encode(),
        b"token=" + good().encode() + b"\xe9",
        b"token=Bearer%20" + good().encode(),
        b"&".join([b"token=" + good().encode()] * 2),
        b"token=" + good().encode() + b"&token=",
        b"token=&token=" + good().encode(),
        b"token=" + good().encode() + b"&token=" + another_good().encode(),
    ],
    ids=lambda query: repr(query)[:28],
)
async def test_what_is_not_one_good_token_in_the_url_is_4001(open_socket, query):
    async with open_socket(query=query) as handshake:
        await assert_closed(handshake)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        f"Bearer {good()} {good()}",
        f"Basic {good()}",
        good(),
        "\xff\xfe",
        "Bearer \xff",
    ],
    ids=lambda value: repr(value)[:20],
)
async def test_what_is_not_one_good_token_in_the_header_is_4001(open_socket, value):
    async with open_socket(headers=authorization(value)) as handshake:
        await assert_closed(handshake)


OTHER_SCHEMES = [
    "",
    "Basic dXNlcjpwYXNzd29yZA==",
    "Digest",
    'Digest username="x", realm="y"',
    "\xff",
]


@pytest.mark.parametrize("value", [*OTHER_SCHEMES, f"Basic {good()}", good()])
async def test_another_scheme_counts_as_no_header(open_socket, value):
    header = authorization(value)
    async with open_socket(headers=header, subprotocols=("bearer", good())) as handshake:
        assert await greeted_until(handshake) == GOOD_UNTIL
    async with open_socket(headers=header, query=f"token={good()}") as handshake:
        assert await greeted_until(handshake) == GOOD_UNTIL
    async with open_socket(headers=header) as handshake:
        await assert_closed(handshake)
    async with open_socket(headers=header, subprotocols=("bearer", "garbage")) as handshake:
        await assert_closed(handshake)


@pytest.mark.parametrize("value", ["Bearer", f"Bearer {good()} {good()}"])
async def test_our_scheme_counts_though_no_token_follows(open_socket, value):
    async with open_socket(
        headers=authorization(value), subprotocols=("bearer", good())
    ) as handshake:
        await assert_closed(handshake)


async def test_two_authorization_headers_are_4001(open_socket):
    twice = authorization(f"Bearer {good()}") * 2
    async with open_socket(headers=twice) as handshake:
        await assert_closed(handshake)


@pytest.mark.parametrize(
    "offers",
    [
        ("bearer",),
        ("bearer", "garbage"),
        ("bearer", "bearer"),
        ("bearer", good(), another_good()),
        ("bearer", good(), ""),
        ("chat", "bearer"),
        ("t\xf6k\xe9n", "bearer"),
    ],
    ids=lambda offers: "-".join(offer[:8] for offer in offers).encode("ascii", "replace").decode(),
)
async def test_what_is_not_one_good_token_among_the_subprotocols_is_4001(open_socket, offers):
    async with open_socket(subprotocols=offers) as handshake:
        # A browser that gets none of its offers drops the socket, and never sees the code.
        assert handshake.subprotocol == "bearer"
        await assert_closed(handshake)


async def test_a_subprotocol_that_was_not_offered_is_not_answered(open_socket):
    async with open_socket(subprotocols=("chat",), query="token=garbage") as handshake:
        assert handshake.subprotocol is None
        await assert_closed(handshake)


REFUSED_BY_REST = {
    "another secret": lambda: sign(key=OTHER_SECRET),
    "another secret and expired": lambda: sign(key=OTHER_SECRET, exp=1),
    "no signature": lambda: forge(signature=""),
    "alg none": lambda: forge(header={"alg": "none"}, signature=""),
    "nested deeply": lambda: forge(b"[" * 9000),
    "no sub": lambda: sign(without=("sub",)),
    "blank sub": lambda: sign(" "),
    "sub a number": lambda: sign(7),
    "sub with a lone surrogate": lambda: sign("\ud83e"),
    "no exp": lambda: sign(without=("exp",)),
    "exp NaN": lambda: forge_with_claim("exp", "NaN"),
    "not valid yet": lambda: sign(nbf=4102444800),
    "an email verification link": lambda: sign(
        userId=ALICE, email="a@example.com", without=("sub",)
    ),
}


@pytest.mark.parametrize("token", REFUSED_BY_REST.values(), ids=REFUSED_BY_REST.keys())
async def test_a_token_that_rest_refuses_opens_no_socket(open_socket, token):
    async with open_socket(query=f"token={token()}") as handshake:
        await assert_closed(handshake)


@pytest.mark.parametrize("place", ["query", "header", "subprotocol"])
async def test_an_expired_token_is_told_so(open_socket, place):
    token = sign(exp=int(time.time()))
    places: dict[str, dict[str, Any]] = {
        "query": {"query": f"token={token}"},
        "header": {"headers": authorization(f"Bearer {token}")},
        "subprotocol": {"subprotocols": ("bearer", token)},
    }
    async with open_socket(**places[place]) as handshake:
        await assert_closed(handshake, EXPIRED)


async def test_a_cookie_opens_no_socket(open_socket):
    """A browser sends cookies along from every page."""
    cookie = f"sessionid=abc; better-auth.session_token={good()}; token={good()}"
    async with open_socket(headers=((b"cookie", cookie.encode()),)) as handshake:
        await assert_closed(handshake)


@pytest.mark.parametrize("exp", [10**18, 10**400], ids=["10**18", "10**400"])
async def test_a_token_for_ever_opens_a_socket(open_socket, exp):
    async with open_socket(query=f"token={sign(exp=exp)}") as handshake:
        assert await greeted_until(handshake) == "9999-12-31T23:59:59Z"


# Which pages


async def test_a_page_of_ours_may_open_a_socket(open_socket):
    async with open_socket(
        query=f"token={good()}", headers=origin(PAGE_ORIGIN.encode())
    ) as handshake:
        assert await greeted_until(handshake) == GOOD_UNTIL


async def test_whoever_is_not_a_browser_needs_no_origin(open_socket):
    async with open_socket(query=f"token={good()}") as handshake:
        assert await greeted_until(handshake) == GOOD_UNTIL


async def test_every_origin_of_the_configuration_may_open_a_socket(open_socket, settings):
    settings.CORS_ORIGINS = ("http://localhost:3000", PAGE_ORIGIN)
    for page in settings.CORS_ORIGINS:
        async with open_socket(query=f"token={good()}", headers=origin(page.encode())) as handshake:
            assert handshake.accepted


FOREIGN_ORIGINS = [
    b"https://attacker.example",
    b"null",
    b"",
    b"*",
    b"garbage",
    b"\xff\xfe",
    b"http://app.example.com",
    b"https://app.example.com:8443",
    b"https://app.example.com.attacker.example",
    b"https://attacker-app.example.com",
    b"https://sub.app.example.com",
    b"https://app.example.com/",
    b"https://app.example.com@attacker.example",
    b"https://app.example.com, https://attacker.example",
    b"https://app.example.com ",
    b"http://testserver",
    b"file://",
]


@pytest.mark.parametrize("page", FOREIGN_ORIGINS, ids=repr)
@pytest.mark.parametrize("token", ["good", "none"])
async def test_a_foreign_page_is_refused_at_the_handshake(open_socket, page, token):
    query = f"token={good()}" if token == "good" else ""
    async with open_socket(query=query, headers=origin(page)) as handshake:
        assert not handshake.accepted


def asked(host: bytes, page: bytes, *more: tuple[bytes, bytes]) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"host", host), *origin(page), *more)


@pytest.mark.parametrize(
    ("host", "page"),
    [
        (b"testserver", b"http://testserver"),
        (b"testserver", b"ws://testserver"),
        (b"TestServer", b"http://testserver"),
        (b"testserver:80", b"http://testserver"),
        (b"testserver", b"http://testserver:80"),
        (b"testserver:8000", b"http://testserver:8000"),
        (b"127.0.0.1:8000", b"http://127.0.0.1:8000"),
        (b"[::1]:8000", b"http://[::1]:8000"),
    ],
)
async def test_the_own_origin_of_the_server_is_fine(open_socket, settings, host, page):
    settings.ALLOWED_HOSTS = ["testserver", "127.0.0.1", "[::1]"]
    settings.CORS_ORIGINS = ()
    async with open_socket(query=f"token={good()}", headers=asked(host, page)) as handshake:
        assert await greeted_until(handshake) == GOOD_UNTIL


@pytest.mark.parametrize(("scheme", "ours"), [("wss", b"https"), ("ws", b"http")])
async def test_the_own_origin_has_the_scheme_of_the_socket(open_socket, scheme, ours):
    query = f"token={good()}"
    for page in (b"https", b"http", b"wss", b"ws"):
        headers = asked(b"testserver", page + b"://testserver")
        async with open_socket(query=query, headers=headers, scheme=scheme) as handshake:
            assert handshake.accepted == (page in (ours, scheme.encode()))


@pytest.mark.parametrize(
    ("host", "page"),
    [
        (b"attacker.example", b"http://attacker.example"),  # a name that was pointed at this server
        (b"testserver", b"http://testserver:8000"),
        (b"testserver:8000", b"http://testserver"),
        (b"testserver:8000", b"http://testserver:8001"),
        (b"testserver", b"https://testserver"),
        (b"testserver", b"http://sub.testserver"),
        (b"testserver", b"http://testserver/"),
        (b"testserver", b"http://x@testserver"),
        (b"testserver", b"http://testserver http://testserver"),
        (b"testserver", b"testserver"),
        (b"testserver", b"ftp://testserver"),
        (b"", b"http://"),
        (b"\xff", b"http://\xff"),
        (b"testserver:x", b"http://testserver:x"),
    ],
)
async def test_what_only_looks_like_the_own_origin_is_foreign(open_socket, host, page):
    async with open_socket(query=f"token={good()}", headers=asked(host, page)) as handshake:
        assert not handshake.accepted


async def test_of_two_origins_both_must_be_ours(open_socket):
    both = origin(PAGE_ORIGIN.encode()) + origin(b"https://attacker.example")
    for headers in (both, both[::-1]):
        async with open_socket(query=f"token={good()}", headers=headers) as handshake:
            assert not handshake.accepted


async def test_no_page_at_all_is_ours_where_none_is_configured(open_socket, settings):
    settings.CORS_ORIGINS = ()
    async with open_socket(
        query=f"token={good()}", headers=origin(PAGE_ORIGIN.encode())
    ) as handshake:
        assert not handshake.accepted


# Other paths


@pytest.mark.parametrize(
    "path",
    ["/", "/ws", "/ws/", "/ws/notifications/x", "/ws/notifications//", "/ws/nothing", "/tasks"],
)
async def test_an_unknown_path_is_refused(open_socket, path):
    async with open_socket(path, query=f"token={good()}") as handshake:
        assert not handshake.accepted
