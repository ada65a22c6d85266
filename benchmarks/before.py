"""An earlier revision of this repository as a server, beside the present tree: `--before REVISION`.

Its files go to a folder of their own, which git ignores, with a virtual environment of its own where
its requirements are not today's. It says itself how it is started (its own benchmarks/servers.py).
"""

import io
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from benchmarks.servers import OUR_BIN, OURS, ROOT, SECRET, Server

CACHE = ROOT / "benchmarks" / ".before"
PORT = 8121

_SAY_HOW = """
import json
from benchmarks.servers import OURS
print(json.dumps([OURS[0].command, OURS[0].full_environment(), OURS[0].processes]))
"""


def check_out(revision: str) -> Path:
    """Its files, with an environment that has what they require."""
    try:
        commit = _git("rev-parse", "--verify", f"{revision}^{{commit}}").decode().strip()
    except subprocess.CalledProcessError:
        sys.exit(f"git knows no revision {revision}")
    folder = CACHE / commit
    if not folder.exists():
        _check_out(commit, folder)
    _provide_environment(folder)
    return folder


def earlier(revision: str) -> Server:
    folder = check_out(revision)
    short = _git("rev-parse", "--short", folder.name).decode().strip()
    command, environment, processes = _how(folder)
    server = Server(
        name="before",
        label=f"before ({short})",
        port=PORT,
        command=command,
        folder=folder,
        ours=True,
        processes=processes,
        connections=OURS[0].connections,
        revision=short,
    )
    ours = {"DATABASE_URL": server.database_url, "BETTER_AUTH_SECRET": SECRET}
    server.environment.update({**environment, **ours})
    return server


def _check_out(commit: str, folder: Path) -> None:
    partial = folder.with_name("partial")
    shutil.rmtree(partial, ignore_errors=True)
    with tarfile.open(fileobj=io.BytesIO(_git("archive", "--format=tar", commit))) as archive:
        archive.extractall(partial, filter="data")
    partial.rename(folder)


def _provide_environment(folder: Path) -> None:
    """Today's virtual environment where it has what is required there, else another one."""
    environment, done = folder / ".venv", folder / ".venv" / "installed-before"
    wanted, todays = (place / "requirements.txt" for place in (folder, ROOT))
    if environment.is_symlink():
        environment.unlink()
    if wanted.read_bytes() == todays.read_bytes():
        shutil.rmtree(environment, ignore_errors=True)
        environment.symlink_to(OUR_BIN.parent)
    elif not done.exists():
        print(f"Installing what {wanted.relative_to(ROOT)} requires", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)  # noqa: S603
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        python = environment / "bin" / "python"
        subprocess.run([str(python), *install, "-r", str(wanted)], check=True)  # noqa: S603
        done.touch()
    runtime = folder / OUR_BIN.parent.relative_to(ROOT)  # where later revisions look for it
    if not runtime.is_symlink():
        runtime.symlink_to(environment)


def _how(folder: Path) -> tuple[list[str], dict[str, str], int]:
    """Command, environment and processes, as its own table has them; else as once they were."""
    said = subprocess.run(  # noqa: S603
        [f"{folder}/.venv/bin/python", "-c", _SAY_HOW],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if said.returncode == 0:
        command, environment, processes = json.loads(said.stdout)
        return command, environment, processes
    uvicorn = [f"{folder}/.venv/bin/uvicorn", "--workers", "2", "--host", "127.0.0.1"]
    return [*uvicorn, "--port", "{port}", "todolist.asgi:application"], {}, 2


def _git(*arguments: str) -> bytes:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, check=True).stdout  # noqa: S603
