"""The page without its servers: it comes up, shows what it knew, and keeps what is done until they are back."""

import signal

import pytest
from playwright.sync_api import expect

LONG = 15_000  # milliseconds


@pytest.fixture
def stack(window):
    return window.mia.stack


def test_what_is_done_without_any_server_is_done_when_they_are_back(stack, window):
    third = window.mia.call("GET", "/tasks")[1][-1]
    subtask = {"text": "Under it", "parent_id": third["id"]}
    assert window.mia.call("POST", "/tasks", subtask)[0] == 201
    expect(window.page.get_by_role("checkbox", name="Under it")).to_be_visible()
    stack.backend.stop(signal.SIGKILL)
    stack.demo.stop(signal.SIGKILL)
    page = window.page
    page.reload()
    window.expect_task("First")
    window.expect_reconnecting()

    page.get_by_role("button", name="New list").click()
    page.get_by_role("dialog").get_by_label("Name").fill("Garden")
    page.get_by_role("button", name="Save").click()
    window.add("Buy seeds")  # into that list
    window.expect_task("Buy seeds")
    window.look_at("All tasks")
    page.get_by_role("checkbox", name="First").click()
    window.delete("Second")
    window.delete("Third")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("checkbox", name="Under it")).to_be_visible()
    window.expect_reconnecting(kept="7 changes are kept here")

    page.reload()  # as when a phone has dropped the page
    window.expect_reconnecting(kept="7 changes are kept here")
    for text in ("Buy seeds", "Third", "Under it"):
        expect(page.get_by_role("checkbox", name=text)).to_be_visible()
    window.expect_no_task("Second")
    expect(page.get_by_text("Done (1)")).to_be_visible()
    expect(page.locator("#count")).to_have_text("3 to do, 1 done")
    window.look_at("Trash")
    expect(page.get_by_text("The trash cannot be shown without a connection.")).to_be_visible()

    stack.demo.start()
    stack.backend.start()
    window.expect_live(timeout=LONG)
    expect(page.locator("#trash-list")).to_contain_text("Second")
    (garden,) = window.mia.call("GET", "/projects")[1]
    found = {task["text"]: task for task in window.mia.call("GET", "/tasks")[1]}
    assert garden["name"] == "Garden"
    assert {text: (task["completed"], task["project_id"]) for text, task in found.items()} == {
        "Buy seeds": (False, garden["id"]),
        "First": (True, None),
        "Third": (False, None),
        "Under it": (False, None),
    }


def test_a_server_that_does_not_answer_is_noticed_within_ten_seconds(stack, window):
    stack.backend.process.send_signal(signal.SIGSTOP)
    try:
        banner = window.page.locator("#banner")
        expect(banner).to_contain_text("The server does not answer", timeout=10_000)
        window.add("Typed into the ice")
        window.expect_task("Typed into the ice", timeout=500)
        window.expect_reconnecting(kept="1 change is kept here")
    finally:
        stack.backend.process.send_signal(signal.SIGCONT)

    window.expect_live(timeout=2 * LONG)
    texts = [task["text"] for task in window.mia.call("GET", "/tasks")[1]]
    assert sorted(texts) == ["First", "Second", "Third", "Typed into the ice"]


def test_a_page_server_that_does_not_answer_is_not_waited_for_long(stack, window):
    stack.demo.process.send_signal(signal.SIGSTOP)
    try:
        window.page.reload(timeout=LONG)
        window.expect_task("First")
    finally:
        stack.demo.process.send_signal(signal.SIGCONT)
    window.expect_live()


def test_two_texts_of_one_task_are_both_kept_and_told_of(stack, window):
    (first, *_) = window.mia.call("GET", "/tasks")[1]
    stack.backend.stop()
    window.expect_reconnecting()
    write(window, "First", "Written here")
    window.expect_task("Written here")
    with stack.backend_elsewhere() as api_url:
        path, body = f"/tasks/{first['id']}", {"text": "Written there"}
        assert window.mia.call("PATCH", path, body, api_url=api_url)[0] == 200

    stack.start_backend()
    window.expect_live(timeout=LONG)
    box = window.page.get_by_role("region", name="Not done as you meant it")
    expect(box).to_contain_text("“Written there” was changed elsewhere at the same time.")
    expect(box.locator("dd")).to_have_text(["Written here", "Written there"])
    for text in ("Written here", "Written there"):
        window.expect_task(text)
    box.get_by_role("button", name="OK").click()
    expect(box).to_be_hidden()
    window.page.wait_for_timeout(500)  # until the browser has written that down
    window.page.reload()
    window.expect_live()
    expect(box).to_be_hidden()


def test_a_name_that_was_typed_for_what_is_deleted_elsewhere_is_told(stack, window):
    label = window.mia.call("POST", "/labels", {"name": "errand"})[1]
    window.look_at("errand")
    stack.backend.stop()
    window.expect_reconnecting()
    window.page.get_by_role("button", name="Edit label").click()
    window.page.get_by_role("dialog").get_by_label("Name").fill("Typed with care")
    window.page.get_by_role("button", name="Save").click()
    with stack.backend_elsewhere() as api_url:
        path = f"/labels/{label['id']}"
        assert window.mia.call("DELETE", path, api_url=api_url)[0] == 204

    stack.start_backend()
    window.expect_live(timeout=LONG)
    box = window.page.get_by_role("region", name="Not done as you meant it")
    expect(box).to_contain_text("“errand” was deleted elsewhere.")
    expect(box.locator("dd")).to_have_text(["Typed with care"])


def write(window, text, other):
    window.in_front().get_by_role("button", name=f"Edit: {text}").click()
    editor = window.page.locator("form.editor")
    editor.get_by_label("Task").fill(other)
    editor.get_by_role("button", name="Save").click()
