"""Lets `manage.py test` run the suite that `pytest` runs."""

import os
import subprocess
import sys
from argparse import ArgumentParser
from importlib.util import find_spec
from typing import Any


class PytestRunner:
    """A Django test runner that hands over to pytest, with the options both know."""

    def __init__(
        self,
        verbosity: int = 1,
        failfast: bool = False,
        keepdb: bool = False,
        parallel: int | str = 0,
        **options: Any,
    ) -> None:
        self.arguments = ["--quiet"] * (verbosity < 1) + ["--verbose"] * (verbosity - 1)
        self.arguments += ["--exitfirst"] * failfast + ["--reuse-db"] * keepdb
        self.arguments += ["--numprocesses", str(parallel)] if parallel else []
        if pattern := options.get("test_name_patterns"):
            self.arguments += ["-k", " or ".join(pattern)]

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        parser.add_argument("--failfast", action="store_true", help="stop after the first failure")
        parser.add_argument("--keepdb", action="store_true", help="keep the test database")
        parser.add_argument(
            "--parallel",
            nargs="?",
            const="auto",
            default=0,
            metavar="N",
            help="run in N processes, or in as many as there are cores",
        )
        parser.add_argument(
            "-k",
            action="append",
            dest="test_name_patterns",
            help="run only tests whose names match (pytest's expressions)",
        )

    def run_tests(self, test_labels: list[str], **kwargs: Any) -> int:
        """Run pytest on paths or node ids; answer with the number Django exits with, 0 for none.

        In a process of its own, so that the settings are those of `pytest.ini` and not of `manage.py`.
        """
        if find_spec("pytest") is None:
            sys.exit("pytest is not installed: pip install -r requirements-dev.txt")
        environment = {
            name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"
        }
        command = [sys.executable, "-m", "pytest", *self.arguments, *test_labels]
        return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603
