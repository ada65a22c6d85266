"""Starting servers and stopping them again, whatever happens; what a process costs in memory."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.servers import Server

START_TIMEOUT = 30.0
STOP_TIMEOUT = 10.0


class Running:
    """A server that was started, with all the processes it started in turn."""

    def __init__(self, server: Server, logs: Path) -> None:
        self.server = server
        self.log = logs / f"{server.name}.log"
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603
                server.full_command(),
                cwd=server.folder,
                env=server.full_environment(),
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # one group, to be ended as one, out of reach of Ctrl-C
            )

    def wait_until_it_answers(self) -> None:
        end = time.monotonic() + START_TIMEOUT
        while time.monotonic() < end:
            if self._process.poll() is not None:
                break
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=2)
                connection.request("GET", "/me")
                if connection.getresponse().status in (401, 403):
                    return
            except OSError:
                pass
            time.sleep(0.1)
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
        sys.exit(f"{self.server.name} did not start. The end of its log:\n{tail}")

    def workers(self) -> list[int]:
        """The processes that answer requests: those of the group that have no child."""
        parents = {}
        for path in Path("/proc").iterdir():
            try:
                fields = (path / "stat").read_text().rpartition(")")[2].split()
            except (OSError, ValueError):
                continue
            if int(fields[2]) == self._process.pid:
                parents[int(path.name)] = int(fields[1])
        leaves = [pid for pid in parents if pid not in parents.values()]
        # uvicorn's main process has a child that only cleans up after it.
        return [pid for pid in leaves if "resource_tracker" not in _command_line(pid)]

    def busiest_worker(self) -> int:
        return max(self.workers(), key=_processor_ticks)

    def stop(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                break
            end = time.monotonic() + STOP_TIMEOUT
            while time.monotonic() < end and _group_lives(self._process):
                time.sleep(0.05)
        self._process.wait()


def _group_lives(process: subprocess.Popen[bytes]) -> bool:
    process.poll()  # or else the leader stays as a zombie, which counts as alive
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def _command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


def _processor_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def pss_mib(pid: int) -> float:
    """Memory of a process, pages that it shares counted in proportion."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("Pss:"))) / 1024


def clean_up_on_signals() -> None:
    """Let Ctrl-C and SIGTERM end the run in good order."""

    def leave(*_: object) -> None:
        sys.exit("Stopped.")

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)


class Undo:
    """What has to be done at the end, the last first, even where one of them fails."""

    def __init__(self) -> None:
        self._steps: list[Callable[[], object]] = []

    def later(self, step: Callable[[], object]) -> None:
        self._steps.append(step)

    def __enter__(self) -> "Undo":
        return self

    def __exit__(self, *_: object) -> None:
        # A second Ctrl-C must not leave anything behind; it is heard again afterwards.
        signals = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, signal.SIG_IGN) for number in signals]
        while self._steps:
            step = self._steps.pop()
            try:
                step()
            except Exception as error:  # noqa: BLE001  the other steps still have to run
                print(f"While cleaning up: {error}", file=sys.stderr)
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
