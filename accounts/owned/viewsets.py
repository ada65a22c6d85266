"""Isolation for viewsets: what a view over an `OwnedModel` must inherit."""

import json
import re
from typing import Any, NoReturn, TypeVar, cast
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest
from rest_framework import status
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.schemas import DefaultSchema
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from accounts.owned.ownership import OwnedModel, OwnedQuerySet
from accounts.owned.permissions import IsOwner
from accounts.owned.reading import Wire, exists, own_object, own_row
from accounts.owned.responses import Response

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)

Owned = TypeVar("Owned", bound=OwnedModel)


class SchemaWhenAsked(DefaultSchema):
    """What describes a view, without loading it for routers, which look at every attribute."""

    def __get__(self, instance: Any, owner: Any) -> Any:
        return self if instance is None else super().__get__(instance, owner)


class DirectRequests(APIView):
    """Spares what REST framework's requests do by failing first.

    They look up whatever is not theirs in the request that they wrap, after a search of their own;
    and who asks for `user` first learns from an error that nobody has authenticated yet.
    """

    schema = SchemaWhenAsked()

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        wrapping = super().initialize_request(request, *args, **kwargs)
        wrapping.method, wrapping.META = request.method, request.META
        return wrapping

    def perform_authentication(self, request: Request) -> None:
        request._authenticate()  # type: ignore[attr-defined]


class AllowWhereAsked(DirectRequests):
    """Says which methods there are where that is of interest: to OPTIONS, and with 405."""

    @property
    def default_response_headers(self) -> dict[str, str]:
        method = str(self.request.method).lower()
        if method != "options" and method in self.http_method_names and hasattr(self, method):
            return {}
        headers: dict[str, str] = super().default_response_headers
        return headers


class OwnedViewMixin(AllowWhereAsked, GenericViewSet[Owned]):
    """Narrows a viewset down to the caller's own rows.

    Counts and changes of many start from `get_queryset`, which sees nothing else. Lists, and the row
    that the URL names by its UUID, are asked for by owner (`accounts.owned.reading`): what a subclass
    narrows further in `get_queryset` does not count there.
    """

    permission_classes = [IsOwner]
    lookup_value_regex = "[^/]+"  # whatever is no UUID is unknown here, rather than to the router

    def get_queryset(self) -> QuerySet[Owned]:
        everyones = cast("OwnedQuerySet[Owned]", super().get_queryset())
        return everyones.owned_by(self.request.user)

    def get_object(self) -> Owned:
        """The caller's object that the URL names, as it is now.

        Raises `NotFound` where no such id exists and `PermissionDenied` where it is another's
        (contract section 3, Isolation). The other's row is never loaded: only whether it exists.
        """
        pk = self._pk()
        return self._granted(own_object(self.request.user, self._model(), pk), pk)

    def lock_object(self) -> Owned:
        """The same, locked until the transaction ends, so that two writers take turns."""
        pk = self._pk()
        return self._granted(self.get_queryset().select_for_update().filter(pk=pk).first(), pk)

    def _granted(self, found: Owned | None, pk: UUID) -> Owned:
        if found is None:
            self._refuse(pk)
        self.check_object_permissions(self.request, found)
        return found

    def get_json(self, wire: Wire) -> tuple[str, dict[str, Any]]:
        """The caller's row that the URL names, to be shown and not changed: its JSON, and as read.

        Raises what `get_object` does.
        """
        pk = self._pk()
        text = own_row(self.request.user, wire, pk)
        if text is None:
            self._refuse(pk)
        found: dict[str, Any] = json.loads(text)
        self.check_object_permissions(self.request, found)
        return text, found

    def _pk(self) -> UUID:
        text = self.kwargs[self.lookup_url_kwarg or self.lookup_field]
        if not _UUID.fullmatch(text):  # `UUID` itself takes braces, URNs and missing hyphens
            self._refuse_unknown()
        return UUID(text)

    def _refuse(self, pk: UUID) -> NoReturn:
        if exists(self._model(), pk):
            raise PermissionDenied("Access denied")
        self._refuse_unknown()

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Response:
        """Answer with the allowed methods, once it is clear that the resource is the caller's."""
        if self.detail:
            self.get_object()
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _refuse_unknown(self) -> NoReturn:
        raise NotFound(f"{str(self._model()._meta.verbose_name).capitalize()} not found")

    def _model(self) -> type[Owned]:
        queryset: Any = self.queryset  # type: ignore[arg-type]
        return cast("type[Owned]", queryset.model)
