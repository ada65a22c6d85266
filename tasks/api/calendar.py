"""The REST door to calendar feeds: their secret addresses, and the feeds (docs/api.md section 8)."""

from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers, status
from rest_framework.exceptions import NotFound
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.owned.acting import acting_as, acting_as_everyone
from accounts.owned.permissions import IsSignedIn
from accounts.owned.views import LeanView, PublicView, described
from accounts.users import CurrentUser, owner_id
from tasks.models.calendar import CalendarFeed, digest_of
from tasks.own.calendar import feed
from tasks.resources.lists.query import parameter, parameters_of


class CalendarView(LeanView):
    """`/calendar`: the secret address of the caller's own feed."""

    permission_classes = [IsSignedIn]

    @described(
        operation_id="makeCalendar",
        summary="Make the address of one's own calendar feed, or make it anew",
        description="It is told this once. One of before opens the feed no more.",
        request=None,
        responses={201: inline_serializer("CalendarAddress", {"url": serializers.URLField()})},
    )
    def post(self, request: Request) -> Response:
        with acting_as(request.user, atomic=True):
            secret = CalendarFeed.renew(owner_id(request.user))
        url = request.build_absolute_uri(reverse("calendar-feed", kwargs={"secret": secret}))
        return Response({"url": url}, status.HTTP_201_CREATED)

    @described(
        operation_id="dropCalendar",
        summary="Drop the address of one's own calendar feed",
        responses={204: None},
    )
    def delete(self, request: Request) -> Response:
        with acting_as(request.user, atomic=True):
            CalendarFeed.objects.owned_by(request.user).delete()
        return Response(status=status.HTTP_204_NO_CONTENT)


class WhateverIsAccepted(BaseContentNegotiation):
    """A feed is a feed, whatever `Accept` says; errors are JSON."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class CalendarFeedView(PublicView):
    """`GET /calendar/{secret}.ics`: the feed of whoever made this secret."""

    open_to_everybody = "calendars show no token: who knows the secret may read that one feed"
    content_negotiation_class = WhateverIsAccepted
    shows = "calendar"

    as_field = serializers.ChoiceField(["event", "todo"])

    @described(
        operation_id="getCalendar",
        summary="Show the feed of a secret address",
        description="iCalendar (RFC 5545), for programs that subscribe to it. No token is needed.",
        parameters=[
            OpenApiParameter(
                "as",
                {"type": "string", "enum": ["event", "todo"]},
                description="As VEVENTs, which all calendars show, or as VTODOs.",
            ),
            OpenApiParameter(
                "secret", str, OpenApiParameter.PATH, description="From `POST /calendar`"
            ),
        ],
        responses={(200, "text/calendar"): {"type": "string"}},
    )
    def get(self, request: Request, secret: str) -> HttpResponse:
        query = parameters_of(request)
        as_todos = parameter(query, "as", self.as_field) == "todo"
        query.refuse_unknown()
        with acting_as_everyone():  # nobody is known yet
            known = CalendarFeed.objects.filter(secret_digest=digest_of(secret))
            owner = known.values_list("user_id", flat=True).first()
        if owner is None:
            raise NotFound("Calendar not found")
        user = CurrentUser(owner)
        with acting_as(user):
            return HttpResponse(feed(user, as_todos=as_todos), "text/calendar; charset=utf-8")
