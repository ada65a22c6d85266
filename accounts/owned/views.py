"""The base of our views, and how one says that it is open to everybody: else it wants a token."""

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.views import APIView

View = TypeVar("View", bound=Callable[..., Any])


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


class PublicView(APIView):
    """A view for everybody: it does not even look at `Authorization`."""

    open_to_everybody: ClassVar[str]  # why nobody's data can come out of it
    authentication_classes = []
    permission_classes = []


def open_to_everybody(because: str) -> Callable[[View], View]:
    """Declare a view, of whatever kind, as open to everybody, and say why that does no harm."""

    def declare(view: View) -> View:
        view.open_to_everybody = because  # type: ignore[attr-defined]
        return view

    return declare


def why_open(callback: Any) -> str | None:
    """What the view behind a route says about being open to everybody; `None` if nothing."""
    own = getattr(callback, "open_to_everybody", None)
    view_class = getattr(callback, "cls", None) or getattr(callback, "view_class", None)
    return own if own is not None else getattr(view_class, "open_to_everybody", None)


def described(**said: Any) -> Callable[[View], View]:
    """Keep with a handler what `extend_schema` of drf-spectacular is called with for `/schema`.

    Called at once, `extend_schema` would load the generator into every process that serves.
    """

    def describe(handler: View) -> View:
        handler.described = said  # type: ignore[attr-defined]
        return handler

    return describe
