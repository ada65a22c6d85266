"""Who the caller is, as their token says."""

from typing import cast

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.owned.permissions import IsSignedIn
from accounts.users import CurrentUser


class MeView(APIView):
    """`GET /me`: the caller's id, e-mail and name."""

    permission_classes = [IsSignedIn]
    answers_at_once = True  # from the token alone (todolist/serving/handler.py)

    def get(self, request: Request) -> Response:
        user = cast("CurrentUser", request.user)  # the permission saw to it
        return Response({"id": user.id, "email": user.email, "name": user.name})
