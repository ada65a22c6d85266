"""What a page costs when its owner has 100, 10,000 or 100,000 tasks: the newest, and a deep one."""

import http.client
import re
import statistics
import time

from benchmarks.data import administrator, copy_tasks, multiply, token, user_id
from benchmarks.servers import OURS, Server

SIZES = (100, 10_000, 100_000)
PAGE = 20  # rows; the smallest list still has as many behind the place 80 % down
DEPTH = 0.8


def create_people(others: list[Server]) -> None:
    people = [(_owner(size), size) for size in SIZES]
    with administrator(OURS[0].database) as connection:
        multiply(connection, people)
    for server in others:
        copy_tasks(server.database, [owner for owner, _ in people])


def page_costs(server: Server, rounds: int) -> dict[str, dict[int, float]]:
    """Median milliseconds of each page, asked for in turns."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    paths = {
        (name, size): path
        for size in SIZES
        for name, path in (
            ("newest", f"/tasks?limit={PAGE}"),
            ("deep", _deep_path(server, size)),
        )
    }
    taken: dict[tuple[str, int], list[float]] = {key: [] for key in paths}
    for number in range(rounds + 3):
        for key, path in paths.items():
            begin = time.perf_counter()
            body, _ = _get(connection, path, key[1])
            milliseconds = (time.perf_counter() - begin) * 1000
            if body.count(b'"user_id"') != PAGE:
                raise SystemExit(f"{server.name} {path}: not {PAGE} tasks: {body[:300]!r}")
            if number >= 3:
                taken[key].append(milliseconds)
    return {
        name: {size: statistics.median(taken[name, size]) for size in SIZES}
        for name in ("newest", "deep")
    }


def _deep_path(server: Server, size: int) -> str:
    """The page after 80 % of the list: our own links are followed there, others take an offset."""
    skipped = int(size * DEPTH)
    if not server.ours:
        return f"/tasks?limit={PAGE}&offset={skipped}"
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    step = min(1000, skipped)
    path = f"/tasks?limit={step}"
    for _ in range(skipped // step):
        _, link = _get(connection, path, size)
        found = re.search(r"<https?://[^/]+(/[^>]+)>", link or "")
        if found is None:
            raise SystemExit(f"{server.name}: no Link after {path}")
        path = found[1]
    return path.replace(f"limit={step}", f"limit={PAGE}")


def _get(connection: http.client.HTTPConnection, path: str, size: int) -> tuple[bytes, str | None]:
    connection.request("GET", path, headers={"Authorization": f"Bearer {token(_owner(size))}"})
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise SystemExit(f"{path}: {response.status} {body[:300]!r}")
    return body, response.getheader("Link")


def _owner(size: int) -> str:
    return user_id(1_000_000 + size)
