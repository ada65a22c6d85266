"""What `/health/ready` wants to know, asked at most once a second however many want to know it."""

import asyncio
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from channels.layers import get_channel_layer
from django.db import Error, ProgrammingError, connection, connections
from django.db.migrations.executor import MigrationExecutor

from accounts.owned.acting import act_for_nobody
from accounts.signin.conf import conf
from accounts.signin.keyset import key_set
from tasks.events.bell import call_soon
from todolist.health.draining import draining

logger = logging.getLogger(__name__)

OK, STOPPING, NEVER_FETCHED = "ok", "stopping", "never_fetched"
UNREACHABLE, READ_ONLY, NOT_MIGRATED = "unreachable", "read_only", "not_migrated"

# All in seconds. A probe that gives us one second has its answer.
CHANNEL_LAYER_TIMEOUT = 0.7
TIMEOUT = 0.8  # for both; whatever takes longer does not answer
ASK_EVERY = 1.0  # from one question to the next, however many want to know
MIGRATIONS_EVERY = 60.0  # from one comparison to the next, once all are applied

_migrated_until = float("-inf")
_said: dict[str, str] = {}  # of each part, the last word


def server_state() -> str:
    return STOPPING if draining.is_set() else OK


def keys_state() -> str:
    """Whether published keys, where tokens need them, were ever fetched; sees to it that they are."""
    if conf.jwks_url and key_set(conf.jwks_url).age is None:
        key_set(conf.jwks_url).see_to_a_fetch()
        return NEVER_FETCHED
    return OK


def database_state() -> str:
    """Asked over the connection of this thread."""
    try:
        if _is_read_only():
            return _noted("database", READ_ONLY, "It takes no writes")
        if not _is_migrated():
            return _noted("database", NOT_MIGRATED, "Its tables are not those of this version")
    except ProgrammingError as error:
        return _noted("database", NOT_MIGRATED, error)
    except Error as error:
        return _noted("database", UNREACHABLE, error)
    return _noted("database", OK)


def _is_read_only() -> bool:
    """Whether a transaction cannot write by default: by a setting, or because this is a standby."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT current_setting('transaction_read_only')")
            return bool(cursor.fetchone()[0] == "on")
        cursor.execute("SELECT 1")
    file = Path(connection.settings_dict["NAME"])
    return file.exists() and not os.access(file, os.W_OK)


def _is_migrated() -> bool:
    """Whether every migration of the code is applied; others may be too, of a later version."""
    global _migrated_until
    if time.monotonic() >= _migrated_until:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return False
        _migrated_until = time.monotonic() + MIGRATIONS_EVERY
    return True


async def channel_layer_state() -> str:
    """Send to a group that nobody is in: the layer's store must answer for that to succeed."""
    try:
        layer: Any = get_channel_layer()
        async with asyncio.timeout(CHANNEL_LAYER_TIMEOUT):
            await layer.group_send("health", {"type": "health.check"})
    except Exception as error:  # noqa: BLE001  every layer fails in its own way
        return _noted("channel layer", UNREACHABLE, repr(error))
    return _noted("channel layer", OK)


def _noted(part: str, state: str, why: object = "") -> str:
    """This state, which is logged where it is another one than before."""
    before, _said[part] = _said.get(part, OK), state
    if state != before:
        if state == OK:
            logger.info("The %s is well again", part)
        else:
            logger.error("The %s is %s: %s", part, state.replace("_", " "), why)
    return state


class Questions:
    """What is asked for all who want to know it on one event loop.

    Of what hangs, one question is open at a time, however long, and nobody waits longer than `TIMEOUT`.
    """

    def __init__(self) -> None:
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[dict[str, str]] | None = None
        self._open: dict[str, asyncio.Future[str]] = {}

    async def answers(self) -> dict[str, str]:
        now = time.monotonic()
        if self._asking is None or (self._asking.done() and now - self._asked_at >= ASK_EVERY):
            self._asked_at = now
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._asking)  # whoever leaves cancels it for nobody

    async def _ask(self) -> dict[str, str]:
        for part, ask in (("database", _ask_database), ("channel_layer", _ask_channel_layer)):
            if part not in self._open or self._open[part].done():
                self._open[part] = ask()
        await asyncio.wait(self._open.values(), timeout=TIMEOUT)
        return {
            part: found.result()
            if found.done()
            else _noted(part.replace("_", " "), UNREACHABLE, "no answer in time")
            for part, found in self._open.items()
        }


_questions: WeakKeyDictionary[asyncio.AbstractEventLoop, Questions] = WeakKeyDictionary()


async def ask() -> dict[str, str]:
    """The states of what has to be asked, on an event loop."""
    return await _questions.setdefault(asyncio.get_running_loop(), Questions()).answers()


def _ask_database() -> asyncio.Future[str]:
    """Over a connection of its own, in a thread that keeps nobody from ending the process."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()

    def ask() -> None:
        act_for_nobody()
        connections["default"].patience = 0  # type: ignore[attr-defined]  # to wait is no answer
        try:
            state = database_state()
        finally:
            connections.close_all()
        call_soon(loop, answer.set_result, state)

    threading.Thread(target=ask, name="health", daemon=True).start()
    return answer


def _ask_channel_layer() -> asyncio.Future[str]:
    return asyncio.ensure_future(channel_layer_state())
