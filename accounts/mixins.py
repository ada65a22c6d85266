"""Isolation for viewsets: what a view over an `OwnedModel` must inherit."""

import re
from typing import Any, NoReturn, TypeVar, cast
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest
from rest_framework import status
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import GenericViewSet

from accounts.ownership import OwnedModel, OwnedQuerySet, owner_id
from accounts.permissions import IsOwner

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)

Owned = TypeVar("Owned", bound=OwnedModel)


class OwnedViewMixin(GenericViewSet[Owned]):
    """Narrows a viewset down to the caller's own rows.

    Everything that starts from `get_queryset` (lists, look-ups, counts, filters) sees nothing
    else. Objects are found by their UUID in the URL.
    """

    permission_classes = [IsOwner]
    lookup_value_regex = "[^/]+"  # whatever is no UUID is unknown here, rather than to the router

    def get_queryset(self) -> QuerySet[Owned]:
        everyones = cast("OwnedQuerySet[Owned]", super().get_queryset())
        return everyones.owned_by(self.request.user)

    def get_object(self) -> Owned:
        """The caller's object that the URL names.

        Raises `NotFound` where no such id exists and `PermissionDenied` where it is another's
        (contract section 3, Isolation). The other's row is never loaded: only whether it exists.
        """
        text = self.kwargs[self.lookup_url_kwarg or self.lookup_field]
        if not _UUID.fullmatch(text):  # `UUID` itself takes braces, URNs and missing hyphens
            self._refuse_unknown()
        pk = UUID(text)
        queryset = self.get_queryset()
        if self.request.method in ("POST", "PUT", "PATCH", "DELETE"):
            # Held until the view's transaction ends, so that two writers take turns.
            queryset = queryset.select_for_update()
        found = queryset.filter(pk=pk).first()
        if found is None:
            if super().get_queryset().filter(pk=pk).exists():
                raise PermissionDenied("Access denied")
            self._refuse_unknown()
        self.check_object_permissions(self.request, found)
        return found

    def perform_create(self, serializer: BaseSerializer[Owned]) -> None:
        serializer.save(user_id=owner_id(self.request.user))

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Response:
        """Answer with the allowed methods, once it is clear that the resource is the caller's."""
        if self.detail:
            self.get_object()
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _refuse_unknown(self) -> NoReturn:
        model = super().get_queryset().model
        raise NotFound(f"{str(model._meta.verbose_name).capitalize()} not found")
