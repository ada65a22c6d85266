"""What breaks, under a steady load: nothing acknowledged is lost, doubled, or out of order (load.py)."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from cluster import DEPLOY, Cluster
from load import Load
from parts import wait_until


def ask(port, path, token=None, timeout=15):
    """Status, body, seconds."""
    connection = HTTPConnection("127.0.0.1", port, timeout=timeout)
    start = time.monotonic()
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        return response.status, json.loads(response.read()), time.monotonic() - start
    finally:
        connection.close()


def healthy_within(cluster, seconds):
    """Seconds until every part is ready again."""
    start = time.monotonic()
    wait_until(cluster.all_ready, seconds)
    return time.monotonic() - start


def superuser(cluster):
    server, _, _ = cluster.superuser_url.rpartition("/")
    return psycopg.connect(f"{server}/todolist", autocommit=True)


def test_a_rolling_restart_costs_nobody_a_request(cluster, say):
    with Load(cluster) as load:
        before = [server.pid for server in cluster.servers]
        restarted = subprocess.run(
            [DEPLOY / "rolling-restart.sh", *map(str, cluster.server_ports)],
            env={
                **cluster.environment,
                "RESTART": f"{sys.executable} {DEPLOY / 'cluster.py'} restart {cluster.folder}/server-",
            },
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert restarted.returncode == 0, restarted.stderr
        assert not set(before) & {server.pid for server in cluster.servers}
    say(load.report)
    assert load.failed == {}
    assert load.longest_outage < 3


def test_a_server_that_is_killed_costs_nobody_a_request(cluster, say):
    """Of those who send creations with a key and changes with a version: nginx sends them again."""
    outages = []
    with Load(cluster) as load:
        for server in cluster.servers:
            before = server.pid
            server.kill()
            wait_until(lambda server=server, before=before: server.pid != before, 10)
            outages.append(healthy_within(cluster, 30))
    took = ", ".join(f"{seconds:.1f}" for seconds in outages)
    say(f"killed {len(outages)} times, healthy after {took} s; {load.report}")
    assert load.failed == {}
    assert load.longest_outage < 8  # 1 on a machine that is not busy: the other server takes all


def test_a_request_in_hand_is_answered_after_sigterm(cluster, person, say):
    _, task = person.ask("POST", "/tasks", {"text": "In hand"})
    answers = []

    def change():
        answers.append(person.ask("PATCH", f"/tasks/{task['id']}", {"text": "Changed"})[0])

    with superuser(cluster) as database:
        for server, port in zip(cluster.servers, cluster.server_ports, strict=True):
            person.connection.close()
            person.connection = HTTPConnection("127.0.0.1", port, timeout=20)
            with database.transaction():
                database.execute("SELECT 1 FROM tasks_task WHERE id = %s FOR UPDATE", [task["id"]])
                writer = threading.Thread(target=change)
                writer.start()
                time.sleep(0.7)
                os.kill(server.pid, signal.SIGTERM)
                time.sleep(1)
            writer.join(20)
    healthy_within(cluster, 30)
    say(answers)
    assert answers == [200, 200]


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        pytest.param("kill", 5, id="killed"),
        pytest.param("freeze", 8, id="frozen", marks=pytest.mark.long),
    ],
)
def test_without_redis_everything_works(cluster, fault, seconds, say):
    with Load(cluster) as load:
        cluster.redis.hold()  # does nothing to one that is frozen
        getattr(cluster.redis, fault)()
        ready = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            ready += [ask(port, "/health/ready")[:2] for port in cluster.server_ports]
            time.sleep(0.5)
        cluster.redis.release()
        if fault == "freeze":
            cluster.redis.thaw()
        time.sleep(2)
    say(load.report)
    assert load.failed == {}
    assert {status for status, _ in ready} == {200}
    assert {body["channel_layer"] for _, body in ready[-2:]} == {"unreachable"}
    assert load.latest < 4  # 2 on a machine that is not busy
    assert len(load.log_lines(*cluster.servers)) < 20


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["restarted", "crashed"])
def test_a_database_that_comes_back_costs_those_who_asked_meanwhile(cluster, how, say):
    with Load(cluster) as load:
        start = time.monotonic()
        if how == signal.SIGKILL:
            cluster.postgresql.kill()
        else:
            os.kill(cluster.postgresql.pid, how)
        wait_until(lambda: not cluster.database_answers(), 10, every=0.01)
        wait_until(cluster.database_answers, 30, every=0.05)
        back = time.monotonic()
        healthy_within(cluster, 30)
        last = max((a.at for a in load.attempts if a.failed), default=start)
    say(f"away for {back - start:.1f} s, last failure {last - back:.1f} s after; {load.report}")
    assert {a.status for a in load.attempts if a.failed} <= {503}
    assert last - back < 3
    assert (
        sum(load.failed.values()) < 40
    )  # what is in hand at the moment; on a busy machine it is away for long


@pytest.mark.long
def test_a_frozen_database_is_seen_by_readiness(cluster, say):
    ready = []
    with Load(cluster) as load:
        cluster.postgresql.freeze()
        end = time.monotonic() + 10
        while time.monotonic() < end:
            ready += [ask(port, "/health/ready")[::2] for port in cluster.server_ports]
            time.sleep(0.5)
        cluster.postgresql.thaw()
        took = healthy_within(cluster, 30)
    slowest = max(seconds for _, seconds in ready)
    say(f"ready at most {slowest:.2f} s, healthy after {took:.1f} s; {load.report}")
    assert {a.status for a in load.attempts if a.failed} <= {503}
    assert load.slowest < 7  # 5 on a machine that is not busy
    assert slowest < 3


@pytest.mark.long
def test_a_locked_table_holds_up_nothing_else(cluster, say):
    others, ready = [], []
    with Load(cluster) as load:
        token = cluster.token("somebody else")
        with superuser(cluster) as database, database.transaction():
            database.execute("LOCK TABLE tasks_task IN ACCESS EXCLUSIVE MODE")
            end = time.monotonic() + 10
            while time.monotonic() < end:
                others.append(ask(cluster.port, "/notifications", token)[::2])
                ready.append(ask(cluster.port, "/health/ready", token)[0])
                time.sleep(0.2)
        took = healthy_within(cluster, 30)
    times = sorted(seconds for _, seconds in others)
    nearly_all, slowest = times[len(times) * 19 // 20], times[-1]
    said = "\n".join(load.log_lines(*cluster.servers))
    say(
        f"others' reads: 95 % within {nearly_all * 1000:.0f} ms, all within {slowest * 1000:.0f} ms, "
        f"healthy after {took:.1f} s; {load.report}"
    )
    assert {status for status, _ in others} == {200}
    assert ready.count(200) > 0.9 * len(ready)  # it waits for 0.8 s, which a busy machine may take
    assert nearly_all < 0.5  # 0.1 on a machine that is not busy
    assert slowest < 2
    assert {a.status for a in load.attempts if a.failed} <= {503}
    assert load.slowest < 5
    assert "lock" in said


def test_everything_at_once_and_each_request_is_done_once(cluster, say):
    with Load(cluster) as load:
        for part in (cluster.postgresql, *cluster.servers, cluster.redis):
            part.kill()
        took = healthy_within(cluster, 60)
    say(f"healthy after {took:.1f} s; {load.report}")
    assert {a.status for a in load.attempts if a.failed} <= {0, 503}


def test_workers_that_die_in_a_pass_remind_of_everything_once(cluster, new_person, say):
    people = [new_person() for _ in range(2)]
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    operations = 150
    for person in people:
        for number in range(operations):
            status, _ = person.ask("POST", "/tasks", {"text": f"Due {number}", "deadline": soon})
            assert status == 201
    command = [sys.executable, "manage.py", "send_reminders", "--at", soon]
    workers = [
        subprocess.Popen(
            command,
            cwd=DEPLOY.parent,
            env=cluster.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]

    def made():
        with superuser(cluster) as database:
            return database.execute(
                "SELECT count(*), count(DISTINCT (task_id, type)) FROM tasks_notification "
                "WHERE user_id = ANY(%s) AND type = 'deadline_reached'",
                [[person.id for person in people]],
            ).fetchone()

    wait_until(lambda: made()[0], 60, every=0.005)
    workers[0].kill()
    at_death = made()[0]
    for worker in workers:
        worker.wait(60)
    cluster.manage("send_reminders", "--at", soon)
    say(f"{at_death} notifications when one was killed, {made()} at the end")
    assert made() == (2 * operations, 2 * operations)


@pytest.mark.parametrize(
    ("hours", "code", "reason"),
    [(4, "token_expired", "has expired"), (-4, "token_invalid", "not valid yet")],
)
def test_a_clock_that_is_hours_off_is_named(cluster, hours, code, reason):
    """To the person and in the log; what a wrong clock of this server does, one of the tokens' maker does."""
    sizes = [server.log.stat().st_size for server in cluster.servers]
    token = cluster.token("somebody", ahead=-hours * 3600)
    status, body, _ = ask(cluster.port, "/tasks", token)
    assert (status, body["code"]) == (401, code)
    assert reason in body["detail"]
    said = [
        server.log.read_text()[size:] for server, size in zip(cluster.servers, sizes, strict=True)
    ]
    assert reason in "".join(said)


@pytest.fixture
def small_disk():
    """A cluster whose PostgreSQL has a file system of 300 MiB, and that one's folder."""
    if os.geteuid() != 0:
        pytest.skip("Only root can mount a small file system.")
    with TemporaryDirectory(prefix="todolist-cluster-") as name:
        disk = Path(name) / "postgresql"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", disk], check=True)
        try:
            cluster = Cluster(Path(name))
            try:
                yield cluster.start(), disk
            finally:
                cluster.stop()
        finally:
            subprocess.run(["umount", disk], check=True)


@pytest.mark.long
def test_a_full_disk_is_503_until_there_is_room(small_disk, say):
    cluster, disk = small_disk
    filler = disk / "filler"
    with Load(cluster) as load:
        start = time.monotonic()
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(64 * 1024))
        time.sleep(8)
        filler.unlink()
        room = time.monotonic()
        healthy_within(cluster, 60)
        time.sleep(2)
        last = max((a.at for a in load.attempts if a.failed), default=start)
    say(f"last failure {last - room:.1f} s after there was room; {load.report}")
    assert load.failed
    assert {a.status for a in load.attempts if a.failed} <= {503}
    assert last - room < 10
    assert "No space left" in "\n".join(load.log_lines(*cluster.servers, cluster.postgresql))
