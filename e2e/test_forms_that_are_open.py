"""What somebody is writing stays, whatever happens elsewhere meanwhile."""

from playwright.sync_api import expect


def path_of(window, text):
    return next(
        f"/tasks/{t['id']}" for t in window.mia.call("GET", "/tasks")[1] if t["text"] == text
    )


def test_a_task_that_is_deleted_while_it_is_edited_is_back_when_it_is_saved(window):
    page = window.page
    page.get_by_role("button", name="Edit: First").click()
    page.keyboard.type(" of")
    assert window.mia.call("DELETE", path_of(window, "First"))[0] == 204
    expect(page.locator("#announcer")).to_contain_text("Task deleted: First")
    page.keyboard.type(" all and more")
    page.locator("form.editor").get_by_role("button", name="Save").click()

    window.expect_task("First of all and more")
    window.expect_live()
    found = {task["text"]: task["completed"] for task in window.mia.call("GET", "/tasks")[1]}
    assert found == {"First of all and more": False, "Second": False, "Third": False}


def test_a_form_that_is_cancelled_goes_with_the_task_that_was_deleted(window):
    window.page.get_by_role("button", name="Edit: First").click()
    assert window.mia.call("DELETE", path_of(window, "First"))[0] == 204
    expect(window.page.locator("#announcer")).to_contain_text("Task deleted: First")
    window.page.keyboard.press("Escape")

    window.expect_no_task("First")


def test_a_task_that_is_completed_while_it_is_edited_stays_in_sight(window):
    page = window.page
    page.get_by_role("button", name="Edit: First").click()
    assert window.mia.call("PATCH", path_of(window, "First"), {"completed": True})[0] == 200
    expect(page.locator("#announcer")).to_contain_text("Task changed: First")
    expect(page.locator("form.editor").get_by_label("Task")).to_be_focused()
    page.keyboard.type(" of all")
    page.keyboard.press("Enter")

    expect(page.get_by_text("Done (1)")).to_be_visible()
    window.expect_live()
    assert path_of(window, "First of all")


def test_what_was_written_elsewhere_while_a_form_was_open_is_not_overwritten_unasked(window):
    page = window.page
    (first, *_) = window.mia.call("GET", "/tasks")[1]
    page.get_by_role("button", name="Edit: First").click()
    assert window.mia.call("PATCH", f"/tasks/{first['id']}", {"text": "Theirs"})[0] == 200
    expect(page.locator("#announcer")).to_contain_text("Task changed: Theirs")
    page.locator("form.editor").get_by_label("Task").fill("Mine")
    page.locator("form.editor").get_by_role("button", name="Save").click()

    expect(page.locator("#confirm")).to_contain_text("It says now: Theirs")
    page.locator("#confirm").get_by_role("button", name="Cancel").click()
    page.locator("form.editor").get_by_role("button", name="Cancel").click()
    window.expect_task("Theirs")


def test_what_is_typed_for_a_new_task_stays_in_another_view(window):
    page = window.page
    form = page.locator("#add")
    page.get_by_text("More", exact=True).click()
    form.get_by_label("New task").fill("Buy bread")
    form.get_by_label("Details").fill("The dark one")
    window.look_at("Today")
    form.get_by_role("button", name="Add").click()

    window.expect_task("Buy bread")
    window.expect_live()
    (task,) = window.mia.call("GET", "/tasks?due=today")[1]
    assert (task["text"], task["description"]) == ("Buy bread", "The dark one")
    expect(form.get_by_label("Details")).to_have_value("")
