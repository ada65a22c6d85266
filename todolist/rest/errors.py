"""Answers for what goes wrong outside the API's views, or underneath them, in the API's form."""

import logging
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import APIException
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler

from accounts.owned.views import open_to_everybody

logger = logging.getLogger(__name__)


@open_to_everybody("it shows nothing")
@csrf_exempt  # a page of another origin gets the same 404 for a POST
def not_found(request: HttpRequest, *args: Any, **kwargs: Any) -> JsonResponse:
    return JsonResponse({"detail": "Not found"}, status=404)


def bad_request(request: HttpRequest, *args: Any, **kwargs: Any) -> JsonResponse:
    return JsonResponse({"detail": "Bad request"}, status=400)


def server_error(request: HttpRequest, *args: Any, **kwargs: Any) -> JsonResponse:
    return JsonResponse({"detail": "Internal server error"}, status=500)


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """REST framework's own, and 503 rather than 500 while the database does not answer."""
    if isinstance(exc, OperationalError | InterfaceError):
        logger.error("The database does not answer: %s", exc)
        exc = DatabaseUnavailable()
    return drf_exception_handler(exc, context)


class DatabaseUnavailable(APIException):
    status_code = 503
    default_detail = "The database does not answer at the moment"
    wait = 1  # seconds; REST framework makes `Retry-After` of it
