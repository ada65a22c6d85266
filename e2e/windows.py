"""A browser window as a person sees it."""

import re

from people import PASSWORD
from playwright.sync_api import expect

PATIENCE = 10_000  # milliseconds


# Says by which code a socket of the page was closed.
SAY_CLOSINGS = """
    window.WebSocket = class extends WebSocket {
        constructor(...how) {
            super(...how);
            this.addEventListener("close", ({ code }) => console.info(`socket closed: ${code}`));
        }
    };
"""


class Window:
    """One page of the demo. It also keeps what its console said."""

    def __init__(self, page, url):
        self.page = page
        self.url = url
        self.console = []
        self.errors = []
        page.set_default_timeout(PATIENCE)
        page.add_init_script(SAY_CLOSINGS)
        page.on("console", lambda message: self.console.append(message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self):
        self.page.goto(self.url)
        return self

    def in_front(self):
        """The page, brought to the front: those behind are drawn once a second, and clicks wait for it."""
        self.page.bring_to_front()
        return self.page

    def sign_up(self, name):
        self.page.get_by_role("button", name="Create one").click()
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("E-mail").fill(f"{name.lower()}@example.com")
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Create account").click()

    def sign_in(self, name):
        self.page.get_by_label("E-mail").fill(f"{name.lower()}@example.com")
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()

    def add(self, text, day="", time=""):
        page = self.in_front()
        page.get_by_label("New task").fill(text)
        form = page.locator("#add")
        if day:
            form.get_by_label("Day", exact=True).fill(day)
        if time:
            form.get_by_label("Time", exact=True).fill(time)
        form.get_by_role("button", name="Add").click()

    def delete(self, text):
        self.in_front().get_by_role("button", name=f"Delete: {text}", exact=True).click()

    def choose(self, action, text):
        """Does something to a task by its menu."""
        self.in_front().get_by_role("button", name=f"More: {text}", exact=True).click()
        self.page.locator("#menu").get_by_role("button", name=action).click()

    def look_at(self, name):
        """Follows a link of the side."""
        self.in_front().get_by_role("navigation").get_by_role("link", name=name).click()

    def task(self, text):
        return self.page.get_by_role("listitem").filter(
            has=self.page.get_by_role("checkbox", name=text, exact=True)
        )

    def expect_live(self, timeout=PATIENCE):
        """Connected, and all that was done here is at the server: it says "Saving…" before."""
        expect(self.page.get_by_text("Live", exact=True)).to_be_visible(timeout=timeout)
        expect(self.page.locator("#banner")).to_be_hidden()

    def expect_reconnecting(self, *, kept=""):
        banner = self.page.locator("#banner")
        expect(banner).to_contain_text(f"reconnecting… {kept}", timeout=PATIENCE)

    def expect_sign_in_again(self):
        expect(self.page.get_by_text(re.compile("sign in again", re.IGNORECASE))).to_be_visible(
            timeout=PATIENCE
        )
        expect(self.page.get_by_label("Password")).to_be_visible()

    def expect_task(self, text, timeout=PATIENCE):
        expect(self.task(text)).to_be_visible(timeout=timeout)

    def expect_no_task(self, text, timeout=PATIENCE):
        expect(self.task(text)).to_have_count(0, timeout=timeout)

    def socket_closings(self):
        """The codes by which sockets of this page were closed so far."""
        prefix = "socket closed: "
        return [int(line.removeprefix(prefix)) for line in self.console if line.startswith(prefix)]
