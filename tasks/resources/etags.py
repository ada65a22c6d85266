"""ETags of tasks, and the conditions that requests make with them (RFC 9110, sections 8.8.3 and 13)."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.http import parse_etags
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.request import Request

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class PreconditionFailed(APIException):
    status_code = status.HTTP_412_PRECONDITION_FAILED
    default_detail = "The task is not as the request expects it: fetch it again"
    default_code = "precondition_failed"


def etag_of_json(row: Mapping[str, Any]) -> str:
    """The same, out of a task's JSON form."""
    return etag(datetime.fromisoformat(row["updated_at"]))


def etag(updated_at: datetime) -> str:
    """The ETag of a task; a strong one, as `updated_at` grows with every change."""
    return f'"{(updated_at - _EPOCH) // _MICROSECOND:x}"'


def is_conditional(request: Request) -> bool:
    """Whether the request is about a task as it is now, or as it is not."""
    return "HTTP_IF_MATCH" in request.META or "HTTP_IF_NONE_MATCH" in request.META


def required_version(request: Request) -> datetime | None:
    """The `updated_at` that a task must have, where a single ETag in `If-Match` is all that is asked."""
    one = _ONE_ETAG.fullmatch(request.META.get("HTTP_IF_MATCH", ""))
    if one is None or "HTTP_IF_NONE_MATCH" in request.META:
        return None
    return _EPOCH + int(one[1], 16) * _MICROSECOND


# As `etag` writes it, up to the year 4253.
_ONE_ETAG = re.compile(r'"([1-9a-f][0-9a-f]{0,13})"', re.ASCII)


def require_match(request: Request, current: str) -> None:
    """Raise `PreconditionFailed` (412) where the request is about a task that is not as it is now.

    To be called while the row is locked, and once it is clear that the task is the caller's.
    """
    if_match = request.META.get("HTTP_IF_MATCH")
    if (if_match is not None and not _is_named(current, if_match)) or knows(request, current):
        raise PreconditionFailed


def knows(request: Request, current: str) -> bool:
    """Whether `If-None-Match` names the task as it is now; then GET is 304, and a change is 412."""
    if_none_match = request.META.get("HTTP_IF_NONE_MATCH")
    return if_none_match is not None and _is_named(current, if_none_match, weakly=True)


def _is_named(current: str, header: str, *, weakly: bool = False) -> bool:
    """Whether `*` or one of the ETags in a header is this one.

    A header that names none, because it is empty or malformed, matches nothing: so `If-Match` fails,
    as the RFC has it ("otherwise, the condition is false"), and a slip never overwrites a change.
    """
    named = parse_etags(header)
    if weakly:
        named = [one.removeprefix("W/") for one in named]
    return named == ["*"] or current in named
