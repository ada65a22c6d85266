"""Which servers are measured, and by which commands they are started: the table to edit."""

import importlib.util
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "benchmarks" / "peers"
# What a deployment installs, and nothing else: REST framework loads whatever it finds of the tools.
OUR_BIN = ROOT / "benchmarks" / ".runtime" / "bin"
PEER_BIN = ROOT / "benchmarks" / ".venv" / "bin"

ROLE = "todolist_bench"  # owns the databases; no superuser, as in production
POSTGRES = "127.0.0.1:5432"
REDIS = "redis://127.0.0.1:6379/7"
SECRET = "a-secret-for-benchmarks-alone-0123456789abcdef"  # noqa: S105


@dataclass(frozen=True)
class Server:
    name: str
    label: str
    port: int
    command: list[str]  # {port} is filled in
    folder: Path = ROOT
    environment: dict[str, str] = field(default_factory=dict)
    ours: bool = False
    processes: int = 2
    connections: int = 0  # to PostgreSQL, at most; ours without those that read for sockets
    variant: bool = False  # measured only when named, or with --variants
    revision: str = ""  # of ours, where it is an earlier one (benchmarks/before.py)

    @property
    def database(self) -> str:
        """All of ours share one, but for an earlier revision, whose tables may differ."""
        shared = self.ours and not self.revision
        return "todolist_bench_ours" if shared else f"todolist_bench_{self.name}"

    @property
    def database_url(self) -> str:
        return f"postgresql://{ROLE}@{POSTGRES}/{self.database}"

    def full_environment(self) -> dict[str, str]:
        """Nothing of the caller's but PATH and HOME: a `.env` or a variable would skew the run."""
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environment |= {
            "SECRET_KEY": "for-benchmarks-alone-kX3vN8qT5zR1mW7bL9sD4gH6jP2yC0fA",
            "DATABASE_URL": self.database_url,
        }
        if self.ours:
            # As a deployment sets them; empty ones keep a `.env` beside manage.py out.
            environment |= {
                "DEBUG": "False",
                "ALLOWED_HOSTS": "127.0.0.1",
                "CORS_ORIGINS": "http://localhost:3000",
                "BETTER_AUTH_SECRET": SECRET,
                "BETTER_AUTH_SECRETS": "",
                "BETTER_AUTH_URL": "",
                "BETTER_AUTH_JWKS_URL": "",
                "BETTER_AUTH_ISSUER": "",
                "BETTER_AUTH_AUDIENCE": "",
                "REDIS_URL": REDIS,
            }
        else:
            environment |= {"JWT_SECRET": SECRET}
        return environment | self.environment

    def full_command(self) -> list[str]:
        return [part.format(port=self.port) for part in self.command]

    def missing(self) -> str | None:
        """What keeps this server from being started here; `None` where nothing does."""
        if shutil.which(self.command[0]) is None:
            return f"{self.command[0]} is not installed"
        module = next((part for part in self.command if part.startswith("todolist.")), None)
        if module is None or self.revision:
            return None
        if importlib.util.find_spec(module.partition(":")[0]) is None:
            return f"{module} does not exist"
        return None


# The first is the one that the README names for production; the others are what it was chosen from.
OURS = [
    Server(
        name="ours",
        label="todolist",
        port=8101,
        command=[
            f"{OUR_BIN}/python", "manage.py", "serve", "--workers", "2", "127.0.0.1:{port}",
        ],
        ours=True,
        connections=16,
    ),
    Server(
        name="ours-1",
        label="todolist, one process",
        port=8102,
        command=[
            f"{OUR_BIN}/python", "manage.py", "serve", "127.0.0.1:{port}",
        ],
        ours=True,
        processes=1,
        connections=8,
        variant=True,
    ),
    Server(
        name="ours-daphne",
        label="todolist on daphne, one process",
        port=8103,
        command=[
            f"{OUR_BIN}/daphne", "-b", "127.0.0.1", "-p", "{port}", "todolist.asgi:application",
        ],
        ours=True,
        processes=1,
        connections=8,
        variant=True,
    ),
    Server(
        name="ours-granian",
        label="todolist on Granian (WSGI)",
        port=8104,
        command=[
            f"{OUR_BIN}/granian", "--interface", "wsgi", "--workers", "2", "--blocking-threads",
            "4", "--no-access-log", "--host", "127.0.0.1", "--port", "{port}",
            "todolist.wsgi:application",
        ],
        ours=True,
        connections=8,
        variant=True,
    ),
    Server(
        name="ours-granian-1",
        label="todolist on Granian (WSGI), one process",
        port=8105,
        command=[
            f"{OUR_BIN}/granian", "--interface", "wsgi", "--workers", "1", "--blocking-threads",
            "4", "--no-access-log", "--host", "127.0.0.1", "--port", "{port}",
            "todolist.wsgi:application",
        ],
        ours=True,
        processes=1,
        connections=4,
        variant=True,
    ),
]  # fmt: skip

OTHERS = [
    Server(
        name="fastapi",
        label="FastAPI + SQLModel",
        port=8111,
        command=[
            f"{PEER_BIN}/uvicorn", "--workers", "2", "--loop", "uvloop", "--http", "httptools",
            "--no-access-log", "--host", "127.0.0.1", "--port", "{port}", "main:app",
        ],
        folder=PEERS / "fastapi_sqlmodel",
        connections=40,
    ),
    Server(
        name="drf",
        label="DRF + simplejwt",
        port=8112,
        command=[
            f"{PEER_BIN}/gunicorn", "--workers", "2", "--bind", "127.0.0.1:{port}", "todo.wsgi",
        ],
        folder=PEERS / "drf_simplejwt",
        connections=2,
    ),
    Server(
        name="ninja",
        label="django-ninja",
        port=8113,
        command=[
            f"{PEER_BIN}/gunicorn", "--workers", "2", "--bind", "127.0.0.1:{port}", "todo.wsgi",
        ],
        folder=PEERS / "django_ninja",
        connections=2,
    ),
    Server(
        name="fastify",
        label="Fastify + pg + jose",
        port=8114,
        command=["node", "server.mjs"],
        folder=PEERS / "fastify_ts",
        environment={"PORT": "8114", "WORKERS": "2"},
        connections=20,
    ),
]  # fmt: skip

BASELINE = "fastapi"  # what the chart takes as 1
EVERY = {server.name: server for server in [*OURS, *OTHERS]}
