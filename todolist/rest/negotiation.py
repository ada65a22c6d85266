"""Which of the two languages of HTTP a client may choose from: here there is one, JSON."""

from collections.abc import Iterable
from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

_TAKES_JSON = frozenset({"*/*", "application/json"})


class JSONFirst(DefaultContentNegotiation):
    """REST framework's negotiation, without its work where the answer is plain.

    That is, where a client names no type, any type, or JSON alone, and JSON is what comes first.
    """

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        first = next(iter(parsers))
        if request.content_type == first.media_type == "application/json":
            return first
        return super().select_parser(request, parsers)

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> Any:
        accept = request.META.get("HTTP_ACCEPT", "*/*")
        first = next(iter(renderers))
        if accept in _TAKES_JSON and first.media_type == "application/json":
            return first, first.media_type
        return super().select_renderer(request, renderers, format_suffix)
