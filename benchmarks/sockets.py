"""What sockets cost: memory of idle ones, and how long an event takes, with 1,000 open.

Run `python benchmarks/sockets.py`. It starts daphne on a database of its own (SQLite, or with
DATABASE_URL and REDIS_URL what they name, which must be migrated) and needs requirements-dev.txt.
"""

import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path

import jwt
from websockets.asyncio.client import connect

ROOT = Path(__file__).resolve().parent.parent
PORT = 8765
SOCKETS = 1000
EVENTS = 300
SECRET = "a-secret-for-benchmarks-0123456789abcdef"  # noqa: S105


def sign(number: int) -> str:
    return jwt.encode({"sub": f"user-{number}", "exp": int(time.time()) + 3600}, SECRET)


def pss(pid: int) -> int:
    """Memory of a process in KiB, shared pages counted in proportion."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("Pss:")))


async def measure(pid: int) -> None:
    before = pss(pid)
    start = time.perf_counter()
    gate = asyncio.Semaphore(64)

    async def open_one(number: int):
        async with gate:
            socket = await connect(
                f"ws://127.0.0.1:{PORT}/ws/notifications?token={sign(number)}", open_timeout=60
            )
            await socket.recv()
            return socket

    sockets = await asyncio.gather(*(open_one(number) for number in range(SOCKETS)))
    seconds = time.perf_counter() - start
    await asyncio.sleep(2)
    print(f"handshakes/s, 64 at a time          {SOCKETS / seconds:8.0f}")
    print(f"KiB (PSS) per idle socket           {(pss(pid) - before) / SOCKETS:8.1f}")

    connection = HTTPConnection("127.0.0.1", PORT)
    latencies = []
    for number in range(EVENTS):
        owner = number * 7 % SOCKETS
        headers = {"Authorization": f"Bearer {sign(owner)}", "Content-Type": "application/json"}
        begin = time.perf_counter()

        def post(headers: dict[str, str] = headers) -> None:
            connection.request("POST", "/tasks", json.dumps({"text": "x"}), headers)
            connection.getresponse().read()

        posting = asyncio.get_running_loop().run_in_executor(None, post)
        await sockets[owner].recv()
        latencies.append((time.perf_counter() - begin) * 1000)
        await posting
    cuts = statistics.quantiles(latencies, n=100)
    print(f"ms from POST to event, p50 / p99    {cuts[49]:8.1f} / {cuts[98]:.1f}")
    print(f"events/s, one after the other       {1000 / statistics.mean(latencies):8.0f}")
    await asyncio.gather(*(socket.close() for socket in sockets))


def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4 * SOCKETS, hard), hard))
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "SECRET_KEY": "benchmark-" * 6,
            "BETTER_AUTH_SECRET": SECRET,
            "ALLOWED_HOSTS": "127.0.0.1",
            "DEBUG": "False",
            "DATABASE_URL": os.environ.get("DATABASE_URL") or f"sqlite:///{folder}/db.sqlite3",
        }
        manage = [sys.executable, "manage.py", "migrate", "-v0"]
        subprocess.run(manage, cwd=ROOT, env=environment, check=True)  # noqa: S603
        daphne = [
            sys.executable,
            "-m",
            "daphne",
            "-v0",
            "-p",
            str(PORT),
            "todolist.asgi:application",
        ]
        server = subprocess.Popen(daphne, cwd=ROOT, env=environment)  # noqa: S603
        try:
            time.sleep(4)
            asyncio.run(measure(server.pid))
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
