"""How published keys are fetched: under which name, by which way, and within which bounds."""

import base64
import socket
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from threading import Thread

import pytest
from django.conf import settings as django_settings

from accounts.signin import download as module
from accounts.signin.download import FETCH_TIMEOUT, download
from accounts.signin.errors import FetchError
from accounts.signin.keyset import KeySet, key_set
from accounts.signin.known_tokens import verify
from accounts.tests.keyserver import KeyServer, SigningKey, serving
from accounts.tests.proxy import Proxy, certificate_for, listening
from conftest import free_port

PASSWORD = "marked-pass word@/:"
CREDENTIALS = "user:marked-pass%20word%40%2F%3A"


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def key() -> SigningKey:
    return SigningKey("EdDSA")


@pytest.fixture
def key_server(key) -> Iterator[KeyServer]:
    with serving(key) as server:
        yield server


@pytest.fixture
def secure_key_server(key, tmp_path: Path, monkeypatch) -> Iterator[KeyServer]:
    """One that speaks TLS, with a certificate that this process trusts."""
    certificate = certificate_for("127.0.0.1", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serving(key, certificate=certificate) as server:
        yield server


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    proxy = Proxy()
    with listening(proxy.http):
        yield proxy


def test_the_fetch_says_who_it_is(key_server):
    download(key_server.url)
    assert key_server.headers["User-Agent"] == f"todolist/{django_settings.VERSION}"
    assert key_server.headers["Accept"] == "application/json"


def test_keys_over_tls(secure_key_server, key, settings):
    settings.BETTER_AUTH_URL = secure_key_server.origin
    assert verify(key.sign(secure_key_server.origin)).user.id == "alice"


def test_a_certificate_that_nobody_vouches_for_is_refused(secure_key_server, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(FetchError, match="CERTIFICATE_VERIFY_FAILED"):
        download(secure_key_server.url)
    assert secure_key_server.fetches == 0


def test_a_certificate_for_another_name_is_refused(secure_key_server):
    with pytest.raises(FetchError, match="CERTIFICATE_VERIFY_FAILED"):
        download(secure_key_server.url.replace("127.0.0.1", "localhost"))


# The way


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy"])
@pytest.mark.parametrize("scheme", ["http://", ""])
def test_a_proxy_for_http(key_server, proxy, monkeypatch, variable, scheme):
    monkeypatch.setenv(variable, f"{scheme}{proxy.address}")
    assert b"keys" in download(key_server.url)[0]
    assert proxy.asked == [f"GET {key_server.url}"]
    assert key_server.headers["User-Agent"].startswith("todolist/")


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
@pytest.mark.parametrize("scheme", ["http://", ""])
def test_a_proxy_for_https(secure_key_server, proxy, monkeypatch, variable, scheme, settings, key):
    monkeypatch.setenv(variable, f"{scheme}{proxy.address}")
    settings.BETTER_AUTH_URL = secure_key_server.origin
    assert verify(key.sign(secure_key_server.origin)).user.id == "alice"
    assert proxy.asked == [f"CONNECT {secure_key_server.origin.removeprefix('https://')}"]


@pytest.mark.parametrize("secure", [False, True])
def test_credentials_are_for_the_proxy(request, proxy, monkeypatch, caplog, secure):
    server = request.getfixturevalue("secure_key_server" if secure else "key_server")
    monkeypatch.setenv(
        "https_proxy" if secure else "http_proxy", f"http://{CREDENTIALS}@{proxy.address}"
    )
    caplog.set_level("DEBUG")
    key_set(server.url).refresh()
    assert proxy.credentials == ["Basic " + base64.b64encode(f"user:{PASSWORD}".encode()).decode()]
    assert not secure or server.headers["Proxy-Authorization"] is None
    assert "marked-pass" not in caplog.text


@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize("names", ["127.0.0.1", "*", "localhost, 127.0.0.1,.example.com"])
def test_hosts_without_a_proxy(key_server, proxy, monkeypatch, variable, names):
    monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.address}")
    monkeypatch.setenv(variable, names)
    download(key_server.url)
    assert proxy.asked == [] and key_server.fetches == 1


def test_the_proxy_of_another_scheme_is_not_asked(key_server, proxy, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
    download(key_server.url)
    assert proxy.asked == [] and key_server.fetches == 1


@pytest.mark.parametrize(
    "proxy_url",
    [
        "http://user:marked-pass@127.0.0.1:{port}",
        "http://user:marked-pass@127.0.0.1:marked-pass",
        "http://user:marked-pass",
        "http:/user:marked-pass@127.0.0.1:{port}",
        "socks5://user:marked-pass@127.0.0.1:{port}",
        "user:marked-pass@127.0.0.1:{port}",
        "http://user:marked-pass@127.0.0.1:{port}/marked-pass",
        "http://user:marked pass@[::1:{port}",
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_does_not_work(monkeypatch, caplog, scheme, proxy_url):
    caplog.set_level("DEBUG")
    monkeypatch.setenv(f"{scheme.upper()}_PROXY", proxy_url.format(port=free_port()))
    KeySet(f"{scheme}://auth.example.com/jwks")._fetch()
    assert "No published keys from" in caplog.text
    assert "marked" not in caplog.text and "pass" not in caplog.text


def test_a_proxy_that_refuses_is_named_with_its_answer(secure_key_server, proxy, monkeypatch):
    proxy.mood = "refusing"
    monkeypatch.setenv("HTTPS_PROXY", f"http://{CREDENTIALS}@{proxy.address}")
    with pytest.raises(FetchError, match=r"407 .* through the proxy of HTTPS_PROXY") as raised:
        download(secure_key_server.url)
    assert "marked" not in str(raised.value)


# The bounds


def test_a_redirect_is_not_followed_and_told(key_server):
    key_server.mood = "redirecting"
    with pytest.raises(FetchError, match=f"302, a redirect to {key_server.origin}/elsewhere"):
        download(key_server.url)
    assert key_server.fetches == 1


@pytest.mark.parametrize("status", [300, 301, 303, 307, 308])
def test_no_kind_of_redirect_is(key_server, status):
    key_server.mood, key_server.redirect = "redirecting", status
    with pytest.raises(FetchError, match=f"{status}, a redirect to"):
        download(key_server.url)
    assert key_server.fetches == 1


@pytest.mark.parametrize("mood", ["dripping", "dripping headers"])
@pytest.mark.parametrize("secure", [False, True])
def test_an_answer_that_drips_is_cut_off(request, monkeypatch, mood, secure):
    monkeypatch.setattr(module, "FETCH_TIMEOUT", 0.5)
    server = request.getfixturevalue("secure_key_server" if secure else "key_server")
    server.mood = mood
    cut_off(server.url)


def test_a_tunnel_that_drips_is_cut_off(secure_key_server, proxy, monkeypatch):
    monkeypatch.setattr(module, "FETCH_TIMEOUT", 0.5)
    monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
    proxy.mood = "dripping"
    try:
        cut_off(secure_key_server.url)
    finally:
        proxy.mood = "well"


def test_a_handshake_that_drips_is_cut_off(monkeypatch):
    monkeypatch.setattr(module, "FETCH_TIMEOUT", 0.5)
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def drip() -> None:
            with suppress(OSError), closing(listener.accept()[0]) as connection:
                connection.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03")  # a ServerHello
                while True:
                    connection.sendall(b"x")
                    time.sleep(0.02)

        thread = Thread(target=drip, daemon=True)
        thread.start()
        cut_off(f"https://127.0.0.1:{listener.getsockname()[1]}/jwks")
        thread.join(5)
    assert not thread.is_alive()


def cut_off(url: str) -> None:
    before = time.monotonic()
    with pytest.raises(FetchError, match="no answer within"):
        download(url)
    assert time.monotonic() - before < FETCH_TIMEOUT
