"""What one window does, the others of the same person show, and nobody else's."""

from playwright.sync_api import expect

WITHIN_A_SECOND = 1000  # milliseconds


def test_a_new_task_is_in_the_second_window_within_a_second(stack, make_two_windows):
    first, second = make_two_windows(stack, "Alice")

    first.add("Buy bread")

    second.expect_task("Buy bread", timeout=WITHIN_A_SECOND)
    first.expect_task("Buy bread")


def test_a_task_is_in_nobody_elses_window(stack, make_browser_of, make_person):
    alices = make_browser_of(stack.page_url)()
    alices.sign_up("Amy")
    alices.expect_live()
    bob = make_person(stack, "Bob")
    bobs = make_browser_of(stack.page_url)()
    bobs.sign_in("Bob")
    bobs.expect_live()

    alices.add("Alice's secret")
    alices.expect_task("Alice's secret")
    # An event of his own, made later, has come through: so hers would have, too.
    assert bob.call("POST", "/tasks", {"text": "Bob's own"})[0] == 201
    bobs.expect_task("Bob's own", timeout=WITHIN_A_SECOND)

    expect(bobs.page.get_by_role("checkbox")).to_have_count(1)
    alices.expect_no_task("Bob's own")


def test_every_change_is_in_the_second_window(stack, make_two_windows):
    first, second = make_two_windows(stack, "Clara")
    first.add("Call the dentist")
    task = second.task("Call the dentist")
    expect(task).to_be_visible()

    second.page.locator("#done-fold").evaluate("fold => fold.open = true")
    first.in_front().get_by_role("checkbox", name="Call the dentist").click()
    expect(second.page.get_by_role("checkbox", name="Call the dentist")).to_be_checked()

    first.page.get_by_text("Done (1)").click()
    first.page.get_by_role("button", name="Edit: Call the dentist").click()
    editor = first.page.locator("form.editor")
    editor.get_by_label("Task").fill("Call the doctor")
    editor.get_by_label("Day", exact=True).fill("2099-07-01")
    editor.get_by_label("Time", exact=True).fill("18:30")
    editor.get_by_role("button", name="Save").click()
    second.expect_task("Call the doctor")
    # Typed in Berlin's summer time, sent as UTC, shown in Berlin's again.
    time = second.task("Call the doctor").locator("time")
    expect(time).to_have_attribute("datetime", "2099-07-01T16:30:00Z")
    expect(time).to_contain_text("18:30")

    first.delete("Call the doctor")
    second.expect_no_task("Call the doctor", timeout=WITHIN_A_SECOND)
    first.expect_no_task("Call the doctor")


def test_what_people_type_is_shown_as_text(stack, make_browser_of):
    window = make_browser_of(stack.page_url)()
    window.sign_up("Dora")
    window.expect_live()

    window.add("<img src=x onerror=alert(1)>")

    window.expect_task("<img src=x onerror=alert(1)>")
    assert window.page.locator("#list img").count() == 0


def test_signing_out_signs_the_other_windows_out(stack, make_two_windows):
    first, second = make_two_windows(stack, "Emma")

    first.in_front().get_by_role("button", name="Sign out").click()

    second.expect_sign_in_again()
    expect(first.page.get_by_label("Password")).to_be_visible()


def test_the_keyboard_is_enough(stack, make_browser_of):
    window = make_browser_of(stack.page_url)()
    keyboard = window.page.keyboard
    window.sign_up("Fay")
    window.expect_live()
    window.page.get_by_label("New task").focus()

    keyboard.type("Water the plants")
    keyboard.press("Enter")
    window.expect_task("Water the plants")
    expect(window.page.get_by_label("New task")).to_be_focused()

    window.page.get_by_role("button", name="Edit: Water the plants").press("Enter")
    keyboard.type(" twice")
    keyboard.press("Escape")
    expect(window.page.get_by_role("button", name="Edit: Water the plants")).to_be_focused()

    window.page.get_by_role("checkbox", name="Water the plants").press("Space")
    # It went into what is done and folded away; nothing else is left to stand on.
    expect(window.page.get_by_role("heading", name="Tasks")).to_be_focused()
    window.page.get_by_text("Done (1)").click()
    expect(window.page.get_by_role("checkbox", name="Water the plants")).to_be_checked()
