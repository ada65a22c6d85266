"""The application for an ASGI server: HTTP to Django, sockets through origin and token to routes."""

import os

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "todolist.settings")
http_application = get_asgi_application()  # first: what follows needs the applications loaded

from accounts.websocket import OriginMiddleware, TokenMiddleware  # noqa: E402
from tasks.routing import websocket_urlpatterns  # noqa: E402
from todolist.checks import refuse_to_start_while_wrong  # noqa: E402
from todolist.daphne import adapt_daphne  # noqa: E402

adapt_daphne()
refuse_to_start_while_wrong()

application = ProtocolTypeRouter(
    {
        "http": http_application,
        "websocket": OriginMiddleware(TokenMiddleware(URLRouter(websocket_urlpatterns))),
    }
)
