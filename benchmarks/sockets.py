"""What sockets cost in one server process: memory, handshakes per second, time from POST to event.

    python benchmarks/sockets.py [--server uvicorn|daphne] [--sockets 1000 5000] [--events 300]

Starts the server on a free port, on a database of its own: SQLite and memory, or what DATABASE_URL
(whose database it migrates) and REDIS_URL name. The client shares the machine with the server.
Prints a table and writes it to benchmarks/results/sockets-<server>-<layer>.json. Needs
requirements-dev.txt, and ends within a few minutes whatever happens.
"""

import argparse
import asyncio
import base64
import json
import os
import platform
import resource
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import jwt

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
SECRET = "a-secret-for-benchmarks-0123456789abcdef"  # noqa: S105
AT_ONCE = 64  # handshakes under way
LIMIT = 300  # seconds for one run
Row = dict[str, float]


def sign(person: str) -> str:
    return jwt.encode({"sub": person, "exp": int(time.time()) + 3600}, SECRET)


def pss(pid: int) -> int:
    """Memory of a process in KiB, shared pages counted in proportion."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("Pss:")))


def cpu(pid: int) -> float:
    """Milliseconds that a process has worked: the machine may be busy with other things besides."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


class Socket(asyncio.Protocol):
    """A client that costs little, so that the server is what is measured. It answers pings."""

    def __init__(self) -> None:
        self.buffer = b""
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.open = False

    async def connect(self, port: int, token: str) -> None:
        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_connection(lambda: self, "127.0.0.1", port)
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        self.transport.write(
            f"GET /ws/notifications?token={token} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        if (await self.messages.get())["type"] != "ready":
            raise RuntimeError("No socket")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.open:
            _, end, rest = self.buffer.partition(b"\r\n\r\n")
            if not end:
                return
            self.open, self.buffer = True, rest
        while len(self.buffer) >= 2:
            start, length = 2, self.buffer[1]
            if length == 126:
                start, length = 4, int.from_bytes(self.buffer[2:4], "big")
            if len(self.buffer) < start + length:
                return
            opcode, payload = self.buffer[0] & 0xF, self.buffer[start : start + length]
            self.buffer = self.buffer[start + length :]
            if opcode == 0x1:
                self.messages.put_nowait(json.loads(payload))
            elif opcode == 0x9:  # ping; the pong is masked with zeros
                self.transport.write(bytes([0x8A, 0x80 | length]) + bytes(4) + payload)
            else:
                raise RuntimeError(f"The server closed a socket: {payload!r}")


async def measure(port: int, pid: int, count: int, events: int) -> Row:
    """Open `count` sockets of as many people; then post for one of them after the other."""
    run = secrets.token_hex(4)
    tokens = [sign(f"{run}-{number}") for number in range(count)]
    await Socket().connect(port, sign(f"{run}-warm"))
    before = pss(pid)
    gate = asyncio.Semaphore(AT_ONCE)
    sockets = [Socket() for _ in range(count)]

    async def open_one(number: int) -> None:
        async with gate:
            await sockets[number].connect(port, tokens[number])

    start, worked = time.perf_counter(), cpu(pid)
    await asyncio.gather(*map(open_one, range(count)))
    handshakes = count / (time.perf_counter() - start)
    handshake_cpu = (cpu(pid) - worked) / count
    await asyncio.sleep(3)
    memory = (pss(pid) - before) / count

    connection = HTTPConnection("127.0.0.1", port)

    async def time_one(owner: int) -> float:
        headers = {"Authorization": f"Bearer {tokens[owner]}", "Content-Type": "application/json"}

        def post() -> None:
            connection.request("POST", "/tasks", b'{"text": "x"}', headers)
            connection.getresponse().read()

        begin = time.perf_counter()
        posting = asyncio.get_running_loop().run_in_executor(None, post)
        await sockets[owner].messages.get()
        elapsed = time.perf_counter() - begin
        await posting
        return elapsed * 1000

    for owner in range(20):
        await time_one(owner)
    worked = cpu(pid)
    times = [await time_one(number * 7 % count) for number in range(events)]
    event_cpu = (cpu(pid) - worked) / events
    connection.close()
    cuts = statistics.quantiles(times, n=100)
    for each in sockets:
        each.transport.abort()
    return {
        "sockets": count,
        "handshakes/s": round(handshakes),
        "CPU ms each": round(handshake_cpu, 2),
        "KiB each": round(memory, 1),
        "event p50 ms": round(cuts[49], 2),
        "event p99 ms": round(cuts[98], 2),
        "event CPU ms": round(event_cpu, 2),
    }


@contextmanager
def server(kind: str, folder: str, log: Path) -> Iterator[tuple[int, int]]:
    """A server's port and process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "SECRET_KEY": "for-benchmarks-alone-kX3vN8qT5zR1mW7bL9sD4gH6jP2yC0fA",
        "BETTER_AUTH_SECRET": SECRET,
        "BETTER_AUTH_URL": "",
        "ALLOWED_HOSTS": "127.0.0.1",
        "DEBUG": "False",
        "DATABASE_URL": os.environ.get("DATABASE_URL") or f"sqlite:///{folder}/db.sqlite3",
        "REDIS_URL": os.environ.get("REDIS_URL", ""),
    }
    migrate = [sys.executable, "manage.py", "migrate", "-v0"]
    subprocess.run(migrate, cwd=ROOT, env=environment, check=True)  # noqa: S603
    place = ["--host", "127.0.0.1", "--port"] if kind == "uvicorn" else ["-b", "127.0.0.1", "-p"]
    command = [sys.executable, "-m", kind, *place, str(port), "todolist.asgi:application"]
    with log.open("wb") as sink:
        process = subprocess.Popen(  # noqa: S603
            command, cwd=ROOT, env=environment, stdout=sink, stderr=sink
        )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"The server did not start:\n{log.read_text()}")
                time.sleep(0.1)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", choices=["uvicorn", "daphne"], default="uvicorn")
    parser.add_argument("--sockets", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--events", type=int, default=300)
    arguments = parser.parse_args()
    wanted = max(arguments.sockets) + 200
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        sys.exit(f"{wanted} open files are needed, and {hard} allowed (ulimit -Hn).")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))  # the server inherits it
    layer = "redis" if os.environ.get("REDIS_URL") else "memory"
    rows: list[Row] = []
    for count in arguments.sockets:
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "server.log"
            with server(arguments.server, folder, log) as (port, pid):
                work = measure(port, pid, count, arguments.events)
                rows.append(asyncio.run(asyncio.wait_for(work, LIMIT)))
    print(f"{arguments.server}, {layer}, one process")
    print("".join(f"{name:>14}" for name in rows[0]))
    for row in rows:
        print("".join(f"{value:>14,}" for value in row.values()))
    RESULTS.mkdir(exist_ok=True)
    result = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} x {platform.machine()}, {platform.system()}",
        "python": platform.python_version(),
        "server": arguments.server,
        "layer": layer,
        "database": os.environ.get("DATABASE_URL", "sqlite").partition(":")[0],
        "rows": rows,
    }
    path = RESULTS / f"sockets-{arguments.server}-{layer}.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"Written to {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
