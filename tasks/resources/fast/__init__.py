"""The fast way: whole answers by one statement, on PostgreSQL.

It is the equal of the plain way, and taken only where a class has left every documented hook as it
came (`hooks`). Reading statements are compiled by the ORM, out of the
querysets of the plain way, with placeholders for the owner and the key, and kept. Writing ones do what
`RecordedModel.save` does, where nothing but the row itself changes: the row is read, the model decides
in Python, and one statement writes it together with its event, if it still has the version that was
read (compare-and-swap).
"""

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from accounts.owned.databases import on_postgresql
from tasks.resources.fast import reading, writing
from tasks.resources.fast.hooks import HOOKS_OF_INSTANCES, Fast, fast_of, may_write

_ACTIONS: dict[str, Callable[[Any, Fast, Request], HttpResponse | None]] = {
    "list": reading.list_page,
    "retrieve": reading.retrieve,
    "create": writing.create,
    "update": writing.update,
    "partial_update": writing.partial_update,
}
_WRITES = (writing.create, writing.update, writing.partial_update)


def way_of(view: Any, base: Any) -> Callable[..., HttpResponse | None] | None:
    """The fast way of the action that a view is about to run; `None` where there is none.

    It answers `None` where the plain way has to answer after all.
    """
    action = _ACTIONS.get(getattr(view, "action", None) or "")
    if action is None or not on_postgresql():
        return None
    if not HOOKS_OF_INSTANCES.isdisjoint(vars(view)):
        return None
    view_class: Any = type(view)
    fast = fast_of(view_class, base)
    if fast is None or (action in _WRITES and not may_write(fast)):
        return None

    def answer(request: Request, *args: Any, **kwargs: Any) -> HttpResponse | None:
        return action(view, fast, request)

    return answer
