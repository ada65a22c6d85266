"""On PostgreSQL the tests of the API run twice: the fast way, and the plain way, which specifies it."""

from typing import Any

import pytest
from django.db import connection

# Whose tests know nothing but the front door.
TWICE = {
    f"test_{name}"
    for name in (
        *("create_task", "read_task", "list_tasks", "paging_tasks", "update_task", "delete_task"),
        *(
            "etags",
            "retries",
            "events",
            "ownership",
            "notifications",
            "positions",
            "a_resource_of_its_own",
            "a_column_more",
        ),
    )
}
# Servers have routes of their own; statements are counted for the fast way only.
ONCE = {"server", "start_server", "twins", "django_assert_num_queries", "statements_counted"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    module = metafunc.module.__name__.rpartition(".")[2]
    used = set(metafunc.fixturenames)
    if (
        connection.vendor == "postgresql"
        and module in TWICE
        and not used & ONCE
        and any(name.endswith("_api") for name in used)
    ):
        metafunc.parametrize("way", ["fast", "plain"], indirect=True)


@pytest.fixture(autouse=True)
def way(request: pytest.FixtureRequest, settings: Any) -> None:
    """In which of the two ways requests are answered."""
    if getattr(request, "param", "") == "plain":
        settings.ROOT_URLCONF = "todolist.tests.plain_urls"


@pytest.fixture
def statements_counted() -> None:
    """For tests that count statements, of which the plain way takes more."""
