"""Every query of the dashboard, asked of a real Prometheus that looks at the servers of the cluster."""

import json
import math
import socket
import sys
import time
from base64 import urlsafe_b64encode
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from cluster import Cluster
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from parts import ROOT, Part, free_port
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

BOARD = json.loads((ROOT / "deploy/grafana/todolist.json").read_text())
WITHIN = 90  # seconds
QUERIES = [
    (panel["title"], target["expr"].replace("$__rate_interval", "1m").replace("$job", ".*"))
    for panel in BOARD["panels"]
    for target in panel["targets"]
]


@pytest.fixture(scope="module")
def folder():
    with TemporaryDirectory(prefix="todolist-cluster-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def keys(folder):
    """A server of published keys; its URL is that of Better Auth."""
    published = folder / "keys"
    published.mkdir()
    raw = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    x = urlsafe_b64encode(raw).decode().rstrip("=")
    key = {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "one", "x": x}
    (published / "jwks").write_text(json.dumps({"keys": [key]}))
    port = free_port()
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    part = Part("keys", [*command, "--directory", str(folder)], folder)
    part.start()
    yield f"http://127.0.0.1:{port}/keys"
    part.stop()


@pytest.fixture(scope="module")
def cluster(folder, keys):
    cluster = Cluster(folder, METRICS="True", SOCKETS_PER_USER="1", BETTER_AUTH_URL=keys)
    try:
        yield cluster.start()
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def prometheus(cluster, folder):
    port = free_port()
    configuration = folder / "prometheus.yml"
    targets = [f"127.0.0.1:{each}" for each in cluster.server_ports]
    scrape = {"job_name": "todolist", "static_configs": [{"targets": targets}]}
    # JSON is YAML.
    configuration.write_text(
        json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [scrape]})
    )
    command = ["prometheus", f"--config.file={configuration}", "--log.level=warn"]
    command += [
        f"--storage.tsdb.path={folder}/prometheus",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    part = Part("prometheus", command, folder)
    part.start()
    yield f"http://127.0.0.1:{port}/api/v1/query"
    part.stop()


def do_everything(cluster, person, another):
    """What the panels show, once: requests, refusals, events, sockets that are closed, limits that are met."""
    status, task = person.ask("POST", "/tasks", {"text": "x"})
    assert status == 201
    assert another.ask("GET", f"/tasks/{task['id']}")[0] == 403
    person.ask("GET", "/tasks")
    with urlopen(f"{cluster.url}/health/live", timeout=20) as live:
        live.read()
    port = cluster.server_ports[0]  # one server: it allows each person one socket
    url = f"ws://127.0.0.1:{port}/ws/notifications?token="
    for words in (("none",), (f"{person.token}&since=99999",), (f"{person.token}&since=0",) * 2):
        with ExitStack() as stack, suppress(ConnectionClosed):
            for client in [stack.enter_context(connect(f"{url}{word}")) for word in words]:
                client.recv(timeout=20)
                client.recv(timeout=20)
    # nginx lets none through that is so long.
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nX: " + b"y" * 70_000 + b"\r\n\r\n")
        client.recv(100)


def has_data(prometheus, query):
    with (
        suppress(OSError),
        urlopen(f"{prometheus}?{urlencode({'query': query})}", timeout=20) as said,
    ):
        return any(
            not math.isnan(float(one["value"][1])) for one in json.load(said)["data"]["result"]
        )
    return False


def test_every_query_has_data(cluster, prometheus, new_person):
    people = new_person(), new_person()
    deadline = time.monotonic() + WITHIN
    missing = QUERIES
    while missing:
        assert time.monotonic() < deadline, missing
        do_everything(cluster, *people)
        missing = [(title, query) for title, query in missing if not has_data(prometheus, query)]
    assert len(QUERIES) > len(BOARD["panels"])
