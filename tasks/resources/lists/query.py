"""Reads the query of a request, strictly: what cannot be understood is 400 and named.

A parameter is known where something looks it up: filters, paginators, `get_queryset`, an action. So
nothing has to be declared, and whatever is left over when a list has been read is refused.
"""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, cast
from uuid import UUID

from django.core.handlers.wsgi import WSGIRequest
from django.http import QueryDict
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.request import Request

from accounts.owned.viewsets import UUID_TEXT


class BadParameter(ParseError):
    """A parameter of the query that cannot be understood. The sentence begins with its name."""

    default_code = "bad_parameter"


class Parameters(QueryDict):
    """The parameters of a query, in UTF-8 whatever the charset of the body is; knows which were looked up."""

    def __init__(self, query: str = "", mutable: bool = False, encoding: str | None = None) -> None:
        self.looked_up: set[str] = set()
        super().__init__(query, mutable=mutable, encoding=encoding or "utf-8")
        self.looked_up = set()  # by others than the constructor

    def __getitem__(self, name: str) -> Any:
        self.looked_up.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.looked_up.add(cast("str", name))
        return super().__contains__(name)

    def getlist(self, name: str, default: Any = None) -> Any:
        self.looked_up.add(name)
        return super().getlist(name, default)

    def __iter__(self) -> Iterator[Any]:
        self.looked_up.update(super().keys())
        return super().__iter__()

    def keys(self) -> Any:
        self.looked_up.update(super().keys())
        return super().keys()

    def lists(self) -> Any:
        self.looked_up.update(super().keys())
        return super().lists()

    @property
    def unknown(self) -> list[str]:
        """The names that nothing has looked up."""
        names, known = super().keys(), self.looked_up
        return [name for name in names if name not in known]

    def refuse_unknown(self) -> None:
        """Raise `BadParameter` (400), naming them, where there are any that nothing has looked up."""
        if unknown := self.unknown:
            raise BadParameter(" ".join(_unknown(name, self.looked_up) for name in unknown[:10]))


def _unknown(name: str, known: set[str]) -> str:
    near = get_close_matches(name[:50].lower(), map(str, known), n=1)
    shown = name if len(name) <= 50 else f"{name[:50]}…"
    return f"{shown}: There is no such parameter here.{f' Is it {near[0]}?' if near else ''}"


def parameters_of(request: Request) -> Parameters:
    """The parameters of a request. From the first call on they are its `query_params`, too."""
    http: Any = request._request
    found = vars(http).get("GET")
    if not isinstance(found, Parameters):
        found = http.GET = Parameters(query_of(request))
    return found


class StrictRequest(Request):
    """A request whose `query_params` know which of them were looked up, from the first look on."""

    @property
    def query_params(self) -> Any:
        return parameters_of(self)


def query_of(request: Request) -> str:
    """The query of a request as the client wrote it."""
    query: str = request.META.get("QUERY_STRING", "")
    if not query.isascii() and isinstance(request._request, WSGIRequest):
        query = query.encode("latin-1").decode(errors="replace")  # a character a byte (PEP 3333)
    return query


def parameter(query: QueryDict, name: str, field: Any) -> Any:
    """The value of a parameter, `None` where it is not there.

    Raises `BadParameter` (400), naming it, for a bad value or one given twice.
    """
    values = query.getlist(name)
    if not values:
        return None
    if len(values) > 1:
        raise BadParameter(f"{name}: Give it once.")
    try:
        return field.run_validation(values[0])
    except serializers.ValidationError as error:
        detail: Any = error.detail
        raise BadParameter(f"{name}: {' '.join(map(str, detail))}") from None


class FlagParameter(serializers.BooleanField):
    """`true` or `false`, as a query string writes them, and nothing else."""

    TRUE_VALUES = {"true", "True"}
    FALSE_VALUES = {"false", "False"}
    NULL_VALUES = set()


class WholeNumberParameter(serializers.IntegerField):
    """A number in plain digits; Python alone would also take 1_0, 1.0 and digits of other scripts."""

    def to_internal_value(self, data: Any) -> int:
        if not re.fullmatch(r"-?[0-9]{1,20}", str(data)):
            self.fail("invalid")
        return super().to_internal_value(data)


class KeyParameter(serializers.CharField):
    """An id, or the word `none`. Whether there is such a row is not asked."""

    default_error_messages = {"invalid": "Expected an id."}

    def __init__(self, *, or_none: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.or_none = or_none

    def to_internal_value(self, data: Any) -> Any:
        if self.or_none and data == "none":
            return data
        if not UUID_TEXT.fullmatch(data):
            self.fail("invalid")
        return UUID(data)
