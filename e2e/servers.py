"""Starts and stops the real servers: Better Auth with its page, and this backend."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "demo"

START_WITHIN = 30  # seconds
STOP_WITHIN = 5

SECRET = "end-to-end-3fJ8sPq0VxT2mZ7cKdW5rYb9"
OTHER_SECRET = "another-key-9bYr5WdKc7Zm2TxV0qPs8Jf3"

# Every variable of both servers, so that neither a `.env` nor the shell of whoever runs this has a say.
BLANK = dict.fromkeys(
    [
        "API_URL", "BETTER_AUTH_AUDIENCE", "BETTER_AUTH_ISSUER", "BETTER_AUTH_JWKS_URL",
        "BETTER_AUTH_LEEWAY", "BETTER_AUTH_SECRET", "BETTER_AUTH_SECRETS", "BETTER_AUTH_TRUSTED_ORIGINS",
        "BETTER_AUTH_URL", "CORS_ORIGINS", "DATA_FILE", "DATABASE_URL", "DEBUG", "GRACE_SECONDS", "HOST",
        "KEY_ALG", "NODE_ENV", "PORT", "REDIS_URL", "ROTATE_SECONDS", "TOKEN_MODE", "TOKEN_SECONDS",
    ],
    "",
)  # fmt: skip


class Server:
    """A process that answers at `url` once it is ready."""

    def __init__(self, command, *, folder, environment, ready_at, log):
        self.command = command
        self.folder = folder
        self.environment = {**os.environ, **BLANK, **environment}
        self.ready_at = ready_at
        self.log = log
        self.process = None

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_until(self._is_ready, START_WITHIN)
        except TimeoutError as error:
            self.stop()
            raise RuntimeError(f"{self.command} did not start:\n{self._last_words()}") from error

    def stop(self, how=signal.SIGTERM):
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def _is_ready(self):
        if self.process.poll() is not None:
            code, self.process = self.process.returncode, None
            raise RuntimeError(f"{self.command} ended with {code}:\n{self._last_words()}")
        try:
            with urllib.request.urlopen(self.ready_at, timeout=2) as response:
                return response.status == 200
        except OSError:
            return False

    def _last_words(self):
        return self.log.read_text(errors="replace")[-4000:]


class Stack:
    """A Better Auth server with its page, and a backend that trusts it; two origins, as in production."""

    def __init__(self, *, folder, empty_database, mode):
        self.folder = folder
        self.mode = mode
        self.page_url = f"http://localhost:{free_port()}"
        self.api_port = free_port()
        self.api_url = f"http://127.0.0.1:{self.api_port}"
        self.database = folder / "db.sqlite3"
        shutil.copy(empty_database, self.database)
        self.demo = None
        self.backend = None
        self.others = []

    def start(self, *, demo=None, backend=None):
        self.demo = self.start_demo(self.page_url, **(demo or {}))
        self.start_backend(**(backend or {}))
        return self

    def stop(self):
        for server in [self.demo, self.backend, *self.others]:
            if server is not None:
                server.stop()

    def start_demo(self, page_url, **environment):
        server = Server(
            ["node", "server.mjs"],
            folder=DEMO,
            environment={
                "PORT": page_url.rpartition(":")[2],
                "BETTER_AUTH_SECRET": SECRET,
                "API_URL": self.api_url,
                "TOKEN_MODE": self.mode,
                **environment,
            },
            ready_at=f"{page_url}/api/auth/ok",
            log=self.folder / "demo.log",
        )
        server.start()
        return server

    def start_second_demo(self):
        """The same page at an origin that the backend does not know."""
        page_url = f"http://localhost:{free_port()}"
        self.others.append(self.start_demo(page_url))
        return page_url

    def start_backend(self, **environment):
        self.backend = self._make_backend(self.api_port, environment)
        self.backend.start()

    @contextlib.contextmanager
    def backend_elsewhere(self):
        """The backend with the same data, at an address that the page does not know. Gives its URL."""
        port = free_port()
        server = self._make_backend(port, {})
        server.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.stop()

    def _make_backend(self, port, environment):
        trust = (
            {"BETTER_AUTH_SECRET": SECRET}
            if self.mode == "secret"
            else {"BETTER_AUTH_URL": self.page_url}
        )
        return Server(
            [
                *(sys.executable, "manage.py", "serve", f"127.0.0.1:{port}"),
            ],
            folder=ROOT,
            environment={
                **backend_environment(self.database),
                "CORS_ORIGINS": self.page_url,
                **trust,
                **environment,
            },
            ready_at=f"http://127.0.0.1:{port}/health/live",
            log=self.folder / "backend.log",
        )


def backend_environment(database):
    return {
        "SECRET_KEY": "end-to-end-p9Wq2LxT7vRb4NzC8mYs1KdG6hJf3QaE",
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "DATABASE_URL": f"sqlite:///{database}",
    }


def migrate(database):
    """Makes an empty database with all tables."""
    done = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        cwd=ROOT,
        env={**os.environ, **BLANK, **backend_environment(database), "BETTER_AUTH_SECRET": SECRET},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"manage.py migrate failed:\n{done.stdout}{done.stderr}")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(condition, seconds, every=0.1):
    """Asks until the answer is true, and gives that answer."""
    end = time.monotonic() + seconds
    while True:
        if answer := condition():
            return answer
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(every)
