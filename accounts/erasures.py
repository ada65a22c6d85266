"""Whose data were erased: a keyed digest of who it was, and what names the history that came after.

Docs/api.md sections 5 and 8. Their tokens stay good; whoever comes with one finds nothing, and whoever
counts on events of before is told of another epoch.
"""

import secrets
import time
from collections.abc import Iterable
from functools import partial

from django.db import transaction
from django.dispatch import Signal

from accounts.models import Erasure
from accounts.owned.databases import on_postgresql
from accounts.signout import KEPT
from accounts.users import digests_of

SEPARATOR = "."  # between the epoch of the database and that of somebody who was erased

erased = Signal()  # somebody was, by this process, and it is committed

# The epoch of somebody who was erased, in SQL; no row for all others. Takes `names_of` them.
_IS_THEIRS = (
    "person = ANY(string_to_array(%s, ','))" if on_postgresql() else "instr(%s, person) > 0"
)
EPOCH = f"(SELECT max(epoch) FROM accounts_erasure WHERE {_IS_THEIRS})"  # noqa: S608  constants


def names_of(user_id: str) -> str:
    """What rows of `Erasure` may know somebody by, with commas in between."""
    return ",".join(digest.hex() for digest in digests_of(user_id))


def note(user_id: str) -> None:
    """Begin another history of somebody's, as part of the transaction that erases the end of the old one."""
    name, *older = names_of(user_id).split(",")
    epoch = SEPARATOR + secrets.token_hex(8)
    Erasure.objects.update_or_create(pk=name, defaults={"epoch": epoch, "moment": int(time.time())})
    Erasure.objects.filter(pk__in=older).delete()
    # Robust: it is done, and other processes find out by themselves.
    transaction.on_commit(partial(erased.send, sender=Erasure), robust=True)


def epochs_of(user_ids: Iterable[str]) -> dict[str, str]:
    """The epochs of those of these people who were erased."""
    names = {name: user_id for user_id in user_ids for name in names_of(user_id).split(",")}
    found = Erasure.objects.filter(pk__in=names).values_list("person", "epoch")
    return {names[name]: epoch for name, epoch in found}


def epochs_since(moment: float) -> dict[bytes, str]:
    """The epochs of everybody who was erased after a moment, in seconds since 1970, by their digests."""
    found = Erasure.objects.filter(moment__gte=int(moment)).values_list("person", "epoch")
    return {bytes.fromhex(name): epoch for name, epoch in found}


def part_of(epoch: str) -> str:
    """What in an epoch is of somebody who was erased; "" where it is the database's alone."""
    _, separator, rest = epoch.partition(SEPARATOR)
    return separator + rest


def prune(now: float) -> int:
    """Drop what is known of erasures from before any token that can be left; how many."""
    dropped, _ = Erasure.objects.filter(moment__lt=now - KEPT.total_seconds()).delete()
    return dropped
