"""What search costs whom with 100,000 tasks, and what its index costs writers: `make bench-search`.

Starts `manage.py serve` on a database of its own at 127.0.0.1:5432, as a role that row-level security
binds, and asks over HTTP, in turns with and without the index. Two minutes. Prints a table and writes
it to benchmarks/search.md; exit code 1 where a search takes longer than it may.
"""

import http.client
import itertools
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from psycopg import sql

from benchmarks.data import administrator, token
from benchmarks.processes import Running, Undo, clean_up_on_signals
from benchmarks.servers import POSTGRES, ROOT, Server

RESULT = ROOT / "benchmarks" / "search.md"
NAME = "todolist_search_bench"  # of the database and of its owner
TASKS, OTHERS = 100_000, 1000
BOUND = 100  # ms
ROUNDS, SEARCHES, WRITES = 3, 5, 200
HEAVY, LIGHT = "somebody-with-very-many-tasks", "somebody-with-200-tasks-{}"
INDEX = "CREATE INDEX task_search ON tasks_task USING gin (search_text gin_trgm_ops)"
SERVER = Server(
    name="search",
    label="todolist",
    port=8131,
    command=[sys.executable, "manage.py", "serve", "127.0.0.1:{port}"],
    ours=True,
    processes=1,
    environment={"DATABASE_URL": f"postgresql://{NAME}@{POSTGRES}/{NAME}"},
)


def words() -> list[str]:
    """5,000 made-up words, the frequent ones first."""
    parts = (
        "ba co di fu ge ha jo ka li mo nu pe qui ra su ta vo wi xe za tri sto ple gra chi".split()
    )
    made = ("".join(random.choices(parts, k=random.choice((2, 3, 3, 4)))) for _ in range(9000))  # noqa: S311
    return list(dict.fromkeys(made))[:5000]


def rows(vocabulary: list[str]) -> Iterator[tuple[object, ...]]:
    """Tasks whose words are as frequent as words are (Zipf): 6 of them, and in every second 20 more."""
    weights = list(itertools.accumulate(1 / rank for rank in range(1, len(vocabulary) + 1)))
    owners = [HEAVY] * TASKS + [LIGHT.format(n) for n in range(OTHERS) for _ in range(200)]
    first = int(time.time() * 1000) - len(owners)
    for number, owner in enumerate(owners):
        moment = first + number
        key = UUID(int=(moment << 80) | (7 << 76) | (2 << 62) | random.getrandbits(62))
        text, more = (
            " ".join(random.choices(vocabulary, cum_weights=weights, k=count))  # noqa: S311
            for count in (6, 20 * (number % 2))
        )
        if number == TASKS // 2:
            text += " needleword"
        at = datetime.fromtimestamp(moment / 1000, UTC)
        yield key, owner, text, more, False, 0, f"{text}\x1f{more}", at, at, 1


def create_database(undo: Undo, vocabulary: list[str]) -> None:
    undo.later(drop_database)
    drop_database()
    with administrator() as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(NAME)))
        statement = sql.SQL("CREATE DATABASE {0} OWNER {0}")
        connection.execute(statement.format(sql.Identifier(NAME)))
    with administrator(NAME) as connection:
        connection.execute("ALTER FUNCTION textlike(text, text) LEAKPROOF")
    migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(migrate, cwd=ROOT, env=SERVER.full_environment(), check=True)  # noqa: S603
    columns = (
        'id, user_id, text, description, completed, "order", search_text, created_at, updated_at'
    )
    with administrator(NAME) as connection:
        copying = f"COPY tasks_task ({columns}, version) FROM STDIN"
        with connection.cursor().copy(copying) as copy:  # type: ignore[arg-type]
            for row in rows(vocabulary):
                copy.write_row(row)
        connection.execute("VACUUM ANALYZE")


def drop_database() -> None:
    with administrator() as connection:
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        connection.execute(statement.format(sql.Identifier(NAME)))
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(NAME)))


class Client:
    def __init__(self, person: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", SERVER.port, timeout=60)
        self._headers = {
            "Authorization": f"Bearer {token(person)}",
            "Content-Type": "application/json",
        }

    def ask(self, method: str, path: str, body: object = None) -> tuple[float, bytes]:
        """Milliseconds, and the body of the answer."""
        begin = time.perf_counter()
        sent = None if body is None else json.dumps(body)
        self._connection.request(method, path, sent, self._headers)
        response = self._connection.getresponse()
        content = response.read()
        if response.status not in (200, 201):
            raise SystemExit(f"{method} {path}: {response.status} {content[:300]!r}")
        return (time.perf_counter() - begin) * 1000, content


def measure(client: Client, terms: dict[str, str], number: int) -> Iterator[tuple[str, float]]:
    """What was asked, and milliseconds; the first answers, for which plans are made, are passed over."""
    for name, term in terms.items():
        for order in ("created_at", "-deadline"):
            for turn in range(SEARCHES + 2):
                taken, _ = client.ask("GET", f"/tasks?limit=50&search={term}&ordering={order}")
                if turn >= 2:
                    yield f"search: {name}", taken
    for turn in range(WRITES):
        text = {
            "text": f"Water the plants, row {number}-{turn}",
            "description": "The basil wants two.",
        }
        taken, content = client.ask("POST", "/tasks", text)
        yield "create", taken
        path = f"/tasks/{json.loads(content)['id']}"
        yield "change", client.ask("PATCH", path, {"order": turn})[0]


def main() -> None:
    clean_up_on_signals()
    random.seed(1)
    vocabulary = words()
    terms = {
        "a word of every second task": vocabulary[0],
        "a common word": vocabulary[50],
        "a rare word": vocabulary[-1],
        "a word of one task": "needleword",
        "a word of none": "nowhere",
        "two words, never together": f"needleword+{vocabulary[-1]}",
        "two letters, of none": "qz",
        "40 letters, of none": "abcdefgh" * 5,
    }
    found: dict[tuple[str, bool], list[float]] = {}
    with Undo() as undo, tempfile.TemporaryDirectory() as logs:
        create_database(undo, vocabulary)
        running = Running(SERVER, Path(logs))
        undo.later(running.stop)
        running.wait_until_it_answers()
        with administrator(NAME) as connection:
            for number, indexed in itertools.product(range(ROUNDS), (False, True)):
                connection.execute("DROP INDEX IF EXISTS task_search")
                if indexed:
                    connection.execute(INDEX)
                connection.execute("VACUUM ANALYZE tasks_task")
                for name, taken in measure(Client(HEAVY), terms, number):
                    found.setdefault((name, indexed), []).append(taken)
    lines = [
        "| ms, median (95 of 100 below) | without the index | with it |",
        "| --- | ---: | ---: |",
    ]
    for name in dict.fromkeys(name for name, _ in found):
        cells = [
            f"{statistics.median(times):.1f} ({statistics.quantiles(times, n=20)[-1]:.1f})"
            for times in (found[name, False], found[name, True])
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    text = (
        f"# What search costs\n\n{TASKS:,} tasks of one person among {TASKS + 200 * OTHERS:,}; a page of 50, by"
        f" creation and by deadline, as a role that row-level security binds; `make bench-search`.\n\n"
        + "\n".join(lines)
        + "\n"
    )
    print(text)
    RESULT.write_text(text)
    slow = [
        name
        for (name, indexed), times in found.items()
        if indexed and name.startswith("search") and statistics.median(times) > BOUND
    ]
    if slow:
        sys.exit(f"More than {BOUND} ms: {', '.join(slow)}")


if __name__ == "__main__":
    main()
