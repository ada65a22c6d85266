"""The whole deployment for the tests; what is missing on the machine is said in one sentence."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cluster import Cluster
from load import Person


@pytest.fixture(scope="session", autouse=True)
def programs():
    """Fails rather than skips: a test that did not run has shown nothing."""
    path = "/usr/sbin:/usr/bin:/usr/local/bin"
    for program in ("nginx", "redis-server", "psql", "pg_config", "curl", "prometheus"):
        if not (shutil.which(program) or shutil.which(program, path=path)):
            pytest.exit(
                f"{program} is missing (Debian: apt-get install nginx-light redis-server postgresql curl prometheus).",
                returncode=1,
            )


@pytest.fixture(scope="module")
def cluster():
    # Not pytest's folder, which nobody else may enter: nginx and PostgreSQL are other users.
    with TemporaryDirectory(prefix="todolist-cluster-") as folder:
        cluster = Cluster(Path(folder))
        try:
            yield cluster.start()
        finally:
            cluster.stop()


@pytest.fixture
def new_person(cluster):
    """Makes people who call by themselves, without a load."""
    people = []

    def make(**options):
        people.append(Person(cluster, len(people), **options))
        return people[-1]

    yield make
    for person in people:
        person.connection.close()


@pytest.fixture
def person(new_person):
    return new_person()


@pytest.fixture
def say(capsys):
    """Print a finding past pytest's capturing: the table of faults, measured."""

    def say(text):
        with capsys.disabled():
            print(f"\n    {text}", end=" ")

    return say
