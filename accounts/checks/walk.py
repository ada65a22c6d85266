"""Walks the URLconf and the ASGI application: every route of HTTP, and every route of sockets."""

from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple

from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.contrib.admin.sites import AdminSite
from django.urls import URLResolver, get_resolver
from django.utils.module_loading import import_string
from django.utils.regex_helper import normalize

WRAPPED = ("inner", "application", "app")  # where a middleware has what it wraps
_looked_at = ContextVar("looked_at", default=False)


class Route(NamedTuple):
    """One route: what answers on it, and how its path is written (`str`: `/tasks/{pk}`)."""

    template: str  # "tasks/%(pk)s"
    parameters: tuple[str, ...]
    name: str | None
    callback: Any
    passed: tuple[Any, ...] = ()  # ASGI applications a handshake passes through, outermost first

    def __str__(self) -> str:
        return self.path(**{parameter: f"{{{parameter}}}" for parameter in self.parameters})

    def path(self, **values: object) -> str:
        return "/" + self.template % values

    @property
    def view_class(self) -> Any:
        """The class behind the callback; `None` for a plain function."""
        return getattr(self.callback, "cls", None) or getattr(self.callback, "view_class", None)

    @property
    def admin_site(self) -> AdminSite | None:
        """The admin site that guards this route: `StaffSite` leaves it on what it wraps, as Django
        does on the views of a site and of its model admins.
        """
        callback = self.callback
        if getattr(callback, "__name__", "") == "login":  # the one view that it does not wrap
            found = getattr(callback, "__self__", None)
        else:
            found = getattr(getattr(callback, "model_admin", callback), "admin_site", None)
        return found if isinstance(found, AdminSite) else None


def http_routes() -> Iterator[Route]:
    """Every route of the URLconf, in the order in which they are tried."""
    for regex, pattern in _walk_patterns(get_resolver().url_patterns, ""):
        yield _route(regex, pattern.name, pattern.callback)


def socket_routes() -> Iterator[Route]:
    """Every socket route of `settings.ASGI_APPLICATION`, with what stands before it.

    What cannot be looked into is taken for a route that nothing stands before.
    """
    yield from _walk_application(looked_at(settings.ASGI_APPLICATION), "", ())


def looked_at(application: str | None) -> Any:
    """The ASGI application of that name, if any, imported only for a check to look at it."""
    token = _looked_at.set(True)
    try:
        return import_string(application) if application else None
    finally:
        _looked_at.reset(token)


def being_looked_at() -> bool:
    """Whether the ASGI application is being imported only to be walked, and not to be served."""
    return _looked_at.get()


def _walk_patterns(patterns: list[Any], before: str) -> Iterator[tuple[str, Any]]:
    """Each pattern that is no resolver, and the regular expression of its whole path."""
    for pattern in patterns:
        regex = before + pattern.pattern.regex.pattern.removeprefix("^")
        if isinstance(pattern, URLResolver):
            yield from _walk_patterns(pattern.url_patterns, regex)
        else:
            yield regex, pattern


def _walk_application(application: Any, before: str, passed: tuple[Any, ...]) -> Iterator[Route]:
    if isinstance(application, ProtocolTypeRouter):
        inner = application.application_mapping.get("websocket")
        yield from _walk_application(inner, before, passed)
    elif isinstance(application, URLRouter):
        for regex, pattern in _walk_patterns(application.routes, before):
            yield from _walk_application(pattern.callback, regex, passed)
    elif inner := next(filter(None, (getattr(application, name, None) for name in WRAPPED)), None):
        yield from _walk_application(inner, before, (*passed, application))
    elif application is not None:
        yield _route(before, None, application, passed)


def _route(regex: str, name: str | None, callback: Any, passed: tuple[Any, ...] = ()) -> Route:
    template, parameters = normalize(regex)[0]
    return Route(template, tuple(parameters), name, callback, passed)
