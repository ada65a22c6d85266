"""Start the server, and the reminders beside it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def backend(address: str) -> list[list[str]]:
    """The commands that make up this backend, which serves HTTP and sockets at `address`."""
    return [
        [sys.executable, "manage.py", "serve", address],
        [sys.executable, "manage.py", "send_reminders", "--loop"],
    ]


def run_together(commands: list[tuple[list[str], Path, dict[str, str]]]) -> int:
    """Run commands until one of them ends or a signal comes; then stop all of them.

    Answers with the exit code of the first one that failed, else 0.
    """
    processes = [
        subprocess.Popen(command, cwd=folder, env=environment)  # noqa: S603
        for command, folder, environment in commands
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
    environment = dict(os.environ)
    print(f"Serving at http://{sys.argv[1]} until Ctrl+C.\n", flush=True)
    sys.exit(run_together([(command, ROOT, environment) for command in backend(sys.argv[1])]))
