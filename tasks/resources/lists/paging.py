"""Keyset paging: every page costs what the first one costs (docs/api.md section 3).

Rows that are added or removed meanwhile neither shift what follows nor make it repeat.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django.db.models import QuerySet
from django.utils.encoding import escape_uri_path
from rest_framework import serializers
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from tasks.resources.lists.keyset import Key, cursor_of, keys_of, ordering_of, segments, values_of
from tasks.resources.lists.query import WholeNumberParameter, parameter, parsed_query, query_of


class KeysetPagination(BasePagination):
    """`limit` and an opaque `cursor`; the next page is in the `Link` header (RFC 8288).

    Orders as the queryset is ordered, by `ordering` where it is not. Answers the array itself.
    """

    ordering: Sequence[str] = ("-created_at",)
    max_limit = 1000

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        """Up to `limit` rows after the cursor. Raises `ParseError` (400), naming the parameter."""
        self.request, self.next_cursor = request, None
        limit, keys, parts = self.plan(queryset, request)
        rows: list[Any] = []
        for part in parts:
            rows += part[: limit + 1 - len(rows)]
            if len(rows) > limit:
                last = rows[limit - 1]
                values = (getattr(last, key.name) for key in keys)
                self.next_cursor = cursor_of(ordering_of(keys), values)
                break
        return rows[:limit]

    def plan(
        self, queryset: QuerySet[Any], request: Request
    ) -> tuple[int, list[Key], list[QuerySet[Any]]]:
        """How a page is read: how many rows, by which keys, out of which querysets in turn."""
        query = parsed_query(query_of(request))
        limit = parameter(query, "limit", self.limit_field)
        keys = keys_of(queryset, self.ordering)
        cursor = parameter(query, "cursor", CURSOR_FIELD)
        after = None if cursor is None else values_of(cursor, keys)
        return limit or self.max_limit, keys, list(segments(queryset, keys, after))

    @property
    def limit_field(self) -> serializers.IntegerField:
        return _limit_field(self.max_limit)

    def get_paginated_response(self, data: Any) -> Response:
        response = Response(data)
        if self.next_cursor is not None:
            response["Link"] = link_to_next(self.request, "cursor", self.next_cursor)
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
    before = _before_value(http.path, query_of(request), name)
    return f'<{http.scheme}://{http.get_host()}{before}{value}>; rel="next"'


@lru_cache(maxsize=100)  # few, for a query may be long
def _before_value(path: str, query: str, name: str) -> str:
    """A list with this query, but another value of one parameter: a relative URL as far as that value."""
    others = parsed_query(query).copy()
    others.pop(name, None)
    return f"{escape_uri_path(path)}?{others.urlencode()}{'&' if others else ''}{name}="
