"""Processes that push: killed in the middle, told to end, several at once (docs/api.md section 9)."""

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from django.db import transaction
from rest_framework.test import APIClient

from conftest import ALICE, ROOT, client_with, environment_for, manage, new_database, sign
from tasks.due import send_due
from tasks.models import Notification, PushDelivery, PushSubscription
from tasks.push import sending
from tasks.push.outbox import LEASE
from tasks.push.pump import AT_ONCE
from tasks.tests.calls import made
from tasks.tests.pushservice import Browser, PushService, serving
from tasks.tests.test_pushing import NOON, let_time_pass, pushes_in, subscribe


class Deployment:
    """A database, and processes that work on it."""

    def __init__(self, url: str, work: Callable[[str], AbstractContextManager[None]]) -> None:
        self.environment = environment_for(url, DEBUG="True", NO_PROXY="*")
        self.here = lambda: work(url)  # lets this process look into it

    def run(self) -> str:
        """A pass, as long as it takes; what it says of pushes."""
        done = manage("send_reminders", "--at", NOON.isoformat(), environment=self.environment)
        assert done.returncode == 0, done.stderr
        return pushes_in(done.stdout)

    @contextmanager
    def worker(self, log: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
        with log.open("wb") as sink:
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, "manage.py", "send_reminders", "--at", NOON.isoformat(), *options],
                cwd=ROOT,
                env=self.environment,
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def deployment(tmp_path, working_on, settings) -> Iterator[Deployment]:
    settings.DEBUG = True
    with new_database(tmp_path) as url:
        yield Deployment(url, working_on)


@pytest.fixture
def service() -> Iterator[PushService]:
    with serving() as service:
        yield service


def person(name: str = ALICE) -> APIClient:
    return client_with(sign(name))


def due(api: Any) -> None:
    made(api, deadline=NOON.isoformat())


def left() -> list[Any]:
    return list(PushDelivery.objects.values_list("begun_at", flat=True))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_after_a_crash_in_the_middle_it_is_not_sent_again(deployment, service, tmp_path):
    held = service.hold("/a")
    with deployment.here():
        subscribe(person(), f"{service.origin}/a")
        due(person())
    with deployment.worker(tmp_path / "log") as worker:
        assert service.arrived["/a"].wait(60)
        worker.kill()
        worker.wait()
    held.set()

    assert deployment.run() == "no pushes"
    with deployment.here():
        assert len(left()) == 1  # whether it arrived, nobody knows
        due(person())
        assert deployment.run() == "no pushes"  # nobody else sends meanwhile
        let_time_pass(seconds=LEASE.total_seconds())
    # The next one goes, and the first has not come back.
    assert deployment.run() == "1 push sent, 0 failed"
    assert len(service.pushes) == 2
    with deployment.here():
        assert left() == []
        assert Notification.objects.count() == 2


def test_told_to_end_it_ends_what_it_has_begun(deployment, service, tmp_path):
    held = service.hold("/a")
    with deployment.here():
        subscribe(person(), f"{service.origin}/a")
        due(person())
        due(person())
    with deployment.worker(tmp_path / "log", "--loop") as worker:
        assert service.arrived["/a"].wait(60)
        worker.send_signal(signal.SIGTERM)
        time.sleep(0.5)  # it would have ended by now
        assert worker.poll() is None
        held.set()
        assert worker.wait(30) == 0
    with deployment.here():
        assert left() == [None]  # the other one has not begun
    assert len(service.pushes) == 1


def test_two_workers_at_once_send_each_once(deployment, service, tmp_path):
    """More than one alone may have in hand, and no answers until all of it has come."""
    people, each = 3, 50
    browsers = {}
    gate = Event()
    with deployment.here():
        for number in range(people):
            api = person(f"person {number}")
            for which in range(each):
                path = f"/{number}/{which}"
                browsers[path] = Browser()
                subscribe(api, service.origin + path, browsers[path])
                service.holds[path] = gate
    assert len(browsers) > AT_ONCE
    options = ["--loop", "--interval", "3600"]
    with (
        deployment.worker(tmp_path / "one", *options) as one,
        deployment.worker(tmp_path / "other", *options) as other,
    ):
        logs = [tmp_path / "one", tmp_path / "other"]
        wait_until(lambda: all("alive" in log.read_text() for log in logs))
        with deployment.here():
            for number in range(people):
                due(person(f"person {number}"))
                due(person(f"person {number}"))
            with transaction.atomic():  # on this thread's connection
                assert sum(send_due(NOON)) == 2 * people
        wait_until(lambda: len(service.pushes) == len(browsers))
        gate.set()
        wait_until(lambda: len(service.pushes) == 2 * len(browsers))
        for worker in (one, other):
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(30) == 0
    sent = Counter(
        (path, note["id"])
        for path, browser in browsers.items()
        for note in service.read(path, browser)
    )
    assert len(sent) == 2 * len(browsers) and set(sent.values()) == {1}
    assert set(service.at_once.values()) == {1}
    with deployment.here():
        assert left() == []


def test_neither_endpoint_nor_key_reaches_the_log(deployment, service, tmp_path):
    """Capabilities and secrets, whatever goes wrong with them."""
    browser = Browser()
    statuses = {
        "/capability-1": 500,
        "/capability-2": 403,
        "/capability-3": 410,
        "/capability-4": 201,
    }
    service.statuses = statuses
    endpoints = [f"{service.origin}{path}" for path in statuses]
    endpoints += ["http://127.0.0.1:1/capability-5", "http://push.invalid/capability-6"]
    with deployment.here():
        for endpoint in endpoints[:-1]:
            subscribe(person(), endpoint, browser)
        # One whose name nobody can look up any more, and in its place another.
        gone = PushSubscription.objects.filter(endpoint=endpoints[0])
        gone.update_unrecorded(endpoint=endpoints[-1], endpoint_digest="another")
        subscribe(person(), endpoints[0], browser)
        due(person())
    log = tmp_path / "log"
    with deployment.worker(log, "--loop") as worker:
        wait_until(lambda: len(service.pushes) == len(statuses))
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
    said = log.read_text()
    keys = [*browser.subscription("")["keys"].values(), deployment.environment["VAPID_PRIVATE_KEY"]]
    assert "alive" in said
    for secret in ("capability", "push.invalid", "vapid t=", *keys):
        assert secret not in said


def test_a_lease_is_longer_than_sending_takes():
    assert timedelta(seconds=5 * sending.TIMEOUT) < LEASE
