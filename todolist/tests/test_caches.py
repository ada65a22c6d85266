"""What stands in Redis is data: whoever can write there neither runs code here nor makes a 500."""

import json
import os
import pickle
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from channels.layers import get_channel_layer
from django.contrib.auth.models import User
from django.core.cache import caches
from websockets.sync.client import connect

from conftest import Server, call, sign
from todolist.tests.test_staff_sign_in import LIMIT, PASSWORD, WRONG, new_address, new_name, sign_in

pytestmark = pytest.mark.django_db

KEY = "a-key-of-these-tests"
UNREADABLE = [
    b"",
    b"\xff\xfe",
    b"{",
    b"[" * 100_000,
    b"\x80\x05K\x01.",  # a pickled 1
    b"9" * 5000,
]
NO_NUMBERS = [*UNREADABLE, b'"1"', b"null", b"true", b"1.0", b"[]", b"007", b" 7", b"1e3"]


@pytest.fixture
def in_redis(settings) -> redis.Redis:
    if not settings.REDIS_URL:
        pytest.skip("Without Redis the caches are in memory")
    return redis.Redis.from_url(settings.REDIS_URL)


class Exploit:
    """Unpickled, it makes a directory."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


@pytest.fixture
def trace(tmp_path) -> Iterator[Path]:
    """What must not come to be; that it would, is proven first."""
    pickle.loads(pickle.dumps(Exploit(tmp_path / "proof")))  # noqa: S301
    assert (tmp_path / "proof").is_dir()
    yield tmp_path / "trace"
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("alias", ["default", "sign-in tries"])
def test_a_pickle_is_not_opened(in_redis, trace, alias):
    cache = caches[alias]
    in_redis.set(cache.make_key(KEY), pickle.dumps(Exploit(trace)), ex=60)
    assert cache.get(KEY, "nothing") == "nothing"
    assert cache.get_many([KEY]) == {}
    assert cache.get_or_set(KEY, 7) == 7
    assert cache.get(KEY) == 7
    cache.delete(KEY)


def test_the_cache_keeps_what_json_can_say_and_nothing_else(in_redis):
    cache = caches["default"]
    for value in (1, -1.5, "é", None, True, [1, {"a": []}], {"b": "c"}):
        cache.set(KEY, value, 60)
        assert cache.get(KEY, "nothing") == value
        assert cache.get_many([KEY, "another"]) == {KEY: value}
    with pytest.raises(TypeError):
        cache.set(KEY, timedelta(1), 60)
    cache.set(KEY, 1, 60)
    assert cache.incr(KEY) == 2 and not cache.add(KEY, 5, 60)
    in_redis.delete(cache.make_key(KEY))
    in_redis.rpush(cache.make_key(KEY), "a list")
    assert cache.get(KEY, "nothing") == "nothing"
    cache.set(KEY, 3, 60)
    assert cache.get(KEY) == 3
    cache.delete(KEY)


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: repr(value[:10]))
def test_tries_are_counted_over_whatever_stood_there(in_redis, trace, value):
    name = User.objects.create_superuser(new_name(), password=PASSWORD).get_username()
    address = new_address()
    assert sign_in(name, WRONG, address).status_code == 200
    keys = set(in_redis.scan_iter(f"{caches['sign-in tries'].key_prefix}*"))
    counting = [key for key in keys if in_redis.type(key) == b"string"]
    assert counting
    for written in (value, pickle.dumps(Exploit(trace))):
        for key in counting:
            in_redis.set(key, written, ex=60)
        assert sign_in(name, PASSWORD, address).status_code == 302
        for key in counting:
            in_redis.set(key, written, ex=60)
        answers = [sign_in(name, WRONG, address).status_code for _ in range(LIMIT)]
        assert answers == [200] * (LIMIT - 1) + [429]


def test_the_channel_layer_opens_no_pickle_either(settings, trace):
    """Its form is MessagePack, which has no form for code; the default of channels_redis, kept."""
    if not settings.REDIS_URL:
        pytest.skip("Without Redis the layer is in memory")
    layer: Any = get_channel_layer()
    message = {"type": "bell.ring", "texts": [["a", 1, "{}"]]}
    assert layer.deserialize(layer.serialize(message)) == message
    assert layer.serialize(message).startswith(b"\x82")  # a map of two (MessagePack's fixmap)
    for written in (pickle.dumps(Exploit(trace)), b"\x80\x05", b"", b"\xc1"):
        try:
            found = layer.deserialize(written)
        except ValueError:  # msgpack's own are of that kind
            continue
        assert isinstance(found, dict | int)


def test_rubbish_in_the_channel_stops_no_events(start_server, in_redis, trace):
    first: Server = start_server()
    second: Server = start_server(DATABASE_URL=first.database_url)
    token = sign("listening")
    with connect(f"{first.socket_url}?token={token}") as client:
        client.recv(timeout=30)  # ready
        channels = in_redis.pubsub_channels("*processes*")
        assert channels
        odd = [{}, {"texts": 1}, {"texts": [[1]]}, {"texts": [["listening", "x", None]]}, [], None]
        layer: Any = get_channel_layer()
        rubbish = [pickle.dumps(Exploit(trace)), b"", b"\xc1", *map(layer.serialize, odd)]
        for written in rubbish:
            for channel in channels:
                in_redis.publish(channel, written)
        created = call(second, token, "POST", "/tasks", {"text": "x"})
        assert created.status == 201
        event = json.loads(client.recv(timeout=30))
        assert event["data"]["id"] == created.body["id"]
