"""How much of the isolation was proved, for the last line of a run."""

from collections import Counter
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def proved(request) -> Iterator[Counter[str]]:
    """Counts the cells of the matrices as they are proved; shown when all tests are through."""
    cells: Counter[str] = Counter()
    yield cells
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and cells:
        reporter.ensure_newline()
        reporter.write_line("Isolation: " + ", ".join(f"{n} {what}" for what, n in cells.items()))
