"""People, their signed tokens, clients, and a real server, for every test."""

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import wait
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from email.message import Message
from functools import cache
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier
from typing import Any, NamedTuple
from urllib.request import urlopen
from uuid import uuid4

import jwt
import psycopg
import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher, make_password
from django.core.checks.registry import registry
from django.db import DatabaseError, InterfaceError, connection, connections, transaction
from django.test import TransactionTestCase, override_settings
from hypothesis import settings as hypothesis_settings
from psycopg import sql
from pytest_django import DjangoDbBlocker
from rest_framework.test import APIClient

from accounts.owned import acting

pytest_plugins = ["todolist.tests.frames"]

ROOT = Path(__file__).parent
# How long a machine takes says nothing about what is tested.
hypothesis_settings.register_profile("todolist", deadline=None)
hypothesis_settings.load_profile("todolist")

AT_THE_END = ExitStack()  # closed when the tests end
FOLDER = TemporaryDirectory(prefix="todolist-")  # gone when the tests end

# At least 32 bytes, and not a placeholder: what a deployment would have.
SECRET = "a-secret-that-only-the-tests-know-0123456789"
OTHER_SECRET = "another-secret-that-this-server-does-not-know"
DJANGO_SECRET_KEY = "only-for-tests-" + "0123456789abcdefghij" * 3

ALICE = "alice-Kf83hD0sNq2XvB7mTzL1cRyWpQ9uEo5A"
BOB = "bob-YCh51RZTUuoCEqAsOThxGJxVUAmekacs"
PAGE_ORIGIN = "https://app.example.com"

# A known configuration, whatever the environment says.
CONFIGURATION: dict[str, Any] = {
    "SECRET_KEY": DJANGO_SECRET_KEY,
    "SECRET_KEY_FALLBACKS": [],
    "ALLOWED_HOSTS": ["testserver"],
    "BETTER_AUTH_SECRET": SECRET,
    "BETTER_AUTH_SECRETS": "",
    "BETTER_AUTH_URL": "",
    "BETTER_AUTH_JWKS_URL": "",
    "BETTER_AUTH_ISSUER": "",
    "BETTER_AUTH_AUDIENCE": "",
    "BETTER_AUTH_LEEWAY": 10,
    "CORS_ORIGINS": (PAGE_ORIGIN,),
    "CORS_ALLOWED_ORIGINS": (PAGE_ORIGIN,),
    "ENVIRONMENT_MISTAKES": (),
    "SECURE_HSTS_SECONDS": 365 * 24 * 3600,  # as without DEBUG
    "SESSION_COOKIE_SECURE": True,
    "CSRF_COOKIE_SECURE": True,
    # Look for the admin's files when one is asked for, not for all of them with every new client.
    "WHITENOISE_AUTOREFRESH": True,
    "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
}

# What the environment may hold, set to nothing, so that a developer's `.env` plays no part.
BLANK_ENVIRONMENT = dict.fromkeys(
    re.findall(r"^(?:# )?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE), ""
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fuzz", type=int, default=0, help="make up data for so many seconds, each time other data"
    )


ROLE = "todolist_tests"


def use_a_role_that_policies_bind(database: dict[str, Any]) -> None:
    """Instead of a superuser, test as a role that row-level security holds for, as in production."""
    secret = database["PASSWORD"] or None
    with psycopg.connect(
        host=database["HOST"],
        port=database["PORT"] or 5432,
        user=database["USER"],
        password=secret,
        dbname="postgres",
        autocommit=True,
    ) as admin:
        row = admin.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
        if row != (True,):
            return
        with suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
            admin.execute(f"CREATE ROLE {ROLE} LOGIN CREATEDB")
        if secret:
            admin.execute(sql.SQL(f"ALTER ROLE {ROLE} PASSWORD {{}}").format(secret))
    database["USER"] = ROLE
    # Not one that somebody else has left behind; and another one beside each database.
    database.setdefault("TEST", {})["NAME"] = f"{ROLE}_{database['NAME']}"


def connect_as_everyone(url: str) -> psycopg.Connection[Any]:
    """A connection past Django that sees everybody's rows, as commands do (`accounts.owned.acting`)."""
    return psycopg.connect(url, options=f"-c {acting.SETTING}={acting.EVERYONE}")


def pytest_configure() -> None:
    # Before any fixture: the database is set up and cleared outside of them, and asks for it. Once
    # and for all: `settings`, for what a test changes, sets it back.
    override_settings(**CONFIGURATION).enable()
    database: Any = django_settings.DATABASES["default"]
    if "sqlite" in database["ENGINE"]:
        # A file as in earnest: connections to one database in memory get in each other's way.
        database.setdefault("TEST", {})["NAME"] = f"{FOLDER.name}/test.sqlite3"
    else:
        use_a_role_that_policies_bind(database)
    # Each of pytest-xdist's workers has a database of its own, and hears its own events only.
    if (worker := os.environ.get("PYTEST_XDIST_WORKER")) and django_settings.REDIS_URL:
        channel_layer: Any = django_settings.CHANNEL_LAYERS["default"]
        channel_layer["CONFIG"]["prefix"] += f"-{worker}"
        caches: Any = django_settings.CACHES.values()
        for cache in caches:
            cache["KEY_PREFIX"] += f"-{worker}"


def pytest_unconfigure() -> None:
    AT_THE_END.close()


SERVERS: list["Server"] = []  # that run, or have run in the present test
TOLD_OF_A_LOG = 8_000  # characters, of the end


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Show what the servers logged where a test fails: they know why."""
    report = yield
    if report.failed:
        for server in SERVERS:
            log = server.log.read_text(errors="replace")[-TOLD_OF_A_LOG:]
            report.sections.append((f"Log of {server.kind} at port {server.port}", log))
    if call.when == "teardown":
        SERVERS[:] = [server for server in SERVERS if server.process.poll() is None]
    return report


@pytest.fixture(autouse=True)
def nobody_signed_out() -> Iterator[None]:
    """No thread of this process reads who was signed out, and each test begins with nobody."""
    from accounts.signout import sign_outs

    sign_outs.asked = True
    yield
    sign_outs.forget()


# Which no test changes: what `migrate` writes of the code.
OF_THE_CODE = {"django_content_type", "auth_permission", "django_migrations"}


def empty_tables(case: TransactionTestCase) -> None:
    """Leave no rows after a test, as `flush` does, which drops and makes tables for that on PostgreSQL.

    Some hundred tests commit. What `flush` writes anew, but for the epoch, is left where it is.
    """
    from tasks.apps import make_epoch

    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    try:
        with acting.acting_as_everyone(), transaction.atomic(), connection.cursor() as cursor:
            for table in {*tables} - OF_THE_CODE:
                cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")  # noqa: S608
    except DatabaseError:
        flush_tables(case)
    else:
        make_epoch(apps.get_app_config("tasks"))


flush_tables = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup) -> Iterator[None]:
    """The database of the tests, which the kept connections of sockets would not let go."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", empty_tables)
        yield
    from tasks.events.hub import _readers

    threads = _readers._max_workers
    all_of_them = Barrier(threads)

    def close() -> None:
        all_of_them.wait(30)
        connections.close_all()

    wait([_readers.submit(close) for _ in range(threads)])


@pytest.fixture
def no_check_of_routes(monkeypatch) -> None:
    """For those who check the environment hundreds of times: the code stays what it is.

    Without what takes long of it, as Django's own checks of models, addresses and templates do.
    """
    from accounts.checks.routes import check_routes
    from todolist.checks import check_every_route_is_described

    of_code = {check_routes, check_every_route_is_described}
    others = {
        check
        for check in registry.registered_checks - of_code
        if not check.__module__.startswith("django.")
    }
    monkeypatch.setattr(registry, "registered_checks", others)


@pytest.fixture
def checks_of_accounts_alone(monkeypatch) -> None:
    """For those who ask again and again what the checks of isolation say."""
    ours = {
        check for check in registry.registered_checks if check.__module__.startswith("accounts.")
    }
    monkeypatch.setattr(registry, "registered_checks", ours)


def sign(
    sub: object = ALICE,
    *,
    key: str = SECRET,
    algorithm: str = "HS256",
    headers: dict[str, Any] | None = None,
    without: tuple[str, ...] = (),
    **claims: Any,
) -> str:
    """A really signed token for `sub`, good for an hour unless `claims` say otherwise."""
    now = int(time.time())
    payload = {"sub": sub, "iat": now, "exp": now + 3600, **claims}
    for claim in without:
        del payload[claim]
    return jwt.encode(payload, key, algorithm=algorithm, headers=headers)


class Caller(APIClient):
    """A client whose requests act for nobody until they say for whom, as on a server.

    On PostgreSQL the tests themselves act for everyone (`accounts.owned.acting`), and share their
    connection with the requests of this client.
    """

    def request(self, **kwargs: Any) -> Any:
        self._act_for("")
        try:
            return super().request(**kwargs)
        finally:
            self._act_for(acting.EVERYONE)

    def _act_for(self, value: str) -> None:
        if connection.vendor == "postgresql" and not acting.acts_for_nobody():
            setting = f"SELECT set_config('{acting.SETTING}', %s, %s)"
            # A test may have closed the connection, or may do without a database (pytest-django's
            # `RuntimeError`).
            with suppress(psycopg.OperationalError, DatabaseError, InterfaceError, RuntimeError):
                connection.ensure_connection()
                # Past Django, whose queries tests count.
                connection.connection.execute(setting, [value, connection.in_atomic_block])


def client_with(token: str | None) -> APIClient:
    """An HTTP client that sends `token`, and JSON."""
    client = Caller(raise_request_exception=False)
    client.default_format = "json"
    if token is not None:
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


@pytest.fixture
def alice_api() -> APIClient:
    return client_with(sign(ALICE, email="alice@example.com", name="Alice"))


@pytest.fixture
def bob_api() -> APIClient:
    return client_with(sign(BOB))


@pytest.fixture
def anonymous_api() -> APIClient:
    return client_with(None)


# A real server: another process, a port, a database of its own.


class Server(NamedTuple):
    """A running uvicorn or daphne."""

    port: int
    log: Path
    process: subprocess.Popen[bytes]
    environment: dict[str, str]
    kind: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws/notifications"

    @property
    def database_url(self) -> str:
        return self.environment["DATABASE_URL"]

    def manage(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run a management command with this server's configuration."""
        return manage(*arguments, environment={**self.environment, **changes})


class Answer(NamedTuple):
    """What a server answered; `body` is decoded, and `None` where there is none."""

    status: int
    headers: Message
    body: Any


def call(server: Server, token: str, method: str, path: str, body: object = None) -> Answer:
    """One HTTP request to a running server, with `body` as JSON."""
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read()
    return Answer(response.status, response.headers, json.loads(text) if text else None)


def environment_for(database_url: str, **changes: str) -> dict[str, str]:
    """A complete process environment for a server of the tests."""
    return {
        **os.environ,
        **BLANK_ENVIRONMENT,
        "DJANGO_SETTINGS_MODULE": "todolist.settings",
        "SECRET_KEY": DJANGO_SECRET_KEY,
        "BETTER_AUTH_SECRET": SECRET,
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "CORS_ORIGINS": PAGE_ORIGIN,
        "DATABASE_URL": database_url,
        "REDIS_URL": django_settings.REDIS_URL,
        "VAPID_PRIVATE_KEY": django_settings.VAPID_PRIVATE_KEY,
        "VAPID_SUBJECT": django_settings.VAPID_SUBJECT,
        "PYTHONUNBUFFERED": "1",
        **changes,
    }


def manage(
    *arguments: str, environment: dict[str, str], input: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `manage.py` in a process of its own."""
    return subprocess.run(  # noqa: S603
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        input=input,
        capture_output=True,
        text=True,
        timeout=60,
    )


@cache
def migrated_database() -> str:
    """The URL of a database with all tables and no rows, for `new_database` to copy."""
    url = AT_THE_END.enter_context(copied_database(Path(FOLDER.name), template=None))
    # With the tables that only this process has, which looks into it as well (`working_on`).
    settings = {"DJANGO_SETTINGS_MODULE": "todolist.tests.settings"}
    migrated = manage("migrate", environment=environment_for(url, **settings))
    assert migrated.returncode == 0, migrated.stderr
    return url


def new_database(folder: Path) -> AbstractContextManager[str]:
    """The URL of a migrated database of the kind this run uses, gone afterwards."""
    return copied_database(folder, template=migrated_database())


@contextmanager
def copied_database(folder: Path, *, template: str | None) -> Iterator[str]:
    """The URL of a new database: a copy of the one at the URL `template`, or an empty one."""
    configured = django_settings.DATABASES["default"]
    if "sqlite" in configured["ENGINE"]:
        file = folder / "server.sqlite3"
        if template:
            shutil.copy(template.removeprefix("sqlite:///"), file)
        yield f"sqlite:///{file}"
        return
    name = f"todolist_{uuid4().hex}"
    copied = template.rpartition("/")[2] if template else "template1"
    host, port, user = (configured[part] or "" for part in ("HOST", "PORT", "USER"))
    password = f":{configured['PASSWORD']}" if configured["PASSWORD"] else ""
    url = f"postgresql://{user}{password}@{host}:{port or 5432}"

    def execute(statement: str) -> None:
        # Over a connection that is not kept: PostgreSQL has a hundred for all that run at a time.
        with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
            connection.execute(statement)

    execute(f'CREATE DATABASE "{name}" TEMPLATE "{copied}"')
    try:
        yield f"{url}/{name}"
    finally:
        execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def hash_in_earnest(password: str) -> str:
    """A password as servers know it, which do not take the quick hashes of the tests."""
    return make_password(password, hasher=PBKDF2PasswordHasher())


@pytest.fixture(scope="session")
def working_on(
    django_db_blocker: DjangoDbBlocker,
) -> Callable[[str], AbstractContextManager[None]]:
    """Lets this process work on a database of `new_database`, given by its URL."""

    @contextmanager
    def work(url: str) -> Iterator[None]:
        here: Any = connections["default"]
        name = url.removeprefix("sqlite:///") if here.vendor == "sqlite" else url.rpartition("/")[2]
        there = type(here)({**here.settings_dict, "NAME": name}, "default")
        connections["default"] = there
        try:
            with django_db_blocker.unblock():
                yield
        finally:
            there.close()
            connections["default"] = here

    return work


def free_port() -> int:
    """A port that nobody uses, and that the system gives to no outgoing connection meanwhile."""
    while True:
        # Not from `random`: pytest-randomly seeds it alike in all workers.
        port = 10_000 + secrets.randbelow(20_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


# Servers that others may prefer, each with an access log (docs/servers.md).
OTHER_SERVERS = {
    "plain uvicorn": "uvicorn --port {port} todolist.asgi:application",
    "gunicorn, uvicorn's worker": "gunicorn -k uvicorn_worker.UvicornWorker "
    "-b 127.0.0.1:{port} --access-logfile - todolist.asgi:application",
    "the same, preloaded": "gunicorn -k uvicorn_worker.UvicornWorker --preload "
    "-b 127.0.0.1:{port} --access-logfile - todolist.asgi:application",
    "gunicorn, its ASGI worker": "gunicorn -k asgi "
    "-b 127.0.0.1:{port} --access-logfile - todolist.asgi:application",
    "gunicorn, WSGI": "gunicorn -b 127.0.0.1:{port} --access-logfile - todolist.wsgi:application",
    "hypercorn": "hypercorn -b 127.0.0.1:{port} --access-logfile - todolist.asgi:application",
    "granian": "granian --interface asgi --port {port} --access-log "
    "--access-log-fmt %(method)s|%(path)s?%(query_string)s todolist.asgi:application",
}


def server_command(kind: str, port: int, application: str, workers: int = 1) -> list[str]:
    """How a server is started in production, by its kind: uvicorn, daphne, another one.

    Or by its own command, with `{port}` where that goes.
    """
    if "{port}" in (command := OTHER_SERVERS.get(kind, kind)):
        program, *words = command.format(port=port).split()
        start = ["manage.py", program] if program == "serve" else ["-m", program]
        return [sys.executable, *start, *(word.replace("|", " ") for word in words)]
    if kind == "daphne":
        listen = ["-b", "127.0.0.1", "-p", str(port)]
        return [sys.executable, "-m", "daphne", *listen, application]
    options = ["--app", application, "--workers", str(workers), "--drain", "0"]
    return [sys.executable, "manage.py", "serve", f"127.0.0.1:{port}", *options]


@contextmanager
def running_server(
    folder: Path,
    environment: dict[str, str],
    kind: str = "uvicorn",
    application: str = "todolist.asgi:application",
    workers: int = 1,
    descriptors: int | None = None,
) -> Iterator[Server]:
    """A server on a free port, answering, stopped afterwards; it may open so many `descriptors`."""
    port = free_port()
    command = server_command(kind, port, application, workers)
    if descriptors is not None:
        command = ["prlimit", f"--nofile={descriptors}", *command]
    log = folder / f"server-{port}.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(  # noqa: S603
            command,
            cwd=ROOT,
            env=environment,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urlopen(f"http://127.0.0.1:{port}/health/live", timeout=5).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"The server did not start:\n{log.read_text()}")
                time.sleep(0.05)
        server = Server(port, log, process, environment, kind)
        SERVERS.append(server)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def starting_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Start servers with a migrated database of their own, and stop them in the end.

    `kind` is uvicorn or daphne; keywords in capitals are environment variables.
    """
    with ExitStack() as stack:

        def start(
            kind: str = "uvicorn",
            application: str = "todolist.asgi:application",
            workers: int = 1,
            **changes: str,
        ) -> Server:
            folder = tmp_path_factory.mktemp("server")
            database_url = changes.pop("DATABASE_URL", "") or stack.enter_context(
                new_database(folder)
            )
            environment = environment_for(database_url, **changes)
            return stack.enter_context(
                running_server(folder, environment, kind, application, workers)
            )

        yield start


@pytest.fixture
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """For one test: PostgreSQL has a hundred connections, and each server some of them."""
    with starting_servers(tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="module")
def start_shared_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., Server]]:
    """For fixtures of a module, whose tests share a server of their own."""
    with starting_servers(tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="session")
def uvicorn_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that need no other configuration."""
    with starting_servers(tmp_path_factory) as start:
        yield start()


@pytest.fixture(scope="session")
def daphne_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with starting_servers(tmp_path_factory) as start:
        yield start("daphne")


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Server:
    """uvicorn; both in modules that are marked with `both_servers`, one after the other."""
    kind = getattr(request, "param", "uvicorn")
    running: Server = request.getfixturevalue(f"{kind}_server")
    return running


both_servers = pytest.mark.parametrize("server", ["uvicorn", "daphne"], indirect=True)
both_kinds = pytest.mark.parametrize("kind", ["uvicorn", "daphne"])
