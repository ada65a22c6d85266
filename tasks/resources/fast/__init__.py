"""The fast way: whole answers by one statement, on PostgreSQL.

It is the equal of the plain way, and taken only where a class has left every documented hook as it
came (`hooks`). What reads is compiled by the ORM, out of the plain way's querysets, and kept. A change
reads the row, lets the model decide in Python, and writes row and event by one statement, if the row
still has the version that was read (compare-and-swap).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from accounts.owned.databases import on_postgresql
from tasks.resources.fast import reading, writing
from tasks.resources.fast.hooks import HOOKS_OF_INSTANCES, fast_of, may_write

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
    if action is None or not on_postgresql() or not HOOKS_OF_INSTANCES.isdisjoint(vars(view)):
        return None
    view_class: Any = type(view)
    fast = fast_of(view_class, base)
    if fast is None or (view.action in _WRITES and not may_write(fast)):
        return None
    return partial(action, view, fast)
