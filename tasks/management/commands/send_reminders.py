"""`manage.py send_reminders`: make the notifications that deadlines call for (docs/api.md section 6)."""

import logging
import signal
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, InterfaceError, connection
from rest_framework.exceptions import ValidationError

from tasks.due import send_due
from tasks.resources.fields import TimestampField

logger = logging.getLogger(__name__)

NAP = 0.2  # seconds; how long a signal may have to wait for an idle loop


class Command(BaseCommand):
    help = (
        "Make the notifications that deadlines call for: one pass, or one every minute. Safe to run"
        " on several machines at once (with SQLite, on one)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--loop", action="store_true", help="go on until stopped")
        parser.add_argument(
            "--interval",
            type=float,
            default=60,
            metavar="SECONDS",
            help="with --loop: from the start of one pass to the next (default: 60)",
        )
        parser.add_argument(
            "--at",
            metavar="TIMESTAMP",
            help="pretend that it is this moment, such as 2030-05-01T12:00:00Z (default: now)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not 0 < options["interval"] <= 24 * 3600:
            raise CommandError("--interval must be more than 0 seconds and at most a day.")
        ahead = timedelta(0)
        if options["at"] is not None:
            ahead = moment(options["at"]) - datetime.now(UTC)
        self.verbosity = options["verbosity"]
        self.stopping = False
        work = self.loop if options["loop"] else self.once
        with self.stopped_by_signals():
            work(ahead, options["interval"])

    def once(self, ahead: timedelta, interval: float) -> None:
        self.report(self.one_pass(datetime.now(UTC) + ahead))

    def loop(self, ahead: timedelta, interval: float) -> None:
        while not self.stopping:
            following = time.monotonic() + interval
            try:
                made = self.one_pass(datetime.now(UTC) + ahead)
            except (DatabaseError, InterfaceError):
                logger.exception("Reminders: the database failed; trying again at the next pass")
                connection.close()  # one of before an outage is broken
            else:
                if made or self.verbosity > 1:
                    self.report(made)
            while not self.stopping and (left := following - time.monotonic()) > 0:
                time.sleep(min(left, NAP))

    def one_pass(self, now: datetime) -> int:
        """Everything that is due at `now`, or as much as there was time for before a signal."""
        total, terminal = 0, self.stdout.isatty()
        for made in send_due(now):
            total += made
            if terminal:
                self.stdout.write(f"\r{total:,} notifications so far", ending="")
                self.stdout.flush()
            elif self.verbosity > 1:
                self.stdout.write(f"{total:,} notifications so far")
            if self.stopping:
                break
        if terminal and total:
            self.stdout.write("\r\x1b[K", ending="")
        return total

    def report(self, made: int) -> None:
        self.stdout.write(f"{made} notification{'' if made == 1 else 's'} made")
        self.stdout.flush()

    @contextmanager
    def stopped_by_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT let the batch at hand be finished, then end the command."""

        def stop(*_: object) -> None:
            self.stopping = True

        before = {each: signal.signal(each, stop) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def moment(text: str) -> datetime:
    """The moment that `--at` names, read as the API reads timestamps."""
    try:
        value: datetime = TimestampField().run_validation(text)
    except ValidationError as error:
        raise CommandError(f"--at: {' '.join(map(str, error.detail))}") from error
    return value
