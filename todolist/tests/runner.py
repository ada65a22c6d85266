"""Lets `manage.py test` run the suite that `pytest` runs."""

import subprocess
import sys
from argparse import ArgumentParser
from typing import Any


class PytestRunner:
    """A Django test runner that hands over to pytest, with the options both know."""

    def __init__(self, **options: Any) -> None:
        self.arguments = ["--exitfirst"] * options["failfast"] + ["--reuse-db"] * options["keepdb"]
        self.arguments += ["--verbose"] * (options["verbosity"] - 1)
        self.arguments += ["--numprocesses", str(options["parallel"]), "-k", options["k"]]

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        parser.add_argument("--failfast", action="store_true", help="stop after the first failure")
        parser.add_argument("--keepdb", action="store_true", help="keep the test database")
        parser.add_argument("--parallel", nargs="?", const="auto", default="0", metavar="N")
        parser.add_argument("-k", default="", help="run only the tests with such names")

    def run_tests(self, test_labels: list[str], **kwargs: Any) -> int:
        """Run pytest on paths or node ids; answer with the number Django exits with, 0 for none."""
        command = [sys.executable, "-m", "pytest", "--ds=todolist.tests.settings"]
        return subprocess.run([*command, *self.arguments, *test_labels], check=False).returncode  # noqa: S603
