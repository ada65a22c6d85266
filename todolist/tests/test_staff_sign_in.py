"""Sign-in to the admin is limited in tries, by name and by address (SECURITY.md)."""

import logging
import time
from datetime import timedelta
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from secrets import randbelow, token_hex
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.test import Client
from redis.exceptions import ConnectionError as RedisConnectionError

from conftest import Server

pytestmark = pytest.mark.django_db

LOGIN = "/admin/login/"
PASSWORD = "the-right-one-0123"
WRONG = "a-wrong-one-0123"
LIMIT = 5


def new_address() -> str:
    """One that no other test, nor another run on the same Redis, has used."""
    return f"127.{randbelow(255)}.{randbelow(255)}.{1 + randbelow(254)}"


@pytest.fixture
def here() -> str:
    return new_address()


def new_name() -> str:
    return f"staff-{token_hex(8)}"


@pytest.fixture
def name() -> str:
    return User.objects.create_superuser(new_name(), password=PASSWORD).get_username()


def sign_in(name: str, password: str, address: str, **headers: Any) -> Any:
    """One try by somebody who keeps no cookies."""
    form = {"username": name, "password": password}
    return Client().post(LOGIN, form, REMOTE_ADDR=address, **headers)


def test_the_right_password_opens(name, here):
    assert sign_in(name, PASSWORD, here).status_code == 302


def test_too_many_wrong_ones_lock_the_name_from_everywhere(name, here):
    answers = [sign_in(name, WRONG, new_address()) for _ in range(LIMIT)]

    assert [answer.status_code for answer in answers] == [200] * (LIMIT - 1) + [429]
    locked = sign_in(name, PASSWORD, here)
    assert locked.status_code == 429
    assert locked["Retry-After"] == "900"
    assert "Too many tries" in locked.content.decode()
    assert "sessionid" not in locked.cookies


def test_too_many_wrong_ones_lock_the_address_whatever_the_names(name, here):
    for _ in range(LIMIT):
        sign_in(new_name(), WRONG, here)

    assert sign_in(name, PASSWORD, here).status_code == 429
    assert sign_in(name, PASSWORD, new_address()).status_code == 302


def test_an_address_that_the_client_claims_is_not_believed(name, here):
    for _ in range(LIMIT):
        sign_in(new_name(), WRONG, here, HTTP_X_FORWARDED_FOR=new_address())

    answer = sign_in(name, PASSWORD, here, HTTP_X_FORWARDED_FOR=new_address())
    assert answer.status_code == 429


def test_a_lock_lapses_and_tries_meanwhile_do_not_prolong_it(name, here, settings):
    settings.AXES_COOLOFF_TIME = timedelta(seconds=2)
    deadline = time.monotonic() + 60
    while sign_in(name, WRONG, here).status_code != 429:
        assert time.monotonic() < deadline
    while sign_in(name, PASSWORD, here).status_code != 302:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_success_forgets_what_went_wrong_before(name, here):
    for _ in range(2):
        for _ in range(LIMIT - 1):
            assert sign_in(name, WRONG, here).status_code == 200
        assert sign_in(name, PASSWORD, here).status_code == 302


def test_a_lock_is_logged_with_the_address_and_without_password_or_name(here, caplog):
    name = new_name()  # people type their password into the wrong field
    with caplog.at_level(logging.INFO):
        for _ in range(LIMIT + 1):
            sign_in(name, WRONG, here)

    assert "Locking out" in caplog.text and here in caplog.text
    assert WRONG not in caplog.text
    assert name not in caplog.text


def test_who_is_locked_out_of_the_admin_may_use_the_api(alice_api, here):
    for _ in range(LIMIT):
        sign_in(new_name(), WRONG, here)

    assert alice_api.get("/me", REMOTE_ADDR=here).status_code == 200


@pytest.mark.parametrize("odd", ["", "\x00", "x" * 5000, "\u202e", "%", "a\nb", "'"])
def test_odd_names_and_passwords_are_only_wrong(odd):
    assert sign_in(odd, odd, new_address()).status_code in (200, 429)


def test_while_tries_cannot_be_counted_nobody_signs_in(name, here, monkeypatch):
    def fails(*args: object, **kwargs: object) -> None:
        raise RedisConnectionError("nobody there")

    monkeypatch.setattr("axes.handlers.cache.AxesCacheHandler.get_failures", fails)
    answer = sign_in(name, PASSWORD, here)
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "sessionid" not in answer.cookies


def test_server_processes_count_together_over_redis(start_server, settings, here):
    if not settings.REDIS_URL:
        pytest.skip("without Redis a deployment has one process")
    first: Server = start_server()
    second: Server = start_server(DATABASE_URL=first.database_url)
    statuses = [post_form(server.port, new_name(), here) for server in (first, second) * 3]
    assert statuses == [200] * (LIMIT - 1) + [429] * 2


def post_form(port: int, name: str, address: str) -> int:
    """A wrong try from `address`, as a browser makes it: with the CSRF token of the form."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30, source_address=(address, 0))
    connection.request("GET", LOGIN)
    response = connection.getresponse()
    response.read()
    token = SimpleCookie(response.getheader("Set-Cookie") or "")["csrftoken"].value
    form = urlencode({"username": name, "password": WRONG, "csrfmiddlewaretoken": token})
    headers = {
        "Cookie": f"csrftoken={token}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    connection.request("POST", LOGIN, form, headers)
    status = connection.getresponse().status
    connection.close()
    return status
