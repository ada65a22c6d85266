"""`manage.py test` runs the suite that `pytest` runs, with the same settings and its own options."""

from pathlib import Path

import pytest

from conftest import environment_for, manage

ONE = "tasks/tests/test_a_resource_of_its_own.py"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        # Its application is one that only `pytest.ini`'s settings install.
        (["-k", "declared_in_less_than_sixty", ONE], (0, "1 passed")),
        (["-k", "nothing_is_called_this", "--failfast", ONE], (1, "deselected")),
    ],
)
def test_it_hands_over_to_pytest(arguments: list[str], expected: tuple[int, str], tmp_path: Path):
    environment = environment_for(f"sqlite:///{tmp_path / 'db.sqlite3'}", REDIS_URL="")
    answer = manage("test", *arguments, environment=environment)

    assert answer.returncode == expected[0], answer.stdout + answer.stderr
    assert expected[1] in answer.stdout
