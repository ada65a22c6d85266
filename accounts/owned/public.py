"""How a view says that it is open to everybody. Whatever does not say so wants a token."""

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from rest_framework.views import APIView

View = TypeVar("View", bound=Callable[..., Any])


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
