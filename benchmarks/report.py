"""A result as tables: medians, the spread of the rounds, and ratios within the same round."""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- benchmark: begin -->", "<!-- benchmark: end -->"

Result = dict[str, Any]


def median(values: list[float]) -> float:
    return statistics.median(values) if values else 0.0


def rates(result: Result, kind: str, name: str, part: str = "turns") -> list[float]:
    return [turn["rate"] for turn in result[part][kind][name]]


def ratios(result: Result, kind: str, name: str, other: str, part: str = "turns") -> list[float]:
    """One for each round, of turns that were seconds apart."""
    return divided(rates(result, kind, name, part), rates(result, kind, other, part))


def divided(rates: list[float], others: list[float]) -> list[float]:
    return [rate / other for rate, other in zip(rates, others, strict=True) if other]


def failures(result: Result) -> list[tuple[str, str, str]]:
    """Server, request and what went wrong."""
    return [
        (name, kind, " ".join(f"{how} {count}" for how, count in failed.items() if count))
        for part in ("turns", "usual", "many", "our_index")
        for kind, servers in result.get(part, {}).items()
        for name, turns in servers.items()
        if any(
            (
                failed := {
                    how: sum(turn["failed"][how] for turn in turns) for how in turns[0]["failed"]
                }
            ).values()
        )
    ]


def failure_list(result: Result) -> str:
    return "; ".join(" ".join(failure) for failure in failures(result))


def spread(values: list[float], form: str) -> str:
    """The median, and the lowest and highest in brackets."""
    if not values:
        return "–"
    middle, low, high = (
        format(value, form) for value in (median(values), min(values), max(values))
    )
    return f"**{middle}** ({low}–{high})"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def ratio_table(result: Result, ours: str) -> str:
    """Our rate over each other's, and how far the rounds lie apart; "" where there is no other."""
    rows = []
    for name, server in result["servers"].items():
        if server["ours"]:
            continue
        cells = []
        for kind in result["turns"]:
            cells.append(spread(ratios(result, kind, ours, name), ".2f"))
        rows.append([server["label"], *cells])
    head = [f"{result['servers'][ours]['label']} against", *names(result)]
    return table(head, rows) if rows else ""


def rate_table(result: Result, part: str = "turns") -> str:
    rows = []
    for name, server in result["servers"].items():
        cells = []
        if not all(name in servers for servers in result[part].values()):
            continue
        for kind in result[part]:
            cells.append(spread(rates(result, kind, name, part), ",.0f"))
        rows.append([server["label"], *cells])
    return table(["answers a second", *names(result, part)], rows)


def latency_table(result: Result, part: str = "turns") -> str:
    rows = []
    for name, server in result["servers"].items():
        cells = [
            f"{median([turn['p50'] for turn in servers[name]]):.1f} / "
            f"{median([turn['p99'] for turn in servers[name]]):.1f}"
            for servers in result[part].values()
            if name in servers
        ]
        if cells:
            rows.append([server["label"], *cells])
    return table(["ms, p50 / p99", *names(result, part)], rows)


def kept_table(result: Result) -> str:
    """What is left of the rate when there are many connections, of turns that were seconds apart."""
    rows = []
    for name, server in result["servers"].items():
        cells = []
        for kind in result["many"]:
            many, usual = (rates(result, kind, name, part) for part in ("many", "usual"))
            cells.append(spread(divided(many, usual), ".2f"))
        rows.append([server["label"], *cells])
    return table([f"rate, over that at {result['connections']}", *names(result, "many")], rows)


def names(result: Result, part: str = "turns") -> list[str]:
    return [result["requests"][kind] for kind in result[part]]


def our_servers(result: Result) -> list[str]:
    """Those of the present tree."""
    servers = result["servers"].items()
    return [name for name, server in servers if server["ours"] and not server.get("revision")]


def before_table(result: Result) -> str:
    """Our rate over that of an earlier revision; "" where none was measured."""
    rows = [
        [
            f"{result['servers'][ours]['label']} over {server['label']}",
            *(spread(ratios(result, kind, ours, name), ".2f") for kind in result["turns"]),
        ]
        for name, server in result["servers"].items()
        if server.get("revision")
        for ours in our_servers(result)
    ]
    return table(["", *names(result)], rows) if rows else ""


def summary(result: Result) -> str:
    """What is worth a look on a terminal."""
    if "turns" not in result:
        return ""
    tables = [
        rate_table(result),
        *(ratio_table(result, ours) for ours in our_servers(result)),
        before_table(result),
    ]
    return "\n\n".join(filter(None, tables))


def markdown(result: Result, chart: str) -> str:
    plan, machine = result["plan"], result["machine"]
    baseline = result["baseline"]
    parts = [
        "# How fast it is",
        f"{result['date']}; {machine['cores']} cores of {machine['processor']}, {machine['memory']},"
        f" {machine['system']}, Linux {machine['kernel']}; PostgreSQL"
        f" {result['postgresql']['server_version']}. Load, servers and PostgreSQL share the cores,"
        f" so read the ratios. {plan['rounds']} rounds of {plan['seconds']:g} s; medians, and in"
        " brackets the lowest and highest round. What is measured: [README](../README.md).",
    ]
    if chart:
        parts.append(f"![Answers a second of each server]({chart})")
    if failed := failure_list(result):
        parts.append(f"**Requests failed, so these figures do not count: {failed}**")
    if "turns" in result:
        for ours in our_servers(result):
            if ratio := ratio_table(result, ours):
                label = result["servers"][ours]["label"]
                parts += [f"## {label}, as a ratio to each other server", ratio]
        if before := before_table(result):
            parts += ["## Before and now", before]
        parts += [
            f"## Rates, {result['connections']} connections",
            rate_table(result),
            f"## Latency, {result['connections']} connections",
            latency_table(result),
        ]
    if "many" in result:
        parts += [
            f"## {result['many_connections']} connections",
            rate_table(result, "many"),
            latency_table(result, "many"),
            kept_table(result),
        ]
    if index := result.get("our_index"):
        ours = next(iter(result["servers"]))
        rows = []
        for kind in index:
            rows.append(
                [
                    result["requests"][kind],
                    f"{median(rates(result, kind, baseline, 'our_index')):,.0f}",
                    spread(ratios(result, kind, ours, baseline, "our_index"), ".2f"),
                ]
            )
        label = result["servers"][baseline]["label"]
        parts += [
            f"## {label} with our index",
            "The same server, its index (user_id) replaced by ours (user_id, created_at DESC, id"
            " DESC).",
            table(["", f"{label}, answers a second", "todolist over it"], rows),
        ]
    if memory := result.get("memory"):
        rows = [
            [result["servers"][name]["label"], " ".join(f"{x:.0f}" for x in found["pss_mib"])]
            for name, found in memory.items()
        ]
        parts += [
            "## Memory after load",
            table(["MiB (PSS) of each process that answers", ""], rows),
        ]
    if found_growth := result.get("growth"):
        parts += ["## Lists that grow", growth_table(result, found_growth)]
    if sockets := result.get("sockets"):
        parts += ["## Sockets", f"```\n{sockets}\n```"]
    parts += [
        "## How they were started",
        "\n".join(
            f"- {server['label']}, processes: {server['processes']}: `{server['command']}`"
            for server in result["servers"].values()
        ),
        "## Versions",
        "\n".join(
            f"- {whose}: " + ", ".join(f"{name} {version}" for name, version in found.items())
            for whose, found in result["versions"].items()
        )
        + "\n- PostgreSQL: "
        + ", ".join(f"{name} {value}" for name, value in result["postgresql"].items()),
    ]
    return "\n\n".join(parts) + "\n"


def growth_table(result: Result, found: Result) -> str:
    sizes = [str(size) for size in next(iter(found.values()))["newest"]]
    rows = []
    for name, pages in found.items():
        for page, costs in pages.items():
            by_size = {str(size): cost for size, cost in costs.items()}
            first = by_size[sizes[0]]
            rows.append(
                [
                    f"{result['servers'][name]['label']}, {page} page",
                    *(f"{by_size[size]:.1f} ms ({by_size[size] / first:.2f})" for size in sizes),
                ]
            )
    head = ["20 tasks of a list of", *(f"{int(size):,}" for size in sizes)]
    return table(head, rows)


def readme_section(result: Result) -> str:
    """The part of README.md that follows from a result."""
    machine = result["machine"]
    return "\n\n".join(
        [
            "![Answers a second, todolist and others](benchmarks/results/latest.svg)",
            ratio_table(result, next(iter(result["servers"]))),
            f"Measured {result['date'][:10]} on {machine['cores']} cores of"
            f" {machine['processor']}, with load, servers and PostgreSQL sharing them: medians of"
            f" {result['plan']['rounds']} interleaved rounds of {result['plan']['seconds']:g} s,"
            " ratios within the same round, lowest and highest in brackets.",
        ]
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description="Put the latest result into README.md.")
    arguments.parse_args()
    path = ROOT / "README.md"
    result = json.loads((ROOT / "benchmarks" / "results" / "latest.json").read_text())
    before, found, rest = path.read_text().partition(BEGIN)
    _, found_end, after = rest.partition(END)
    if not found or not found_end:
        sys.exit(f"README.md has no {BEGIN} … {END}")
    path.write_text(f"{before}{BEGIN}\n\n{readme_section(result)}\n\n{END}{after}")


if __name__ == "__main__":
    main()
