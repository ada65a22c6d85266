"""The check that the document at `/schema` describes every route."""

from collections.abc import Iterator
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

from django.core.checks import CheckMessage, Error, register

# Servers skip what has this tag when they start: it takes a while.
SCHEMA = "schema"


@register(SCHEMA)
def check_every_route_is_described(**kwargs: Any) -> Iterator[CheckMessage]:
    from drf_spectacular.drainage import GENERATOR_STATS
    from drf_spectacular.generators import SchemaGenerator

    GENERATOR_STATS.reset()  # it says nothing twice
    with redirect_stderr(StringIO()) as said_in_full:
        try:
            SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
        except Exception as error:  # noqa: BLE001  a view may fail in any way
            print(f"{type(error).__name__}: {error}", file=said_in_full)
    for said in said_in_full.getvalue().splitlines():
        yield Error(
            f"/schema cannot describe a route: {said}",
            hint="Give the view a serializer_class, or describe its handler by @described "
            "(accounts/described.py).",
            id="todolist.E024",
        )
