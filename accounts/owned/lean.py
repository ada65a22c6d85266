"""REST framework's view, without two things that it does with every request for the few that need them."""

from typing import Any

from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.views import APIView


class LeanView(APIView):
    """Answers as its base class does, but that `Allow` stands only with OPTIONS and 405.

    Method and META are attributes of the wrapped request, which else looks in its own class first.
    """

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        wrapping = super().initialize_request(request, *args, **kwargs)
        wrapping.method, wrapping.META = request.method, request.META
        return wrapping

    @property
    def default_response_headers(self) -> dict[str, str]:
        """`Allow` for OPTIONS and with 405; asking every handler for it takes a while."""
        method = str(self.request.method).lower()
        if method != "options" and method in self.http_method_names and hasattr(self, method):
            return {}
        headers: dict[str, str] = super().default_response_headers
        return headers
