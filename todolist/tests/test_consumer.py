"""The consumer: one message after the other, and whatever ends a socket, it is closed and forgotten."""

import asyncio
import gc
import json
import threading
import time
import weakref

import pytest
from asgiref.sync import sync_to_async

from conftest import ALICE, sign
from tasks.events.consumers import NotificationConsumer
from tasks.events.hub import Hub, current_hub
from tasks.events.record import Position
from todolist.tests.in_process import (  # noqa: F401  fixtures among them
    PATIENCE,
    Client,
    greeted,
    new_bell,
    no_poll,
    orderly_end,
    write,
)

pytestmark = [pytest.mark.asyncio, pytest.mark.django_db(transaction=True)]


def say(client: Client, text: str) -> None:
    client.to_application.put_nowait({"type": "websocket.receive", "text": text})


def only_socket_of(user_id: str) -> NotificationConsumer:
    (socket,) = current_hub()._sockets[user_id]
    assert isinstance(socket, NotificationConsumer)
    return socket


async def test_a_socket_costs_two_tasks_and_no_channel():
    async with greeted(sign(ALICE)):  # the hub has its tasks from here on
        before = len(asyncio.all_tasks())
        clients = [Client(sign(f"person-{number}")) for number in range(10)]
        for client in clients:
            client.start()
            await client.received()
        assert not hasattr(only_socket_of("person-0"), "channel_name")
        # Besides the server's: one that waits for the client, and one that sends events.
        assert len(asyncio.all_tasks()) - before <= 3 * len(clients)
        for client in clients:
            await client.leave()


async def test_what_blocks_the_thread_of_all_consumers_holds_up_no_socket():
    done = threading.Event()
    blocking = asyncio.create_task(sync_to_async(done.wait)(PATIENCE))
    try:
        async with greeted(sign(ALICE)) as alice:
            say(alice, '{"type": "ping"}')
            assert (await alice.received())["type"] == "pong"
        assert alice.running.done() and not blocking.done()
    finally:
        done.set()
        await blocking


async def test_messages_are_answered_one_after_the_other(monkeypatch):
    renew = NotificationConsumer.renew

    async def take_long(self: NotificationConsumer, raw: object) -> None:
        await asyncio.sleep(0.2)
        await renew(self, raw)

    monkeypatch.setattr(NotificationConsumer, "renew", take_long)
    async with greeted(sign(ALICE)) as alice:
        say(alice, json.dumps({"type": "auth", "token": sign(ALICE)}))
        say(alice, '{"type": "ping"}')
        say(alice, "nothing")
        kinds = [(await alice.received())["type"] for _ in range(3)]
        assert kinds == ["auth.ok", "pong", "error"]


async def test_nothing_is_left_of_a_socket_for_the_collector():
    collects = gc.isenabled()
    gc.disable()
    try:
        async with greeted(sign(ALICE)) as alice:
            await write(ALICE)
            await alice.received()
            socket = weakref.ref(only_socket_of(ALICE))
        await asyncio.sleep(0)
        assert socket() is None
    finally:
        if collects:
            gc.enable()


async def test_a_handshake_that_fails_half_way_closes_and_is_forgotten(monkeypatch):
    async def fail(self: Hub, user_id: str) -> Position:
        raise RuntimeError("the record is broken")

    monkeypatch.setattr(Hub, "position", fail)
    client = Client(sign(ALICE))
    client.start()
    async with asyncio.timeout(PATIENCE):
        assert await client.close_code == 4503
        await asyncio.wait([client.running])
    assert current_hub().count(ALICE) == 0


@pytest.mark.parametrize("during", ["the handshake", "an answer", "an event"])
async def test_cancelled_while_something_is_sent_it_is_forgotten(during):
    kinds = {"the handshake": "ready", "an answer": "pong", "an event": "task.created"}
    client = Client(sign(ALICE))
    client.holds_back = lambda message: message["type"] == kinds[during]
    client.start()
    await client.received()
    if during == "an answer":
        say(client, '{"type": "ping"}')
        await client.received()
    elif during == "an event":
        await write(ALICE)
        await client.received()
    sending = only_socket_of(ALICE).sender
    client.running.cancel()
    await asyncio.wait([client.running], timeout=PATIENCE)
    assert client.running.cancelled()
    assert current_hub().count(ALICE) == 0
    if during == "an event":
        assert sending is not None
        await asyncio.wait([sending], timeout=PATIENCE)
        assert sending.cancelled()


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
