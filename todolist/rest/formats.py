"""JSON in and out: the only form there is (docs/api.md section 3)."""

import json
from collections.abc import Iterable, Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import APIException, ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.utils.json import strict_constant

_decode = json.JSONDecoder(parse_constant=strict_constant).decode  # made once for all bodies


class BodyTooLarge(APIException):
    status_code = 413
    default_detail = "Request body is larger than 1 MiB"
    default_code = "body_too_large"


class LimitedJSONParser(BaseParser):
    """JSON as RFC 8259 has it: UTF-8 whatever `charset` says, no NaN, at most `MAX_BODY_SIZE`."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = stream.read(settings.MAX_BODY_SIZE + 1)
        if len(body) > settings.MAX_BODY_SIZE:
            raise BodyTooLarge
        try:
            return _decode(body.decode("utf-8"))
        except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, nested too deeply
            raise ParseError(f"JSON parse error - {error}") from error


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
