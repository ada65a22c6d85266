"""On whose behalf the database is asked: what PostgreSQL's row-level security goes by.

The second line of isolation, behind `ownership`: on PostgreSQL the policies on owned tables
(`row_security`) let a statement see and write only the rows of the person it acts for. Who that is
holds for one transaction, so neither a kept connection nor a pooler hands it on to the next. Threads
that answer requests act for nobody until they say for whom; commands, and staff in the admin, act
for everyone. On other databases all of this does nothing.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

from accounts.owned.databases import on_postgresql
from accounts.owned.ownership import owner_id

SETTING = "todolist.acting_as"

# No id of a person is the same: none holds a control character (contract section 2).
EVERYONE = "\x01everyone"

# For a statement of its own: a source of one row, `me`, with the value `%s` as `id`, and as JSON. Where
# the statement reads on from it, it acts for that person from there on.
ACTING_SOURCE = (
    "(SELECT id, to_json(id)::text AS json"  # noqa: S608  a constant
    f" FROM set_config('{SETTING}', %s, true) AS id OFFSET 0) AS me"
)

# The same as a condition, always true. It is about no row, so PostgreSQL looks at it before it looks
# at any, and before a policy is asked.
ACTING = f"(SELECT set_config('{SETTING}', %s, true)) IS NOT NULL"

_thread = threading.local()


def act_for_nobody() -> None:
    """Let the connections that this thread opens from now on act for nobody, unless it says for whom.

    For the threads that answer requests or read for sockets.
    """
    _thread.for_nobody = True


def acts_for_nobody() -> bool:
    """Whether connections that this thread opens act for nobody, and not for everyone."""
    return getattr(_thread, "for_nobody", False)


@contextmanager
def acting_as(user: object) -> Iterator[None]:
    """On PostgreSQL, a transaction in which the database knows only what belongs to `user`."""
    with _acting(owner_id(user)):
        yield


@contextmanager
def changing_as(user: object) -> Iterator[None]:
    """The same for changes: a transaction on every database."""
    if on_postgresql():
        with acting_as(user):
            yield
    else:
        with transaction.atomic():
            yield


@contextmanager
def acting_as_everyone() -> Iterator[None]:
    """On PostgreSQL, a transaction in which everybody's rows are known: the declared exception."""
    with _acting(EVERYONE):
        yield


@contextmanager
def _acting(value: str) -> Iterator[None]:
    if not on_postgresql():
        yield
        return
    part_of_another = connection.in_atomic_block
    with transaction.atomic():
        before = _set(value)
        yield
        if part_of_another:  # which goes on as it was
            _set(before)


def _set(value: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT current_setting('{SETTING}', true), set_config('{SETTING}', %s, true)", [value]
        )
        return cursor.fetchone()[0] or ""
