"""Sign-in to the admin is limited in tries, by name and by address (SECURITY.md)."""

import logging
import re
import time
from datetime import timedelta
from html import unescape
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from secrets import randbelow, token_hex
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.test.utils import override_script_prefix
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


def test_staff_stay_signed_in_while_the_secret_key_rotates(settings, name, here):
    old, new = settings.SECRET_KEY, "kX3-vN8_qT5zR1mW7bL9sD4gH6jP2yC0fA-uE_iO3rY5tK8wQ1nZ7xV"
    stays, late = Client(), Client()
    for client in (stays, late):
        form = {"username": name, "password": PASSWORD}
        assert client.post(LOGIN, form, REMOTE_ADDR=here).status_code == 302
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = new, [old]
    assert stays.get("/admin/").status_code == 200
    settings.SECRET_KEY_FALLBACKS = []
    assert stays.get("/admin/").status_code == 200  # signed anew when it was seen
    assert late.get("/admin/").status_code == 302


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


def led_to(name: str, here: str, where: str | None, **extra: Any) -> str:
    """Where somebody gets who signs in by the form that is shown to them, as a browser sends it."""
    client = Client()
    query = {} if where is None else {"next": where}
    page = client.get(LOGIN, query, **extra)
    shown = re.findall(r'name="next" value="([^"]*)"', page.content.decode())
    form = {"username": name, "password": PASSWORD, "next": unescape(shown[0])}
    path = LOGIN if where is None else f"{LOGIN}?{urlencode(query)}"
    answer = client.post(path, form, REMOTE_ADDR=here, **extra)
    assert answer.status_code == 302
    return str(answer["Location"])


GOOD = [
    *("/admin/", "/admin/tasks/task/", "/admin/tasks/task/?q=milk&completed__exact=1"),
    *("/admin", "/admin/tasks/event", "/admin/tasks/", "/admin/password_change/"),
    "/admin/tasks/task/019a0000-0000-7000-8000-000000000000/change/",
    "/admin/auth/user/1/history/#top",
]
BAD = [
    *("", " ", "/", "/nowhere", "/tasks", "/docs", "/administrator/", "/admin/nowhere/", "admin/"),
    *(
        "/admin/login/",
        "/admin/login",
        "/admin/login/?next=/admin/",
        "/admin/logout/",
        "/%61dmin2/",
    ),
    *("/admin/tasks/nothing/", "/admin/jsi18n/", "/admin/autocomplete/", "?", "#", "."),
    *(
        "//evil.example",
        "///evil.example",
        "https://evil.example/admin/",
        "http://[",
        "\\\\evil.example",
    ),
    *("/\\evil.example", "//evil.example/admin/", "http:///evil.example", "/\t/evil.example"),
    *(
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://testserver/admin/",
        "//testserver@evil.example",
    ),
    *("/admin/../nowhere", "/admin/tasks/task/../../../nowhere/", "/admin/%2e%2e/nowhere/"),
    *(
        "/admin/tasks/task/..\\..\\..\\nowhere/",
        "/admin/./%2E./nowhere/",
        "/admin/tasks/task/%5c..%5c/",
    ),
    *("/admin/\r\nSet-Cookie: a=b", "/admin/\x00", "/admin/%00", "\u202e/admin/", "/admin/\x1f"),
    *("/admin/?" + "x" * 3000, "/admin/" + "x" * 20_000, "/" * 5000),
]


@pytest.mark.parametrize("where", GOOD)
def test_whoever_signs_in_gets_where_they_were_going(name, here, where):
    assert led_to(name, here, where) == where


@pytest.mark.parametrize("where", [None, *BAD])
def test_whoever_was_going_nowhere_gets_to_the_start(name, here, where):
    assert led_to(name, here, where) == "/admin/"


@pytest.mark.parametrize("where", ["/nowhere", "//evil.example", "", None, "/admin/login/"])
def test_a_form_of_somebody_elses_leads_no_further(name, here, where):
    form = {"username": name, "password": PASSWORD}
    if where is not None:
        form["next"] = where
    for path in (LOGIN, f"{LOGIN}?next=/nowhere"):
        assert Client().post(path, form, REMOTE_ADDR=here)["Location"] == "/admin/"


def test_behind_a_prefix_it_is_the_same(name, here):
    """Servers say it as `SCRIPT_NAME` (PEP 3333) or `root_path` (ASGI)."""
    page = "/api/admin/tasks/task/?q=x"
    with override_script_prefix("/api/"):  # as servers do for each request
        assert led_to(name, here, page) == page
        for where in ("/admin/tasks/task/", "/nowhere", "/api/nowhere", "/apiadmin/", None):
            assert led_to(name, here, where) == "/api/admin/"


def test_signing_out_leads_to_no_page_that_is_not_there(name, here):
    for where in BAD[:12]:
        client = Client()
        client.force_login(User.objects.get(username=name))
        answer = client.post("/admin/logout/", {"next": where})
        assert answer.status_code == 200 and "Logged out" in answer.content.decode()


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
