"""Push subscriptions over REST (docs/api.md section 9)."""

import socket
import time
from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Event
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.db import connection

from conftest import ALICE, BOB, Server, call, client_with, environment_for, manage, sign
from tasks.due import send_due
from tasks.models import PushDelivery, PushSubscription
from tasks.push import vapid
from tasks.push.addresses import is_public
from tasks.tests.calls import made
from tasks.tests.pushservice import Browser, base64url, public_bytes, raw_of

pytestmark = pytest.mark.django_db

PUBLIC = "https://93.184.215.14/push"  # an address, so that no name has to be looked up
PATH = "/push/subscriptions"


def test_the_key_is_the_public_one_of_what_is_configured(alice_api, settings):
    shown = alice_api.get("/push/key").json()
    private = ec.derive_private_key(
        int.from_bytes(raw_of(settings.VAPID_PRIVATE_KEY)), ec.SECP256R1()
    )
    assert shown == {"public_key": base64url(public_bytes(private))}


def test_a_new_key_is_one_that_can_be_used(settings):
    keys = {vapid.new_private_key() for _ in range(50)}
    assert len(keys) == 50
    assert {len(raw_of(key)) for key in keys} == {32}
    for key in keys:
        settings.VAPID_PRIVATE_KEY = key
        assert len(raw_of(vapid.public_key())) == 65


@pytest.mark.parametrize(
    ("method", "path"),
    [("get", "/push/key"), ("get", PATH), ("post", PATH), ("delete", f"{PATH}/{'0' * 8}")],
)
def test_all_of_it_wants_a_token(anonymous_api, method, path):
    assert getattr(anonymous_api, method)(path).status_code == 401


def test_subscribing_listing_and_leaving(alice_api, bob_api):
    browser = Browser()
    answer = alice_api.post(PATH, browser.subscription(PUBLIC))
    assert answer.status_code == 201
    assert answer.json().keys() == {"id", "endpoint"} and answer.json()["endpoint"] == PUBLIC

    again = alice_api.post(PATH, Browser().subscription(PUBLIC))
    assert (again.status_code, again.json()) == (200, answer.json())
    other = alice_api.post(PATH, browser.subscription(f"{PUBLIC}/2")).json()
    listed = alice_api.get(PATH)
    assert listed.json() == [other, answer.json()]
    assert listed["X-Events-Seq"] == "0" and "X-Events-Epoch" in listed
    assert bob_api.get(PATH).json() == []

    url = f"{PATH}/{other['id']}"
    refused = bob_api.delete(url)
    assert (refused.status_code, refused.json()["detail"]) == (403, "Access denied")
    assert alice_api.delete(url).status_code == 204
    gone = alice_api.delete(url)
    assert (gone.status_code, gone.json()["detail"]) == (404, "Push subscription not found")
    assert alice_api.get(PATH).json() == [answer.json()]
    assert alice_api.get("/events").json() == []  # of none of it


def test_the_same_again_has_the_new_keys(alice_api):
    first, second = Browser(), Browser()
    alice_api.post(PATH, first.subscription(PUBLIC))
    alice_api.post(PATH, second.subscription(PUBLIC))
    assert PushSubscription.objects.get().auth == base64url(second.auth)


def test_an_endpoint_belongs_to_whoever_subscribed_it_last(alice_api, bob_api):
    browser = Browser()
    hers = alice_api.post(PATH, browser.subscription(PUBLIC)).json()
    his = bob_api.post(PATH, browser.subscription(PUBLIC))
    assert his.status_code == 201 and his.json()["id"] != hers["id"]
    assert alice_api.get(PATH).json() == []
    assert alice_api.delete(f"{PATH}/{hers['id']}").status_code == 404
    assert bob_api.get(PATH).json() == [his.json()]


def test_at_most_fifty(alice_api, bob_api):
    browser = Browser()
    bob_api.post(PATH, browser.subscription(f"{PUBLIC}/bob"))
    for number in range(50):
        answer = alice_api.post(PATH, browser.subscription(f"{PUBLIC}/{number}"))
        assert answer.status_code == 201
    for endpoint in ("more", "bob"):
        refused = alice_api.post(PATH, browser.subscription(f"{PUBLIC}/{endpoint}"))
        assert refused.status_code == 400 and "50" in refused.json()["endpoint"][0]
    assert alice_api.post(PATH, browser.subscription(f"{PUBLIC}/7")).status_code == 200
    assert len(alice_api.get(PATH).json()) == 50
    assert len(bob_api.get(PATH).json()) == 1  # who keeps what she could not have


GOOD = Browser().subscription(PUBLIC)["keys"]
OFF_THE_CURVE = base64url(b"\x04" + b"\x01" * 64)
COMPRESSED = base64url(b"\x02" + raw_of(GOOD["p256dh"])[1:33])


@pytest.mark.parametrize(
    ("changes", "field", "word"),
    [
        ({"endpoint": None}, "endpoint", ""),
        ({"endpoint": 7}, "endpoint", ""),
        ({"endpoint": ""}, "endpoint", ""),
        ({"endpoint": f"{PUBLIC}/{'x' * 2048}"}, "endpoint", ""),
        ({"endpoint": "http://93.184.215.14/push"}, "endpoint", "https"),
        ({"endpoint": "ftp://93.184.215.14/push"}, "endpoint", "https"),
        ({"endpoint": "https://user@93.184.215.14/push"}, "endpoint", "https"),
        ({"endpoint": f"{PUBLIC}#fragment"}, "endpoint", "https"),
        ({"endpoint": f"{PUBLIC}/a b"}, "endpoint", "https"),
        ({"endpoint": f"{PUBLIC}/\r\nHost: x"}, "endpoint", "https"),
        ({"endpoint": "https://93.184.215.14\\@example.com/"}, "endpoint", "https"),
        ({"endpoint": "https://93.184.215.14:0/"}, "endpoint", "https"),
        ({"endpoint": "https://93.184.215.14:65536/"}, "endpoint", "https"),
        ({"endpoint": "https:///push"}, "endpoint", "https"),
        ({"keys": None}, "keys", ""),
        ({"keys": []}, "keys", ""),
        ({"keys": {}}, "keys", "p256dh"),
        ({"keys": {**GOOD, "p256dh": "é"}}, "keys", "p256dh"),
        ({"keys": {**GOOD, "p256dh": OFF_THE_CURVE}}, "keys", "p256dh"),
        ({"keys": {**GOOD, "p256dh": COMPRESSED}}, "keys", "p256dh"),
        ({"keys": {**GOOD, "auth": base64url(b"x" * 15)}}, "keys", "auth"),
        ({"keys": {**GOOD, "auth": base64url(b"x" * 17)}}, "keys", "auth"),
        ({"keys": {**GOOD, "auth": 7}}, "keys", "auth"),
        ({"expirationTime": "soon"}, "expirationTime", ""),
        ({"expirationTime": True}, "expirationTime", ""),
        ({"expirationTime": 1e300}, "expirationTime", ""),
        ({"expirationTime": -1}, "expirationTime", "expired"),
        ({"expirationTime": 1_000_000_000_000}, "expirationTime", "expired"),
    ],
)
def test_what_is_wrong_is_400_and_named(alice_api, changes, field, word):
    refused = alice_api.post(PATH, {**Browser().subscription(PUBLIC), **changes})
    assert refused.status_code == 400
    assert refused.json().keys() == {field}
    assert all(isinstance(said, str) for said in refused.json()[field])
    assert word in " ".join(refused.json()[field])
    assert not PushSubscription.objects.exists()


def test_keys_may_be_padded_and_a_body_may_have_more(alice_api):
    browser = Browser()
    body = browser.subscription(PUBLIC, more={"of": "it"}, expirationTime=time.time() * 1000 + 1e6)
    body["keys"] = {
        name: urlsafe_b64encode(raw_of(text)).decode() for name, text in body["keys"].items()
    }
    assert alice_api.post(PATH, body).status_code == 201
    kept = PushSubscription.objects.get()
    assert kept.auth == base64url(browser.auth) and kept.expires_at is not None


NOT_PUBLIC = """
    127.0.0.1 127.1 0x7f.1 2130706433 0.0.0.0 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1
    192.0.0.8 192.0.2.1 192.88.99.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 240.0.0.1 255.255.255.255
    [::] [::1] [fe80::1] [fc00::1] [fd12::1] [fec0::1] [ff02::1] [::ffff:127.0.0.1] [::ffff:93.184.215.14]
    [::ffff:10.0.0.1] [::127.0.0.1] [::93.184.215.14] [64:ff9b::7f00:1] [64:ff9b::a00:1] [64:ff9b:1::1]
    [2002:7f00:1::] [2002:a00:1::1] [2001::1] [2001:db8::1] [3fff::1] [5f00::1] [100::1] localhost
""".split()


@pytest.mark.parametrize("host", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused(alice_api, settings, host):
    body = Browser().subscription(f"https://{host}/push")
    refused = alice_api.post(PATH, body)
    assert refused.status_code == 400 and refused.json().keys() == {"endpoint"}
    settings.DEBUG = True
    assert (
        alice_api.post(PATH, Browser().subscription("http://127.0.0.1:9/push")).status_code == 201
    )


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "1.1.1.1", "2606:4700::1111", "2a00:1450::1", "64:ff9b::101:101"]
)
def test_public_addresses_are_public(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "address", ["", "name", "fe80::1%eth0", "2606:4700::1%1", "1.2.3", "01.1.1.1"]
)
def test_what_is_no_plain_address_is_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    ("addresses", "status"),
    [
        (["93.184.215.14"], 201),
        (["2606:4700::1111", "93.184.215.14"], 201),
        (["93.184.215.14", "10.0.0.1"], 400),
        (["::1"], 400),
        ([], 400),
    ],
)
def test_a_name_is_where_it_leads(alice_api, monkeypatch, addresses, status):
    def look_up(host: str, port: int, **kwargs: Any) -> list[Any]:
        assert host == "push.example.com"
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]

    monkeypatch.setattr("tasks.push.addresses.socket.getaddrinfo", look_up)
    answer = alice_api.post(PATH, Browser().subscription("https://push.example.com/push"))
    assert answer.status_code == status
    if status == 400:
        assert answer.json().keys() == {"endpoint"}


def test_a_name_that_takes_long_is_not_waited_for(alice_api, monkeypatch):
    ended = Event()
    monkeypatch.setattr("tasks.api.push.PATIENCE", 0.05)
    monkeypatch.setattr("tasks.push.addresses.socket.getaddrinfo", lambda *_, **__: ended.wait(30))
    try:
        refused = alice_api.post(PATH, Browser().subscription("https://push.example.com/push"))
        assert refused.status_code == 400 and "in time" in refused.json()["endpoint"][0]
    finally:
        ended.set()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_people_who_subscribe_the_same_at_once_end_with_one_of_them():
    body = Browser().subscription(PUBLIC)

    def subscribe(person: str) -> int:
        try:
            return int(client_with(sign(person)).post(PATH, body).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as aside:
        statuses = list(aside.map(subscribe, [ALICE, BOB, "carol", "dave"] * 8))
    assert set(statuses) <= {200, 201}
    assert PushSubscription.objects.count() == 1


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_the_last_one_that_somebody_may_have_is_made_once():
    api = client_with(sign(ALICE))
    for number in range(48):
        api.post(PATH, Browser().subscription(f"{PUBLIC}/{number}"))

    def subscribe(number: int) -> int:
        try:
            body = Browser().subscription(f"{PUBLIC}/more/{number}")
            return int(client_with(sign(ALICE)).post(PATH, body).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as aside:
        statuses = sorted(aside.map(subscribe, range(8)))
    assert statuses == [201, 201, *[400] * 6]


def test_without_a_key_there_is_nothing_at_these_paths(start_server):
    server: Server = start_server(VAPID_PRIVATE_KEY="", VAPID_SUBJECT="")
    for method, path in (
        ("GET", "/push/key"),
        ("GET", PATH),
        ("POST", PATH),
        ("DELETE", f"{PATH}/1"),
    ):
        assert call(server, sign(), method, path, {}).status == 404
    assert "/push" not in str(call(server, "", "GET", "/schema").body)


def test_with_a_key_there_is(server):
    answer = call(server, sign("pusher"), "POST", PATH, Browser().subscription(PUBLIC))
    assert answer.status == 201
    assert call(server, sign("pusher"), "GET", PATH).body == [answer.body]
    assert call(server, sign("pusher"), "DELETE", f"{PATH}/{answer.body['id']}").status == 204


def test_the_command_prints_a_key_that_the_settings_take():
    key = manage("make_vapid_key", environment=environment_for("")).stdout.strip()
    for value, subject, id in (
        (key, "mailto:a@example.com", None),
        (key, "", "todolist.W028"),
        (key, "a@example.com", "todolist.E027"),
        (key[:-2], "mailto:a@example.com", "todolist.E026"),
        (base64url(b"\0" * 32), "mailto:a@example.com", "todolist.E026"),
        (base64url(b"\xff" * 32), "mailto:a@example.com", "todolist.E026"),
    ):
        environment = environment_for("", VAPID_PRIVATE_KEY=value, VAPID_SUBJECT=subject)
        said = manage("check", environment=environment)
        assert (id is None) == ("VAPID" not in said.stderr)
        assert id is None or f"({id})" in said.stderr
        assert said.returncode == (1 if id and ".E" in id else 0)
        assert value not in said.stderr


def test_what_was_to_be_sent_to_a_browser_goes_with_the_subscription(alice_api, bob_api):
    browser = Browser()
    alice_api.post(PATH, browser.subscription(PUBLIC))
    made(alice_api, deadline="2030-05-01T12:00:00Z")
    assert sum(send_due(datetime(2030, 5, 1, 12, tzinfo=UTC))) == 1
    assert PushDelivery.objects.count() == 1
    bob_api.post(PATH, browser.subscription(PUBLIC))
    assert PushDelivery.objects.count() == 0
