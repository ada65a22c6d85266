"""Who the caller is, as their token says."""

from typing import cast

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.owned.permissions import IsSignedIn
from accounts.owned.views import LeanView, described
from accounts.users import CurrentUser


class PersonSerializer(serializers.Serializer[CurrentUser]):
    id = serializers.CharField(help_text="The `sub` of the token: the owner of the tasks")
    email = serializers.CharField(allow_blank=True, help_text="Empty where the token has none")
    name = serializers.CharField(allow_blank=True, help_text="Empty where the token has none")


class MeView(LeanView):
    """`GET /me`: the caller's id, e-mail and name."""

    permission_classes = [IsSignedIn]
    answers_at_once = True  # from the token alone (todolist/serving/handler.py)

    @described(
        operation_id="getMe", summary="Show who the token speaks for", responses=PersonSerializer
    )
    def get(self, request: Request) -> Response:
        user = cast("CurrentUser", request.user)  # the permission saw to it
        return Response({"id": user.id, "email": user.email, "name": user.name})
