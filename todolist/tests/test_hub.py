"""Sockets inside one server process: who hears, when the channel layer fails or a client does not read.

The application runs in the test's own event loop, so that a test can be the network: hold a message
back, or never take it. Times that would hide a mistake (the poll of the record, what the channel
layer may take) are set so far away that a test cannot pass by them.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from channels.layers import channel_layers
from django.conf import settings as django_settings
from django.db import connections, transaction
from redis import asyncio as redis

from conftest import ALICE, BOB, sign
from tasks.events.bell import Bell
from tasks.events.consumers import NotificationSocket
from tasks.events.hub import Hub, current_hub
from tasks.events.record import EventMessage, Replay, newest_seqs
from tasks.models import Task

pytestmark = [pytest.mark.asyncio, pytest.mark.django_db(transaction=True)]

NEVER = 3600.0
PATIENCE = 30.0
needs_redis = pytest.mark.skipif(
    not django_settings.REDIS_URL, reason="There is no channel layer between processes in this run"
)


@pytest.fixture(autouse=True)
def no_poll(monkeypatch, db) -> None:
    import todolist.asgi  # noqa: F401  runs the system checks: here, and not in the event loop

    monkeypatch.setattr("tasks.events.hub.POLL_INTERVAL", NEVER)


@pytest.fixture(autouse=True)
def new_bell(monkeypatch) -> None:
    bell = Bell()
    for user in ("tasks.events.record.bell", "tasks.events.hub.bell"):
        monkeypatch.setattr(user, bell)


@pytest.fixture
def elsewhere(new_bell, monkeypatch) -> None:
    """Whatever is written, another process has written it: its bell is not ours."""
    monkeypatch.setattr("tasks.events.record.bell", Bell())


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


# The channel layer


@needs_redis
async def test_what_another_process_writes_arrives_by_redis(elsewhere):
    async with greeted(sign(ALICE)) as alice, greeted(sign(BOB)) as bob:
        await write(ALICE, "from elsewhere")
        assert (await alice.received())["data"]["text"] == "from elsewhere"
        await write(BOB, "his own")
        assert (await bob.received())["data"]["text"] == "his own"
        assert alice.messages.empty()


@needs_redis
async def test_whoever_comes_when_the_last_one_has_just_left_hears(elsewhere):
    for number in range(5):
        async with greeted(sign(ALICE)):
            pass
        async with greeted(sign(BOB)) as bob:
            await write(BOB, str(number))
            assert (await bob.received())["data"]["text"] == str(number)


@needs_redis
async def test_whoever_leaves_and_comes_back_at_once_hears(elsewhere):
    async with greeted(sign(BOB)):  # so that Alice is not the first, or the last
        for number in range(5):
            for _ in range(3):
                client = Client(sign(ALICE))
                client.start()
                await asyncio.sleep(0)
                await client.leave()
            async with greeted(sign(ALICE)) as alice:
                await write(ALICE, str(number))
                assert (await alice.received())["data"]["text"] == str(number)


@needs_redis
async def test_a_burst_of_many_owners_is_told_as_well(elsewhere):
    people = [f"person-{number}" for number in range(150)]
    async with greeted(sign(people[0])) as first, greeted(sign(people[-1])) as last:

        @database_sync_to_async
        def write_all() -> None:
            with transaction.atomic():  # they all ring at once, after it
                for user_id in people:
                    Task(user_id=user_id, text="x").save()

        await write_all()
        for client in (first, last):
            assert (await client.received())["seq"] == 1


@needs_redis
async def test_a_burst_of_one_owner_arrives_whole_and_in_order(elsewhere):
    async with greeted(sign(ALICE)) as alice:

        @database_sync_to_async
        def write_all() -> None:
            with transaction.atomic():
                for number in range(150):
                    Task(user_id=ALICE, text=str(number)).save()

        await write_all()
        assert [(await alice.received())["seq"] for _ in range(150)] == list(range(1, 151))


@needs_redis
async def test_people_cost_the_channel_layer_nothing(elsewhere):
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(redis.from_url(django_settings.REDIS_URL))
        prefix = getattr(channel_layers["default"], "prefix")  # noqa: B009  of this layer only
        for number in range(5):
            client = await stack.enter_async_context(greeted(sign(f"person-{number}")))
        await write("person-4")
        await client.received()  # so by now this process listens
        channels = await store.pubsub_channels(f"{prefix}*")
        assert len(channels) == 2, channels  # its own, and the one of all processes


@needs_redis
async def test_events_of_busy_times_go_together(monkeypatch):
    sent: list[dict[str, Any]] = []

    async def remember(group: str, message: dict[str, Any]) -> None:
        sent.append(message)

    monkeypatch.setattr(channel_layers["default"], "group_send", remember)
    monkeypatch.setattr("tasks.events.bell.PAUSE", 0.5)
    async with greeted(sign(ALICE)) as alice:
        for number in range(10):
            await write(ALICE, str(number))
            await alice.received()  # here they are heard one by one, at once
        async with asyncio.timeout(PATIENCE):
            while sum(len(message["texts"]) for message in sent) < 10:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert len(sent) < 5
    told = [seq for message in sent for _, seq, _ in message["texts"]]
    assert told == list(range(1, 11))


async def test_an_echo_of_what_was_sent_starts_nothing():
    async with greeted(sign(ALICE)) as alice:
        await write(ALICE)
        event = await alice.received()
        (socket,) = current_hub()._sockets[ALICE]
        assert isinstance(socket, NotificationSocket) and socket.forwarding is not None
        await asyncio.wait([socket.forwarding], timeout=PATIENCE)
        forwarding = socket.forwarding
        current_hub().hear(ALICE, EventMessage(event["seq"], json.dumps(event)))
        assert socket.forwarding is forwarding and not socket.rung


@pytest_asyncio.fixture
async def hanging_redis(settings) -> AsyncIterator[None]:
    """A server that accepts connections and never says a word."""
    held: list[Any] = []

    def hold(reader: Any, writer: Any) -> None:
        held.append(writer)

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [f"redis://127.0.0.1:{port}/0"]},
        }
    }
    yield
    server.close()
    for writer in held:
        writer.close()
    await current_hub().stop()
    await channel_layers["default"].flush()


async def test_a_redis_that_hangs_costs_neither_a_handshake_nor_a_writer_nor_own_events(
    hanging_redis, monkeypatch
):
    monkeypatch.setattr("tasks.events.hub.LAYER_TIMEOUT", NEVER)
    monkeypatch.setattr("tasks.events.bell.LAYER_TIMEOUT", NEVER)
    async with greeted(sign(ALICE)) as alice:
        for number in range(3):
            async with asyncio.timeout(PATIENCE):
                await write(ALICE, str(number))
            assert (await alice.received())["data"]["text"] == str(number)


async def test_a_redis_that_hangs_is_given_up_and_tried_again(hanging_redis, monkeypatch, caplog):
    monkeypatch.setattr("tasks.events.hub.LAYER_TIMEOUT", 0.05)
    monkeypatch.setattr("tasks.events.bell.LAYER_TIMEOUT", 0.05)
    monkeypatch.setattr("tasks.events.hub.RETRY_INTERVAL", 0.01)
    async with greeted(sign(ALICE)) as alice:
        for _ in range(5):
            await write(ALICE)
            await alice.received()
            await asyncio.sleep(0.1)
    # Said once each, however often it was tried.
    warnings = sorted(record.name for record in caplog.records if record.levelname == "WARNING")
    assert warnings == ["tasks.events.bell", "tasks.events.hub"]


# The record


async def test_those_who_come_together_are_looked_up_together(monkeypatch):
    questions: list[list[str]] = []

    def remember(user_ids: list[str]) -> dict[str, int]:
        questions.append(user_ids)
        return newest_seqs(user_ids)

    monkeypatch.setattr("tasks.events.hub.newest_seqs", remember)
    await write("person-7")
    clients = [Client(sign(f"person-{number}")) for number in range(50)]
    for client in clients:
        client.start()
    greetings = [await client.received() for client in clients]
    assert [greeting["seq"] for greeting in greetings] == [int(n == 7) for n in range(50)]
    # Once for the first, once for all others; with Redis once more, when it is listened to.
    assert len(questions) < 10
    for client in clients:
        await client.leave()


async def test_a_ring_that_got_lost_is_made_good_by_the_poll(monkeypatch, elsewhere):
    monkeypatch.setattr("tasks.events.hub.POLL_INTERVAL", 0.05)
    monkeypatch.setattr("tasks.events.bell.Bell.ring", lambda *_: None)
    async with greeted(sign(ALICE)) as alice:
        await write(ALICE, "unheard")
        assert (await alice.received())["data"]["text"] == "unheard"


async def test_an_event_that_rings_during_a_resync_is_sent(monkeypatch):
    replay = Hub.replay

    async def and_then_an_event(self: Hub, user_id: str, since: int, limit: int) -> Replay:
        result = await replay(self, user_id, since, limit)
        if not result.complete:
            await write(ALICE, "meanwhile")
        return result

    monkeypatch.setattr(Hub, "replay", and_then_an_event)
    client = Client(sign(ALICE), "&since=1000")
    client.start()
    kinds = []
    while "task.created" not in kinds:
        kinds.append((await client.received())["type"])
    assert "resync" in kinds
    await client.leave()


# Sockets that end badly


@pytest.mark.parametrize("way", ["failed", "cancelled"])
async def test_however_a_socket_ends_it_is_forgotten(way, monkeypatch):
    client = Client(sign(ALICE))
    client.start()
    await client.received()
    assert current_hub().count(ALICE) == 1
    if way == "cancelled":
        client.running.cancel()
    else:

        def fail(text: str) -> object:
            raise RuntimeError("the handler is broken")

        monkeypatch.setattr("tasks.events.consumers.json.loads", fail)
        client.to_application.put_nowait({"type": "websocket.receive", "text": "{}"})
    await asyncio.wait([client.running], timeout=PATIENCE)
    assert client.running.done()
    assert current_hub().count(ALICE) == 0
    if way == "failed":
        assert client.close_code.result() == 4503


async def test_nothing_goes_behind_an_event_that_could_not_be_sent(monkeypatch):
    monkeypatch.setattr("tasks.events.consumers.SEND_TIMEOUT", 0.05)
    async with greeted(sign(ALICE)) as alice:
        alice.holds_back = lambda message: "data" in message
        await write(ALICE, "may have gone out")
        await alice.received()
        await write(ALICE, "must not")
        async with asyncio.timeout(PATIENCE):
            assert await alice.close_code == 1013
        await write(ALICE, "must not either")
        await asyncio.sleep(0.1)
        assert alice.messages.empty()
        assert current_hub().count(ALICE) == 0


async def test_whoever_does_not_read_does_not_outlive_the_token():
    """The warning cannot be sent, and there is time to wait for that beyond the expiry."""
    client = Client(sign(ALICE, exp=int(time.time()) + 2))
    client.holds_back = lambda message: message["type"] == "auth.expiring"
    client.start()
    async with asyncio.timeout(8):  # less than a send may take
        assert await client.close_code == 4001
    await client.leave()


async def test_a_warning_that_cannot_be_sent_closes(monkeypatch):
    monkeypatch.setattr("tasks.events.consumers.SEND_TIMEOUT", 0.05)
    client = Client(sign(ALICE, exp=int(time.time()) + 30))
    client.holds_back = lambda message: message["type"] == "auth.expiring"
    client.start()
    async with asyncio.timeout(8):
        assert await client.close_code == 1013
    await client.leave()
