"""`manage.py serve`: uvicorn, set up for this application (docs/servers.md)."""

import os
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from todolist.health.draining import VARIABLE
from todolist.observing import DIRECTORY
from todolist.serving.connections.http import LimitedHTTP
from todolist.serving.connections.server import PoliteServer
from todolist.serving.connections.sockets import PoliteSocket
from todolist.serving.prefix import split

MAX_MESSAGE = 64 * 1024  # bytes of a socket's message (docs/api.md section 5)
GOODBYE = 10  # seconds that requests have to come to an end at shutdown; sockets take less
DRAIN = 2.0  # seconds


class Command(BaseCommand):
    help = "Serve HTTP and sockets with uvicorn, by one process or several."
    requires_system_checks = []  # the application runs them when it is loaded

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("address", nargs="?", default="127.0.0.1:8000", help="HOST:PORT")
        parser.add_argument("--workers", type=int, default=1, help="processes (default: 1)")
        parser.add_argument("--app", default="todolist.asgi:application", help="one around it")
        parser.add_argument(
            "--drain",
            type=float,
            default=DRAIN,
            help="seconds from SIGTERM, when /health/ready begins to say no, to the end of answering "
            f"(default: {DRAIN:g})",
        )
        parser.add_argument("--root-path", default="", help="where a proxy has put the application")

    def handle(self, *args: Any, **options: Any) -> None:
        host, _, port = options["address"].rpartition(":")
        if not port.isdecimal():
            raise CommandError("The address is HOST:PORT, such as 127.0.0.1:8000.")
        raise_limit_of_connections()
        os.environ[VARIABLE] = str(options["drain"])  # noqa: TID251  each process reads it
        given: dict[str, Any] = {
            "host": host.strip("[]") or "127.0.0.1",
            "port": int(port),
            "workers": options["workers"],
            "root_path": split(options["root_path"], "")[0],
            "http": LimitedHTTP,
            "ws": PoliteSocket,
            "ws_max_size": MAX_MESSAGE,
            "ws_per_message_deflate": False,  # memory for each socket, to shorten half a KiB
            "timeout_graceful_shutdown": GOODBYE,
            "log_config": None,  # settings.LOGGING, which lets no token pass
        }
        with shared_numbers():
            if options["workers"] > 1:  # uvicorn makes the servers of its processes by itself
                uvicorn.run(options["app"], **given)
            else:
                serve(uvicorn.Config(options["app"], **given))


def serve(config: uvicorn.Config) -> None:
    config.load_app()
    with suppress(KeyboardInterrupt):
        PoliteServer(config).run()


@contextmanager
def shared_numbers() -> Iterator[None]:
    """With `METRICS`, a directory where the processes keep what `GET /metrics` adds up."""
    if not settings.METRICS:
        yield
        return
    with TemporaryDirectory(prefix="todolist-metrics-") as directory:
        os.environ[DIRECTORY] = directory  # noqa: TID251  where prometheus_client looks for it
        yield


def raise_limit_of_connections() -> None:
    """Take as many file descriptors as the system allows: each connection is one."""
    with suppress(ImportError, OSError, ValueError):  # other systems have other limits
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
