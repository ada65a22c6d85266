"""Keyset paging: every page costs what the first one costs (docs/api.md section 3).

Rows that are added or removed meanwhile neither shift what follows nor make it repeat.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate, takewhile
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.utils.encoding import escape_uri_path
from rest_framework import serializers
from rest_framework.pagination import BasePagination
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from tasks.resources.lists.keyset import Key, cursor_of, keys_of, ordering_of, segments, values_of
from tasks.resources.lists.query import (
    Parameters,
    WholeNumberParameter,
    parameter,
    parameters_of,
    query_of,
)

SHORT = 100  # characters of a query of which something is kept


def rows_that_fit(sizes: Iterable[int]) -> int:
    """How many rows of these sizes a page holds, as a JSON array; the first one it always holds."""
    ends = accumulate(sizes, lambda end, size: end + size + len(","), initial=len("["))
    return max(1, sum(1 for _ in takewhile(lambda end: end <= settings.MAX_PAGE_SIZE, ends)) - 1)


class KeysetPagination(BasePagination):
    """`limit` and an opaque `cursor`; the next page is in the `Link` header (RFC 8288).

    Orders as the queryset is ordered, by `ordering` where it is not. Answers the array itself, which
    ends before `limit` where it would be larger than `MAX_PAGE_SIZE`.
    """

    ordering: Sequence[str] = ("-created_at",)
    max_limit = 1000

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        """Up to `limit` rows after the cursor. Raises `BadParameter` (400), naming the parameter."""
        limit, keys, parts = self.plan(queryset, request)
        rows: list[Any] = []
        for part in parts:
            rows += part[: limit + 1 - len(rows)]
            if len(rows) > limit:
                break
        self.request, self._keys, self._rows, self._more = request, keys, rows[:limit], rows[limit:]
        return self._rows

    def plan(
        self, queryset: QuerySet[Any], request: Request
    ) -> tuple[int, list[Key], list[QuerySet[Any]]]:
        """How a page is read: how many rows, by which keys, out of which querysets in turn."""
        query = parameters_of(request)
        limit = parameter(query, "limit", self.limit_field)
        keys = keys_of(queryset, self.ordering)
        cursor = parameter(query, "cursor", CURSOR_FIELD)
        after = None if cursor is None else values_of(cursor, keys)
        return limit or self.max_limit, keys, list(segments(queryset, keys, after))

    @property
    def limit_field(self) -> serializers.IntegerField:
        return _limit_field(self.max_limit)

    def get_paginated_response(self, data: Any) -> Response:
        kept, render = len(self._rows), JSONRenderer().render
        if kept and len(data) == kept:
            # Row by row, up to the first that does not fit: all at once, they may be 15 MB.
            kept = rows_that_fit(len(render(row)) for row in data)
            data = data[:kept]
        response = Response(data)
        if self._more or kept < len(self._rows):
            last = self._rows[kept - 1]
            values = (getattr(last, key.name) for key in self._keys)
            cursor = cursor_of(ordering_of(self._keys), values)
            response["Link"] = link_to_next(self.request, "cursor", cursor)
        return response

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        limit = {"type": "integer", "minimum": 1, "maximum": self.max_limit}
        at_most = "How many at the most; the rest is at the URL in `Link`."
        place = "Where the last page ended: part of the URL in `Link`."
        return [
            {"name": "limit", "in": "query", "description": at_most, "schema": limit},
            {"name": "cursor", "in": "query", "description": place, "schema": {"type": "string"}},
        ]

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return schema


CURSOR_FIELD = serializers.CharField()


@lru_cache
def _limit_field(max_limit: int) -> serializers.IntegerField:
    return WholeNumberParameter(min_value=1, max_value=max_limit)


def link_to_next(request: Request, name: str, value: str) -> str:
    """A `Link` header (RFC 8288) to this list from elsewhere on: with this value of a parameter.

    The value is one that a URL has as it is.
    """
    http = request._request  # past the wrapper, which looks in its own class first
    query = query_of(request)
    make = _before_value if len(query) <= SHORT else _before_value.__wrapped__
    before = make(http.path, query, name)
    return f'<{http.scheme}://{http.get_host()}{before}{value}>; rel="next"'


@lru_cache(maxsize=256)
def _before_value(path: str, query: str, name: str) -> str:
    """A list with this query, but another value of one parameter: a relative URL as far as that value."""
    others = Parameters(query).copy()
    others.pop(name, None)
    return f"{escape_uri_path(path)}?{others.urlencode()}{'&' if others else ''}{name}="
