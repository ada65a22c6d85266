"""`manage.py send_reminders`: make the notifications that deadlines call for (docs/api.md section 6), and push them."""

import logging
import math
import signal
import time
from argparse import ArgumentParser
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.core.management.base import BaseCommand, CommandError, OutputWrapper
from django.db import Error, connection
from django.template.defaultfilters import pluralize
from rest_framework.exceptions import ValidationError

from accounts.outages import Outage
from tasks.due import LAST_RUN, send_due
from tasks.push.pump import Pump
from tasks.resources.fields import TimestampField
from tasks.supervisor import ALIVE, READY, tell

logger = logging.getLogger(__name__)

HEARTBEAT = 60.0  # seconds from one line that says that the loop lives to the next
NAP = 0.2  # seconds; how long a signal may have to wait for an idle loop


def moment(text: str) -> Any:
    """The moment that `--at` names, read as the API reads timestamps."""
    try:
        return TimestampField().run_validation(text)
    except ValidationError as error:
        raise CommandError(f"--at: {' '.join(map(str, error.detail))}") from error


def pushes(pump: Pump) -> str:
    """How many were sent and failed since this was asked last."""
    sent, others = pump.take_counts()
    return f"{sent} push{pluralize(sent, 'es')} sent, {others} failed"


class Command(BaseCommand):
    help = "Make the notifications that deadlines call for; safe to run on several machines."
    stopping = False
    pump: Pump | None = None

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--loop", action="store_true", help="go on until stopped")
        parser.add_argument("--interval", type=float, default=60, help="seconds (default: 60)")
        parser.add_argument("--at", help="the moment to take for now: 2030-05-01T12:00:00Z")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 0 < options["interval"] <= 24 * 3600:
            raise CommandError("--interval must be more than 0 seconds and at most a day.")
        ahead = timedelta(0) if options["at"] is None else moment(options["at"]) - datetime.now(UTC)
        with ExitStack() as stack:
            for number in (signal.SIGTERM, signal.SIGINT):
                stack.callback(signal.signal, number, signal.signal(number, self.stop))
            if settings.VAPID_PRIVATE_KEY:
                self.pump = stack.enter_context(closing(Pump()))
            if options["loop"]:
                if self.pump:
                    stack.enter_context(self.pump.in_background())
                self.loop(ahead, options["interval"])
            else:
                self.one_pass(ahead)
                if self.pump:
                    self.pump.run_once(lambda: self.stopping)
                    if self.pump.counts:
                        self.stdout.write(pushes(self.pump))

    def check(self, *args: Any, **kwargs: Any) -> None:
        """As always; where the log is JSON, the warnings are a line of it."""
        stderr, said = self.stderr, StringIO()
        if settings.LOG_FORMAT == "json":
            self.stderr = OutputWrapper(said)
        try:
            super().check(*args, **kwargs)
        finally:
            self.stderr = stderr
        if said.getvalue():
            logger.warning("%s", said.getvalue().strip())

    def loop(self, ahead: timedelta, interval: float) -> None:
        logger.info("todolist %s: reminders every %g s", settings.VERSION, interval)
        tell(READY)
        outage = Outage(
            logger,
            "Reminders: the database failed, each pass tries again: %s",
            "Reminders: the database answers",
            level=logging.ERROR,
            until_over=True,
        )
        passes = made = 0
        said = -math.inf
        while not self.stopping:
            following = time.monotonic() + interval
            try:
                made += self.one_pass(ahead, quiet=True)
                passes += 1
                outage.over()
            except Error as error:
                outage.failed(error)
                connection.close()  # one of before an outage is broken
            tell(ALIVE)  # a pass that hangs does not come here
            if time.monotonic() >= said + HEARTBEAT:
                sent = f", {pushes(self.pump)}" if self.pump else ""
                logger.info("Reminders: alive, passes %d, notifications %d%s", passes, made, sent)
                passes = made = 0
                said = time.monotonic()
            while not self.stopping and time.monotonic() < following:
                time.sleep(NAP)

    def stop(self, *_: object) -> None:
        """Let the batches at hand be finished, then end the command."""
        self.stopping = True

    def one_pass(self, ahead: timedelta, *, quiet: bool = False) -> int:
        """Make everything that is due, or as much as there is time for before a signal.

        Returns how many notifications that were.
        """
        total = 0
        for made in send_due(datetime.now(UTC) + ahead, lambda: not self.stopping):
            total += made
            tell(ALIVE)
            if self.pump and made:
                self.pump.wake()
        with suppress(Exception):  # whatever the cache raises: reminders do without it
            cache.set(LAST_RUN, time.time(), None)
        said = f"{total} notification{pluralize(total)} made"
        if quiet and total and settings.LOG_FORMAT == "json":
            logger.info("%s", said)  # so that programs can read all that the loop says
        elif total or not quiet:
            self.stdout.write(said)
            self.stdout.flush()
        return total
