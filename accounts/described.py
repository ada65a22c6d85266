"""What `/schema` says of a handler that has no serializer to be described by."""

from collections.abc import Callable
from typing import Any, TypeVar

Handler = TypeVar("Handler", bound=Callable[..., Any])


def described(**said: Any) -> Callable[[Handler], Handler]:
    """Keep with a handler what `extend_schema` of drf-spectacular is called with for `/schema`.

    Called at once, `extend_schema` would load the generator into every process that serves.
    """

    def describe(handler: Handler) -> Handler:
        handler.described = said  # type: ignore[attr-defined]
        return handler

    return describe
