"""Measure everything: `make bench`, or in less than two minutes and roughly, `make bench-quick`."""

import argparse
import datetime
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import chart, growth, machine, report
from benchmarks.before import earlier
from benchmarks.data import (
    administrator,
    claim_the_machine,
    create_databases,
    migrate,
    settle,
    write_rotation,
)
from benchmarks.load import REQUESTS, Load, press
from benchmarks.processes import Running, Undo, clean_up_on_signals, pss_mib
from benchmarks.servers import BASELINE, EVERY, OTHERS, OUR_BIN, OURS, POSTGRES, ROLE, ROOT, Server
from benchmarks.verify import WrongAnswer, verify

RESULTS = ROOT / "benchmarks" / "results"
CONNECTIONS = 32
MANY_CONNECTIONS = 256
SOCKETS_TIMEOUT = 300

Turns = dict[str, dict[str, list[Load]]]  # request, server


@dataclass(frozen=True)
class Plan:
    rounds: int
    seconds: float
    many_rounds: int
    index_rounds: int
    many_seconds: float
    growth_rounds: int
    settle: bool  # write out what is pending before each kind of request


FULL = Plan(
    rounds=5,
    seconds=5,
    many_rounds=3,
    index_rounds=3,
    many_seconds=3,
    growth_rounds=40,
    settle=True,
)
QUICK = Plan(
    rounds=2,
    seconds=1,
    many_rounds=1,
    index_rounds=1,
    many_seconds=1,
    growth_rounds=10,
    settle=False,
)
PARTS = ("turns", "many", "index", "memory", "growth", "sockets")


class Bench:
    """One run; `found` is what it has measured so far."""

    def __init__(
        self, plan: Plan, parts: list[str], servers: list[Server], folder: Path, undo: Undo
    ) -> None:
        self.plan, self.parts, self.servers = plan, parts, servers
        self.folder, self.undo = folder, undo
        self.rotation = folder / "rotation.txt"
        self.turn = 0
        self.began = time.monotonic()
        self.found: dict[str, Any] = {
            "servers": {
                server.name: {
                    "label": server.label,
                    "ours": server.ours,
                    "variant": server.variant,
                    "revision": server.revision,
                    "processes": server.processes,
                    "command": " ".join(server.full_command()).replace(f"{ROOT}/", ""),
                }
                for server in servers
            },
            "baseline": BASELINE,
            "requests": REQUESTS,
            "plan": asdict(plan),
            "connections": CONNECTIONS,
            "many_connections": MANY_CONNECTIONS,
        }

    def say(self, text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self.began), 60)
        print(f"{minutes:2}:{seconds:02}  {text}", flush=True)

    def run(self) -> None:
        self.found["postgresql"] = claim_the_machine(
            self.undo, sum(min(server.connections, CONNECTIONS) for server in self.servers)
        )
        self.say("Creating the data")
        create_databases(self.undo, self.servers, self.folder)
        write_rotation(self.rotation)
        with self.all_running():
            for server in self.servers:
                try:
                    verify(server)
                except WrongAnswer as wrong:
                    sys.exit(f"{server.name} answers wrongly. {wrong}")
            self.say("All servers answer rightly")
            if "turns" in self.parts:
                self.found["turns"] = self.interleaved(
                    list(REQUESTS), self.servers, self.plan.rounds
                )
            if "index" in self.parts:
                self.found["our_index"] = self.with_our_index()
        if "many" in self.parts:
            self.found["usual"], self.found["many"] = self.many(["list", "one"])
        if "memory" in self.parts:
            self.found["memory"] = {server.name: self.memory(server) for server in self.servers}
        if "growth" in self.parts:
            self.found["growth"] = self.growth()
        if "sockets" in self.parts:
            self.found["sockets"] = self.sockets()
        for name in {name for name, *_ in report.failures(self.found)}:
            log = (self.folder / f"{name}.log").read_text(errors="replace").splitlines()
            print(f"The end of the log of {name}:", *log[-15:], sep="\n  ")
        self.found["minutes"] = round((time.monotonic() - self.began) / 60, 1)

    @contextmanager
    def all_running(self) -> Iterator[None]:
        """All at once, so that they can take turns within seconds; those not asked only wait."""
        with Undo() as undo:
            running = []
            for server in self.servers:
                running.append(Running(server, self.folder))
                undo.later(running[-1].stop)
            for each in running:
                each.wait_until_it_answers()
            yield

    @contextmanager
    def alone(self, server: Server) -> Iterator[Running]:
        with Undo() as undo:
            running = Running(server, self.folder)
            undo.later(running.stop)
            running.wait_until_it_answers()
            yield running

    def interleaved(self, kinds: list[str], servers: list[Server], rounds: int) -> dict[str, Any]:
        """Each kind of request: all servers in turn, several rounds."""
        found: Turns = {}
        for kind in kinds:
            if self.plan.settle:
                settle(sorted({server.database for server in servers}))
            for server in servers:
                self.press(server, kind, seconds=1)  # warm up
            of_kind: dict[str, list[Load]] = {server.name: [] for server in servers}
            for number in range(rounds):
                # Another one first each time, so that nobody always follows the same neighbour.
                start = number % len(servers)
                for server in [*servers[start:], *servers[:start]]:
                    load = self.press(server, kind, seconds=self.plan.seconds)
                    of_kind[server.name].append(load)
            found[kind] = of_kind
            self.say_rates(kind, of_kind)
        return as_json(found)

    def many(self, kinds: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
        """With many connections, and with the usual number seconds before.

        One server at a time: all their pools filled would not fit.
        """
        usual: Turns = {kind: {server.name: [] for server in self.servers} for kind in kinds}
        many: Turns = {kind: {server.name: [] for server in self.servers} for kind in kinds}
        for _ in range(self.plan.many_rounds):
            for server in self.servers:
                with self.alone(server):
                    for kind in kinds:
                        self.press(server, kind, seconds=1)
                        for found, connections in (usual, CONNECTIONS), (many, MANY_CONNECTIONS):
                            load = self.press(
                                server,
                                kind,
                                seconds=self.plan.many_seconds,
                                connections=connections,
                            )
                            found[kind][server.name].append(load)
        for kind, of_kind in many.items():
            self.say_rates(f"{kind}, {MANY_CONNECTIONS} connections", of_kind)
        return as_json(usual), as_json(many)

    def say_rates(self, what: str, found: dict[str, list[Load]]) -> None:
        rates = "  ".join(
            f"{name} {report.median([load.rate for load in loads]):.0f}"
            for name, loads in found.items()
        )
        self.say(f"{what}, answers/s: {rates}")

    def press(
        self, server: Server, kind: str, *, seconds: float, connections: int = CONNECTIONS
    ) -> Load:
        self.turn += 1
        return press(
            server, kind, self.rotation, seconds=seconds, connections=connections, turn=self.turn
        )

    def with_our_index(self) -> dict[str, Any]:
        """The baseline once more, with the index that our own list is read by."""
        pair = [server for server in self.servers if server.name in (OURS[0].name, BASELINE)]
        if len(pair) < 2:
            return {}
        with administrator(EVERY[BASELINE].database) as connection:
            connection.execute(
                "CREATE INDEX task_newest ON task (user_id, created_at DESC, id DESC)"
            )
            connection.execute("DROP INDEX task_user_id")
        self.say(f"{BASELINE} with our index")
        found = self.interleaved(list(REQUESTS), pair, self.plan.index_rounds)
        with administrator(EVERY[BASELINE].database) as connection:
            connection.execute("CREATE INDEX task_user_id ON task (user_id)")
            connection.execute("DROP INDEX task_newest")
        return found

    def memory(self, server: Server) -> dict[str, Any]:
        """What each process of a server takes after load, with no other server running."""
        with self.alone(server) as running:
            for kind in REQUESTS:
                self.press(server, kind, seconds=min(2, self.plan.seconds))
            processes = sorted(round(pss_mib(pid), 1) for pid in running.workers())
        self.say(f"{server.name}, MiB a process: {processes}")
        return {"pss_mib": processes}

    def growth(self) -> dict[str, Any]:
        chosen = [server for server in self.servers if server.name in (OURS[0].name, BASELINE)]
        growth.create_people([server for server in chosen if not server.ours])
        found = {}
        for server in chosen:
            with self.alone(server):
                found[server.name] = growth.page_costs(server, self.plan.growth_rounds)
            self.say(f"{server.name}, ms a page by tasks: {found[server.name]}")
        return found

    def sockets(self) -> str:
        """What `benchmarks/sockets.py` says of a database of its own."""
        database = "todolist_bench_sockets"
        with administrator() as connection:
            connection.execute(f"CREATE DATABASE {database} OWNER {ROLE}")  # type: ignore[arg-type]
        url = f"postgresql://{ROLE}@{POSTGRES}/{database}"
        server = replace(OURS[0], environment={**OURS[0].environment, "DATABASE_URL": url})
        environment = server.full_environment()
        migrate(server)
        self.say("Sockets")
        command = [f"{OUR_BIN}/python", "benchmarks/sockets.py"]
        process = subprocess.Popen(  # noqa: S603
            command, cwd=ROOT, env=environment, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=(self.folder / "sockets.log").open("w"),
        )  # fmt: skip
        try:
            said, _ = process.communicate(timeout=SOCKETS_TIMEOUT)
        except subprocess.TimeoutExpired:
            said = f"took more than {SOCKETS_TIMEOUT} s"
        finally:
            end_group(process)
        if process.returncode:
            said = f"failed:\n{(self.folder / 'sockets.log').read_text()[-2000:]}"
        print(said)
        return said.strip()


def end_group(process: subprocess.Popen[str]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        time.sleep(1)
        process.poll()
    process.wait()


def about_this_run() -> dict[str, Any]:
    return {
        "machine": machine.describe(),
        "versions": machine.versions(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def as_json(turns: Turns) -> dict[str, Any]:
    return {
        kind: {name: [asdict(load) for load in loads] for name, loads in servers.items()}
        for kind, servers in turns.items()
    }


def require(servers: list[Server]) -> None:
    """Say what has to be installed or started first."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing. Debian and Ubuntu: apt-get install wrk")
    for name, port in (("PostgreSQL (postgresql)", 5432), ("Redis (redis-server)", 6379)):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
        except OSError:
            sys.exit(f"{name}, does not answer on 127.0.0.1:{port}. Both are Debian packages.")
    for server in servers:
        if problem := server.missing():
            sys.exit(f"{server.name}: {problem}.")
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=0.2).close()
            sys.exit(f"{server.name}: something else answers on port {server.port}.")
        except ConnectionRefusedError:
            pass


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="shorter and fewer turns")
    arguments.add_argument("--variants", action="store_true", help="our other server commands too")
    arguments.add_argument("--before", help="an earlier revision as well, as the server `before`")
    arguments.add_argument("--servers", help=f"only these, by commas: {', '.join(EVERY)}")
    arguments.add_argument("--parts", help=f"only these, by commas: {', '.join(PARTS)}")
    given = arguments.parse_args()
    parts = list(PARTS[:1] if given.quick else PARTS)
    if given.parts:
        parts = given.parts.split(",")
        if unknown := set(parts) - set(PARTS):
            arguments.error(f"no such part: {', '.join(unknown)}")
    before = [earlier(given.before)] if given.before else []
    known = EVERY | {server.name: server for server in before}
    if given.servers:
        names = dict.fromkeys([*given.servers.split(","), *(server.name for server in before)])
        if unknown := names.keys() - known:
            arguments.error(f"no such server: {', '.join(unknown)}")
        servers = [known[name] for name in names]
    else:
        servers = [
            server
            for server in [*OURS, *before, *OTHERS]
            if not server.variant or (given.variants and server.missing() is None)
        ]
    plan = QUICK if given.quick else FULL
    require(servers)
    clean_up_on_signals()
    # Only a whole run is a result to be kept; others stay out of git.
    whole = not (given.quick or given.servers or given.parts)
    name = "latest" if whole else "quick"
    with Undo() as undo:
        folder = Path(tempfile.mkdtemp(prefix="todolist-bench-"))
        undo.later(lambda: shutil.rmtree(folder, ignore_errors=True))
        bench = Bench(plan, parts, servers, folder, undo)
        bench.found |= about_this_run()
        RESULTS.mkdir(exist_ok=True)
        try:
            bench.run()
        except BaseException:
            # What was measured before is not lost with what went wrong after.
            (RESULTS / "unfinished.json").write_text(json.dumps(bench.found, indent=1) + "\n")
            raise
        (RESULTS / f"{name}.json").write_text(json.dumps(bench.found, indent=1) + "\n")
        picture = ""
        if "turns" in bench.found:
            picture = f"{name}.svg"
            (RESULTS / picture).write_text(chart.svg(bench.found))
        (RESULTS / f"{name}.md").write_text(report.markdown(bench.found, chart=picture))
        bench.say(f"Written to benchmarks/results: {name}.md, {name}.json {picture}")
        print(report.summary(bench.found))
    if failures := report.failure_list(bench.found):
        sys.exit(f"Requests failed under load, so these figures do not count: {failures}")


if __name__ == "__main__":
    main()
