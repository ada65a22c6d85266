"""What is done with many tasks at once, and what it costs: `make bench-days`.

A pass of one `manage.py send_reminders` over 100,000 due tasks of 10,000 people, while these people change
other tasks and make new ones over HTTP; then `GET /tasks/counts` of somebody with 200 tasks, and of
somebody with 100,000; a hundred changes by one `POST /tasks/bulk`, and one by `PATCH`; `GET /export` of
the 100,000, and `POST /import` of 10,000. On a database of its own at 127.0.0.1:5432, as a role that row-level security binds.
Prints a table and writes it to benchmarks/days.md; exit code 1 where something takes longer than it may.
With `--profile` the pass says where its time goes instead.
"""

import json
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from benchmarks.data import administrator
from benchmarks.processes import Running, Undo, clean_up_on_signals
from benchmarks.search import Client
from benchmarks.servers import POSTGRES, ROOT, Server
from benchmarks.siege import peak_memory

RESULT = ROOT / "benchmarks" / "days.md"
NAME = "todolist_days_bench"  # of the database and of its owner
PEOPLE, EACH = 10_000, 10
SIZES = {
    "light": (200, 2),
    "heavy": (100_000, 60),
}  # tasks, and the milliseconds that counts may take
PASS_BOUND, WAIT_BOUND = 25, 200  # seconds, and milliseconds
BULK, BULK_BOUND = 100, 10  # changes, and of how many single ones they may take the time
IMPORTED = 10_000  # tasks
DOCUMENT_BOUND, MEMORY_BOUND = 10, 100  # seconds, and MiB that the server grows by
CLIENTS = 2
SERVER = Server(
    name="days",
    label="todolist",
    port=8131,  # of `Client`
    command=[sys.executable, "manage.py", "serve", "127.0.0.1:{port}"],
    ours=True,
    processes=1,
    environment={"DATABASE_URL": f"postgresql://{NAME}@{POSTGRES}/{NAME}"},
)

# Of each person one task that is due later, with a label, as most people have some.
TASKS = """
    INSERT INTO tasks_task (id, user_id, version, created_at, updated_at, position, text, description, completed,
        deadline, due_at, "order", priority, search_text, next_reminder_at, reminded)
    SELECT md5(person || '/' || number)::uuid, 'person-' || person, 1, now(), now(), 'M' || number,
        'Water the plants on the balcony, row ' || number, '', false, due, due, 0, 0,
        'water the plants on the balcony, row ' || number, due - interval '7 days', false
    FROM generate_series(1, %(people)s) person, generate_series(0, %(each)s) number,
        LATERAL (SELECT CASE number WHEN 0 THEN now() + interval '1 year'
            ELSE now() - random() * interval '50 minutes' END AS due) AS due;
    INSERT INTO tasks_label (id, user_id, version, created_at, updated_at, position, color, name, name_key)
    SELECT md5(person || 'label')::uuid, 'person-' || person, 1, now(), now(), 'M', '', 'home', 'home'
    FROM generate_series(1, %(people)s) person;
    INSERT INTO tasks_tasklabel (user_id, task_id, label_id)
    SELECT 'person-' || person, md5(person || '/0')::uuid, md5(person || 'label')::uuid
    FROM generate_series(1, %(people)s) person;
"""
# A third is done, a half has a date and a project, every eighth one of 20 labels.
AGENDA = """
    INSERT INTO tasks_project (id, user_id, version, created_at, updated_at, position, color, name, archived)
    SELECT md5(%(owner)s || 'project' || number)::uuid, %(owner)s, 1, now(), now(), 'M' || number, '',
        'project ' || number, number = 1 FROM generate_series(0, 19) number;
    INSERT INTO tasks_label (id, user_id, version, created_at, updated_at, position, color, name, name_key)
    SELECT md5(%(owner)s || 'label' || number)::uuid, %(owner)s, 1, now(), now(), 'M' || number, '',
        'label ' || number, 'label ' || number FROM generate_series(0, 19) number;
    INSERT INTO tasks_task (id, user_id, version, created_at, updated_at, position, text, description, completed,
        completed_at, due_on, due_at, "order", priority, search_text, project_id)
    SELECT md5(%(owner)s || number)::uuid, %(owner)s, 1, moment, moment, 'M' || number,
        'Water the plants on the balcony, row ' || number,
        CASE number %% 2 WHEN 0 THEN 'A can for each of them; the basil wants two.' ELSE '' END,
        number %% 3 = 0, CASE number %% 3 WHEN 0 THEN moment END, day, day + interval '1 day', 0, 0,
        'water the plants on the balcony, row ' || number,
        CASE number %% 2 WHEN 0 THEN md5(%(owner)s || 'project' || number / 2 %% 20)::uuid END
    FROM generate_series(1, %(tasks)s) number,
        LATERAL (SELECT now() - number * interval '53 seconds' AS moment,
            CASE WHEN number %% 4 < 2 THEN current_date + number %% 60 - 30 END AS day) AS dates;
    INSERT INTO tasks_tasklabel (user_id, task_id, label_id)
    SELECT %(owner)s, md5(%(owner)s || number)::uuid, md5(%(owner)s || 'label' || number / 8 %% 20)::uuid
    FROM generate_series(8, %(tasks)s, 8) number;
"""


def create_database(undo: Undo) -> None:
    undo.later(drop_database)
    drop_database()
    with administrator() as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(NAME)))
        connection.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(sql.Identifier(NAME)))
    manage("migrate", "--verbosity", "0")
    with administrator(NAME) as connection:
        with psycopg.ClientCursor(connection) as cursor:  # several statements with values
            cursor.execute(TASKS, {"people": PEOPLE, "each": EACH})
            for owner, (tasks, _) in SIZES.items():
                cursor.execute(AGENDA, {"owner": owner, "tasks": tasks})  # type: ignore[arg-type]
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def drop_database() -> None:
    with administrator() as connection:
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        connection.execute(statement.format(sql.Identifier(NAME)))
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(NAME)))


def manage(*arguments: str, before: tuple[str, ...] = ()) -> str:
    command = [sys.executable, *before, "manage.py", *arguments]
    done = subprocess.run(  # noqa: S603
        command, cwd=ROOT, env=SERVER.full_environment(), stdout=subprocess.PIPE, check=True
    )
    return done.stdout.decode()


class Writers:
    """Requests of people who are being reminded, one after the other from each client."""

    def __init__(self) -> None:
        self.taken: list[float] = []  # milliseconds
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._write) for _ in range(CLIENTS)]

    def __enter__(self) -> "Writers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _write(self) -> None:
        random_one = random.Random(1)  # noqa: S311
        while not self._over.is_set():
            client = Client(f"person-{random_one.randint(1, PEOPLE)}")
            self.taken.append(client.ask("POST", "/tasks", {"text": "One more"})[0])
            time.sleep(0.02)  # it is not their throughput that is measured


def changes(client: Client) -> tuple[float, float]:
    """Milliseconds for one change, and for `BULK` at once: medians of 20, turn about."""
    keys = [task["id"] for task in json.loads(client.ask("GET", f"/tasks?limit={BULK}")[1])]
    taken: tuple[list[float], list[float]] = ([], [])
    for turn in range(20):
        body = {"description": f"turn {turn}"}
        taken[0].append(client.ask("PATCH", f"/tasks/{keys[turn]}", body)[0])
        operations = [{"op": "update", "id": key, "body": {"order": turn}} for key in keys]
        taken[1].append(client.ask("POST", "/tasks/bulk", {"operations": operations})[0])
    return statistics.median(taken[0]), statistics.median(taken[1])


def main() -> None:
    clean_up_on_signals()
    lines = ["| | |", "| --- | ---: |"]
    slow = []

    def tell(name: str, figure: float, unit: str, bound: float | None = None) -> None:
        lines.append(f"| {name} | {figure:,.1f} {unit} |")
        print(lines[-1], flush=True)
        if bound is not None and figure > bound:
            slow.append(name)

    with Undo() as undo, tempfile.TemporaryDirectory() as logs:
        create_database(undo)
        if "--profile" in sys.argv:
            print(manage("send_reminders", before=("-m", "cProfile", "-s", "tottime"))[:6000])
            return
        running = Running(SERVER, Path(logs))
        undo.later(running.stop)
        running.wait_until_it_answers()
        with Writers() as writers:
            time.sleep(3)
            writers.taken.clear()
            begin = time.perf_counter()
            said = manage("send_reminders")
            seconds = time.perf_counter() - begin
        if said.split()[0] != str(PEOPLE * EACH):
            sys.exit(f"send_reminders: {said}")
        tell(
            f"a pass over {PEOPLE * EACH:,} due tasks of {PEOPLE:,} people",
            seconds,
            "s",
            PASS_BOUND,
        )
        tell("a request of theirs meanwhile: median", statistics.median(writers.taken), "ms")
        tell("95 of 100 below", statistics.quantiles(writers.taken, n=20)[-1], "ms")
        tell(f"the longest of {len(writers.taken):,}", max(writers.taken), "ms", WAIT_BOUND)
        for owner, (tasks, bound) in SIZES.items():
            client = Client(owner)
            times = [client.ask("GET", "/tasks/counts")[0] for _ in range(30)][5:]
            tell(f"counts of {tasks:,} tasks: median", statistics.median(times), "ms", bound)
        one, many = changes(Client("light"))
        tell("one change: median", one, "ms")
        tell(f"{BULK} changes at once: median", many, "ms")
        tell("that is, of single ones", many / one, "", BULK_BOUND)
        document = {"tasks": [{"text": f"row {number}"} for number in range(IMPORTED)]}
        calls = {
            f"export of {SIZES['heavy'][0]:,} tasks": ("heavy", "GET", "/export", None),
            f"import of {IMPORTED:,} tasks": ("somebody", "POST", "/import", document),
        }
        (process,) = running.workers()
        for name, (owner, *call) in calls.items():
            before = peak_memory(process)
            taken, _ = Client(owner).ask(*call)
            tell(name, taken / 1000, "s", DOCUMENT_BOUND)
            tell(f"{name}: the server grows by", peak_memory(process) - before, "MiB", MEMORY_BOUND)
    text = f"# What many tasks at once cost\n\n`make bench-days`, with one worker and one process that serves.\n\n{chr(10).join(lines)}\n"
    RESULT.write_text(text)
    if slow:
        sys.exit(f"Too long: {', '.join(slow)}")


if __name__ == "__main__":
    main()
