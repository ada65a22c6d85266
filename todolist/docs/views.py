"""`GET /schema`, `/schema/events` and `/docs`: what describes the API (docs/api.md section 3)."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import get_script_prefix
from django.utils.cache import patch_vary_headers
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from accounts.owned.views import PublicView, described


class SchemaView(PublicView):
    """`GET /schema`: the OpenAPI document, in JSON unless the client prefers YAML."""

    open_to_everybody = "it describes the API, and nothing that anybody has put into it"

    @property
    def generator(self) -> Any:
        """What makes the document: a module that takes memory, so only where it is asked for."""
        from todolist.docs import openapi

        return openapi

    def get_renderers(self) -> list[BaseRenderer]:
        return [renderer() for renderer in self.generator.RENDERERS]

    @described(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        media_type: str = request.accepted_renderer.media_type
        text = self.generator.document(media_type, get_script_prefix())
        response = HttpResponse(text, content_type=media_type)
        patch_vary_headers(response, ["Accept"])
        return response


class EventsSchemaView(SchemaView):
    """`GET /schema/events`: the AsyncAPI document of the socket, in the same way."""

    @property
    def generator(self) -> Any:
        from todolist.docs import asyncapi

        return asyncapi


class DocsView(PublicView):
    """`GET /docs`: a page to try the API on. All of it comes from this server."""

    open_to_everybody = SchemaView.open_to_everybody

    POLICY = (
        "default-src 'none'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "style-src 'self' 'unsafe-inline'; "  # Swagger UI styles what it draws
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        # A page for people: whatever the client says it prefers, there is only this.
        return super().perform_content_negotiation(request, force=True)

    @described(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        page = render(request._request, "todolist/docs.html")
        page["Content-Security-Policy"] = self.POLICY
        return page
