"""Signing a person out: tokens issued before that moment are refused (docs/api.md section 10).

Each process has everybody's moments in memory, by a keyed digest of whose they are. A thread of its own
reads them anew every few seconds, so that no request asks the database who is still signed in.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Protocol

from django.conf import settings
from django.db import connection, transaction
from django.dispatch import Signal

from accounts.models import SignOut
from accounts.owned.acting import act_for_nobody
from accounts.users import digests_of

logger = logging.getLogger(__name__)

KEPT = timedelta(days=366)  # a token that lives longer than a year is good again after it
OVERLAP = 3600  # seconds read again, for machines whose clocks differ
FIRST_READ = 2.0  # seconds that who comes first waits for it
RETRY = 1.0  # seconds, until the first read has succeeded

NEVER = -math.inf  # when a token without `iat` was issued

signed_out = Signal()  # somebody was, by this process, and it is committed


class Issued(Protocol):
    """Of a token: when it was issued, and the digests of whom it speaks for."""

    @property
    def issued_at(self) -> float: ...

    @property
    def digests(self) -> tuple[bytes, ...]: ...


class SignOuts:
    """Who was signed out, as far as this process knows."""

    def __init__(self) -> None:
        self.moments: Mapping[bytes, int] = {}  # never changed, but replaced
        self.asked = False  # whether the first read has ended, well or not
        self.on_change: Callable[[], object] = bool  # called from any thread
        self._lock = threading.Lock()  # guards `moments`, and that there is one thread
        self._thread: threading.Thread | None = None
        self._first = threading.Event()
        self._due = threading.Event()

    def include(self, token: Issued) -> bool:
        """Whether a token was issued before its person was signed out."""
        return any(token.issued_at < self.moments.get(digest, NEVER) for digest in token.digests)

    def begin(self) -> None:
        """Begin to read, and wait for the first answer, but not for long.

        Where the database does not answer, nobody is refused for it: whatever is worth protecting is in
        that same database, and who is asking (`GET /me`) does not depend on it otherwise.
        """
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._read_on, name="sign-outs", daemon=True)
                self._thread.start()
        self._first.wait(FIRST_READ)
        self.asked = True

    def look(self) -> None:
        """Read as soon as may be: another process has signed somebody out."""
        self._due.set()

    def read(self) -> None:
        """Read what is new. Raises what the database raises."""
        rows = SignOut.objects.values_list("person", "moment")
        if self.moments:
            rows = rows.filter(moment__gt=max(self.moments.values()) - OVERLAP)
        self.add({bytes.fromhex(person): moment for person, moment in rows})

    def add(self, moments: Mapping[bytes, int]) -> None:
        with self._lock:
            later = {
                digest: moment
                for digest, moment in moments.items()
                if moment > self.moments.get(digest, NEVER)
            }
            if not later:
                return
            self.moments = {**self.moments, **later}
        self.on_change()

    def forget(self) -> None:
        """Know of nobody, as at the start."""
        self.moments = {}

    def _read_on(self) -> None:
        act_for_nobody()
        pause, failing = RETRY, False
        while True:
            try:
                self.read()
            except Exception as error:  # noqa: BLE001  whatever it is, the next time may be better
                if not failing:  # logged once, not every time
                    logger.warning("Who was signed out cannot be read: %r", error)
                failing = True
            else:
                if failing:
                    logger.info("Who was signed out can be read again")
                pause, failing = settings.SIGN_OUTS_INTERVAL, False
            finally:
                connection.close()
            self._first.set()
            self._due.wait(pause)
            self._due.clear()


sign_outs = SignOuts()


def sign_out(user_id: str) -> tuple[int | None, int]:
    """Refuse whatever token of a person was issued until now, on every process within seconds.

    Answers with the moment of the time before, if any, and with that of now, in seconds since the epoch.
    `iat` is in whole seconds: to tell tokens of before from those of after, the moment is the beginning of
    the next second, and is waited for. Not in a transaction, which would wait as well.
    """
    moment = math.floor(time.time()) + 1
    while (left := moment - time.time()) > 0:
        time.sleep(left)
    digest = digests_of(user_id)[0]
    with transaction.atomic():
        row, is_new = SignOut.objects.select_for_update().get_or_create(
            pk=digest.hex(), defaults={"moment": moment}
        )
        before = None if is_new else row.moment
        SignOut.objects.filter(pk=row.pk, moment__lt=moment).update(moment=moment)
        # Robust: it is done, and other processes find out by themselves.
        transaction.on_commit(partial(sign_outs.add, {digest: moment}), robust=True)
        transaction.on_commit(partial(signed_out.send, sender=SignOut), robust=True)
    return before, moment


def moment_of(user_id: str) -> int | None:
    """When a person was signed out last, in seconds since the epoch, by the database."""
    keys = [digest.hex() for digest in digests_of(user_id)]
    moments = SignOut.objects.filter(pk__in=keys).values_list("moment", flat=True)
    return max(moments, default=None)


def prune(now: float) -> int:
    """Drop moments from which no token can be left; how many."""
    dropped, _ = SignOut.objects.filter(moment__lt=now - KEPT.total_seconds()).delete()
    return dropped
