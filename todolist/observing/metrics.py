"""What is measured with `METRICS=True`, for Prometheus (docs/servers.md).

Imported only then. Numbers of several processes are added up by prometheus_client, through files in the
directory that `manage.py serve` makes for them.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from accounts.counted import counted
from todolist.observing import DIRECTORY
from todolist.observing.durations import Durations
from todolist.observing.reminders import state_of_reminders

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

REQUESTS = Durations(
    "todolist_request_seconds",
    "Seconds from the head of a request to its answer, by route, method and status",
    ("method", "route", "status"),
    BUCKETS,
)


def _counter(name: str, what: str, *labels: str) -> Counter:
    return Counter(f"todolist_{name}", what, labels)


def _gauge(name: str, what: str, mode: Any = "livesum") -> Gauge:
    return Gauge(f"todolist_{name}", what, multiprocess_mode=mode)


# By the names under which they are counted.
COUNTERS = {
    "refused": _counter("refused", "Requests and sockets refused, by reason", "door", "reason"),
    "key_fetches": _counter("key_fetches", "Fetches of the published keys", "outcome"),
    "events_sent": _counter(
        "events_sent", "Texts sent to sockets: events, resync, and that a token expires"
    ),
    "events_replayed": _counter("events_replayed", "Events read from the record for a socket"),
    "resyncs": _counter("resyncs", "Sockets told to read everything anew"),
    "sockets_closed": _counter("sockets_closed", "Sockets closed by the server, by code", "code"),
    "limits": _counter("limits", "Clients that met a limit, by which", "limit"),
}
SOCKETS = _gauge("sockets", "Open sockets")
CONNECTIONS = _gauge("connections", "Open connections, sockets among them")
THREADS_BUSY = _gauge("threads_busy", "Threads at work on requests")
REQUESTS_WAITING = _gauge("requests_waiting", "Requests that wait for a thread")
KEYS_AGE = _gauge(
    "keys_age_seconds", "Age of the published keys; of the oldest process's", "livemax"
)


def count(sender: str, amount: float = 1, **labels: Any) -> None:
    """A receiver of `counted`."""
    del labels["signal"]
    if sender == "sockets":
        SOCKETS.inc(amount)
        return
    counter = COUNTERS[sender]
    (counter.labels(**labels) if labels else counter).inc(amount)


counted.connect(count)


class _State(Collector):
    """What is the same for all processes, asked when somebody wants to know it."""

    def collect(self) -> Iterator[Metric]:
        version = GaugeMetricFamily(
            "todolist_version", "The version, as a label", labels=["version"]
        )
        version.add_metric([settings.VERSION], 1)
        yield version
        for name, what, value in state_of_reminders():
            yield GaugeMetricFamily(f"todolist_{name}", what, value=value)


_state = CollectorRegistry()
_state.register(_State())


def exposition() -> bytes:
    """All of it in Prometheus' text format, version 0.0.4."""
    REQUESTS.flush()
    registry = REGISTRY
    if directory := os.environ.get(DIRECTORY):  # noqa: TID251  prometheus_client's own
        _forget_the_dead(Path(directory))
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry) + generate_latest(_state)


def _forget_the_dead(directory: Path) -> None:
    """Of processes that are gone, what they had counted stays; how they were does not."""
    for file in directory.glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            with suppress(FileNotFoundError):  # another process was first
                mark_process_dead(pid)  # type: ignore[no-untyped-call]
