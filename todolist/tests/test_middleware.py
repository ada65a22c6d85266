"""What Django's middleware promises holds where ours asks it less often."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import DisallowedHost
from django.http import HttpResponse
from django.middleware.csrf import get_token
from django.test import Client, RequestFactory
from django.views.decorators.csrf import csrf_exempt

from todolist.serving.middleware import (
    AdminMiddleware,
    CommonOutsideTheAdmin,
    CorsForBrowsers,
    StandingHeaders,
)

# On PostgreSQL every request to the admin begins with a statement.
pytestmark = pytest.mark.django_db

requests = RequestFactory()


def through(middleware: Any, headers: dict[str, str] | None = None, **asked: Any) -> Any:
    """What becomes of an answer with these headers."""
    return middleware(lambda request: HttpResponse("x", headers=headers))(
        requests.get("/me", **asked)
    )


@pytest.mark.parametrize(
    ("middleware", "name", "value"),
    [
        (StandingHeaders, "Referrer-Policy", "same-origin"),
        (StandingHeaders, "X-Frame-Options", "DENY"),
        (StandingHeaders, "Cache-Control", "no-store"),
        (CorsForBrowsers, "Vary", "origin"),
        (CommonOutsideTheAdmin, "Content-Length", "1"),
    ],
)
def test_a_header_is_added_where_it_is_missing(middleware, name, value):
    assert through(middleware)[name] == value


@pytest.mark.parametrize(
    ("middleware", "name"),
    [
        (StandingHeaders, "REFERRER-policy"),
        (StandingHeaders, "x-FRAME-options"),
        (StandingHeaders, "cache-CONTROL"),
        (CommonOutsideTheAdmin, "content-LENGTH"),
    ],
)
def test_what_a_view_says_itself_stays(middleware, name):
    answer = through(middleware, {name: "its own"})

    assert answer[name] == "its own"
    assert [said.lower() for said in answer.headers].count(name.lower()) == 1


def test_vary_names_the_origin_beside_what_else_there_is():
    assert through(CorsForBrowsers, {"vary": "Accept"})["Vary"] == "Accept, origin"


def test_a_view_may_be_framed_where_it_says_so():
    exempt = HttpResponse()
    exempt.xframe_options_exempt = True

    assert "X-Frame-Options" not in StandingHeaders(lambda request: exempt)(requests.get("/"))


def test_headers_of_one_answer_are_not_those_of_the_next():
    """They come from one mapping, which nobody may change through an answer."""
    answers = iter([HttpResponse(), HttpResponse()])
    protected = StandingHeaders(lambda request: next(answers))
    first = protected(requests.get("/"))
    first["Referrer-Policy"] = "no-referrer"
    first["X-Of-One"] = "1"

    second = protected(requests.get("/"))

    assert second["Referrer-Policy"] == "same-origin"
    assert "X-Of-One" not in second


def test_tls_is_promised_where_there_is_tls_whoever_came_before():
    protected = StandingHeaders(lambda request: HttpResponse())
    promised = [
        "Strict-Transport-Security" in protected(requests.get("/", secure=secure))
        for secure in (False, True, False, True)
    ]

    assert promised == [False, True, False, True]


def test_a_redirect_to_tls_is_django_s(settings):
    settings.SECURE_SSL_REDIRECT = True

    assert through(StandingHeaders)["Location"] == "https://testserver/me"


# Hosts


@pytest.mark.parametrize("path", ["/me", "/admin/"])
def test_a_bad_host_is_refused_every_time_and_a_good_one_never(path):
    asked = CommonOutsideTheAdmin(lambda request: HttpResponse())

    for _ in range(2):
        assert asked(requests.get(path)).status_code == 200
        for host in ("evil.example.com", "", "testserver:port"):
            with pytest.raises(DisallowedHost):
                asked(requests.get(path, HTTP_HOST=host))


def test_a_server_without_a_host_header_is_known_by_its_own_name():
    asked = CommonOutsideTheAdmin(lambda request: HttpResponse())

    for _ in range(2):
        assert asked(requests.get("/me")).status_code == 200
        with pytest.raises(DisallowedHost):
            asked(requests.get("/me", SERVER_NAME="evil.example.com"))


def test_where_a_proxy_says_the_host_it_is_asked_every_time(settings):
    settings.ALLOWED_HOSTS = ["testserver", ".example.com"]
    settings.USE_X_FORWARDED_HOST = True
    asked = CommonOutsideTheAdmin(lambda request: HttpResponse(request.get_host()))

    def answer(**headers: str) -> bytes:
        headers = {"host": "testserver", **headers}
        return bytes(asked(requests.get("/me", headers=headers)).content)

    assert answer() == b"testserver"
    for host in ("a.example.com", "b.example.com"):
        assert answer(x_forwarded_host=host) == host.encode()
    with pytest.raises(DisallowedHost):
        answer(x_forwarded_host="evil.example.org")


def test_each_host_is_told_as_it_is():
    asked = CommonOutsideTheAdmin(lambda request: HttpResponse(request.get_host()))

    for host in ("testserver", "testserver:8000", "TestServer") * 2:
        assert asked(requests.get("/me", HTTP_HOST=host)).content == host.encode()


# The admin


def post(path: str, view: Any) -> Any:
    """What a POST without a CSRF token gets from middleware before the view."""
    request = requests.post(path)
    middleware = AdminMiddleware(lambda request: HttpResponse())
    return middleware.process_view(request, view, (), {})


def test_in_the_admin_a_view_is_called_with_a_csrf_token_only():
    request = requests.post("/admin/x")
    seen: list[Any] = []

    def calls(request: Any) -> HttpResponse:
        seen.append(middleware.process_view(request, HttpResponse, (), {}))
        return HttpResponse()

    middleware = AdminMiddleware(calls)
    middleware(request)
    assert seen[0].status_code == 403
    assert post("/admin/x", csrf_exempt(HttpResponse)) is None
    assert post("/tasks", HttpResponse) is None


def test_in_the_admin_a_page_that_asks_for_a_csrf_token_sets_its_cookie():
    def page(request: Any) -> HttpResponse:
        return HttpResponse(get_token(request))

    assert "csrftoken" in AdminMiddleware(page)(requests.get("/admin/")).cookies
    assert not AdminMiddleware(page)(requests.get("/me")).cookies


def test_only_the_admin_has_sessions_accounts_and_messages():
    for path, has in (("/admin/", True), ("/me", False), ("/adminx", False)):
        request = requests.get(path)
        AdminMiddleware(lambda request: HttpResponse())(request)
        for name in ("session", "user", "_messages"):
            assert hasattr(request, name) is has, (path, name)


def test_a_session_that_ends_meanwhile_is_400_and_what_was_done_stays(settings):
    """As with `SessionMiddleware` in `MIDDLEWARE`: what it raises ends as an answer."""
    browser = Client()
    browser.force_login(User.objects.create_superuser("staff"))

    def view(request: Any) -> HttpResponse:
        User.objects.create_user("made")
        request.session["x"] = 1
        request.session._session  # noqa: B018  read before it goes
        request.session.model.objects.all().delete()
        return HttpResponse()

    request = requests.get("/admin/")
    request.COOKIES[settings.SESSION_COOKIE_NAME] = browser.cookies["sessionid"].value

    assert AdminMiddleware(view)(request).status_code == 400
    assert User.objects.filter(username="made").exists()
