"""Sessions begin and end while several tabs are open, and while something waits to be sent."""

from playwright.sync_api import expect


def test_what_was_not_sent_waits_for_its_person_and_is_shown_to_nobody_else(
    own_stack, make_browser_of, make_person
):
    stack = own_stack("secret", demo={"TOKEN_SECONDS": "6"})
    make_person(stack, "Bob")
    window = make_browser_of(stack.page_url)()
    window.sign_up("Alice")
    window.expect_live()
    stack.backend.stop()
    window.expect_reconnecting()
    window.add("Hers")
    window.expect_task("Hers")
    window.page.context.clear_cookies()  # her session is over
    window.expect_sign_in_again()

    stack.start_backend()
    window.sign_in("Bob")
    window.expect_live()
    expect(window.page.get_by_text("No tasks yet")).to_be_visible()
    window.page.get_by_role("button", name="Sign out").click()
    window.sign_in("Alice")
    window.expect_live()
    window.expect_task("Hers")


def test_signing_out_asks_before_it_drops_what_was_not_sent(own_stack, make_browser_of):
    stack = own_stack("secret")
    window = make_browser_of(stack.page_url)()
    window.sign_up("Mia")
    window.expect_live()
    window.add("Sent")
    window.expect_live()
    stack.backend.stop()
    window.expect_reconnecting()
    window.add("Not sent")
    sign_out = window.page.get_by_role("button", name="Sign out", exact=True)

    sign_out.first.click()
    expect(window.page.locator("#confirm")).to_contain_text("1 change is not at the server yet")
    window.page.locator("#confirm").get_by_role("button", name="Cancel").click()
    window.expect_task("Not sent")
    sign_out.first.click()
    window.page.locator("#confirm-action").click()
    expect(window.page.get_by_label("Password")).to_be_visible()

    stack.start_backend()
    window.sign_in("Mia")
    window.expect_live()
    window.expect_task("Sent")
    window.expect_no_task("Not sent")


def test_a_tab_goes_on_after_another_one_has_signed_out_and_in_again(own_stack, make_two_windows):
    stack = own_stack("secret")
    first, second = make_two_windows(stack, "Nina")
    # It cannot ask who is signed in: it has to go by what the other one did.
    second.page.route("**/api/auth/get-session", lambda route: route.abort())

    first.in_front().get_by_role("button", name="Sign out").click()
    first.sign_in("Nina")
    first.expect_live()
    second.expect_live()
    second.add("From the second tab")
    second.expect_task("From the second tab")
    second.expect_live()
    first.expect_task("From the second tab")


def test_what_is_open_in_another_tab_goes_with_its_person(own_stack, make_browser_of, make_person):
    stack = own_stack("secret")
    make_person(stack, "Bob")
    open_window = make_browser_of(stack.page_url)
    first = open_window()
    first.sign_up("Olga")
    first.expect_live()
    first.add("Hers")
    second = open_window()
    second.expect_live()
    second.in_front().get_by_role("button", name="More: Hers").click()
    expect(second.page.locator("#menu")).to_be_visible()

    first.in_front().get_by_role("button", name="Sign out").click()
    first.sign_in("Bob")
    first.expect_live()

    second.expect_live()
    expect(second.page.locator("#menu")).to_be_hidden()
    second.expect_no_task("Hers")
    expect(second.page.locator("#who")).to_have_text("Bob")
