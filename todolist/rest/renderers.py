"""Renders answers as JSON, also what is JSON already."""

from collections.abc import Mapping
from typing import Any

from rest_framework.renderers import JSONRenderer


class ReadyJSONRenderer(JSONRenderer):
    """REST framework's renderer, which takes `bytes` for JSON that the database wrote."""

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        if isinstance(data, bytes):
            return data
        return super().render(data, accepted_media_type, renderer_context)
