"""Middleware that costs only those requests that need it."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from corsheaders.middleware import ACCESS_CONTROL_ALLOW_ORIGIN, CorsMiddleware
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import DisallowedHost, SuspiciousOperation
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseForbidden
from django.http.response import ResponseHeaders
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.common import CommonMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.security import SecurityMiddleware
from django.utils.cache import patch_vary_headers

from accounts.owned.acting import acting_as_everyone
from accounts.signin.refusals import FOREIGN_ORIGIN, log_refused_request
from todolist.logs import request_ids

GetResponse = Callable[[HttpRequest], HttpResponseBase]

MAX_HOSTS = 100  # spellings of good `Host` headers that are remembered
MAX_HOST = 255  # characters of such a spelling; a port may have any number of zeros
# Backslashes in `Cookie`: Python before 3.11.10 takes the square of their number to read them.
MAX_ESCAPES = 100


def stored(headers: ResponseHeaders) -> dict[str, tuple[str, str]]:
    """Names and values by the names in lower case: what is beneath the mapping.

    Past its methods, which check and convert each name and value, or look for each name twice.
    """
    found: dict[str, tuple[str, str]] = headers._store
    return found


class StandingHeaders(SecurityMiddleware):
    """The request's id, and Django's security headers with `X-Frame-Options`, made once for each scheme.

    And `Cache-Control: no-store` where an answer does not say how long it may be kept: it depends on
    who asks. What a response has already stays.
    """

    async_capable = False

    def __init__(self, get_response: GetResponse) -> None:
        super().__init__(get_response)
        self._frames = XFrameOptionsMiddleware(get_response)
        self._made: dict[bool, dict[str, tuple[str, str]]] = {}

    def __call__(self, request: HttpRequest) -> Any:
        request_id = getattr(request, "scope", {}).get(request_ids.SCOPE)  # on ASGI
        if request_id is None:
            request_id = request_ids.begin(request.META.get("HTTP_X_REQUEST_ID", ""))
        redirected = self.process_request(request) if self.redirect else None
        response: Any = redirected or self.get_response(request)
        secure = request.is_secure()
        if secure not in self._made:
            made = HttpResponse(headers={"Cache-Control": "no-store"})
            del made.headers["Content-Type"]
            made = self._frames.process_response(request, self.process_response(request, made))
            self._made[secure] = stored(made.headers)
        present = stored(response.headers)
        present["x-request-id"] = request_ids.HEADER, request_id
        for name, header in self._made[secure].items():
            if name not in present and not (
                name == "x-frame-options" and getattr(response, "xframe_options_exempt", False)
            ):
                present[name] = header
        return response


class CorsForBrowsers(CorsMiddleware):
    """The CORS middleware, which has little to say to whoever names no origin."""

    async_capable = False

    def __call__(self, request: HttpRequest) -> Any:
        response: Any
        if origin := request.META.get("HTTP_ORIGIN"):
            response = super().__call__(request)
            if ACCESS_CONTROL_ALLOW_ORIGIN not in response and not self._is_ours(request, origin):
                log_refused_request(request, FOREIGN_ORIGIN)
            return response
        response = self.get_response(request)
        if self.is_enabled(request):
            headers = stored(response.headers)
            if "vary" in headers:
                patch_vary_headers(response, ("origin",))
            else:
                headers["vary"] = "Vary", "origin"
        return response

    def _is_ours(self, request: HttpRequest, origin: str) -> bool:
        """Whether it is this server's own, or the business of the admin."""
        with suppress(DisallowedHost):
            if origin == f"{request.scheme}://{request.get_host()}":
                return True
        return not self.is_enabled(request)


class CommonOutsideTheAdmin(CommonMiddleware):
    """Django's; whether a path lacks its slash, it looks up outside the admin only after a 404.

    A good `Host` header is looked at once, and not by everybody who wants to know it.
    """

    async_capable = False

    def __init__(self, get_response: GetResponse) -> None:
        super().__init__(get_response)
        self._good_hosts: set[str] = set()

    def __call__(self, request: HttpRequest) -> Any:
        if request.path_info.startswith("/admin"):  # `/admin` itself too: it lacks its slash
            return super().__call__(request)
        host = request.META.get("HTTP_HOST", "")
        if request.path_info.startswith("/health/"):
            pass  # probes come by address, and what they are told names no host
        elif host in self._good_hosts:
            request.get_host = lambda: host  # type: ignore[method-assign]
        elif (
            request.get_host() == host  # raises `DisallowedHost`
            and not settings.USE_X_FORWARDED_HOST  # where a proxy says the host
            and len(self._good_hosts) < MAX_HOSTS
            and len(host) <= MAX_HOST
        ):
            self._good_hosts.add(host)
        response: Any = self.get_response(request)
        return self.process_response(request, response)


class AdminMiddleware:
    """Django's sessions, CSRF checks, accounts and messages, around the admin alone."""

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
        if not is_admin(request.path_info):
            return self.get_response(request)
        if request.META.get("HTTP_COOKIE", "").count("\\") > MAX_ESCAPES:
            raise SuspiciousOperation("Too many escaped characters in Cookie")
        with acting_as_everyone():  # staff see everybody's rows: the declared exception
            return self._get_admin_response(request)

    def process_view(self, request: HttpRequest, *view: Any) -> HttpResponseForbidden | None:
        return self._csrf.process_view(request, *view) if is_admin(request.path_info) else None


def is_admin(path: str) -> bool:
    """Whether a path below our prefix is one of the admin, whose people are Django accounts."""
    return path.startswith("/admin/")
