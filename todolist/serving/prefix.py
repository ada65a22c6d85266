"""The path that this application is below, whether the proxy in front takes it off or not."""

from typing import Any

from django.core.handlers.asgi import get_script_prefix


def split(prefix: str, path: str) -> tuple[str, str]:
    """The prefix without a slash at its end, and the path below it.

    Twice off: uvicorn puts `--root-path` before what the proxy has left there.
    """
    prefix = prefix.rstrip("/")
    if not prefix:
        return "", path
    prefix = f"/{prefix.lstrip('/')}"
    for _ in range(2):
        if path == prefix or path.startswith(f"{prefix}/"):
            path = path.removeprefix(prefix)
    return prefix, f"/{path.lstrip('/')}"


def below_prefix(scope: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """An ASGI scope whose path begins with the prefix once, as Django and Channels expect it.

    And the path below the prefix.
    """
    if not (given := get_script_prefix(scope)):
        return scope, scope["path"]
    prefix, path = split(given, scope["path"])
    return {**scope, "root_path": prefix, "path": prefix + path}, path


class BelowPrefix:
    """Gives an ASGI application its scopes by `below_prefix`."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.inner(below_prefix(scope)[0], receive, send)
