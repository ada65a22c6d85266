"""Made-up calls of every operation against a real server, judged by the document at `/schema`.

Short, and always the same, in the suite; `make fuzz` goes on for minutes, each time elsewhere.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ALICE, ROOT, Server, sign

SHORT = ("--generation-deterministic", "--max-examples=3")
HOUR = 3600


def long(seconds: int) -> tuple[str, ...]:
    return (f"--max-time={seconds}", "--generation-database=none", "--max-examples=1000")


def fuzz(server: Server, folder: Path, *options: str) -> str:
    """What Schemathesis reports. Fails the test on any failure it finds."""
    run = subprocess.run(  # noqa: S603
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/schema"),
            *("--checks=all", "--mode=all", "--continue-on-failure", "--no-color"),
            *("--warnings=off", "--request-timeout=60", "--suppress-health-check=all"),
            *options,
        ],
        cwd=folder,  # it leaves notes behind
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SCHEMATHESIS_HOOKS": "todolist.tests.fuzz_rules",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=HOUR,
    )
    if run.returncode != 0:
        pytest.fail(run.stdout)
    return run.stdout


@pytest.fixture(scope="module")
def fuzzed(start_shared_server):
    return start_shared_server()


def assert_unharmed(server: Server) -> None:
    assert server.process.poll() is None
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize("signed_in", [True, False], ids=["signed in", "nobody"])
def test_every_answer_is_one_that_the_document_names(fuzzed, signed_in, pytestconfig, tmp_path):
    seconds = pytestconfig.getoption("fuzz")
    options = long(seconds) if seconds else SHORT
    if signed_in:
        # Stateful: what one call answers, the next one uses. It takes its time.
        phases = "examples,coverage,fuzzing" + (",stateful" if seconds else "")
        options += (f"--phases={phases}",)
        options += (f"--header=Authorization: Bearer {sign(ALICE, exp=4102444800)}",)
    else:
        options += ("--phases=fuzzing",)

    report = fuzz(fuzzed, tmp_path, *options)

    # All operations were called, and none was left out in silence.
    selected = re.search(r"Selected: (\d+)/(\d+)\n\s+Tested: (\d+)\n", report)
    assert selected is not None, report
    assert len(set(selected.groups())) == 1, report
    assert_unharmed(fuzzed)
