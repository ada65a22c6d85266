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


def test_a_task_added_without_connection_is_kept_and_added_once(mode, own_stack, make_browser_of):
    stack = own_stack(mode)
    window = make_browser_of(stack.page_url)()
    window.sign_up("Nora")
    window.expect_live()
    stack.backend.stop()
    window.expect_reconnecting()

    window.add("Typed in a tunnel")
    window.page.get_by_text("The server cannot be reached.").wait_for()
    stack.start_backend()
    window.expect_live(timeout=15_000)
    window.page.get_by_role("button", name="Add").click()

    window.expect_task("Typed in a tunnel")
    assert window.page.get_by_role("checkbox").count() == 1
