"""One process of the cluster: kept running as systemd would, and ended, killed or frozen on demand."""

import os
import secrets
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

STOP_WITHIN = 20  # seconds; then it is killed
RESTART_AFTER = 0.2  # seconds; RestartSec


class Part:
    """A process that is started again whenever it ends, until it is told to stop."""

    def __init__(
        self,
        name: str,
        command: list[str],
        folder: Path,
        environment: dict[str, str] | None = None,
        user: str | None = None,
        stop_with: int = signal.SIGTERM,
    ) -> None:
        self.name = name
        self.command = command
        self.environment = environment
        self.user = user
        self.stop_with = stop_with
        self.log = folder / f"{name}.log"
        self.pid_file = folder / f"{name}.pid"
        self.process: subprocess.Popen[bytes] | None = None
        self._wanted = threading.Event()
        self._held = threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)

    def start(self) -> None:
        self._wanted.set()
        self._start_once()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def stop(self) -> None:
        """Tell it to end, and wait until it has."""
        self._wanted.clear()
        if (process := self.process) is None:
            return
        self.thaw()
        process.send_signal(self.stop_with)
        try:
            process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.kill()
        self._keeper.join()

    def restart(self) -> None:
        restart(self.pid_file)

    def kill(self) -> None:
        """End it, and what it has started, at once."""
        self._signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def hold(self) -> None:
        """Let it stay away, from its end until `release`."""
        self._held.set()

    def release(self) -> None:
        self._held.clear()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    @property
    def pid(self) -> int:
        assert self.process is not None  # noqa: S101
        return self.process.pid

    def _signal(self, number: int) -> None:
        found = subprocess.run(
            ["pgrep", "--parent", str(self.pid)],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
        for pid in (self.pid, *map(int, found.stdout.split())):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _start_once(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self.environment,
                user=self.user,
                group=self.user,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl+C is for the cluster alone
            )
        self.pid_file.write_text(str(self.process.pid))

    def _keep(self) -> None:
        while self._wanted.is_set():
            assert self.process is not None  # noqa: S101
            self.process.wait()
            time.sleep(RESTART_AFTER)
            while self._held.is_set() and self._wanted.is_set():
                time.sleep(RESTART_AFTER)
            if self._wanted.is_set():
                self._start_once()


def run(
    command: list[str], environment: dict[str, str] | None = None, user: str | None = None
) -> str:
    """What a command says; `RuntimeError` with it where that fails."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        user=user,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def restart(pid_file: Path) -> None:
    """Tell a process to end; come back when it has, for its keeper starts it again."""
    pid = int(pid_file.read_text())
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: int(pid_file.read_text()) != pid, STOP_WITHIN)


def free_port() -> int:
    """A port that nobody uses, and that the system gives to no outgoing connection meanwhile."""
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_until(condition: Callable[[], Any], seconds: float, every: float = 0.1) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(every)
