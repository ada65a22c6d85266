"""The deployment that this folder describes, started natively on this machine, each part its own.

    python deploy/cluster.py [--port 8080]              # until Ctrl+C; `make cluster`
    python deploy/cluster.py restart FOLDER/server-PORT  # what `systemctl restart` is elsewhere

nginx with nginx.conf as it is shipped, two servers, PostgreSQL with the roles of roles.sql, Redis, and
the worker. Whatever ends is started again, as systemd does it. Needs nginx, PostgreSQL's and Redis's
programs; nothing of them has to be running.
"""

import os
import re
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from argparse import ArgumentParser
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import jwt
from parts import ROOT, Part, free_port, restart, run, wait_until

DEPLOY = ROOT / "deploy"

START_WITHIN = 30  # seconds

# What a `.env` of whoever runs this may hold plays no part.
BLANK = dict.fromkeys(
    re.findall(r"^(?:# )?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE), ""
)


class Cluster:
    """All parts, in a folder of their own; `url` is where clients call."""

    def __init__(self, folder: Path, *, port: int | None = None, **variables: str) -> None:
        self.folder = folder
        folder.chmod(0o711)  # nginx and PostgreSQL are other users
        self.secret = secrets.token_urlsafe(32)
        self.port, database_port, redis_port, *self.server_ports = (
            port or free_port(),
            *(free_port() for _ in range(4)),
        )
        self.url = f"http://127.0.0.1:{self.port}"
        self.passwords = {name: secrets.token_hex(16) for name in ("postgres", "owner", "server")}
        address = f"127.0.0.1:{database_port}"
        self.superuser_url = (
            f"postgresql://postgres:{self.passwords['postgres']}@{address}/postgres"
        )
        self.owner_url, self.server_url = (
            f"postgresql://todolist_{role}:{self.passwords[role]}@{address}/todolist"
            for role in ("owner", "server")
        )
        # As in /etc/todolist/server.env.
        self.environment = {
            **os.environ,
            **BLANK,
            "SECRET_KEY": secrets.token_urlsafe(50),
            "BETTER_AUTH_SECRET": self.secret,
            "ALLOWED_HOSTS": "127.0.0.1,localhost",
            "CORS_ORIGINS": "http://localhost:3000",
            "DATABASE_URL": self.server_url,
            "DATABASE_RLS": "True",
            "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
            "LOG_FORMAT": "json",
            **variables,
        }
        manage = [sys.executable, "manage.py"]
        self.postgresql = self._postgresql(database_port)
        self.redis = Part(
            "redis",
            ["redis-server", "--port", str(redis_port), "--bind", "127.0.0.1", "--save", ""],
            folder,
        )
        self.servers = [
            Part(
                f"server-{port}", [*manage, "serve", f"127.0.0.1:{port}"], folder, self.environment
            )
            for port in self.server_ports
        ]
        self.worker = Part(
            "reminders", [*manage, "send_reminders", "--loop"], folder, self.environment
        )
        self.nginx = self._nginx()
        self.parts = [self.postgresql, self.redis, *self.servers, self.worker, self.nginx]

    def start(self) -> "Cluster":
        """Start everything, in the order of an operator; what fails says so in its log."""
        self.postgresql.start()
        self.redis.start()
        wait_until(self.database_answers, START_WITHIN)
        self.make_roles()
        self.manage("migrate", "--no-input", as_owner=True)
        for part in (*self.servers, self.worker, self.nginx):
            part.start()
        try:
            wait_until(self.all_ready, START_WITHIN)
        except TimeoutError as error:
            words = "".join(part.log.read_text()[-2000:] for part in (*self.servers, self.nginx))
            raise RuntimeError(f"The cluster is not ready:\n{words}") from error
        return self

    def all_ready(self) -> bool:
        return all(map(self.ready, (*self.server_ports, self.port)))

    def stop(self) -> None:
        for part in reversed(self.parts):
            part.stop()

    def make_roles(self) -> None:
        variables = {
            "database": "todolist",
            **{f"{role}_password": self.passwords[role] for role in ("owner", "server")},
        }
        words = [f"--set={name}={value}" for name, value in variables.items()]
        file = DEPLOY / "postgresql/roles.sql"
        run(["psql", "--no-psqlrc", "--quiet", *words, f"--file={file}", self.superuser_url])

    def manage(self, *words: str, as_owner: bool = False) -> str:
        """What `manage.py` says, as the server's role or the owner of the tables."""
        url = self.owner_url if as_owner else self.server_url
        return run([sys.executable, "manage.py", *words], {**self.environment, "DATABASE_URL": url})

    def database_answers(self) -> bool:
        with suppress(RuntimeError):
            run(["pg_isready", "--quiet", f"--dbname={self.superuser_url}"])
            return True
        return False

    def token(self, user: str, ahead: int = 0) -> str:
        """Good for an hour, by a clock that is `ahead` by so many seconds."""
        now = int(time.time()) + ahead
        return jwt.encode({"sub": user, "iat": now, "exp": now + 3600}, self.secret)

    def ready(self, port: int) -> bool:
        with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=3):
            return True
        return False

    def _postgresql(self, port: int) -> Part:
        programs = Path(run(["pg_config", "--bindir"]).strip())
        data = self.folder / "postgresql"
        data.mkdir(exist_ok=True)  # a file system of its own may be mounted there
        user = None
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            user = "postgres"
            shutil.chown(data, user, user)
        password = self.folder / "password"
        password.write_text(self.passwords["postgres"])
        if user:
            shutil.chown(password, user)
        initdb = [str(programs / "initdb"), f"--pgdata={data}", "--username=postgres"]
        run([*initdb, "--auth=scram-sha-256", f"--pwfile={password}"], user=user)
        password.unlink()
        settings = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": data,
            "log_lock_waits": "on",
        }
        words = [f"-c{name}={value}" for name, value in settings.items()]
        command = [str(programs / "postgres"), f"-D{data}", *words]
        # SIGINT: end sessions, do not wait for them to go ("fast").
        return Part("postgresql", command, self.folder, user=user, stop_with=signal.SIGINT)

    def _nginx(self) -> Part:
        folder = self.folder / "nginx"
        shutil.copytree(DEPLOY / "nginx", folder, ignore=shutil.ignore_patterns("site*"))
        user = "user www-data;" if os.geteuid() == 0 else ""
        upstream = "".join(f"server 127.0.0.1:{port} max_fails=0;\n" for port in self.server_ports)
        paths = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        site = {
            "main": f"{user}\npid {folder}/nginx.pid;\nerror_log {folder}/error.log error;\n",
            "http": f"access_log {folder}/access.log todolist;\n"
            + "".join(f"{path}_temp_path {folder}/{path};\n" for path in paths),
            "upstream": upstream,
            "server": f"listen 127.0.0.1:{self.port};\n",
        }
        (folder / "site").mkdir()
        folder.chmod(0o711)
        for name, text in site.items():
            (folder / "site" / f"{name}.conf").write_text(text)
        program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin") or "nginx"
        command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf")]
        command += ["-e", "stderr", "-g", "daemon off;"]
        return Part("nginx", command, self.folder, stop_with=signal.SIGQUIT)


def main() -> None:
    parser = ArgumentParser(description="Start the whole deployment on this machine.")
    parser.add_argument("--port", type=int, default=8080, help="where nginx listens (8080)")
    words = parser.add_subparsers(dest="what")
    words.add_parser("restart").add_argument("part", help="FOLDER/server-PORT")
    options = parser.parse_args()
    if options.what == "restart":
        restart(Path(f"{options.part}.pid"))
        return
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    with tempfile.TemporaryDirectory(prefix="todolist-cluster-") as name:
        cluster = Cluster(Path(name), port=options.port)
        try:
            cluster.start()
            ports = " ".join(map(str, cluster.server_ports))
            print(f"At {cluster.url} until Ctrl+C. Logs and process ids are in {name}.\n")
            print(f"  TOKEN={cluster.token('alice')}")
            print(f'  curl -H "Authorization: Bearer $TOKEN" {cluster.url}/me')
            print("\nA rolling restart:\n")
            print(f'  RESTART="{sys.executable} {__file__} restart {name}/server-" \\')
            print(f"  {DEPLOY}/rolling-restart.sh {ports}", flush=True)
            stopping.wait()
        finally:
            cluster.stop()


if __name__ == "__main__":
    main()
