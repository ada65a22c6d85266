"""The Next.js application of examples/, built and started as `make example` does."""

import shutil
import sys

import pytest
from servers import ROOT, SECRET, Server, backend_environment, free_port


@pytest.fixture
def page_url(node, empty_database, tmp_path):
    database = tmp_path / "db.sqlite3"
    shutil.copy(empty_database, database)
    port, api_port = free_port(), free_port()
    server = Server(
        [sys.executable, "scripts/run.py", f"127.0.0.1:{api_port}", str(port), "nextjs"],
        folder=ROOT,
        environment={
            **backend_environment(database),
            "BETTER_AUTH_SECRET": SECRET,
            "AUTH_DATABASE": str(tmp_path / "auth.db"),
        },
        ready_at=f"http://localhost:{port}/api/auth/ok",
        log=tmp_path / "servers.log",
    )
    server.start()
    yield f"http://localhost:{port}"
    server.stop()


def test_a_task_goes_from_one_browser_to_another_and_comes_with_the_page(page_url, make_browser_of):
    at_home = make_browser_of(page_url)()
    at_home.sign_up("Nora")
    at_home.expect_live()
    on_the_way = make_browser_of(page_url)()
    on_the_way.sign_in("Nora")
    on_the_way.expect_live()

    at_home.in_front().get_by_label("New task").fill("Buy bread")
    at_home.page.keyboard.press("Enter")

    on_the_way.expect_task("Buy bread")
    # Without a script, so nobody but the server has read it.
    page = on_the_way.page.request.get(page_url).text()
    assert "<li>Buy bread</li>" in page
    on_the_way.page.reload()
    on_the_way.expect_live()
    on_the_way.expect_task("Buy bread")
