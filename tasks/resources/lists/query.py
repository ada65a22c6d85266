"""Reads the query of a request, strictly: what cannot be understood is 400 and named."""

import re
from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.http import QueryDict
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.request import Request


class BadParameter(ParseError):
    """A parameter of the query that cannot be understood. The sentence begins with its name."""

    default_code = "bad_parameter"


def query_of(request: Request) -> str:
    """The query of a request as the client wrote it.

    Not `request.query_params`: that is decoded by the charset of the body.
    """
    query: str = request.META.get("QUERY_STRING", "")
    if not query.isascii() and isinstance(request._request, WSGIRequest):
        query = query.encode("latin-1").decode(errors="replace")  # a character a byte (PEP 3333)
    return query


def parsed_query(query: str) -> QueryDict:
    return QueryDict(query, encoding="utf-8")


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
