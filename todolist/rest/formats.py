"""JSON in and out: the only form there is (docs/api.md section 3)."""

import json
import sys
from codecs import BOM_UTF8
from collections.abc import Iterable, Mapping
from typing import IO, Any, NoReturn

from django.conf import settings
from rest_framework.exceptions import APIException, ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class NotJSON(ParseError):
    def __init__(self, reason: str) -> None:
        super().__init__(f"JSON parse error - {reason}")


def _refuse_constant(name: str) -> NoReturn:
    raise NotJSON(f"{name} is no number of JSON")


_decode = json.JSONDecoder(parse_constant=_refuse_constant).decode  # made once for all bodies


class BodyTooLarge(APIException):
    status_code = 413
    default_detail = "Request body is larger than 1 MiB"
    default_code = "body_too_large"

    def __init__(self, limit: int | None = None) -> None:
        megabytes = (limit or settings.MAX_BODY_SIZE) // 1024**2
        super().__init__(f"Request body is larger than {megabytes} MiB")


def body_limit(view: Any) -> int:
    """How many bytes a view, or a class of views, takes."""
    limit: int = getattr(view, "max_body_size", settings.MAX_BODY_SIZE)
    return limit


class EncodedBody(APIException):
    status_code = 415
    default_detail = "Content-Encoding: Send the body as it is, without compression"
    default_code = "unsupported_encoding"


class LimitedJSONParser(BaseParser):
    """JSON as RFC 8259 has it: UTF-8 whatever `charset` says, no NaN, no more than the view takes.

    A byte order mark is passed over; of a name that stands twice in an object the last counts.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        request = (parser_context or {}).get("request")
        limit = body_limit((parser_context or {}).get("view"))
        declared = str(request.META.get("CONTENT_LENGTH")) if request is not None else ""
        if declared.isdecimal() and float(declared) > limit:
            raise BodyTooLarge(limit)  # a server need not have read it
        codings = request.META.get("HTTP_CONTENT_ENCODING") if request is not None else ""
        if codings and not _is_identity(codings):
            raise EncodedBody
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise BodyTooLarge(limit)
        try:
            return _decode(body.removeprefix(BOM_UTF8).decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise NotJSON(_reason(error, body)) from error


def _is_identity(codings: str) -> bool:
    """Whether the codings of a body, a list that knows no case (RFC 9110 section 8.4), are none."""
    return {coding.strip().lower() for coding in codings.split(",")} <= {"", "identity"}


def _reason(error: ValueError | RecursionError, body: bytes) -> str:
    """Why a body could not be read, in words that name no library."""
    match error:
        case UnicodeDecodeError():
            return f"the body is not UTF-8, from byte {error.start + 1} on"
        case json.JSONDecodeError() if b"\0" in body[:4]:
            return "the body is not UTF-8, but looks like UTF-16 or UTF-32"
        case json.JSONDecodeError():
            return f"the body is not JSON, from line {error.lineno}, column {error.colno} on"
        case RecursionError():
            return "the body is nested too deeply"
    return f"a number has more than {sys.get_int_max_str_digits()} digits"


class JSONFirst(DefaultContentNegotiation):
    """REST framework's negotiation, without its work where JSON is asked for and comes first."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        first = next(iter(parsers))
        if request.content_type == first.media_type == "application/json":
            return first
        return super().select_parser(request, parsers)

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> Any:
        first = next(iter(renderers))
        named = request.META.get("HTTP_ACCEPT", "*/*")
        if first.media_type == "application/json" and named in ("*/*", "application/json"):
            return first, first.media_type
        return super().select_renderer(request, renderers, format_suffix)
