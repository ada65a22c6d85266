"""Answers for what goes wrong outside the API's views, or underneath them, in the API's form.

Every error but those of fields is `{"detail": …, "code": …}`: the code is that of the exception, as REST
framework documents it (`get_codes`), and stays while sentences may change (docs/api.md section 3).
"""

import logging
from collections.abc import Mapping
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import (
    APIException,
    AuthenticationFailed,
    ErrorDetail,
    NotAuthenticated,
    NotFound,
    PermissionDenied,
)
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler as drf_exception_handler

from accounts.owned.permissions import IsOwner
from accounts.owned.views import open_to_everybody
from accounts.signin.authentication import TryAgainLater
from accounts.signin.refusals import log_refused_request

logger = logging.getLogger(__name__)


class BadRequest(APIException):
    status_code = 400
    default_detail = "Bad request"
    default_code = "bad_request"


class ServerError(APIException):
    status_code = 500
    default_detail = "Internal server error"
    default_code = "server_error"


class DatabaseUnavailable(APIException):
    status_code = 503
    default_detail = "The database does not answer at the moment"
    default_code = "database_unavailable"
    wait = 1  # seconds; REST framework makes `Retry-After` of it


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """REST framework's own, with codes, and 503 rather than 500 while the database does not answer.

    An exception may have `members`: what its answer holds besides `detail` and `code`.
    """
    if isinstance(exc, OperationalError | InterfaceError):
        logger.error("The database does not answer: %s", exc)
        exc = DatabaseUnavailable()
    if isinstance(exc, NotAuthenticated | AuthenticationFailed | TryAgainLater):
        log_refused_request(context["request"]._request, exc)
    response = drf_exception_handler(exc, context)
    if response is not None:
        response.data = _body(response.data, getattr(exc, "members", {}))
    return response


def _body(data: Any, members: Mapping[str, Any]) -> Any:
    """The sentence with its code; errors of fields, each of which is in a list, as they are."""
    detail = data.get("detail") if isinstance(data, dict) else None
    if isinstance(detail, ErrorDetail):
        return {"detail": detail, "code": detail.code, **members}
    return {api_settings.NON_FIELD_ERRORS_KEY: data} if isinstance(data, list) else data


def body_of(error: APIException) -> Any:
    """What `exception_handler` answers to an error."""
    data = error.detail if isinstance(error.detail, list | dict) else {"detail": error.detail}
    return _body(data, getattr(error, "members", {}))


def _answer(error: APIException) -> JsonResponse:
    return JsonResponse(body_of(error), status=error.status_code)


@open_to_everybody("it shows nothing")
@csrf_exempt  # a page of another origin gets the same 404 for a POST
def not_found(request: HttpRequest, *args: Any, **kwargs: Any) -> JsonResponse:
    return _answer(NotFound("Not found"))


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if request.path_info.startswith("/admin"):
        return defaults.page_not_found(request, exception)
    return _answer(NotFound("Not found"))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if request.path_info.startswith("/admin"):
        return defaults.permission_denied(request, exception)
    return _answer(PermissionDenied(IsOwner.message))


def bad_request(request: HttpRequest, *args: Any, **kwargs: Any) -> JsonResponse:
    return _answer(BadRequest())


def server_error(request: HttpRequest, *args: Any, **kwargs: Any) -> JsonResponse:
    return _answer(ServerError())
