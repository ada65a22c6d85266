"""The door of the admin: sign-in that is limited in tries, and no input that makes a 500."""

import logging
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig
from django.core.exceptions import FieldDoesNotExist, FieldError, ValidationError
from django.db import DataError
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.template.response import SimpleTemplateResponse
from django.utils.decorators import method_decorator
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
        response.headers["Content-Security-Policy"] = POLICY
        return response

    return answered


class StaffSite(AdminSite):
    """Django's admin, with the two promises above."""

    @method_decorator(without_500)
    def login(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """429 for a name or an address that was wrong too often; axes counts."""
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
