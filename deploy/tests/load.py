"""A steady load on a cluster, with a ledger of what was acknowledged and what arrived.

Each person has one writer, so the order of their events is the order of their answers, and is known to the
last one: a write whose answer was lost is sent again until it is answered, as a client does.
"""

import asyncio
import json
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from random import Random
from uuid import uuid4

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

PEOPLE = 10
SOCKETS = 10  # of each of them
RATE = 80  # requests a second, of all together
TIMEOUT = 20  # seconds
AGAIN_AFTER = 0.1  # seconds, after a failure
CATCH_UP_WITHIN = 20  # seconds


@dataclass
class Attempt:
    at: float
    seconds: float
    what: str
    status: int  # 0: no answer

    @property
    def failed(self):
        return self.status == 0 or self.status >= 500


@dataclass
class Person:
    """One who writes, and the ledger of it."""

    cluster: object
    number: int
    id: str = field(default_factory=lambda: f"load-{uuid4()}")
    tasks: dict = field(default_factory=dict)  # as they were acknowledged last
    written: list = field(default_factory=list)  # (type, id, version or None, acknowledged at)
    attempts: list = field(default_factory=list)

    def __post_init__(self):
        self.token = self.cluster.token(self.id)
        self.connection = HTTPConnection("127.0.0.1", self.cluster.port, timeout=TIMEOUT)

    def run(self, stopping):
        random = Random(self.number)
        following = time.monotonic() + random.random()
        while not stopping.is_set():
            time.sleep(max(0, following - time.monotonic()))
            following = max(following + PEOPLE / RATE, time.monotonic() - 1)
            step = random.choice(
                [self.create, self.create, self.change, self.change, self.look, self.list]
            )
            if len(self.tasks) > 20:
                step = self.delete
            step(random)
        self.connection.close()

    def create(self, random):
        key = str(uuid4())
        status, task = self.until_answered(
            "POST", "/tasks", {"text": f"Task {random.random()}"}, {"Idempotency-Key": key}
        )
        assert status == 201, (status, task)
        self.acknowledge("task.created", task)

    def change(self, random):
        if not self.tasks:
            return
        task = random.choice(list(self.tasks.values()))
        body = {"text": f"Changed {random.random()}"}
        version = {"If-Match": f'"{task["version"]}"'}
        status, changed = self.until_answered("PATCH", f"/tasks/{task['id']}", body, version)
        if status == 412:  # it was done, and its answer got lost
            status, changed = self.until_answered("GET", f"/tasks/{task['id']}")
        assert status == 200, (status, changed)
        assert changed["text"] == body["text"]
        self.acknowledge("task.updated", changed)

    def delete(self, random):
        task = random.choice(list(self.tasks.values()))
        status, body = self.until_answered("DELETE", f"/tasks/{task['id']}")
        assert status in (204, 404), (status, body)  # 404: done before, and its answer got lost
        del self.tasks[task["id"]]
        self.written.append(("task.deleted", task["id"], None, time.monotonic()))

    def look(self, random):
        if self.tasks:
            task = random.choice(list(self.tasks.values()))
            assert self.until_answered("GET", f"/tasks/{task['id']}") == (200, task)

    def list(self, random):
        status, tasks = self.until_answered("GET", "/tasks")
        assert (status, {task["id"]: task for task in tasks}) == (200, self.tasks)

    def acknowledge(self, kind, task):
        self.tasks[task["id"]] = task
        self.written.append((kind, task["id"], task["version"], time.monotonic()))

    def until_answered(self, method, path, body=None, headers=None):
        while True:
            status, answer = self.ask(method, path, body, headers)
            # 409: the first one with this key is still running.
            if status and status < 500 and status != 409:
                return status, answer
            time.sleep(AGAIN_AFTER)

    def ask(self, method, path, body=None, headers=None):
        """Status and body; status 0 where there was no answer."""
        start = time.monotonic()
        status, answer = 0, None
        try:
            self.connection.request(
                method,
                path,
                None if body is None else json.dumps(body),
                {
                    "Authorization": f"Bearer {self.token}",
                    "Content-Type": "application/json",
                    **(headers or {}),
                },
            )
            response = self.connection.getresponse()
            text = response.read()
            status, answer = response.status, json.loads(text) if text else None
        except (OSError, HTTPException, ValueError):
            self.connection.close()
        what = f"{method} {path.split('?')[0].rstrip('0123456789abcdef-')}"
        self.attempts.append(Attempt(start, time.monotonic() - start, what, status))
        return status, answer


class Listener:
    """One socket that comes back with the last number it saw."""

    def __init__(self, person):
        self.person = person
        self.last = self.first = self.epoch = None
        self.received = []  # (seq, type, id, version or None, at)
        self.mistakes = []
        self.down_since = None
        self.outages = []  # seconds

    async def run(self):
        while True:
            with suppress(OSError, WebSocketException, TimeoutError):
                await self.listen()
            if self.down_since is None:
                self.down_since = time.monotonic()
            await asyncio.sleep(0.05)

    async def listen(self):
        since = "" if self.last is None else f"?since={self.last}&epoch={self.epoch}"
        url = f"ws://127.0.0.1:{self.person.cluster.port}/ws/notifications{since}"
        async with connect(
            url, subprotocols=["bearer", self.person.token], open_timeout=10
        ) as socket:
            async for text in socket:
                self.take(json.loads(text))

    def take(self, message):
        kind = message["type"]
        if kind == "ready":
            if self.down_since is not None and self.last is not None:
                self.outages.append(time.monotonic() - self.down_since)
            self.down_since = None
            self.epoch = message["epoch"]
            if self.last is None:
                self.last = self.first = message["seq"]
        elif "seq" in message and "data" in message:
            if message["seq"] != self.last + 1:
                self.mistakes.append(f"{message['seq']} after {self.last}")
            self.last = message["seq"]
            data = message["data"]
            self.received.append(
                (self.last, kind, data["id"], data.get("version"), time.monotonic())
            )
        else:
            self.mistakes.append(f"{message} after {self.last}")


class Load:
    """`with Load(cluster) as load:` break something inside; `load.report` says what was noticed."""

    def __init__(self, cluster, people=PEOPLE):
        self.cluster = cluster
        self.people = [Person(cluster, number) for number in range(people)]
        self.listeners = [Listener(person) for person in self.people for _ in range(SOCKETS)]
        self.failures = []
        self._stopping = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._threads = [
            threading.Thread(target=self._write, args=(person,)) for person in self.people
        ]
        self._sockets = threading.Thread(
            target=self._loop.run_until_complete, args=(self._listen(),)
        )

    def __enter__(self):
        self._sockets.start()
        try:
            self._wait(lambda: all(listener.last is not None for listener in self.listeners))
        except BaseException:
            self._hang_up()
            raise
        for thread in self._threads:
            thread.start()
        time.sleep(2)
        self._log_sizes = {part: part.log.stat().st_size for part in self.cluster.parts}
        return self

    def __exit__(self, kind, *_):
        time.sleep(1)
        self._stopping.set()
        try:
            for thread in self._threads:
                thread.join(60)
            if kind is None:
                self._verify()
        finally:
            self._hang_up()

    @property
    def attempts(self):
        return [attempt for person in self.people for attempt in person.attempts]

    @property
    def failed(self):
        return Counter(f"{a.what} {a.status}" for a in self.attempts if a.failed)

    @property
    def slowest(self):
        return max(attempt.seconds for attempt in self.attempts)

    @property
    def latest(self):
        """The longest from an answer to its event at a socket, in seconds."""
        return max(
            at - listener.person.written[seq - 1][3]
            for listener in self.listeners
            for seq, _, _, _, at in listener.received
        )

    @property
    def longest_outage(self):
        """Of a socket: from its end to the next `ready`, in seconds."""
        return max((max(listener.outages, default=0) for listener in self.listeners), default=0)

    def log_lines(self, *parts):
        """What these have logged since the load began."""
        text = b"".join(part.log.read_bytes()[self._log_sizes[part] :] for part in parts)
        return text.decode(errors="replace").splitlines()

    @property
    def report(self):
        return (
            f"{len(self.attempts)} requests, failed: {sum(self.failed.values())} {dict(self.failed)}, "
            f"slowest {self.slowest:.2f} s, events at most {self.latest:.2f} s late, sockets away for "
            f"at most {self.longest_outage:.2f} s, log lines of the servers: "
            f"{len(self.log_lines(*self.cluster.servers))}"
        )

    def _write(self, person):
        try:
            person.run(self._stopping)
        except Exception as error:  # noqa: BLE001  a thread's own would be lost
            self.failures.append(repr(error))

    def _hang_up(self):
        self._loop.call_soon_threadsafe(self._everybody.cancel)
        self._sockets.join(30)
        self._loop.close()

    async def _listen(self):
        self._everybody = asyncio.gather(
            *(listener.run() for listener in self.listeners), return_exceptions=True
        )
        with suppress(asyncio.CancelledError):
            await self._everybody

    def _wait(self, condition):
        end = time.monotonic() + CATCH_UP_WITHIN
        while not condition() and time.monotonic() < end:
            time.sleep(0.05)
        assert condition()

    def _verify(self):
        """Nothing acknowledged is lost, doubled, or out of order: in the database, and at each socket."""
        assert self.failures == []
        for person in self.people:
            expected = [(number, *event[:3]) for number, event in enumerate(person.written, 1)]
            events, since = [], 0
            while page := person.until_answered("GET", f"/events?since={since}")[1]:
                events += page
                since = page[-1]["seq"]
            found = [
                (e["seq"], e["type"], e["data"]["id"], e["data"].get("version")) for e in events
            ]
            assert found == expected
            person.list(None)
        with suppress(AssertionError):
            self._wait(
                lambda: all(each.last == len(each.person.written) for each in self.listeners)
            )
        for listener in self.listeners:
            assert listener.mistakes == []
            written = [(n, *e[:3]) for n, e in enumerate(listener.person.written, 1)]
            assert [event[:4] for event in listener.received] == written[listener.first :]
        for person in self.people:
            person.connection.close()
