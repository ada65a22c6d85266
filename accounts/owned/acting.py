"""For whom the database is asked: the value that PostgreSQL's row-level security compares.

It holds for one transaction. Threads that answer requests act for nobody until they say for whom;
commands and the admin act for everyone. On any database, a new row without an owner becomes the
acting person's.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections, models, transaction
from django.db.models.expressions import RawSQL

from accounts.owned.databases import fetch, on_postgresql
from accounts.users import owner_id

SETTING = "todolist.acting_as"

# No person has this id: ids hold no control characters (docs/api.md section 2).
EVERYONE = "\x01everyone"

# A condition, always true, that makes its statement act for the person with the id `%s`. It refers to
# no row, so PostgreSQL evaluates it once, before it reads rows and applies their policies. Executed by
# `fetch_acting`, as a transaction would go on acting for that person.
ACTING = f"(SELECT set_config('{SETTING}', %s, true)) IS NOT NULL"

_thread = threading.local()
# What `acting_as` and `acting_as_everyone` say, for the code inside of them.
_acting_for: ContextVar[str | None] = ContextVar("acting_for", default=None)


def act_for_nobody() -> None:
    """Let the connections that this thread opens from now on act for nobody by default."""
    _thread.for_nobody = True


def acts_for_nobody() -> bool:
    """Whether connections that this thread opens act for nobody, and not for everyone."""
    return getattr(_thread, "for_nobody", False)


def acting_owner() -> str:
    """The id of the person for whom the running code acts; "" where it is not one person."""
    value = _acting_for.get()
    return "" if value is None or value == EVERYONE else value


def condition(owner: str) -> RawSQL:
    """`ACTING` as a condition for `QuerySet.filter`."""
    return RawSQL(ACTING, (owner,), output_field=models.BooleanField())  # noqa: S611  a constant


def fetch_acting(
    owner: str,
    sql: str,
    values: Sequence[Any],
    fetch: Callable[[str, Sequence[Any]], list[tuple[Any, ...]]] = fetch,
) -> list[tuple[Any, ...]]:
    """The rows of a statement that acts for `owner` by `ACTING`.

    Inside `acting_as` somebody else, that goes on for whom it acted. So it does where the statement
    fails: PostgreSQL then undoes what was set as well.
    """
    rows = fetch(sql, values)
    before = _acting_for.get()
    if before is not None and before != owner and _in_transaction():
        _tell(before)
    return rows


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
    token = _acting_for.set(EVERYONE)
    try:
        with _told(EVERYONE) if on_postgresql() else nullcontext():
            yield
    finally:
        _acting_for.reset(token)


@contextmanager
def _told(value: str) -> Iterator[None]:
    """A transaction in which PostgreSQL is told for whom it is asked, or a part of one."""
    goes_on = _in_transaction()
    with transaction.atomic():
        before = _tell(value)
        yield
        # Where this part is rolled back, PostgreSQL undoes what was set.
        if goes_on and not connection.needs_rollback:
            _tell(before)


def _in_transaction() -> bool:
    """Whether there is a transaction that goes on after the next statement."""
    here = connections[DEFAULT_DB_ALIAS]
    return here.in_atomic_block or not here.get_autocommit()


def _tell(value: str) -> str:
    """Say for whom the transaction acts; for whom it did before."""
    sql = f"SELECT current_setting('{SETTING}', true), set_config('{SETTING}', %s, true)"
    return fetch(sql, [value])[0][0] or ""
