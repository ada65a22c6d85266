"""What a result has to be read with: the machine, and the versions of everything."""

import importlib.metadata
import json
import os
import platform
import re
import subprocess
from pathlib import Path

from benchmarks.servers import OUR_BIN, PEERS, ROOT

OURS = ("django", "djangorestframework", "psycopg", "pyjwt", "daphne", "uvicorn", "granian")
PEERS_NEED = (
    "fastapi", "sqlmodel", "sqlalchemy", "asyncpg", "uvicorn", "uvloop", "httptools", "pydantic",
    "django", "djangorestframework", "djangorestframework-simplejwt", "django-ninja", "gunicorn",
    "psycopg", "pyjwt",
)  # fmt: skip


def describe() -> dict[str, str]:
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    return {
        "cores": str(len(os.sched_getaffinity(0))),
        "processor": cpu[1] if cpu else platform.processor(),
        "memory": f"{int(memory[1]) / 2**20:.0f} GiB" if memory else "unknown",
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", ""),
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


def versions() -> dict[str, dict[str, str]]:
    packages = json.loads((PEERS / "fastify_ts" / "package.json").read_text())["dependencies"]
    return {
        "all": {
            "python": platform.python_version(),
            "node": _first_line(["node", "--version"]),
            "wrk": (_first_line(["wrk", "--version"]).split() or ["", "", ""])[1],
        },
        "todolist": {
            "commit": _first_line(["git", "-C", str(ROOT), "describe", "--always", "--dirty"]),
            **_installed(OUR_BIN.parent, OURS),
        },
        "the other Python servers": _installed(ROOT / "benchmarks" / ".venv", PEERS_NEED),
        "Fastify": packages,
    }


def _installed(environment: Path, names: tuple[str, ...]) -> dict[str, str]:
    paths = [str(path) for path in environment.glob("lib/python*/site-packages")]
    found = {
        distribution.metadata["Name"].lower().replace("_", "-"): distribution.version
        for distribution in importlib.metadata.distributions(path=paths)
    }
    return {name: found[name] for name in names if name in found}


def _first_line(command: list[str]) -> str:
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError:
        return ""
    return (said.stdout or said.stderr).partition("\n")[0]
