"""Start the server with the reminders beside it; for the demo and the example, a real Better Auth as well.

scripts/run.py HOST:PORT
scripts/run.py HOST:PORT DEMO_PORT TOKEN_MODE    # jwks or secret
scripts/run.py HOST:PORT EXAMPLE_PORT nextjs
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from todolist.config import Environment  # noqa: E402

Start = tuple[list[str], Path, dict[str, str]]  # command, folder, environment


def backend(address: str, **changes: str) -> list[Start]:
    """What makes up this backend, which serves HTTP and sockets at `address`."""
    commands = (["serve", address, "--drain", "0"], ["send_reminders", "--loop"])
    environment = {**os.environ, **changes}
    return [([sys.executable, "manage.py", *words], ROOT, environment) for words in commands]


def with_page(address: str, port: str, kind: str) -> list[Start]:
    """The same, and in front of it a Better Auth server with its page, on a port of its own."""
    node = shutil.which("node")
    if node is None:
        sys.exit("Node.js is missing: install Node.js 20 or newer.")
    page = f"http://localhost:{port}"
    print(f"\nOpen {page} in a browser; two windows show each other's changes.\n", flush=True)
    # The jwt plugin's keys are trusted by URL; the shared secret both have already.
    trusted = "" if kind == "secret" else page
    ours = backend(address, CORS_ORIGINS=page, BETTER_AUTH_URL=trusted)
    Environment(ROOT / ".env")  # into `os.environ`, as this backend reads it
    theirs = {**os.environ, "BETTER_AUTH_URL": page}
    start = example if kind == "nextjs" else demo
    return [start(node, f"http://{address}", port, kind, theirs), *ours]


def demo(node: str, api: str, port: str, token_mode: str, environment: dict[str, str]) -> Start:
    changes = {
        "PORT": port,
        "HOST": "127.0.0.1",
        "API_URL": api,
        "TOKEN_MODE": token_mode,
        "DATA_FILE": ".data.json",  # so that tasks still have their people after a restart
    }
    return [node, "server.mjs"], ROOT / "demo", {**environment, **changes}


def example(node: str, api: str, port: str, _kind: str, environment: dict[str, str]) -> Start:
    command = [node, "node_modules/next/dist/bin/next", "start", "-H", "localhost", "-p", port]
    changes = {"NODE_ENV": "production", "TODOLIST_URL": api, "NEXT_TELEMETRY_DISABLED": "1"}
    return command, ROOT / "examples/nextjs", {**environment, **changes}


def run_together(starts: list[Start]) -> int:
    """Run commands until one of them ends or a signal comes; then stop all of them.

    Answers with the exit code of the first one that failed, else 0.
    """
    processes = [
        subprocess.Popen(command, cwd=folder, env=environment)  # noqa: S603
        for command, folder, environment in starts
    ]

    def stop(*_: object) -> None:
        for process in processes:
            if process.poll() is None:
                process.terminate()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
    stop()
    codes = [process.wait() for process in processes]
    return next((code for code in codes if code > 0), 0)


if __name__ == "__main__":
    address, *of_page = sys.argv[1:]
    if of_page:
        sys.exit(run_together(with_page(address, *of_page)))
    print(f"Serving at http://{address} until Ctrl+C.\n", flush=True)
    sys.exit(run_together(backend(address)))
