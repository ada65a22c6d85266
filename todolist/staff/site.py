"""The door of the admin: sign-in that is limited in tries, and no input that makes a 500."""

import logging
from functools import wraps
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.core.exceptions import FieldDoesNotExist, FieldError, ValidationError
from django.db import DataError, InterfaceError, OperationalError, connection, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.template.response import SimpleTemplateResponse
from django.urls import Resolver404, get_script_prefix, resolve, reverse
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

# Django's admin keeps its scripts and styles in files of its own.
POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

TOO_MANY_TRIES = "Too many tries. Wait a quarter of an hour, then try again."

# What Django's admin and the databases raise over a value that nobody's browser would send.
UNUSABLE = (ValueError, OverflowError, ValidationError, FieldError, FieldDoesNotExist, DataError)


def without_500(view: Any) -> Any:
    """400 for such a value. Pages are rendered here, as lists are read while they are shown."""

    @wraps(view)
    def answered(*args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response: HttpResponse = view(*args, **kwargs)
            if isinstance(response, SimpleTemplateResponse):
                response.render()
        except UNUSABLE as error:
            # With its traceback: should this be a mistake of ours, it must not go unseen.
            logger.warning("Refused a request to the admin", exc_info=error)
            return HttpResponseBadRequest("Bad request", content_type="text/plain")
        except (OperationalError, InterfaceError) as error:
            from todolist.rest.errors import of_database  # REST framework wants all apps loaded

            reason = of_database(error)
            if connection.in_atomic_block:
                transaction.set_rollback(True)
            headers = {"Retry-After": str(getattr(reason, "wait", 1))}
            return HttpResponse(str(reason.detail), "text/plain", 503, headers=headers)
        response.headers["Content-Security-Policy"] = POLICY
        return response

    return answered


# Of the site, and no pages to go to.
NO_PAGES = frozenset({None, "login", "logout", "jsi18n", "autocomplete", "view_on_site"})


def is_page(request: HttpRequest, url: str, site: str) -> bool:
    """Whether a URL, as a browser understands it, is that of a page of the admin site of this name."""
    here = {request.get_host()}
    if not url.isprintable() or not url_has_allowed_host_and_scheme(url, here, request.is_secure()):
        return False
    path, prefix = unquote(urlsplit(url).path), get_script_prefix()
    # Browsers take a backslash for a slash, and resolve dots.
    if not path.startswith(prefix) or {".", ".."} & {*path.replace("\\", "/").split("/")}:
        return False
    try:
        found = resolve(f"/{path.removeprefix(prefix).removesuffix('/')}/")
    except Resolver404:
        return False
    return found.namespace == site and found.url_name not in NO_PAGES


class StaffSite(AdminSite):
    """Django's admin, with the two promises above."""

    def _lead_to_pages(self, request: Any, default: str | None) -> None:
        """Leave `next` of a request where it is a page of this site; else it is `default`, or none."""
        kept = [request.GET.copy(), request.POST.copy()]
        for query in kept:
            if not is_page(request, query.get(REDIRECT_FIELD_NAME, ""), self.name):
                query.pop(REDIRECT_FIELD_NAME, None)
        request.GET, request.POST = kept
        if default and not any(REDIRECT_FIELD_NAME in query for query in kept):
            request.POST[REDIRECT_FIELD_NAME] = default

    def logout(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        self._lead_to_pages(request, default=None)
        return super().logout(request, *args, **kwargs)

    @method_decorator(without_500)
    def login(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """429 for a name or an address that was wrong too often; axes counts."""
        self._lead_to_pages(request, reverse("admin:index", current_app=self.name))
        try:
            response = super().login(request, *args, **kwargs)
        except RedisError:
            logger.exception("Nobody can sign in to the admin while tries cannot be counted")
            return HttpResponse("Try again later.", status=503, headers={"Retry-After": "5"})
        if getattr(request, "axes_locked_out", False):
            form = response.context_data["form"]  # type: ignore[attr-defined]
            form.errors.clear()
            form.add_error(None, TOO_MANY_TRIES)
            response.status_code = 429
            response.headers["Retry-After"] = f"{settings.AXES_COOLOFF_TIME.total_seconds():.0f}"
        return response

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        answered = without_500(view)
        # For the checks for isolation, as Django leaves it on the views that the site routes itself.
        answered.admin_site = self
        return super().admin_view(answered, cacheable)


class StaffConfig(AdminConfig):
    """`django.contrib.admin` with this site instead of its own."""

    default_site = "todolist.staff.site.StaffSite"
