"""What is left of `Content-Type`, which Python and Django parse in more than linear time."""

import re
from typing import Any

MAX_LENGTH = 256  # characters

_FORM = re.compile(r'\s*multipart/form-data\s*;\s*boundary="?[^";\s]{1,70}"?\s*', re.IGNORECASE)


def plain(value: str) -> str:
    """The media type without its parameters, of which only the boundary of a form matters here.

    "" where that is too long to be one; REST framework then answers 415.
    """
    media_type = value.partition(";")[0]
    if len(value) <= MAX_LENGTH and _FORM.fullmatch(value):
        return value
    return media_type if len(media_type) <= MAX_LENGTH else ""


def with_plain_content_type(scope: dict[str, Any]) -> dict[str, Any]:
    """An ASGI scope whose `Content-Type` is `plain`; Django would join several, here they are none."""
    found = None
    for name, value in scope["headers"]:
        if name == b"content-type":
            if found is not None or b";" in value or len(value) > MAX_LENGTH:
                break
            found = value
    else:
        return scope  # nearly always
    sent = [value.decode("latin-1") for name, value in scope["headers"] if name == b"content-type"]
    value = plain(sent[0]).encode("latin-1") if len(sent) == 1 else b""
    others = [header for header in scope["headers"] if header[0] != b"content-type"]
    return {**scope, "headers": [*others, (b"content-type", value)]}
