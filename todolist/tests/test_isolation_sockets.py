"""Isolation of sockets: every socket route of the application, for everybody who might come by.

A route takes part by being routed; one with parameters in its path fails here
until `DECLARED` says how it is written for whom.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.testing import WebsocketCommunicator
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from django.urls import path
from django.utils.module_loading import import_string

from accounts.checks.walk import Route, socket_routes
from accounts.signin.websocket import OriginMiddleware, TokenMiddleware, refuse
from accounts.users import CurrentUser
from conftest import ALICE, BOB, OTHER_SECRET, PAGE_ORIGIN, sign
from tasks.events.consumers import NotificationConsumer
from tasks.events.record import newest_seqs
from todolist.tests.people import CAROL, PEOPLE, STAFF_PK, furnish, make_task

pytestmark = [pytest.mark.asyncio, pytest.mark.django_db(transaction=True)]

ROUTES = list(socket_routes())
notifications: Any = NotificationConsumer.as_asgi()
SECONDS = 30  # for what comes at once, on a machine that has much else to do

# Socket routes with parameters: what stands in their place for a person.
DECLARED: dict[str, Callable[[str], dict[str, object]]] = {}


def path_for(route: Route, person: str) -> str:
    if str(route) in DECLARED:
        return route.path(**DECLARED[str(route)](person))
    if route.parameters:
        pytest.fail(f"Nobody can tell how to open {route}: say it in DECLARED")
    return route.path()


def knock(application: Any, url: str, query: dict[str, str], headers: dict[str, str]) -> Any:
    """A handshake, not yet begun."""
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    return WebsocketCommunicator(application, f"{url}?{urlencode(query)}", encoded)


async def heard_by_whom_nobody_knows(application: Any, url: str, who: dict[str, Any]) -> list[Any]:
    """Everything that a socket is told which has no business here, up to its end."""
    socket = knock(application, url, {"since": "0", **who.get("query", {})}, who.get("headers", {}))
    await socket.send_input({"type": "websocket.connect"})
    said: list[Any] = []
    while not said or said[-1]["type"] != "websocket.close":
        said.append(await socket.receive_output(timeout=SECONDS))
    await socket.disconnect()
    return said


def strangers(session: str) -> dict[str, dict[str, Any]]:
    good = {"token": sign(ALICE)}
    foreign = {"origin": "https://evil.example"}
    cookie = {"cookie": f"{django_settings.SESSION_COOKIE_NAME}={session}"}
    return {
        "nobody": {},
        "expired": {"query": {"token": sign(ALICE, exp=1)}},
        "bad signature": {"query": {"token": sign(ALICE, key=OTHER_SECRET)}},
        "staff session": {"headers": {**cookie, "origin": PAGE_ORIGIN}},
        "a page of another origin": {"query": good, "headers": foreign},
        "such a page without a token": {"headers": foreign},
    }


async def everything_for(socket: Any, owner: str, others: frozenset[str]) -> list[dict[str, Any]]:
    """What a socket is told up to the newest event of its owner, and until a ping is answered."""
    newest = (await sync_to_async(newest_seqs)([owner]))[owner]
    heard: list[dict[str, Any]] = []

    async def hear() -> dict[str, Any]:
        heard.append(await socket.receive_json_from(timeout=SECONDS))
        text = json.dumps(heard[-1], ensure_ascii=False)
        assert [mark for mark in others if mark in text] == []
        return heard[-1]

    assert (await hear())["type"] == "ready"
    while (await hear())["seq"] != newest:
        pass
    await socket.send_json_to({"type": "ping"})
    while (await hear())["type"] != "pong":
        pass
    return heard


def prepared() -> tuple[dict[str, frozenset[str]], str]:
    """Everybody's belongings, by their marks; and the session of somebody on the staff."""
    marks = {owner: furnish(owner).marks for owner in PEOPLE}
    client = Client()
    client.force_login(User.objects.create(pk=STAFF_PK, username="staff", is_staff=True))
    return marks, client.cookies[django_settings.SESSION_COOKIE_NAME].value


async def judge(route: Route, proved: Counter[str]) -> None:
    application = import_string(django_settings.ASGI_APPLICATION)
    marks, session = await sync_to_async(prepared)()
    for name, who in strangers(session).items():
        said = await heard_by_whom_nobody_knows(application, path_for(route, ALICE), who)
        assert {message["type"] for message in said} <= {"websocket.accept", "websocket.close"}
        if "page" in name:  # it is refused before its token is looked at
            assert [message["type"] for message in said] == ["websocket.close"]
        elif len(said) > 1:
            assert said[-1]["code"] == 4001, name
        proved["socket route x caller"] += 1

    sockets = {}
    for owner in PEOPLE:
        query = {"token": sign(owner), "since": "0", "user_id": ALICE, "owner": ALICE}
        socket = knock(application, path_for(route, owner), query, {})
        accepted, _ = await socket.connect(timeout=SECONDS)
        if accepted:
            sockets[owner] = socket
        else:
            proved["socket route x caller"] += 1  # it tells nobody anything
    for owner in (BOB, ALICE, *sockets) if sockets else ():  # live, while all are open
        await sync_to_async(make_task)(owner)
    for owner, socket in sockets.items():
        others = frozenset().union(*(marks[other] for other in PEOPLE if other != owner))
        heard = await everything_for(socket, owner, others)
        numbers = [message["seq"] for message in heard[1:-1]]
        newest = (await sync_to_async(newest_seqs)([owner]))[owner]
        assert numbers == list(range(1, newest + 1))
        proved["socket route x caller"] += 1
    for socket in sockets.values():
        await socket.disconnect(timeout=SECONDS)


@pytest.mark.parametrize("route", ROUTES, ids=str)
async def test_a_socket_tells_each_their_own(route: Route, proved: Counter[str]):
    before = proved["socket route x caller"]
    await judge(route, proved)
    assert proved["socket route x caller"] - before == len(strangers("")) + len(PEOPLE)


async def test_the_socket_of_this_application_is_among_them():
    others = [route.callback for route in ROUTES if route.callback is not refuse]
    assert [application.consumer_class for application in others] == [NotificationConsumer]


@pytest_asyncio.fixture(autouse=True)
async def close_connections():
    """Those of the thread that asks the database for sockets, which would outlive the tests."""
    yield
    await sync_to_async(connections.close_all)()


# The judge, judged


async def by_the_address(scope: Any, receive: Any, send: Any) -> None:
    """Believes the address rather than the token."""
    token = replace(scope["token"], user=CurrentUser(CAROL))
    await notifications({**scope, "token": token}, receive, send)


def serve(settings: Any, monkeypatch: Any, application: Any) -> Route:
    made_up = ProtocolTypeRouter({"websocket": application})
    monkeypatch.setattr(f"{__name__}.made_up", made_up, raising=False)
    settings.ASGI_APPLICATION = f"{__name__}.made_up"
    (route,) = socket_routes()
    return route


def urls(template: str, application: Any) -> URLRouter:
    route: Any = path(template, application)
    return URLRouter([route])


async def test_a_socket_that_does_not_ask_who_is_there_is_found(settings, monkeypatch):
    class Chatty(AsyncWebsocketConsumer):
        async def connect(self) -> None:
            await self.accept()
            await self.send(text_data="{}")
            await self.close(4001)

    route = serve(settings, monkeypatch, OriginMiddleware(urls("more", Chatty.as_asgi())))
    with pytest.raises(AssertionError):
        await judge(route, Counter())


async def test_a_socket_that_tells_anothers_events_is_found(settings, monkeypatch):
    application = OriginMiddleware(TokenMiddleware(urls("more", by_the_address)))
    route = serve(settings, monkeypatch, application)
    with pytest.raises(AssertionError):
        await judge(route, Counter())


async def test_a_socket_that_cannot_be_judged_has_to_declare_its_path(settings, monkeypatch):
    application = OriginMiddleware(urls("teams/<team>", notifications))
    route = serve(settings, monkeypatch, application)
    with pytest.raises(pytest.fail.Exception, match=r"Nobody can tell .* /teams/\{team\}"):
        await judge(route, Counter())
    monkeypatch.setitem(DECLARED, "/teams/{team}", lambda person: {"team": person})
    assert path_for(route, "mine") == "/teams/mine"
