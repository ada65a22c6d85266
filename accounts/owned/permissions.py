"""What a request must show before a view runs, and before an object is handed out."""

from typing import Any, cast

from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.owned.models import OwnedModel
from accounts.users import CurrentUser


class IsSignedIn(BasePermission):
    """The request carries a good token."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if isinstance(cast("object", request.user), CurrentUser):
            return True
        raise NotAuthenticated("Authentication required")


class IsOwner(IsSignedIn):
    """The object belongs to the caller: the second line, behind the narrowed queryset."""

    message = "Access denied"
    code = "not_yours"

    def has_object_permission(self, request: Request, view: Any, obj: object) -> bool:
        return isinstance(obj, OwnedModel) and obj.is_owned_by(request.user)
