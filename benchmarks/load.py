"""Load by wrk: one kind of request, as fast as a number of connections gets answers."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import ROOT, Server

REQUESTS = {
    "me": "`GET /me`",
    "list": "list of 50",
    "one": "one task",
    "change": "change",
    "create": "create",
}


@dataclass(frozen=True)
class Load:
    """What one turn of one server came to."""

    rate: float  # good answers a second
    p50: float  # ms
    p99: float
    failed: dict[str, int]  # answers of 400 and more, broken connections, long waits, no answers


def press(
    server: Server, kind: str, rotation: Path, *, seconds: float, connections: int, turn: int = 0
) -> Load:
    command = [
        "wrk", "--threads", "1", "--connections", str(connections),
        "--duration", f"{max(1, round(seconds))}s", "--timeout", "10s",
        "--script", str(ROOT / "benchmarks" / "load.lua"), f"http://127.0.0.1:{server.port}",
        "--", kind, str(rotation), str(turn),
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    line = next((x for x in result.stdout.splitlines() if x.startswith("result ")), None)
    if line is None:
        raise SystemExit(f"wrk failed: {result.stdout}{result.stderr}")
    found = json.loads(line.removeprefix("result "))
    found["silent"] = int(found["requests"] == 0)
    return Load(
        rate=(found["requests"] - found["status"]) / found["microseconds"] * 1e6,
        p50=found["p50"] / 1000,
        p99=found["p99"] / 1000,
        failed={how: found[how] for how in ("status", "socket", "timeout", "silent")},
    )
