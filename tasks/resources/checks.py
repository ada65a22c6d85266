"""What a recorded resource needs besides its model, and what its lists cannot do: told at start."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, register

from accounts.checks.walk import http_routes
from tasks.resources.lists.filters import columns_of
from tasks.resources.lists.keyset import keys_of
from tasks.resources.lists.paging import KeysetPagination
from tasks.resources.models import RecordedModel
from tasks.resources.wire import form_of


@register
def check_rows_can_be_shown(**kwargs: Any) -> Iterator[CheckMessage]:
    """Else the first change of a row fails, for want of a serializer for its event."""
    for model in apps.get_models():
        if issubclass(model, RecordedModel) and form_of(model) is None:
            yield Error(
                f"No serializer says how {model.__name__} is shown in events.",
                hint=f"Decorate its serializer with @wire_form({model.__name__}), and import that "
                "module in ready() of its application.",
                obj=model,
                id="tasks.E001",
            )


@register
def check_orders_have_columns(**kwargs: Any) -> Iterator[CheckMessage]:
    """A cursor names a place by columns; in any other order there is no next page."""
    for view in dict.fromkeys(route.view_class for route in http_routes()):
        paging: Any = getattr(view, "pagination_class", None)
        rows = getattr(view, "queryset", None)
        if rows is None or not issubclass(paging or object, KeysetPagination):
            continue
        for name in (None, *(getattr(view, "ordering_fields", None) or ())):
            name = columns_of(view).get(name, name)
            try:
                keys_of(rows.order_by(name) if name else rows.all(), paging.ordering)
            except ValueError as error:
                yield Error(
                    f"{view.__name__}: {error}",
                    hint="Order by columns of the model, or set another pagination_class.",
                    obj=view,
                    id="tasks.E002",
                )
