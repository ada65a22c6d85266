"""Middleware that costs only those requests that need it."""

from collections.abc import Callable
from typing import Any

from corsheaders.middleware import CorsMiddleware
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponseBase, HttpResponseForbidden
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.cache import patch_vary_headers
from django.utils.deprecation import MiddlewareMixin

from accounts.acting import acting_as_everyone


def is_admin(request: HttpRequest) -> bool:
    """Whether a request is for the admin, whose people are Django accounts."""
    return request.path_info.startswith("/admin/")


def act_for_everyone_in_the_admin(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Staff see everybody's rows: the declared exception from row-level security."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if not is_admin(request):
            return get_response(request)
        with acting_as_everyone():
            return get_response(request)

    return middleware


def forbid_storing(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Answers that do not say how long they may be kept may not be kept at all.

    They hold what belongs to one person, or depend on who asks (a 401 too); a page of the next
    person at the same browser, or a careless proxy, must not see them again. Files of the admin say
    for themselves.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return middleware


class CorsForBrowsers(CorsMiddleware):
    """The CORS middleware, which has little to say to whoever names no origin."""

    def __call__(self, request: HttpRequest) -> Any:
        if "HTTP_ORIGIN" in request.META:
            return super().__call__(request)
        response: Any = self.get_response(request)
        if self.is_enabled(request):
            patch_vary_headers(response, ("origin",))
        return response


class AdminOnly(MiddlewareMixin):
    """Mixed into a middleware: lets by what is not for the admin."""

    def __call__(self, request: HttpRequest) -> Any:
        if is_admin(request):
            return super().__call__(request)
        return self.get_response(request)


class AdminSessionMiddleware(AdminOnly, SessionMiddleware):
    pass


class AdminCsrfMiddleware(AdminOnly, CsrfViewMiddleware):
    def process_view(self, request: HttpRequest, *view: Any) -> HttpResponseForbidden | None:
        return super().process_view(request, *view) if is_admin(request) else None


class AdminAuthenticationMiddleware(AdminOnly, AuthenticationMiddleware):
    pass


class AdminMessageMiddleware(AdminOnly, MessageMiddleware):
    pass
