"""For whom the database is asked: the value that PostgreSQL's row-level security compares.

It holds for one transaction. Threads that answer requests act for nobody until they say for whom;
commands and the admin act for everyone. On any database, a new row without an owner becomes the
acting person's.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar

from django.db import connection, models, transaction
from django.db.models.expressions import RawSQL

from accounts.owned.databases import fetch, on_postgresql
from accounts.users import owner_id

SETTING = "todolist.acting_as"

# No person has this id: ids hold no control characters (docs/api.md section 2).
EVERYONE = "\x01everyone"

# A condition, always true, that makes its statement act for the person with the id `%s`. It refers to
# no row, so PostgreSQL evaluates it once, before it reads rows and applies their policies.
ACTING = f"(SELECT set_config('{SETTING}', %s, true)) IS NOT NULL"

_thread = threading.local()
_acting_for: ContextVar[str] = ContextVar("acting_for", default="")


def act_for_nobody() -> None:
    """Let the connections that this thread opens from now on act for nobody by default."""
    _thread.for_nobody = True


def acts_for_nobody() -> bool:
    """Whether connections that this thread opens act for nobody, and not for everyone."""
    return getattr(_thread, "for_nobody", False)


def acting_owner() -> str:
    """The id of the person for whom the running code acts; "" where it is not one person."""
    return _acting_for.get()


def condition(owner: str) -> RawSQL:
    """`ACTING` as a condition for `QuerySet.filter`."""
    return RawSQL(ACTING, (owner,), output_field=models.BooleanField())  # noqa: S611  a constant


@contextmanager
def acting_as(user: object, *, atomic: bool = False) -> Iterator[None]:
    """Act for `user`. On PostgreSQL this is a transaction; elsewhere only where `atomic` asks for one."""
    owner = owner_id(user)
    token = _acting_for.set(owner)
    try:
        with _told(owner) if on_postgresql() else transaction.atomic() if atomic else nullcontext():
            yield
    finally:
        _acting_for.reset(token)


@contextmanager
def acting_as_everyone() -> Iterator[None]:
    """On PostgreSQL, a transaction in which everybody's rows are known: the declared exception."""
    with _told(EVERYONE) if on_postgresql() else nullcontext():
        yield


@contextmanager
def _told(value: str) -> Iterator[None]:
    """A transaction in which PostgreSQL is told for whom it is asked."""
    part_of_another = connection.in_atomic_block
    with transaction.atomic():
        before = _tell(value)
        yield
        if part_of_another:  # which goes on for whom it acted
            _tell(before)


def _tell(value: str) -> str:
    sql = f"SELECT current_setting('{SETTING}', true), set_config('{SETTING}', %s, true)"
    return fetch(sql, [value])[0][0] or ""
