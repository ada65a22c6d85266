"""The REST door to all that is one's own at once (docs/api.md section 8)."""

from typing import Any, cast

from django.conf import settings
from django.http import FileResponse, HttpResponse
from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.owned.acting import acting_as
from accounts.owned.permissions import IsSignedIn
from accounts.owned.views import LeanView, described
from accounts.signin.authentication import TryAgainLater
from accounts.signin.errors import KeysUnavailable, TokenError
from accounts.signin.guests import guest_of
from accounts.users import CurrentUser, owner_id
from accounts.views import MeView
from tasks.api.serializers import (
    LabelSerializer,
    NotificationSerializer,
    PreferencesSerializer,
    ProjectSerializer,
    TaskSerializer,
    TrashedTaskSerializer,
)
from tasks.own.adopting import adopt
from tasks.own.erasing import erase
from tasks.own.export import FORMAT, VERSION, answer
from tasks.own.forms import ImportSerializer
from tasks.own.importing import import_document
from tasks.resources.fields import TextField, TimestampField, numbers
from tasks.resources.idempotency import answered_once
from tasks.resources.lists.query import BadParameter, parameter, parameters_of


class OwnView(MeView):
    """`/me`: who the caller is, and an end to all that is theirs."""

    confirm_field = serializers.CharField(allow_blank=True, trim_whitespace=False)

    @described(
        operation_id="eraseMe",
        summary="Erase everything of one's own, for good",
        description="Events included; open sockets close with 4001 `Erased`. The token stays good.",
        parameters=[
            OpenApiParameter("confirm", str, required=True, description="The caller's own id.")
        ],
        responses={204: None},
    )
    def delete(self, request: Request) -> Response:
        owner = owner_id(request.user)
        if parameter(parameters_of(request), "confirm", self.confirm_field) != owner:
            raise BadParameter("confirm: Give your own id, to say that you mean it.")
        erase(owner)
        return Response(status=status.HTTP_204_NO_CONTENT)


class ExportView(APIView):
    """`GET /export`: all that is the caller's, to take along."""

    permission_classes = [IsSignedIn]

    @described(
        operation_id="exportMine",
        summary="Take along everything of one's own",
        description="As of one moment. `POST /import` takes such a document.",
        responses=inline_serializer(
            "Export",
            {
                "format": serializers.ChoiceField([FORMAT]),
                "version": serializers.IntegerField(min_value=VERSION),
                "exported_at": TimestampField(),
                "preferences": PreferencesSerializer(),
                "projects": ProjectSerializer(many=True),
                "labels": LabelSerializer(many=True),
                "tasks": TaskSerializer(many=True),
                "trash": TrashedTaskSerializer(many=True),
                "notifications": NotificationSerializer(many=True),
            },
        ),
    )
    def get(self, request: Request) -> FileResponse:
        return answer(owner_id(request.user))


class ImportView(LeanView):
    """`POST /import`: projects, labels and tasks of a document, all or none."""

    permission_classes = [IsSignedIn]
    max_body_size = settings.MAX_IMPORT_SIZE
    repeatable = ("post",)

    @described(
        operation_id="importMine",
        summary="Bring projects, labels and tasks",
        description="Of a document as `GET /export` makes one, or of a part of it; all or nothing.",
        request=ImportSerializer,
        responses=inline_serializer(
            "Imported",
            {
                **numbers("projects", "labels", "tasks"),
                "ids": serializers.DictField(child=serializers.UUIDField()),
            },
        ),
    )
    def post(self, request: Request) -> HttpResponse:
        return answered_once(self, self._import)(request)

    def _import(self, request: Request) -> Response:
        user = cast("CurrentUser", request.user)
        with acting_as(user, atomic=True):
            return Response(import_document(user, request.data))


class AdoptSerializer(serializers.Serializer[Any]):
    token = TextField(help_text="A good token of a guest's: it says `isAnonymous: true`.")

    class Meta:
        example = {"token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJndWVzdCJ9.c2lnbmF0dXJl"}


class AdoptView(LeanView):
    """`POST /me/adopt`: what a guest has becomes the caller's."""

    permission_classes = [IsSignedIn]

    @described(
        operation_id="adoptGuest",
        summary="Take over what a guest has",
        description="Better Auth's anonymous plugin lets guests in, who sign up later, under another id.",
        request=AdoptSerializer,
        responses=inline_serializer("Adopted", numbers("projects", "labels", "tasks")),
    )
    def post(self, request: Request) -> Response:
        form = AdoptSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        user = cast("CurrentUser", request.user)
        try:
            guest = guest_of(form.validated_data["token"])
        except KeysUnavailable as error:
            raise TryAgainLater(error) from error
        except TokenError as error:
            raise serializers.ValidationError({"token": [str(error)]}) from None
        if guest == user:
            raise serializers.ValidationError({"token": ["This is your own."]})
        return Response(adopt(guest, user))
