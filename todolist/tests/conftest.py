"""How much of the isolation was proved, for the last line of a run."""

from collections import Counter
from typing import Any

import pytest

CELLS: Counter[str] = Counter()


@pytest.fixture(scope="session")
def proved() -> Counter[str]:
    """Counts the cells of the matrices as they are proved."""
    return CELLS


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if CELLS:
        cells = ", ".join(f"{number} of {what}" for what, number in sorted(CELLS.items()))
        terminalreporter.write_line(f"Isolation proved in cells: {cells}")
