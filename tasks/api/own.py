"""The REST door to all that is one's own at once (docs/api.md section 8)."""

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.owned.views import described
from accounts.users import owner_id
from accounts.views import MeView
from tasks.own.erasing import erase
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
