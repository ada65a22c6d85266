"""The viewset of everything that is owned, versioned and recorded: REST framework's, with ETags."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar

from django.http import HttpRequest, HttpResponseNotModified
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.schemas import AutoSchema
from rest_framework.viewsets import GenericViewSet, ModelViewSet

from accounts.owned.viewsets import OwnedViewMixin
from accounts.users import owner_id
from tasks.events.record import position_of
from tasks.resources import fast
from tasks.resources.etags import etag, knows, require_match
from tasks.resources.idempotency import answered_once
from tasks.resources.lists.filters import StrictFilters, StrictOrdering
from tasks.resources.lists.paging import KeysetPagination
from tasks.resources.lists.query import StrictRequest, parameters_of
from tasks.resources.models import RecordedModel

Recorded = TypeVar("Recorded", bound=RecordedModel)
Handler = Callable[..., Any]


class RecordedViewMixin(OwnedViewMixin[Recorded], GenericViewSet[Recorded]):
    """Versions, repeats and pages for a viewset over a `RecordedModel` (docs/api.md section 3)."""

    filter_backends = [StrictFilters, StrictOrdering]
    pagination_class = KeysetPagination
    repeatable: tuple[str, ...] = ("create",)  # actions that heed `Idempotency-Key`
    # Routers look at it; the default would load drf-spectacular into every process that serves.
    schema = AutoSchema()

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        wrapping = super().initialize_request(request, *args, **kwargs)
        wrapping.__class__ = StrictRequest  # what runs before the handler may look up some, too
        return wrapping

    def prepare(self, handler: Handler) -> Handler:
        """The fast way where the class has left every hook as it came, else the handler itself."""
        of_many = self.detail is False and self.request.method in ("GET", "HEAD")
        if of_many or self.action == "list":
            handler = self._reading(handler)
        plain = chosen = super().prepare(handler)
        if (quick := fast.way_of(self, RecordedViewSet)) is not None:

            def chosen(request: Request, *args: Any, **kwargs: Any) -> Any:
                response: Any = quick(request)
                if response is None:
                    return plain(request, *args, **kwargs)
                # As REST framework's own responses have: by it, what serves lets go of the view.
                response.renderer_context = self.get_renderer_context()
                return response

        return answered_once(self, chosen) if self.action in self.repeatable else chosen

    def _reading(self, handler: Handler) -> Handler:
        """A handler that reads many: parameters that it has not looked up are refused.

        A list tells as of which event it was read: of one that was on record before the rows were read.
        """

        @wraps(handler)
        def read(request: Request, *args: Any, **kwargs: Any) -> Any:
            parameters = parameters_of(request)
            recorded = self.action == "list" and issubclass(self._owned_model, RecordedModel)
            position = position_of(owner_id(request.user)) if recorded else None
            response = handler(request, *args, **kwargs)
            parameters.refuse_unknown()
            if position is not None:
                position.tell(response)
            return response

        return read

    def get_object(self) -> Recorded:
        """Raises `PreconditionFailed` (412) too, where the request is about another version."""
        found = super().get_object()
        if self.request.method not in SAFE_METHODS:
            require_match(self.request, etag(found.version))
        return found

    def get_success_headers(self, data: Any) -> dict[str, str]:
        """`Location`, where a router made the routes: a row is below the list that it is in."""
        routed: Any = self.basename
        path = f"{self.request.path.rstrip('/')}/{data['id']}"
        return {} if routed is None else {"Location": self.request.build_absolute_uri(path)}

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        data = getattr(response, "data", None)
        if isinstance(data, Mapping) and "version" in data and response.status_code < 300:
            response["ETag"] = etag(data["version"])
            if request.method in SAFE_METHODS and knows(request, response["ETag"]):
                response = HttpResponseNotModified(headers={"ETag": response["ETag"]})
        return super().finalize_response(request, response, *args, **kwargs)


class RecordedViewSet(RecordedViewMixin[Recorded], ModelViewSet[Recorded]):
    """List, create, retrieve, update and delete the caller's own."""
