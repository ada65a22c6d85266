"""The application for an ASGI server: HTTP to Django, sockets through origin and token to routes."""

import gc
import os
import sys

import django
from channels.routing import ProtocolTypeRouter, URLRouter

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "todolist.settings")
django.setup(set_prefix=False)  # first: what follows needs the applications loaded

from django.conf import settings  # noqa: E402

from accounts.checks.walk import being_looked_at  # noqa: E402
from accounts.signin.websocket import OriginMiddleware, TokenMiddleware  # noqa: E402
from tasks.events.routing import websocket_urlpatterns  # noqa: E402
from todolist.checks import refuse_to_start_while_wrong  # noqa: E402
from todolist.logs.request_ids import RequestIDs  # noqa: E402
from todolist.serving.handler import OneHopHandler  # noqa: E402
from todolist.serving.lifespan import lifespan  # noqa: E402
from todolist.serving.prefix import BelowPrefix  # noqa: E402

# Only where it is the server: loaded beside another one it would take 15 MiB.
if "daphne.server" in sys.modules:
    from todolist.serving.daphne import adapt_daphne

    adapt_daphne()

handler = OneHopHandler()
application = ProtocolTypeRouter(
    {
        "http": handler,
        "websocket": RequestIDs(
            BelowPrefix(OriginMiddleware(TokenMiddleware(URLRouter(websocket_urlpatterns))))
        ),
        "lifespan": lifespan,
    }
)

if settings.METRICS and not being_looked_at():
    from todolist.serving.gauges import note_from_now_on

    note_from_now_on(handler.threads)

refuse_to_start_while_wrong()  # last: the checks look at the application

# What is there by now stays: the collector need not look at it again.
gc.collect()
gc.freeze()
