"""The fast way: whole answers by one statement, on PostgreSQL.

It is the equal of the plain way, and taken only where a class has left every documented hook as it
came (`hooks`). What reads is compiled by the ORM, out of the plain way's querysets, and kept. A change
reads the row, lets the model decide in Python, and writes row and event by one statement, if the row
still has the version that was read (compare-and-swap).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from accounts.owned.databases import on_postgresql
from tasks.resources.fast import bulk, reading, writing
from tasks.resources.fast.hooks import HOOKS_OF_INSTANCES, Fast, fast_of, may_write

_READS = {"list": reading.list_page, "retrieve": reading.retrieve}
_WRITES = {
    "create": writing.create,
    "update": partial(writing.change, whole=True),
    "partial_update": partial(writing.change, whole=False),
}


def way_of(view: Any, base: Any) -> Callable[[Request], HttpResponse | None] | None:
    """The fast way of the action that a view is about to run; `None` where there is none.

    `None` from it leaves the answer to the plain way after all.
    """
    action: Any = _READS.get(view.action) or _WRITES.get(view.action)
    fast = None if action is None else of(view, base, writes=view.action in _WRITES)
    return None if fast is None else partial(action, view, fast)


def write_all(
    view: Any, base: Any, request: Request, operations: Sequence[Mapping[str, Any]]
) -> HttpResponse | None:
    """The answer to operations of `bulk` that the fast way has done; `None` where it has done nothing."""
    fast = of(view, base, writes=True)
    return None if fast is None else bulk.write_all(fast, request, operations)


def of(view: Any, base: Any, *, writes: bool) -> Fast | None:
    """What the fast way knows of a viewset; `None` where there is none for what is asked, or written."""
    if not on_postgresql() or not HOOKS_OF_INSTANCES.isdisjoint(vars(view)):
        return None
    view_class: Any = type(view)
    fast = fast_of(view_class, base)
    return None if fast is None or (writes and not may_write(fast)) else fast
