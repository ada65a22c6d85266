"""A client of the application in the test's own event loop, so that a test can be the network.

It can hold a message back, or never take it. Whoever uses it imports the fixtures as well.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from django.db import connections

from tasks.events.bell import Bell
from tasks.events.bell import bell as real_bell
from tasks.events.hub import current_hub
from tasks.models import Task

NEVER = 3600.0
PATIENCE = 30.0


@pytest.fixture(autouse=True)
def no_poll(monkeypatch, db) -> None:
    import todolist.asgi  # noqa: F401  runs the system checks: here, and not in the event loop

    monkeypatch.setattr("tasks.events.hub.POLL_INTERVAL", NEVER)


@pytest.fixture(autouse=True)
def new_bell(monkeypatch) -> Iterator[None]:
    real_bell.flush()  # else what an earlier test wrote may be told during this one
    bell = Bell()
    for user in ("tasks.events.record.bell", "tasks.events.hub.bell"):
        monkeypatch.setattr(user, bell)
    yield
    bell.flush()


class Client:
    """A client of the application, and the network between them."""

    def __init__(self, token: str, query: str = "") -> None:
        self.scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "path": "/ws/notifications",
            "query_string": f"token={token}{query}".encode(),
            "headers": [],
            "subprotocols": [],
        }
        self.to_application: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.holds_back: Callable[[dict[str, Any]], bool] = lambda message: False
        self.close_code: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def send(self, message: dict[str, Any]) -> None:
        """What the server's `send` is: it returns when the client has room for the message."""
        if message["type"] == "websocket.close":
            self.close_code.set_result(message["code"])
        elif message["type"] == "websocket.send":
            content = json.loads(message["text"])
            self.messages.put_nowait(content)
            if self.holds_back(content):
                await asyncio.sleep(NEVER)

    async def received(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            return await self.messages.get()

    def start(self) -> None:
        from todolist.asgi import application

        self.to_application.put_nowait({"type": "websocket.connect"})
        work = application(self.scope, self.to_application.get, self.send)  # type: ignore[arg-type]
        self.running = asyncio.create_task(work)

    async def leave(self) -> None:
        self.to_application.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await asyncio.wait([self.running], timeout=PATIENCE)


@asynccontextmanager
async def greeted(token: str, query: str = "") -> AsyncIterator[Client]:
    client = Client(token, query)
    client.start()
    try:
        assert (await client.received())["type"] == "ready"
        yield client
    finally:
        await client.leave()


@database_sync_to_async
def write(user_id: str, text: str = "x") -> None:
    Task(user_id=user_id, text=text).save()


@pytest_asyncio.fixture(autouse=True)
async def orderly_end() -> AsyncIterator[None]:
    yield
    await current_hub().stop()
    await sync_to_async(connections.close_all)()  # of the thread that `write` uses
