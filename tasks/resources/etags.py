"""ETags of versions, and the conditions that requests make with them (RFC 9110, sections 8.8.3 and 13)."""

from django.utils.http import parse_etags
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.request import Request


class PreconditionFailed(APIException):
    status_code = status.HTTP_412_PRECONDITION_FAILED
    default_detail = "It is not as the request expects it: fetch it again"
    default_code = "changed_meanwhile"


def etag(version: int) -> str:
    """The ETag of a version; a strong one, as every change makes a new version."""
    return f'"{version}"'


def require_match(request: Request, current: str) -> None:
    """Raise `PreconditionFailed` (412) where the request is about another version of the caller's row."""
    if_match = request.META.get("HTTP_IF_MATCH")
    if (if_match is not None and not _is_named(current, if_match)) or knows(request, current):
        raise PreconditionFailed


def knows(request: Request, current: str) -> bool:
    """Whether `If-None-Match` names the row as it is now; then GET is 304, and a change is 412."""
    if_none_match = request.META.get("HTTP_IF_NONE_MATCH")
    return if_none_match is not None and _is_named(current, if_none_match, weakly=True)


def _is_named(current: str, header: str, *, weakly: bool = False) -> bool:
    """Whether `*` or one of the ETags in a header is this one; a malformed header names none."""
    named = parse_etags(header)
    if weakly:
        named = [one.removeprefix("W/") for one in named]
    return named == ["*"] or current in named
