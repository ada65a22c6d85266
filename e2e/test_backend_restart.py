"""The backend goes away and comes back while pages are connected."""

import signal

import pytest


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_task_made_meanwhile_is_shown_after_a_restart(
    mode, how, own_stack, make_browser_of, make_person
):
    stack = own_stack(mode)
    mia = make_person(stack, "Mia")
    window = make_browser_of(stack.page_url)()
    window.sign_in("Mia")
    window.expect_live()
    window.add("Before")
    window.expect_task("Before")

    stack.backend.stop(how)
    window.expect_reconnecting()
    with stack.backend_elsewhere() as api_url:
        assert mia.call("POST", "/tasks", {"text": "Meanwhile"}, api_url=api_url)[0] == 201
    window.expect_no_task("Meanwhile")
    stack.start_backend()

    window.expect_live(timeout=15_000)
    window.expect_task("Meanwhile")
    window.expect_task("Before")
    assert mia.call("POST", "/tasks", {"text": "Afterwards"})[0] == 201
    window.expect_task("Afterwards", timeout=1000)
