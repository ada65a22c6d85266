"""`docs/openapi.json` and `docs/asyncapi.json` are what a server with everything switched on serves."""

import pytest

from conftest import ROOT, environment_for, manage


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("schemas")
    environment = environment_for("sqlite:///:memory:")
    done = manage("write_schemas", str(folder), environment=environment)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", ["openapi.json", "asyncapi.json"])
def test_the_files_are_as_what_is_served(written, name):
    """Where it fails: run `make schemas`, and look what that changes for clients."""
    made, committed = ((folder / name).read_text() for folder in (written, ROOT / "docs"))
    assert made == committed
