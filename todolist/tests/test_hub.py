"""The hub of one server process: who is told of what, also while the channel layer fails.

Times that would hide a mistake (the poll of the record, what the channel layer may take) are set so
far away that a test cannot pass by them.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from channels.db import database_sync_to_async
from channels.layers import channel_layers
from django.conf import settings as django_settings
from django.db import transaction
from redis import asyncio as redis

from conftest import ALICE, BOB, sign
from tasks.events.bell import Bell
from tasks.events.consumers import NotificationConsumer
from tasks.events.hub import Hub, current_hub
from tasks.events.record import Replay, newest_seqs
from tasks.models import Task
from todolist.tests.freezing import FreezingProxy, freezing
from todolist.tests.in_process import (  # noqa: F401  fixtures among them
    NEVER,
    PATIENCE,
    Client,
    greeted,
    new_bell,
    no_poll,
    orderly_end,
    write,
)

pytestmark = [pytest.mark.asyncio, pytest.mark.django_db(transaction=True)]

needs_redis = pytest.mark.skipif(
    not django_settings.REDIS_URL, reason="There is no channel layer between processes in this run"
)


@pytest.fixture
def elsewhere(monkeypatch) -> Iterator[None]:
    """Whatever is written, another process has written it: its bell is not ours."""
    bell = Bell()
    monkeypatch.setattr("tasks.events.record.bell", bell)
    yield
    bell.flush()


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
        assert isinstance(socket, NotificationConsumer)
        current_hub().deliver(ALICE, event["seq"], json.dumps(event))
        assert not socket.outbox.queue and not socket.outbox.behind


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
    monkeypatch.setattr("tasks.events.hub.LOOK_INTERVAL", NEVER)
    monkeypatch.setattr("tasks.events.follower.LAYER_TIMEOUT", NEVER)
    monkeypatch.setattr("tasks.events.bell.LAYER_TIMEOUT", NEVER)
    async with greeted(sign(ALICE)) as alice:
        for number in range(3):
            async with asyncio.timeout(PATIENCE):
                await write(ALICE, str(number))
            assert (await alice.received())["data"]["text"] == str(number)


async def test_a_redis_that_hangs_is_given_up_and_tried_again(hanging_redis, monkeypatch, caplog):
    monkeypatch.setattr("tasks.events.follower.LAYER_TIMEOUT", 0.05)
    monkeypatch.setattr("tasks.events.bell.LAYER_TIMEOUT", 0.05)
    monkeypatch.setattr("tasks.events.follower.RETRY_INTERVAL", 0.01)
    async with greeted(sign(ALICE)) as alice:
        for _ in range(5):
            await write(ALICE)
            await alice.received()
            await asyncio.sleep(0.1)
    # Said once each, however often it was tried.
    # Others may say meanwhile that what failed in an earlier test is over.
    warnings = sorted(
        record.name
        for record in caplog.records
        if record.levelname == "WARNING" and record.name.startswith("tasks.events.")
    )
    assert warnings == ["tasks.events.bell", "tasks.events.follower"]


@pytest_asyncio.fixture
async def freezing_redis(settings) -> AsyncIterator[FreezingProxy]:
    """The Redis of this run, behind a proxy that can stop forwarding."""
    with freezing(django_settings.REDIS_URL, 6379) as proxy:
        layer = settings.CHANNEL_LAYERS["default"]
        (host,) = layer["CONFIG"]["hosts"]
        hosts = [host | {"address": proxy.before(django_settings.REDIS_URL)}]
        settings.CHANNEL_LAYERS = {
            "default": layer | {"CONFIG": layer["CONFIG"] | {"hosts": hosts}}
        }
        yield proxy
        proxy.thaw()
        await current_hub().stop()
        await channel_layers["default"].flush()


@needs_redis
async def test_while_redis_is_frozen_the_record_is_asked_instead(freezing_redis, elsewhere):
    async with greeted(sign(ALICE)) as alice:
        for number in range(6):
            if number == 2:
                freezing_redis.freeze()
            elif number == 4:
                freezing_redis.thaw()
            await write(ALICE, str(number))
            assert (await alice.received())["data"]["text"] == str(number)


@needs_redis
async def test_what_could_not_be_told_is_looked_for_as_soon_as_others_can_be_told(
    elsewhere, monkeypatch
):
    layer = channel_layers["default"]
    group_send = layer.group_send
    failures = iter(range(3))

    async def fail_at_first(group: str, message: dict[str, Any]) -> None:
        if next(failures, None) is not None:
            raise OSError
        await group_send(group, message)

    async with greeted(sign(ALICE)) as alice:
        await write(ALICE, "by the layer")
        await alice.received()
        await asyncio.sleep(
            2
        )  # this process listens, and has compared what was to be compared then
        monkeypatch.setattr(layer, "group_send", fail_at_first)
        await write(ALICE, "lost")
        assert (await alice.received())["data"]["text"] == "lost"


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

    async def and_then_an_event(
        self: Hub, user_id: str, since: int, limit: int, epoch: str
    ) -> Replay:
        result = await replay(self, user_id, since, limit, epoch)
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
