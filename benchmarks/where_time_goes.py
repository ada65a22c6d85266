"""Where the time of each request goes: `make bench-profile`.

Samples the stacks of one of our processes under load and says in which layer it was at work. A
sample counts for the innermost layer in its stack; other modules count for whoever called them.
At work is whoever holds Python's lock; how long a
request waits for PostgreSQL is told apart.

(Not `profile.py`: scripts in this folder would then import it in place of Python's own.)
"""

import argparse
import collections
import re
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

from benchmarks.data import claim_the_machine, create_databases, write_rotation
from benchmarks.load import REQUESTS, press
from benchmarks.processes import Running, Undo, clean_up_on_signals
from benchmarks.report import table
from benchmarks.run import CONNECTIONS, require
from benchmarks.servers import EVERY, OURS, PEER_BIN, ROOT, Server

RATE = 200  # samples a second
LAYERS = {
    "psycopg, Django's database layer": ("psycopg", "psycopg_c", "psycopg_binary", "psycopg_pool"),
    "JSON": ("json", "orjson", "ujson"),
    "REST framework": ("rest_framework",),
    "Django": ("django",),
    "other middleware": ("corsheaders", "whitenoise"),
    "tokens": ("jwt", "cryptography"),
    "server": (
        "uvicorn", "uvloop", "httptools", "granian", "daphne", "twisted", "autobahn", "a2wsgi",
        "gunicorn", "asgiref", "channels", "channels_redis", "redis", "asyncio", "concurrent",
        "threading.py", "queue.py", "selectors.py",
    ),
    "todolist itself": ("accounts", "tasks", "todolist"),
}  # fmt: skip
DATABASE = next(iter(LAYERS))
OF_PACKAGE = {package: layer for layer, packages in LAYERS.items() for package in packages}
FRAME = re.compile(r"(?P<function>.*) \((?P<file>.*):\d+\)")

Stacks = list[tuple[list[str], int]]  # frames, the outermost first, and samples


def layer_of(frame: str) -> str | None:
    """The layer that a frame belongs to; `None` where it counts for its caller."""
    found = FRAME.fullmatch(frame)
    if found is None:
        return None
    path = found["file"]
    for start in ("/site-packages/", f"{ROOT}/", r"/python3"):
        if start in path:
            inside = path.partition(start)[2]
            inside = inside.partition("/")[2] if start == "/python3" else inside
            if inside.startswith(("django/db/", "todolist/serving/postgresql/")):
                return DATABASE
            return OF_PACKAGE.get(inside.partition("/")[0])
    return None


def shares(stacks: Stacks) -> collections.Counter[str]:
    counted: collections.Counter[str] = collections.Counter()
    for frames, samples in stacks:
        layer = next(filter(None, map(layer_of, reversed(frames))), "server")
        counted[layer] += samples
    return counted


def record(pid: int, seconds: int, target: Path, *, waiting: bool) -> Stacks:
    command = [
        f"{PEER_BIN}/py-spy", "record", "--pid", str(pid), "--duration", str(seconds),
        "--rate", str(RATE), "--format", "raw", "--full-filenames", "--output", str(target),
        "--idle" if waiting else "--gil",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise SystemExit(f"py-spy failed (it needs to be root, or ptrace): {done.stderr[-500:]}")
    stacks = []
    for line in target.read_text().splitlines():
        frames, _, samples = line.rpartition(" ")
        stacks.append((frames.split(";"), int(samples)))
    return stacks


def waiting_share(stacks: Stacks) -> float:
    """Of the samples of threads that have a request in hand: those that wait for PostgreSQL."""
    in_hand = waiting = 0
    for frames, samples in stacks:
        layers = [layer_of(frame) for frame in frames]
        if not {"Django", "REST framework", "todolist itself"}.intersection(layers):
            continue
        in_hand += samples
        waits = re.search(r"wait|select|poll|recv|execute|fetch", frames[-1]) is not None
        waiting += samples if waits and layers[-1] == DATABASE else 0
    return waiting / in_hand if in_hand else 0.0


def profile(server: Server, seconds: int, folder: Path) -> None:
    running = Running(server, folder)
    columns: dict[str, collections.Counter[str]] = {}
    waits: dict[str, float] = {}
    hottest: dict[str, collections.Counter[str]] = {}
    try:
        running.wait_until_it_answers()
        for number, kind in enumerate(REQUESTS):
            rotation = folder / "rotation.txt"
            press(server, kind, rotation, seconds=1, connections=CONNECTIONS, turn=2 * number)
            load = threading.Thread(
                target=press,
                args=(server, kind, rotation),
                kwargs={
                    "seconds": 2 * seconds + 4,
                    "connections": CONNECTIONS,
                    "turn": 2 * number + 1,
                },
            )
            load.start()
            try:
                pid = running.busiest_worker()
                busy = record(pid, seconds, folder / "busy", waiting=False)
                held = record(pid, seconds, folder / "held", waiting=True)
            finally:
                load.join()
            columns[kind], waits[kind] = shares(busy), waiting_share(held)
            hottest[kind] = collections.Counter()
            for frames, samples in busy:
                hottest[kind][short(frames[-1])] += samples
            print(f"{kind}: {columns[kind].total()} samples", flush=True)
    finally:
        running.stop()
    print(f"\nShare of the samples at work, {server.label}\n")
    rows = [
        [
            layer,
            *(f"{columns[kind][layer] / max(1, columns[kind].total()):.0%}" for kind in columns),
        ]
        for layer in LAYERS
    ]
    rows.append(
        [
            "(waiting for PostgreSQL, of the time of a request)",
            *(f"{x:.0%}" for x in waits.values()),
        ]
    )
    print(table(["layer", *(REQUESTS[kind] for kind in columns)], rows))
    for kind, counted in hottest.items():
        print(f"\nMost often innermost, {kind}:")
        for frame, samples in counted.most_common(8):
            print(f"  {samples / counted.total():4.0%}  {frame}")


def short(frame: str) -> str:
    return re.sub(
        r"\(.*?(site-packages/|python3\.\d+/|(?=(?:accounts|tasks|todolist)/))", "(", frame
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--server", default=OURS[0].name, help="which of those in servers.py")
    arguments.add_argument("--seconds", type=int, default=4, help="of each of two recordings")
    given = arguments.parse_args()
    server = EVERY[given.server]
    require([server])
    clean_up_on_signals()
    with Undo() as undo:
        folder = Path(tempfile.mkdtemp(prefix="todolist-bench-"))
        undo.later(lambda: shutil.rmtree(folder, ignore_errors=True))
        claim_the_machine(undo, CONNECTIONS)
        create_databases(undo, [server], folder)
        write_rotation(folder / "rotation.txt")
        profile(server, given.seconds, folder)


if __name__ == "__main__":
    main()
