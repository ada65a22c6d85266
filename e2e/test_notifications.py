"""Deadlines reach the page: the bell counts what is unread, and marking it read counts it off."""

import os
import subprocess
import sys

from playwright.sync_api import expect
from servers import BLANK, ROOT, SECRET, backend_environment


def send_reminders(stack):
    """Another process, which shares no Redis with the server: the page hears of it all the same."""
    subprocess.run(
        [sys.executable, "manage.py", "send_reminders"],
        cwd=ROOT,
        env={
            **os.environ,
            **BLANK,
            **backend_environment(stack.database),
            "BETTER_AUTH_SECRET": SECRET,
        },
        check=True,
        capture_output=True,
    )


def test_a_deadline_rings_the_bell_and_is_marked_read_in_all_windows(own_stack, make_two_windows):
    stack = own_stack("secret")
    first, second = make_two_windows(stack, "Uma")

    first.add("Water the plants", day="2026-01-01", time="12:00")
    first.expect_task("Water the plants")
    send_reminders(stack)

    for window in (first, second):
        bell = window.in_front().locator("#bell")
        expect(bell).to_contain_text("1")
    page = first.in_front()
    page.locator("#bell").click()
    expect(page.locator("#notification-list")).to_contain_text("Water the plants")
    page.get_by_role("button", name="Mark all read").click()
    for window in (first, second):
        expect(window.in_front().locator("#unread")).to_have_text("0")


def test_the_bell_counts_off_what_is_withdrawn_in_all_windows(own_stack, make_two_windows):
    stack = own_stack("secret")
    first, second = make_two_windows(stack, "Vera")
    for text in ("Water the plants", "Feed the cat", "Call the bank"):
        first.add(text, day="2026-01-01", time="12:00")
        first.expect_task(text)
    send_reminders(stack)
    for window in (first, second):
        expect(window.in_front().locator("#unread")).to_have_text("3")

    first.in_front().get_by_role("checkbox", name="Water the plants").click()
    for window in (first, second):
        expect(window.in_front().locator("#unread")).to_have_text("2")
    first.delete("Feed the cat")
    for window in (first, second):
        page = window.in_front()
        expect(page.locator("#unread")).to_have_text("1")
        page.locator("#bell").click()
        expect(page.locator("#notification-list li")).to_have_count(1)
        expect(page.locator("#notification-list")).to_contain_text("Call the bank")
