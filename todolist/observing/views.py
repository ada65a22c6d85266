"""`GET /metrics`, a route where `METRICS=True`."""

from collections.abc import Iterable
from typing import Any

from django.http import HttpResponse
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from accounts.owned.views import PublicView
from todolist.observing.metrics import exposition
from todolist.rest.formats import JSONFirst


class WhateverIsAccepted(JSONFirst):
    """Scrapers name formats of theirs in `Accept`. Errors are JSON all the same."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> Any:
        first = next(iter(renderers))
        return first, first.media_type


class MetricsView(PublicView):
    open_to_everybody = "it shows how this server does, and nothing of anybody"
    content_negotiation_class = WhateverIsAccepted
    schema = None  # no part of the API

    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(exposition(), content_type=CONTENT_TYPE_PLAIN_0_0_4)
