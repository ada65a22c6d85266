"""One client at its worst, and somebody else beside it: `make siege`, about four minutes.

Starts `manage.py serve` with one worker on SQLite and memory, or on databases of its own beside that
of DATABASE_URL, and lets each attack of benchmarks/attacks.py loose on it for a few seconds. Meanwhile
somebody else asks for /health/live and for their own tasks. Prints a table and writes it to
benchmarks/siege.md; exit code 1 where a bound is broken. With `--before REVISION` the same is done
to that revision first, and stands beside it.
"""

import argparse
import http.client
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import jwt
import psycopg

from benchmarks.attacks import ATTACKS
from benchmarks.before import check_out
from benchmarks.servers import OUR_BIN

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "siege.md"
SECRET = "a-secret-for-benchmarks-0123456789abcdef"  # noqa: S105
MEDIAN, WORST, MEMORY = 100, 500, 300  # ms, ms, MiB
TIMEOUT = 10.0  # seconds after which a probe gives up
PAUSE = 0.02  # seconds between two questions
TASKS, NAMES = 1000, 8000
PATHS = ("/health/live", "/tasks")


def sign(person: str, **claims: object) -> str:
    return jwt.encode({"sub": person, "exp": int(time.time()) + 3600, **claims}, SECRET)


ATTACKER, SOMEBODY = sign("attacker"), sign("somebody")


@dataclass
class Outcome:
    """Milliseconds for each path; MiB."""

    times: dict[str, list[float]] = field(default_factory=lambda: {path: [] for path in PATHS})
    memory: float = 0
    died: bool = False

    def figures(self) -> list[float]:
        both = [(statistics.median(times), max(times)) for times in self.times.values()]
        return [*both[0], *both[1], self.memory]

    def holds(self) -> bool:
        bounds = [MEDIAN, WORST, MEDIAN, WORST, MEMORY]
        pairs = zip(self.figures(), bounds, strict=True)
        return not self.died and all(figure <= bound for figure, bound in pairs)


@dataclass
class Side:
    """One revision of the repository, and where it is."""

    label: str
    folder: Path
    python: str


class Server:
    def __init__(self, side: Side, scratch: Path, database_url: str) -> None:
        self.port = 20_000 + secrets.randbelow(10_000)
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "SECRET_KEY": secrets.token_urlsafe(50), "DEBUG": "False", "ALLOWED_HOSTS": "127.0.0.1",
            "CORS_ORIGINS": "http://localhost:3000", "BETTER_AUTH_SECRET": SECRET,
            "DATABASE_URL": database_url, "REDIS_URL": "",
        }  # fmt: skip
        self._command = [side.python, "manage.py"]
        self._side, self._log = side, scratch / "server.log"

    def manage(self, *arguments: str) -> None:
        command = [*self._command, *arguments]
        subprocess.run(command, cwd=self._side.folder, env=self.environment, check=True)  # noqa: S603

    @contextmanager
    def running(self) -> Iterator[int]:
        """Its process id, while it runs."""
        command = [*self._command, "serve", f"127.0.0.1:{self.port}"]
        with self._log.open("wb") as log:
            process = subprocess.Popen(  # noqa: S603
                command, cwd=self._side.folder, env=self.environment, stdout=log, stderr=log
            )
        try:
            end = time.monotonic() + 30
            while ask(self.port, "/health/live") != 200:
                if process.poll() is not None or time.monotonic() > end:
                    sys.exit(f"The server did not start:\n{self._log.read_text()[-2000:]}")
                time.sleep(0.1)
            yield process.pid
        finally:
            process.kill()
            process.wait()


def ask(port: int, path: str, body: object = None, token: str = SOMEBODY) -> int:
    """The status of one request on a connection of its own; 0 where there is no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        method = "GET" if body is None else "POST"
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        response.read()
        return response.status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def fill(port: int) -> None:
    """A thousand long tasks of the attacker, and a few of somebody else."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    long = {"text": "ß" * 500, "description": "𝕊" * 2000}
    for token, body, count in ((ATTACKER, long, TASKS), (SOMEBODY, {"text": "Buy milk"}, 10)):
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        for _ in range(count):
            connection.request("POST", "/tasks", json.dumps(body), headers)
            response = connection.getresponse()
            response.read()
            if response.status != 201:
                sys.exit(f"POST /tasks was answered {response.status}")


def peak_memory(pid: int) -> float:
    """MiB of the process at its worst."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def besiege(port: int, pid: int, name: str, seconds: float, others: list[str]) -> Outcome:
    outcome = Outcome()
    over = threading.Event()

    def probe(path: str) -> None:
        while not over.is_set():
            began = time.perf_counter()
            status = ask(port, path)
            spent = (time.perf_counter() - began) * 1000
            outcome.times[path].append(spent if status == 200 else TIMEOUT * 1000)
            time.sleep(PAUSE)

    tokens = json.dumps([ATTACKER, others if "names" in name else []])
    attacker = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "benchmarks.attacks", name, str(port), str(seconds)],
        cwd=ROOT, stdin=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    probes = [threading.Thread(target=probe, args=[path]) for path in PATHS]
    for thread in probes:
        thread.start()
    attacker.communicate(tokens, timeout=10 * seconds + 60)
    over.set()
    for thread in probes:
        thread.join()
    try:
        outcome.memory = peak_memory(pid)
    except (OSError, IndexError):
        outcome.died = True
    return outcome


@contextmanager
def database(scratch: Path, label: str) -> Iterator[tuple[str, str]]:
    """URL of an empty database, and its kind."""
    given = os.environ.get("DATABASE_URL", "")
    if not given.startswith("postgres"):
        yield f"sqlite:///{scratch}/{label}.sqlite3", "SQLite"
        return
    name = f"todolist_siege_{secrets.token_hex(4)}"
    with psycopg.connect(given, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            yield f"{given.rpartition('/')[0]}/{name}", "PostgreSQL"
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def siege(side: Side, names: list[str], seconds: float) -> tuple[dict[str, Outcome], str]:
    outcomes = {}
    others = [sign(f"other-{n}", name=f"{n:05d}" + "x" * 11_900) for n in range(NAMES)]
    with tempfile.TemporaryDirectory() as folder, database(Path(folder), "siege") as (url, kind):
        server = Server(side, Path(folder), url)
        server.manage("migrate", "--verbosity", "0")
        with server.running():
            fill(server.port)
        for name in names:
            longer = 4 * seconds if name == "tokens with long names" else seconds
            server = Server(side, Path(folder), url)
            with server.running() as pid:
                outcome = outcomes[name] = besiege(server.port, pid, name, longer, others)
            figures = " / ".join(f"{figure:.0f}" for figure in outcome.figures())
            print(f"{side.label:>8}  {name:<40} {figures}", flush=True)
    return outcomes, kind


def table(sides: list[Side], results: list[dict[str, Outcome]], kind: str, seconds: float) -> str:
    columns = [
        f"{side.label}: {what}" for side in sides for what in ("live", "tasks", "MiB", "holds")
    ]
    lines = [
        "# One client at its worst, and somebody else beside it",
        "",
        f"`make siege`: each attack for {seconds:g} s by one process, on {len(os.sched_getaffinity(0))} cores"
        f" shared by server, attacker and somebody else; {kind}. `live` is `GET /health/live`, `tasks` is"
        f" `GET /tasks` of somebody else: median / worst in ms (bounds: {MEDIAN} / {WORST}); MiB is the most that"
        f" the process took (bound: {MEMORY}). {TIMEOUT * 1000:g} ms is no answer.",
        "",
        "| attack | " + " | ".join(columns) + " |",
        "|---|" + "---:|" * len(columns),
    ]
    for name in results[-1]:
        cells = []
        for result in results:
            live, worst_live, tasks, worst_tasks, memory = result[name].figures()
            cells += [
                f"{live:.0f} / {worst_live:.0f}",
                f"{tasks:.0f} / {worst_tasks:.0f}",
                f"{memory:.0f}",
            ]
            cells.append("yes" if result[name].holds() else "**no**")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", metavar="REVISION", help="measure that revision as well")
    parser.add_argument("--seconds", type=float, default=4, help="for each attack (default: 4)")
    parser.add_argument("--only", default="", help="attacks with this in their name")
    arguments = parser.parse_args()
    names = [name for name in ATTACKS if arguments.only in name]
    sides = [Side("after" if arguments.before else "now", ROOT, f"{OUR_BIN}/python")]
    if arguments.before:
        folder = check_out(arguments.before)
        sides.insert(0, Side("before", folder, f"{folder}/.venv/bin/python"))
    results = []
    for side in sides:
        outcomes, kind = siege(side, names, arguments.seconds)
        results.append(outcomes)
    text = table(sides, results, kind, arguments.seconds)
    print(text)
    if not arguments.only:
        RESULT.write_text(text)
    sys.exit(not all(outcome.holds() for outcome in results[-1].values()))


if __name__ == "__main__":
    main()
