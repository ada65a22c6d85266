"""Middleware that costs only those requests that need it."""

from collections.abc import Callable
from typing import Any

from corsheaders.middleware import CorsMiddleware
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseForbidden
from django.http.response import ResponseHeaders
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.common import CommonMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.security import SecurityMiddleware
from django.utils.cache import patch_vary_headers

from accounts.owned.acting import acting_as_everyone

GetResponse = Callable[[HttpRequest], HttpResponseBase]

MAX_HOSTS = 100  # spellings of good `Host` headers that are remembered


def add_missing(response: HttpResponseBase, headers: ResponseHeaders) -> None:
    """Add those of `headers` that the response does not have.

    Past the mapping's own methods, which check and convert each name and value: for `headers` that
    are made once, that has been done.
    """
    response.headers._store = {**headers._store, **response.headers._store}


class SecurityHeaders(SecurityMiddleware):
    """Django's, asked once for http and once for https: its headers depend on nothing else."""

    async_capable = False

    def __init__(self, get_response: GetResponse) -> None:
        super().__init__(get_response)
        self._headers: dict[bool, ResponseHeaders] = {}

    def __call__(self, request: HttpRequest) -> Any:
        if self.redirect:
            return super().__call__(request)
        response: Any = self.get_response(request)
        secure = request.is_secure()
        if secure not in self._headers:
            blank = HttpResponse()
            del blank.headers["Content-Type"]
            self._headers[secure] = self.process_response(request, blank).headers
        add_missing(response, self._headers[secure])
        return response


class FrameOptions(XFrameOptionsMiddleware):
    """Django's, asked once."""

    async_capable = False

    def __init__(self, get_response: GetResponse) -> None:
        super().__init__(get_response)
        value = self.get_xframe_options_value(HttpRequest(), HttpResponse())
        self._headers = ResponseHeaders({"X-Frame-Options": value})

    def __call__(self, request: HttpRequest) -> Any:
        response: Any = self.get_response(request)
        if not getattr(response, "xframe_options_exempt", False):
            add_missing(response, self._headers)
        return response


def forbid_storing(get_response: GetResponse) -> GetResponse:
    """Answers that do not say how long they may be kept may not be kept at all.

    They hold what belongs to one person, or depend on who asks (a 401 too); a page of the next
    person at the same browser, or a careless proxy, must not see them again. Files of the admin say
    for themselves.
    """
    headers = ResponseHeaders({"Cache-Control": "no-store"})

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        add_missing(response, headers)
        return response

    return middleware


class CorsForBrowsers(CorsMiddleware):
    """The CORS middleware, which has little to say to whoever names no origin."""

    async_capable = False

    def __init__(self, get_response: GetResponse) -> None:
        super().__init__(get_response)
        self._headers = ResponseHeaders({"Vary": "origin"})

    def __call__(self, request: HttpRequest) -> Any:
        if "HTTP_ORIGIN" in request.META:
            return super().__call__(request)
        response: Any = self.get_response(request)
        if self.is_enabled(request):
            if response.has_header("Vary"):
                patch_vary_headers(response, ("origin",))
            else:
                add_missing(response, self._headers)
        return response


class CommonOutsideTheAdmin(CommonMiddleware):
    """Django's, of which the API needs two things: hosts are checked, and lengths are told.

    No path of the API is ever redirected. A good `Host` header is looked at once, not by everybody
    who wants to know it.
    """

    async_capable = False

    def __init__(self, get_response: GetResponse) -> None:
        super().__init__(get_response)
        self._good_hosts: dict[str, Callable[[], str]] = {}

    def __call__(self, request: HttpRequest) -> Any:
        if request.path_info.startswith("/admin"):  # `/admin` itself too: it lacks its slash
            return super().__call__(request)
        header = request.META.get("HTTP_HOST", "")
        known = self._good_hosts.get(header)
        if known is not None:
            request.get_host = known  # type: ignore[method-assign]
        else:
            host = request.get_host()  # raises `DisallowedHost`
            # Where it is for a proxy to say the host, another header counts as well.
            if (
                header == host
                and not settings.USE_X_FORWARDED_HOST
                and len(self._good_hosts) < MAX_HOSTS
            ):
                self._good_hosts[header] = lambda: host
        response: Any = self.get_response(request)
        if not response.streaming and not response.has_header("Content-Length"):
            response.headers["Content-Length"] = str(len(response.content))
        return response


class AdminMiddleware:
    """What the admin needs around it: Django's sessions, CSRF checks, accounts and messages.

    As one, for the API needs none of them, and each would cost every request something only to let
    it by.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self._csrf = CsrfViewMiddleware(get_response)
        inner: Any = get_response
        for layer in (  # innermost first
            MessageMiddleware,
            AuthenticationMiddleware,
            CsrfViewMiddleware,
            SessionMiddleware,
        ):
            # As in `MIDDLEWARE`: what one of them raises is a response for those outside of it.
            inner = convert_exception_to_response(layer(inner))
        self._get_admin_response = inner

    def __call__(self, request: HttpRequest) -> Any:
        if not is_admin(request):
            return self.get_response(request)
        with acting_as_everyone():  # staff see everybody's rows: the declared exception
            return self._get_admin_response(request)

    def process_view(self, request: HttpRequest, *view: Any) -> HttpResponseForbidden | None:
        return self._csrf.process_view(request, *view) if is_admin(request) else None


def is_admin(request: HttpRequest) -> bool:
    """Whether a request is for the admin, whose people are Django accounts."""
    return request.path_info.startswith("/admin/")
