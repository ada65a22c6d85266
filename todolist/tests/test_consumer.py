"""Sockets that end badly: whatever the reason, they are closed and forgotten."""

import asyncio
import time

import pytest

from conftest import ALICE, sign
from tasks.events.hub import current_hub
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
