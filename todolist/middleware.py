"""What has to be true of a request before anything else looks at it."""

import os
from collections.abc import Callable

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponseBase


def measure_chunked_body(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Give a chunked body (RFC 9112 section 7.1) the length it turned out to have.

    REST framework takes a request without `Content-Length` for one without a body, and would answer
    200 to a change that it never read. Django's ASGI handler has the whole body by now.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if isinstance(request, ASGIRequest) and not request.META.get("CONTENT_LENGTH"):
            body = request._stream
            request.META["CONTENT_LENGTH"] = str(body.seek(0, os.SEEK_END))
            body.seek(0)
        return get_response(request)

    return middleware
