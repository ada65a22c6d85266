"""What each device that exists for speed gains: `make bench-devices`.

Our server as it is and, for each device, one without it take turns in every round, and the rate of
the first is divided by those of the others. A device is switched off by Python that is run in the
module where it stands (benchmarks/without); where that fails, the device is gone, and is left out.
"""

import argparse
import json
import re
import shutil
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import report
from benchmarks.data import (
    claim_the_machine,
    create_databases,
    write_rotation,
)
from benchmarks.load import REQUESTS
from benchmarks.processes import Running, Undo, clean_up_on_signals
from benchmarks.run import FULL, RESULTS, Bench, about_this_run, require
from benchmarks.servers import OURS, ROOT, Server
from benchmarks.verify import WrongAnswer, verify

BASE = "base"
PORT = 8201  # of the first; the others follow
GROUP = 4  # devices that take turns, with the base; PostgreSQL has to have connections for all
PATCH = ROOT / "benchmarks" / "without"
SAID = "A device is switched off."  # by what is there
ERROR = re.compile(r"[\w.]+(Error|Exception)\b")


ALL = tuple(REQUESTS)
STORED = ("list", "one", "change", "create")  # those that ask the database


class Device(NamedTuple):
    name: str
    where: str  # the module it stands in
    how: str  # Python that switches it off, there; it has to fail where the device is gone
    requests: tuple[str, ...] = ALL  # that it is on the way of


DEVICES = [
    # A second server like the base: what differs between those two is chance.
    Device("nothing", "todolist.settings", ""),
    # Requests
    Device("one-hop handler", "todolist.serving.handler", """
        assert OneHopHandler
        class OneHopHandler(ASGIHandler): pass
        settings.DATABASES["default"]["CONN_MAX_AGE"] = 0  # or each thread leaves one behind
        """),
    Device("own threads", "todolist.serving.handler", """
        import asyncio
        from concurrent.futures import ThreadPoolExecutor
        assert LoopThreads
        class LoopThreads:
            def __init__(self, usual, most, *, initializer):
                self.pool = ThreadPoolExecutor(4, initializer=initializer)
            async def call(self, function, *args, **how):
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self.pool, function, *args)
        """, STORED),
    Device("a change takes a share of a thread", "todolist.serving.handler",
        "assert SHARE_OF_A_CHANGE; SHARE_OF_A_CHANGE = WHOLE", ("change", "create")),
    Device("answers at once on the loop", "accounts.views",
        "del MeView.answers_at_once", ("me",)),
    Device("URL matches looked up once", "todolist.serving.handler",
        "del OneHopHandler.resolve_request"),
    Device("circles cut", "todolist.serving.handler",
        "assert cut_circles; cut_circles = lambda response: None"),
    Device("gc.freeze", "todolist.asgi",
        "assert gc.get_freeze_count(); gc.unfreeze()"),
    Device("an answer by one system call", "todolist.serving.connections.connection",
        "assert Connection.write; Connection.write = lambda self, data: self.transport.write(data)"),
    Device("a worker keeps to one processor", "todolist.serving.connections.http",
        "assert claimed_processor; claimed_processor = lambda workers: None"),
    Device("pause after a new connection", "todolist.serving.connections.http",
        "assert YIELD; YIELD = 0"),
    Device("METRICS=False", "todolist.settings", "assert not METRICS; METRICS = True"),
    # Middleware
    Device("standing headers", "todolist.settings", """
        at = MIDDLEWARE.index("todolist.serving.middleware.StandingHeaders")
        MIDDLEWARE[at : at + 1] = ["django.middleware.security.SecurityMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware"]
        """),
    Device("CORS shortcut", "todolist.serving.middleware",
        "del CorsForBrowsers.__call__"),
    Device("slashes looked up in the admin alone", "todolist.serving.middleware",
        "del CommonOutsideTheAdmin.__call__"),
    Device("the admin's middleware around the admin", "todolist.settings", """
        at = MIDDLEWARE.index("todolist.serving.middleware.AdminMiddleware")
        MIDDLEWARE[at : at + 1] = ["django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware"]
        """),
    # REST framework
    Device("known tokens", "accounts.signin.known_tokens", """
        assert _known == {}
        class Forgetful(dict):
            def __setitem__(self, *known): pass
        _known = Forgetful()
        """),
    Device("negotiation shortcut", "todolist.rest.formats",
        "del JSONFirst.select_parser, JSONFirst.select_renderer"),
    Device("LeanView", "accounts.owned.views",
        "del LeanView.initialize_request, LeanView.default_response_headers"),
    # The database
    Device("the fast way", "tasks.resources.fast", """
        assert way_of
        way_of = lambda view, base: None
        """, STORED),
    Device("one serializer for all requests", "tasks.resources.fast.writing", """
        shared = _validated
        def _validated(form, body):
            return shared(type(form)(partial=form.partial), body)
        """, ("change", "create")),
    Device("statements of lists kept", "tasks.resources.fast.reading",
        "assert _kept_list; _kept_list = _list_statement", ("list",)),
    Device("links remembered", "tasks.resources.lists.paging",
        "_before_value = _before_value.__wrapped__", ("list",)),
    Device("direct libpq", "todolist.serving.postgresql.base", """
        assert DatabaseWrapper.fetch
        def fetch(self, sql, values):
            with self.cursor() as cursor:
                cursor.execute(sql, [None if value is None else str(value) for value in values])
                return list(cursor.fetchall())
        DatabaseWrapper.fetch = fetch
        """, STORED),
    Device("prepared statements", "todolist.serving.postgresql.base", """
        assert DatabaseWrapper._execute
        def _execute(self, sql, values):
            return self.connection.pgconn.exec_params(_numbered(sql), values)
        DatabaseWrapper._execute = _execute
        """, STORED),
    Device("connections looked at without asking", "todolist.serving.postgresql.base",
        "del DatabaseWrapper.is_usable", STORED),
]  # fmt: skip


ON_THE_WAY = {BASE: ALL} | {device.name: device.requests for device in DEVICES}


def server_without(number: int, device: Device | None) -> Server:
    environment = {**OURS[0].environment, "PYTHONPATH": str(PATCH)}
    if device:
        environment["WITHOUT"] = json.dumps([device.where, textwrap.dedent(device.how)])
    name = device.name if device else BASE
    return replace(OURS[0], name=name, label=name, port=PORT + number, environment=environment)


class DeviceBench(Bench):
    """A few devices at a time, each time beside the base: so turns that are compared are close."""

    def run(self) -> None:
        self.found |= {"ratios": {}, "turns": {}, "left_out": {}}
        self.found["postgresql"] = claim_the_machine(self.undo, (GROUP + 1) * OURS[0].connections)
        self.say("Creating the data")
        create_databases(self.undo, self.servers, self.folder)
        write_rotation(self.rotation)
        base, *others = self.servers
        for start in range(0, len(others), GROUP):
            with self.up([base, *others[start : start + GROUP]]) as servers:
                for kind in self.parts:
                    measured = [server for server in servers if kind in ON_THE_WAY[server.name]]
                    if len(measured) > 1:
                        turns = self.interleaved([kind], measured, self.plan.rounds)
                        self.keep(kind, turns, [server.name for server in measured[1:]])

    @contextmanager
    def up(self, servers: list[Server]) -> Iterator[list[Server]]:
        """Those of the servers that work, base first."""
        with Undo() as undo:
            working = []
            for server in servers:
                running = Running(server, self.folder)
                undo.later(running.stop)
                if problem := what_is_wrong(running):
                    if server.name == BASE:
                        raise SystemExit(f"The server does not work. {problem}")
                    print(f"Left out: {server.name}. {problem}", flush=True)
                    self.found["left_out"][server.name] = problem
                    running.stop()
                else:
                    working.append(server)
            yield working

    def keep(self, kind: str, turns: dict[str, Any], names: list[str]) -> None:
        """What is known so far, also of a run that is stopped."""
        for name in names:
            ratios = report.ratios({"turns": turns}, kind, BASE, name)
            self.found["ratios"].setdefault(name, {})[kind] = ratios
        # The base is measured in each group.
        every = self.found["turns"].setdefault(kind, {BASE: []})
        every |= {**turns[kind], BASE: every[BASE] + turns[kind][BASE]}
        (RESULTS / "devices.json").write_text(json.dumps(self.found, indent=1) + "\n")
        (RESULTS / "devices.md").write_text(markdown(self.found))


def what_is_wrong(running: Running) -> str | None:
    """What keeps a server from being measured."""
    server = running.server
    try:
        running.wait_until_it_answers()
        verify(server)
    except WrongAnswer as wrong:
        return f"Answers are wrong: {wrong}"
    except SystemExit:
        lines = running.log.read_text(errors="replace").splitlines()
        errors = [line.strip() for line in lines if ERROR.match(line)]
        return (errors or lines or ["It did not start"])[-1]
    if "WITHOUT" in server.environment and SAID not in running.log.read_text(errors="replace"):
        return f"Nothing loads {json.loads(server.environment['WITHOUT'])[0]}"
    return None


def markdown(found: dict[str, Any]) -> str:
    plan, on = found["plan"], found["machine"]
    parts = [
        f"Rates with each device as a ratio to those without it, {found['date']}, commit"
        f" {found['versions']['todolist']['commit']}: medians of {plan['rounds']} interleaved rounds of"
        f" {plan['seconds']:g} s, ratios within the same round, lowest and highest in brackets;"
        f" {on['cores']} cores of {on['processor']}, shared with load and PostgreSQL. `nothing` is a second"
        " server like the first, so what it gains is chance.",
        report.table(
            ["device", "where", *(REQUESTS[kind] for kind in found["turns"])],
            [
                [
                    name,
                    f"`{found['servers'][name]['where']}`",
                    *(report.spread(of_kind.get(kind, []), ".2f") for kind in found["turns"]),
                ]
                for name, of_kind in found["ratios"].items()
            ],
        ),
    ]
    if failed := report.failure_list(found):
        parts.append(f"**Requests failed, so these figures do not count: {failed}**")
    if found["left_out"]:
        parts.append("Left out:")
        parts.append("\n".join(f"- {name}: {why}" for name, why in found["left_out"].items()))
    return "\n\n".join(parts) + "\n"


def chosen(arguments: argparse.ArgumentParser, given: str | None, known: list[str]) -> list[str]:
    names = given.split(",") if given else known
    if unknown := set(names) - set(known):
        arguments.error(f"unknown: {', '.join(unknown)}")
    return names


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    every = {device.name: device for device in DEVICES}
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=int, default=5)
    arguments.add_argument("--devices", help=f"only these, by commas: {', '.join(every)}")
    arguments.add_argument("--requests", help=f"only these, by commas: {', '.join(REQUESTS)}")
    given = arguments.parse_args()
    devices = [every[name] for name in chosen(arguments, given.devices, list(every))]
    kinds = chosen(arguments, given.requests, list(REQUESTS))
    servers = [server_without(number, device) for number, device in enumerate([None, *devices])]
    require(servers)
    clean_up_on_signals()
    with Undo() as undo:
        folder = Path(tempfile.mkdtemp(prefix="todolist-bench-"))
        undo.later(lambda: shutil.rmtree(folder, ignore_errors=True))
        plan = replace(FULL, rounds=given.rounds, seconds=given.seconds)
        bench = DeviceBench(plan, kinds, servers, folder, undo)
        for device in devices:
            bench.found["servers"][device.name]["where"] = device.where
        bench.found |= about_this_run()
        bench.run()
        print(markdown(bench.found))
        bench.say("Written to benchmarks/results: devices.md, devices.json")
        if report.failures(bench.found):
            raise SystemExit(1)


if __name__ == "__main__":
    main()
