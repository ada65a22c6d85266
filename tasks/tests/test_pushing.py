"""What push services get, over real HTTP (docs/api.md section 9; RFCs 8030, 8188, 8291, 8292)."""

import io
import json
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from threading import Thread
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.management import call_command
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.tests.proxy import Proxy, certificate_for, listening
from conftest import free_port
from tasks.due import send_due
from tasks.models import Notification, PushDelivery, PushSubscription
from tasks.push import encryption, message, sending
from tasks.push.outbox import pause
from tasks.tests.calls import made
from tasks.tests.pushservice import Browser, PushService, raw_of, serving

pytestmark = pytest.mark.django_db

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def on_this_machine(settings, monkeypatch) -> None:
    """Push services of the tests are at a private address, without TLS."""
    settings.DEBUG = True
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def service() -> Iterator[PushService]:
    with serving() as service:
        yield service


def subscribe(api: Any, endpoint: str, browser: Browser | None = None, **more: Any) -> str:
    """Subscribe a browser; the id of the subscription."""
    body = (browser or Browser()).subscription(endpoint, **more)
    response = api.post("/push/subscriptions", body)
    assert response.status_code in (200, 201), response.content
    return str(response.json()["id"])


def remind(at: datetime = NOON) -> str:
    """Run a pass, which sends all that is due; what it says of pushes."""
    output = io.StringIO()
    call_command("send_reminders", "--at", at.isoformat(), stdout=output)
    return pushes_in(output.getvalue())


def pushes_in(output: str) -> str:
    last = output.splitlines()[-1]
    return "no pushes" if last.endswith("made") else last


def task(api: Any, text: str = "Water the plants") -> dict[str, Any]:
    return made(api, text, deadline=NOON.isoformat())


def let_time_pass(**by: float) -> None:
    """As if everything about pushes had happened earlier."""
    for one in PushSubscription.objects.filter(next_try_at__isnull=False):
        earlier = (one.next_try_at or NOON) - timedelta(**by)
        PushSubscription.objects.filter(pk=one.pk).update_unrecorded(next_try_at=earlier)
    for each in PushDelivery.objects.all():
        PushDelivery.objects.filter(pk=each.pk).update(created_at=each.created_at - timedelta(**by))


def listed(api: Any) -> list[dict[str, Any]]:
    return list(api.get("/push/subscriptions").json())


# What is sent


def test_the_notification_as_rest_shows_it(alice_api, service, settings):
    browser = Browser()
    subscribe(alice_api, f"{service.origin}/a?b=c", browser)
    task(alice_api)
    assert remind() == "1 push sent, 0 failed"

    (push,) = service.pushes
    assert service.read("/a?b=c", browser) == alice_api.get("/notifications").json()
    claims, key = push.verified(service.origin)
    assert key == alice_api.get("/push/key").json()["public_key"]
    assert claims["sub"] == settings.VAPID_SUBJECT
    assert 0 < claims["exp"] - time.time() <= 24 * 3600
    assert push.headers["Content-Encoding"] == "aes128gcm"
    assert int(push.headers["TTL"]) == 24 * 3600
    assert push.headers["User-Agent"].startswith("todolist/")
    assert remind() == "no pushes"
    assert len(service.pushes) == 1 and not PushDelivery.objects.exists()


def test_to_each_subscription_of_its_owner_and_to_nobody_else(alice_api, bob_api, service):
    browsers = {path: Browser() for path in ("/a1", "/a2", "/b")}
    for path, browser in browsers.items():
        subscribe(bob_api if path == "/b" else alice_api, service.origin + path, browser)
    for api in (alice_api, alice_api, bob_api):
        task(api)
    assert remind() == "5 pushes sent, 0 failed"
    for path, browser in browsers.items():
        notes = (bob_api if path == "/b" else alice_api).get("/notifications").json()
        assert service.read(path, browser) == notes[::-1]  # as they were made
    assert service.at_once == {"/a1": 1, "/a2": 1, "/b": 1}


def test_no_key_no_pushes(alice_api, service, settings):
    subscribe(alice_api, f"{service.origin}/a")
    task(alice_api)
    settings.VAPID_PRIVATE_KEY = ""
    assert remind() == "no pushes"
    assert service.pushes == [] and not PushDelivery.objects.exists()


def test_what_was_withdrawn_is_not_pushed(alice_api, bob_api, service):
    for api in (alice_api, bob_api):
        subscribe(api, f"{service.origin}/{'a' if api is alice_api else 'b'}")
    hers, his = task(alice_api), task(bob_api)
    assert sum(send_due(NOON)) == 2
    assert alice_api.patch(f"/tasks/{hers['id']}", {"completed": True}).status_code == 200
    assert bob_api.delete(f"/tasks/{his['id']}").status_code == 204
    assert remind() == "no pushes"
    assert service.pushes == []


def test_a_long_text_is_shortened_to_fit(alice_api, service):
    """Longer than any that is made today, with characters of four bytes."""
    browser = Browser()
    subscribe(alice_api, f"{service.origin}/a", browser)
    task(alice_api)
    assert sum(send_due(NOON)) == 1
    long = "\U0001f331" * 1000
    Notification.objects.all().update_unrecorded(message=long)
    assert remind() == "1 push sent, 0 failed"
    (push,) = service.pushes
    (read,) = service.read("/a", browser)
    (note,) = alice_api.get("/notifications").json()
    assert {**read, "message": long} == note
    assert read["message"].endswith("\U0001f331…") and long.startswith(read["message"][:-1])
    assert 4092 < len(push.body) <= 4096


@given(st.text(max_size=100), st.text(max_size=1000), st.integers(200, 4000))
def test_whatever_it_says_it_fits_and_begins_the_same(title, text, largest):
    said = {"id": "0198c5a0-7d2f-7c3a-9f54-2b1e8d60c7aa", "title": title, "message": text}
    written = message.message_of(said, largest)
    read = json.loads(written)
    assert len(written) <= largest
    assert read["id"] == said["id"]
    for name in ("title", "message"):
        assert read[name] == said[name] or said[name].startswith(read[name].removesuffix("…"))
    if len(json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()) <= largest:
        assert read == said
    elif read["message"] != "…":  # no character more would have fitted
        cut = len(read["message"]) - 1
        longer = {**said, "message": said["message"][: cut + 1] + "…"}
        assert len(json.dumps(longer, ensure_ascii=False, separators=(",", ":")).encode()) > largest


def test_the_example_of_rfc_8291():
    """Its appendix A, byte for byte."""
    number = int.from_bytes(raw_of("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"))
    body = encryption.encrypt(
        b"When I grow up, I want to be a watermelon",
        raw_of(
            "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
        ),
        raw_of("BTBZMqHH6r4Tts7J_aSIgg"),
        sender=ec.derive_private_key(number, ec.SECP256R1()),
        salt=raw_of("DGv6ra1nlYgDCS1FRnbzlw"),
    )
    assert body == raw_of(
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6Tlz"
        "AC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


@pytest.mark.parametrize("length", [0, 1, encryption.LARGEST])
def test_nothing_is_larger_than_a_record(length):
    browser = Browser()
    keys = browser.subscription("")["keys"]
    body = encryption.encrypt(b"x" * length, raw_of(keys["p256dh"]), browser.auth)
    assert browser.read(body) == b"x" * length
    assert len(body) <= 4096 and (length < encryption.LARGEST or len(body) == 4096)


# What the service answers


@pytest.mark.parametrize("status", [404, 410])
def test_a_subscription_that_is_gone_is_dropped(alice_api, service, status):
    service.statuses["/a"] = status
    subscribe(alice_api, f"{service.origin}/a")
    for _ in range(2):
        task(alice_api)
    assert remind() == "0 pushes sent, 1 failed"
    assert listed(alice_api) == [] and len(service.pushes) == 1
    assert not PushDelivery.objects.exists()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(alice_api, service, status):
    service.statuses["/a"] = status
    service.headers["Location"] = f"{service.origin}/elsewhere"
    subscribe(alice_api, f"{service.origin}/a")
    task(alice_api)
    assert remind() == "0 pushes sent, 1 failed"
    let_time_pass(hours=2)
    remind()
    assert [push.path for push in service.pushes] == ["/a"]
    assert len(listed(alice_api)) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 413])
def test_what_is_refused_for_good_is_not_tried_again(alice_api, service, status):
    service.statuses["/a"] = status
    subscribe(alice_api, f"{service.origin}/a")
    task(alice_api)
    remind()
    let_time_pass(hours=2)
    assert remind() == "no pushes"
    assert len(service.pushes) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_failed_is_tried_again_with_growing_pauses_for_a_day(alice_api, service, status):
    service.statuses["/a"] = status
    subscribe(alice_api, f"{service.origin}/a")
    task(alice_api)
    tries: list[int] = []
    for minute in range(26 * 60):
        remind()
        if len(service.pushes) > len(tries):
            tries.append(minute)
        if not PushDelivery.objects.exists():
            break
        # Straight to the next try.
        (waits,) = PushSubscription.objects.values_list("next_try_at", flat=True)
        let_time_pass(seconds=((waits or NOON) - timezone.now()).total_seconds() + 1)
    assert 20 < len(tries) < 40 and not PushDelivery.objects.exists()
    service.statuses.clear()
    assert len(listed(alice_api)) == 1
    task(alice_api)
    assert remind() == "1 push sent, 0 failed"


def test_pauses():
    seconds = [pause(failures).total_seconds() for failures in range(12)]
    assert seconds == [0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]
    assert pause(1000) == HOUR
    assert pause(1, 7) == timedelta(seconds=30)
    assert pause(1, 7200) == 2 * HOUR
    assert pause(1, 1e8) == timedelta(days=1)


@pytest.mark.parametrize("form", ["seconds", "moment"])
def test_it_waits_as_long_as_the_service_says(alice_api, service, form):
    later = format_datetime(datetime.now(UTC) + 3 * HOUR, usegmt=True)
    service.headers["Retry-After"] = "10800" if form == "seconds" else later
    service.statuses["/a"] = 429
    subscribe(alice_api, f"{service.origin}/a")
    task(alice_api)
    remind()
    service.statuses.clear()
    let_time_pass(hours=2.9)
    assert remind() == "no pushes"
    let_time_pass(hours=0.2)
    assert remind() == "1 push sent, 0 failed"


@pytest.mark.parametrize("said", ["", "soon", "-1", "1e9", "Thu, 99 Foo", "٣", "9" * 400])
def test_no_retry_after_does_harm(alice_api, service, said):
    service.headers["Retry-After"] = said.encode().decode("latin-1")
    service.statuses["/a"] = 503
    subscribe(alice_api, f"{service.origin}/a")
    task(alice_api)
    assert remind() == "0 pushes sent, 1 failed"
    assert PushDelivery.objects.get().begun_at is None


def test_where_nobody_listens_it_is_tried_again(alice_api, service):
    subscribe(alice_api, f"http://127.0.0.1:{free_port()}/a")
    task(alice_api)
    assert remind() == "0 pushes sent, 1 failed"
    assert remind() == "no pushes"  # not yet
    let_time_pass(minutes=1)
    assert remind() == "0 pushes sent, 1 failed"


def test_one_that_never_answers_holds_up_nobody(alice_api, bob_api, service):
    """The one endpoint answers only when the others have got theirs."""
    dead = service.hold("/dead")
    subscribe(alice_api, f"{service.origin}/dead")
    for number in range(5):
        path = f"/b{number}"
        subscribe(bob_api, service.origin + path)
        service.arrived[path] = dead if number == 4 else type(dead)()
    for api in (alice_api, bob_api):
        task(api)
    assert remind() == "6 pushes sent, 0 failed"


def test_what_got_no_answer_is_not_sent_again(alice_api, service, monkeypatch):
    monkeypatch.setattr(sending, "TIMEOUT", 0.3)
    held = service.hold("/a")
    subscribe(alice_api, f"{service.origin}/a")
    task(alice_api)
    assert remind() == "0 pushes sent, 1 failed"
    held.set()
    assert not PushDelivery.objects.exists()
    let_time_pass(days=2)
    assert remind() == "no pushes"
    assert len(service.pushes) == 1


@pytest.mark.parametrize(
    "answer",
    [
        *(
            b"",
            b"HTTP/1.1",
            b"\xff" * 1000,
            b"HTTP/1.1 abc\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10**6,
        ),
        *(b"HTTP/1.1 100 Continue\r\n\r\n" * 5000, b"SSH-2.0-x\r\n"),
    ],
)
def test_nonsense_is_no_answer(alice_api, answer, monkeypatch):
    monkeypatch.setattr(sending, "TIMEOUT", 2)
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def talk() -> None:
            connection, _ = listener.accept()
            with closing(connection):
                connection.recv(65536)
                with suppress(OSError):
                    connection.sendall(answer)

        Thread(target=talk, daemon=True).start()
        subscribe(alice_api, f"http://127.0.0.1:{listener.getsockname()[1]}/a")
        task(alice_api)
        assert remind() == "0 pushes sent, 1 failed"
    assert not PushDelivery.objects.exists()


def test_answers_that_come_before_it_are_passed_over(alice_api):
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def talk() -> None:
            connection, _ = listener.accept()
            with closing(connection):
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 201 Created\r\n\r\n")

        Thread(target=talk, daemon=True).start()
        subscribe(alice_api, f"http://127.0.0.1:{listener.getsockname()[1]}/a")
        task(alice_api)
        assert remind() == "1 push sent, 0 failed"


def test_a_subscription_that_has_expired_gets_nothing(alice_api, service):
    soon = time.time() + 3600
    subscribe(alice_api, f"{service.origin}/a", expirationTime=soon * 1000)
    task(alice_api)
    assert sum(send_due(NOON)) == 1  # while it was good
    past = timezone.now() - HOUR
    PushSubscription.objects.update_unrecorded(expires_at=past)
    assert remind() == "no pushes"
    assert service.pushes == [] and listed(alice_api) == []


# Where it goes


def lead(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """Let names lead to these addresses, the last for good; the names that are asked for."""
    asked: list[str] = []
    left = list(answers)
    found = socket.getaddrinfo

    def look_up(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        if not host.endswith(".example.com"):
            return found(host, port, *args, **kwargs)
        asked.append(host)
        address = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr("tasks.push.addresses.socket.getaddrinfo", look_up)
    return asked


def test_a_name_that_leads_to_a_private_address_later_is_not_asked(
    alice_api, service, settings, monkeypatch
):
    settings.DEBUG = False
    lead(monkeypatch, "93.184.215.14", "127.0.0.1")
    subscribe(alice_api, f"https://push.example.com:{service.port}/a")
    task(alice_api)
    connected = []
    monkeypatch.setattr("asyncio.open_connection", lambda *where: connected.append(where))
    assert remind() == "0 pushes sent, 1 failed"
    assert connected == [] and service.pushes == []


def test_the_connection_is_to_the_address_that_was_checked(alice_api, service, monkeypatch):
    """The name leads elsewhere by the time of a second look, which nobody takes."""
    asked = lead(monkeypatch, "127.0.0.1", "127.0.0.1", "192.0.2.1")
    subscribe(alice_api, f"http://push.example.com:{service.port}/a")
    task(alice_api)
    assert remind() == "1 push sent, 0 failed"
    assert asked == ["push.example.com"] * 2  # when subscribing, and when sending
    (push,) = service.pushes
    assert push.headers["Host"] == f"push.example.com:{service.port}"
    push.verified(f"http://push.example.com:{service.port}")


@pytest.fixture
def trusted(monkeypatch, tmp_path) -> Iterator[Any]:
    """Trust a certificate for a name, or an address, and for nothing else."""

    def trust(name: str) -> Any:
        certificate = certificate_for(name, tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        sending._tls.cache_clear()
        return certificate

    yield trust
    sending._tls.cache_clear()


@pytest.mark.parametrize(
    ("certified", "said"),
    [
        ("push.example.com", "1 push sent, 0 failed"),
        ("other.example.com", "0 pushes sent, 1 failed"),
        ("127.0.0.1", "0 pushes sent, 1 failed"),  # the address is not who was asked for
    ],
)
@pytest.mark.parametrize("way", ["straight", "proxy"])
def test_tls_verifies_the_name(alice_api, trusted, monkeypatch, certified, said, way):
    asked = lead(monkeypatch, "127.0.0.1")
    proxy = Proxy()
    if way == "proxy":
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:p%40ss@{proxy.address}")
    with listening(proxy.http), serving(trusted(certified)) as service:
        subscribe(alice_api, f"https://push.example.com:{service.port}/a")
        task(alice_api)
        assert remind() == said
        assert len(service.pushes) == said.startswith("1")
        if way == "proxy":  # which was given the address that was checked, and no name
            assert proxy.asked == [f"CONNECT 127.0.0.1:{service.port}"]
            assert proxy.credentials == ["Basic bWU6cEBzcw=="]
        assert asked == ["push.example.com"] * 2
        if not service.pushes:
            assert PushDelivery.objects.get().begun_at is None  # not a byte of it had left


def test_a_certificate_that_nobody_vouches_for_is_none(alice_api, tmp_path, monkeypatch):
    sending._tls.cache_clear()
    with serving(certificate_for("127.0.0.1", tmp_path)) as service:
        subscribe(alice_api, f"{service.origin}/a")
        task(alice_api)
        assert remind() == "0 pushes sent, 1 failed"
        assert service.pushes == []


def test_a_proxy_that_refuses_has_sent_nothing(alice_api, service, monkeypatch):
    proxy = Proxy()
    proxy.mood = "refusing"
    monkeypatch.setenv("HTTP_PROXY", proxy.address)
    with listening(proxy.http):
        subscribe(alice_api, f"{service.origin}/a")
        task(alice_api)
        assert remind() == "0 pushes sent, 1 failed"
    assert service.pushes == [] and PushDelivery.objects.get().begun_at is None
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    let_time_pass(minutes=1)
    assert remind() == "1 push sent, 0 failed"


def test_without_debug_it_has_to_be_https(alice_api, service, settings):
    subscribe(alice_api, f"{service.origin}/a")
    task(alice_api)
    settings.DEBUG = False
    assert remind() == "0 pushes sent, 1 failed"
    assert service.pushes == []


def test_tls_verifies_at_all():
    context = sending._tls()
    assert context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname
