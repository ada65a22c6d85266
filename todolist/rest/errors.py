"""Answers for what goes wrong outside the API's views, or underneath them, in the API's form.

Every error but those of fields is `{"detail": …, "code": …}`: the code is that of the exception, as REST
framework documents it (`get_codes`), and stays while sentences may change (docs/api.md section 3).
"""

import logging
import sqlite3
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError as ModelValidationError
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
    ValidationError,
)
from rest_framework.response import Response
from rest_framework.serializers import as_serializer_error
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler as drf_exception_handler

from accounts.outages import DATABASE_ERRORS, QUIET, Outage, database
from accounts.owned.databases import sqlstate
from accounts.owned.permissions import IsOwner
from accounts.owned.views import open_to_everybody
from accounts.signin.authentication import TryAgainLater
from accounts.signin.refusals import log_refused_request

slow = Outage(
    logging.getLogger(__name__),
    "A statement took too long: %s",
    f"No statement has taken too long for {QUIET:.0f} s",
)


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


class ServerBusy(APIException):
    status_code = 503
    default_detail = "The server is busy. Try again in a moment."
    default_code = "busy"
    wait = 1  # seconds; REST framework makes `Retry-After` of it


# What drivers say of a statement or a lock that was waited for as long as a request may: PostgreSQL's
# SQLSTATEs, and SQLite's codes.
TOOK_TOO_LONG = frozenset({"57014", "55P03", sqlite3.SQLITE_BUSY, sqlite3.SQLITE_INTERRUPT})
READ_ONLY = "25006"  # SQLSTATE of a write to a standby, or to what was set to take none
REFUSAL = "todolist.refusal"  # of an ASGI scope: the error that is the answer


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """REST framework's own, with codes, and 503 rather than 500 while the database does not answer.

    An exception may have `members`: what its answer holds besides `detail` and `code`.
    """
    if isinstance(exc, DATABASE_ERRORS) or sqlstate(exc) == READ_ONLY:
        exc = of_database(exc)
    if isinstance(exc, NotAuthenticated | AuthenticationFailed | TryAgainLater):
        log_refused_request(context["request"]._request, exc)
    if isinstance(exc, ModelValidationError):  # what a model says of its own columns
        exc = ValidationError(as_serializer_error(exc))
    response = drf_exception_handler(exc, context)
    if response is not None:
        response.data = _body(response.data, getattr(exc, "members", {}))
    return response


def of_database(error: Exception) -> APIException:
    """What to answer where the database does not, or takes longer than a request may."""
    said = {getattr(error.__cause__, name, None) for name in ("sqlstate", "sqlite_errorcode")}
    if said & TOOK_TOO_LONG:
        slow.failed(error)
        return ServerBusy("This takes too long at the moment. Try again, or ask for less.")
    database.failed(error)
    return DatabaseUnavailable()


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
    """The same, where no view of the API is at work."""
    response = JsonResponse(body_of(error), status=error.status_code)
    if (seconds := getattr(error, "wait", None)) is not None:
        response["Retry-After"] = str(seconds)
    return response


@open_to_everybody("it shows nothing")
@csrf_exempt
def refused(request: Any) -> JsonResponse:
    """What was refused before any view was asked (todolist/serving/handler.py)."""
    return _answer(request.scope[REFUSAL])


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
