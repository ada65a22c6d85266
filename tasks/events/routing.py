"""The socket routes of this application."""

from typing import Any, cast

from django.urls import re_path

from accounts.signin.websocket import refuse
from tasks.events.consumers import NotificationConsumer
from tasks.events.protocol import PATH

# Any: the stubs know only views that answer HTTP.
websocket_urlpatterns: list[Any] = [
    re_path(rf"^{PATH[1:]}/?$", cast("Any", NotificationConsumer.as_asgi())),
    re_path(r"", cast("Any", refuse)),  # Channels would answer an unknown path with a 500
]
