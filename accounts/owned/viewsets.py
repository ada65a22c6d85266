"""Isolation for views: what a view over an `OwnedModel` inherits before REST framework's classes."""

import re
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar, cast

from django.db import connection, models
from django.http import Http404
from rest_framework import status
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.generics import GenericAPIView
from rest_framework.metadata import BaseMetadata
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from accounts.owned.acting import acting_as
from accounts.owned.databases import ended_as_deadlock, tried
from accounts.owned.models import OwnedModel, OwnedQuerySet
from accounts.owned.permissions import IsOwner
from accounts.owned.row_security import exists
from accounts.owned.views import LeanView
from accounts.users import owner_id

UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)

TRIES = 3  # of a request; each deadlock takes a second to be noticed

Owned = TypeVar("Owned", bound=OwnedModel)
Handler = Callable[..., Any]
Marked = TypeVar("Marked", bound=Handler)


def in_own_transactions(handler: Marked) -> Marked:
    """Mark a handler that says itself for whom it acts, in transactions of its own (`acting_as`)."""
    handler.in_own_transactions = True  # type: ignore[attr-defined]
    return handler


class AllowedMethods(BaseMetadata):
    """OPTIONS tells the allowed methods, in its `Allow` header, and nothing else."""

    def determine_metadata(self, request: Request, view: Any) -> None:
        return None


class OwnedViewMixin(LeanView, GenericAPIView[Owned]):
    """Narrows a view down to the caller's own rows, and lets its handlers act for the caller.

    Each handler runs inside `acting_as(request.user)`, in a transaction where the method writes. What
    a handler leaves for later, such as a streamed response, is outside of it.
    """

    permission_classes = [IsOwner]
    metadata_class = AllowedMethods
    lookup_value_regex = "[^/]+"  # whatever is no UUID is unknown here, rather than to the router

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        method = str(request.method).lower()
        handler = getattr(self, method, None)
        if method in self.http_method_names and handler is not None:
            setattr(self, method, self.prepare(handler))  # what `dispatch` calls next

    def prepare(self, handler: Handler) -> Handler:
        """What is called instead of a handler: the same, acting for the caller."""
        if getattr(handler, "in_own_transactions", False):
            return handler

        def act(request: Request, *args: Any, **kwargs: Any) -> Any:
            def once() -> Any:
                with acting_as(request.user, atomic=request.method not in SAFE_METHODS):
                    return handler(request, *args, **kwargs)

            return tried(once, TRIES, ended_as_deadlock)

        return act

    def get_queryset(self) -> models.QuerySet[Owned]:
        everyones = cast("OwnedQuerySet[Owned]", super().get_queryset())
        return everyones.owned_by(self.request.user)

    def get_object(self) -> Owned:
        """The caller's object that the URL names; locked where the method may change it.

        Raises `NotFound` where no such id exists and `PermissionDenied` where it is another's
        (docs/api.md section 3, Isolation). The other's row is never loaded: only whether it exists.
        What `get_queryset` or a filter leaves out is not found.
        """
        by_key = self._names_key
        if by_key and not UUID_TEXT.fullmatch(self._lookup_value):
            self._refuse_unknown()  # `UUID` itself takes braces, URNs and missing hyphens
        try:
            if by_key and self.request.method not in SAFE_METHODS and connection.in_atomic_block:
                self.lock_row(self._owned_row())
            return super().get_object()
        except Http404:
            mine = by_key and self._owned_row().exists()
            if by_key and not mine and exists(self._owned_model, self._lookup_value):
                raise PermissionDenied(IsOwner.message, IsOwner.code) from None
            self._refuse_unknown()

    def lock_row(self, row: OwnedQuerySet[Owned]) -> None:
        """Let nobody else change the row until the transaction ends; on SQLite nobody can.

        What is to be locked before it, lest two requests wait for one another, is locked here, too.
        """
        row.select_for_update().values_list("pk").first()

    def perform_create(self, serializer: BaseSerializer[Any]) -> None:
        serializer.save(user_id=owner_id(self.request.user))

    def perform_destroy(self, instance: Owned) -> None:
        """Raises `NotFound` where nothing was deleted, so that 204 is never said of nothing."""
        deleted, _ = instance.delete()
        if not deleted:
            self._refuse_unknown()

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        """Describe the resource, once it is clear that it is the caller's."""
        if (self.lookup_url_kwarg or self.lookup_field) in self.kwargs:
            self.get_object()
        response = super().options(request, *args, **kwargs)
        if response.data is None:
            response.status_code = status.HTTP_204_NO_CONTENT
        return response

    def _owned_row(self) -> OwnedQuerySet[Owned]:
        """The row that the URL names where it is the caller's, whatever else narrows the view."""
        rows: OwnedQuerySet[Owned] = OwnedQuerySet(self._owned_model)
        rows = rows.owned_by(self.request.user)
        return rows.filter(pk=self._lookup_value).order_by()

    def _refuse_unknown(self) -> NoReturn:
        raise NotFound(f"{str(self._owned_model._meta.verbose_name).capitalize()} not found")

    @property
    def _lookup_value(self) -> str:
        return str(self.kwargs[self.lookup_url_kwarg or self.lookup_field])

    @property
    def _names_key(self) -> bool:
        """Whether the URL names a row by its primary key, a UUID."""
        key = self._owned_model._meta.pk
        return isinstance(key, models.UUIDField) and self.lookup_field in ("pk", key.name)

    @property
    def _owned_model(self) -> type[Owned]:
        declared: Any = self.queryset  # type: ignore[arg-type]
        queryset: Any = self.get_queryset() if declared is None else declared
        return cast("type[Owned]", queryset.model)
