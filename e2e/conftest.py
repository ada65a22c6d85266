"""Servers, people and browser windows for the tests; what is missing on the machine is said in one sentence."""

import re
import shutil
import subprocess

import pytest

try:
    from playwright.sync_api import sync_playwright
except ImportError as error:
    raise pytest.UsageError(
        "Playwright is missing: run `pip install -r e2e/requirements.txt`."
    ) from error

from people import Person
from servers import DEMO, Stack, migrate
from windows import Window

OLDEST_NODE = 20
CHROMIUM_NAMES = ["chromium", "chromium-browser", "google-chrome"]

# A test browser has no business with its maker's servers.
CHROMIUM_OPTIONS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]


def give_up(sentence):
    """Fails rather than skips: a test that did not run has shown nothing."""
    pytest.fail(sentence, pytrace=False)


@pytest.fixture(scope="session")
def node():
    wanted = (
        f"install Node.js {OLDEST_NODE} or newer with npm (Debian: `apt-get install nodejs npm`)."
    )
    if shutil.which("node") is None:
        give_up(f"Node.js is missing: {wanted}")
    version = subprocess.run(
        ["node", "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if int(re.match(r"v(\d+)", version)[1]) < OLDEST_NODE:
        give_up(f"Node.js {version} is too old: {wanted}")
    packages = ("better-auth", "todolist-client/dist", "axe-core")
    if not all((DEMO / "node_modules" / name).is_dir() for name in packages):
        give_up("The demo's packages are missing: run `make demo/node_modules/installed`.")


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    database = tmp_path_factory.mktemp("database") / "empty.sqlite3"
    migrate(database)
    return database


@pytest.fixture(scope="session")
def make_stack(node, empty_database, tmp_path_factory):
    """Starts servers that live until the end; for those that a test stops, see `own_stack`."""
    stacks = []

    def make(mode, **environments):
        stack = Stack(
            folder=tmp_path_factory.mktemp("stack"), empty_database=empty_database, mode=mode
        )
        stacks.append(stack)
        return stack.start(**environments)

    yield make
    for stack in stacks:
        stack.stop()


@pytest.fixture
def own_stack(node, empty_database, tmp_path):
    """Starts servers for one test, and stops them after it."""
    stacks = []

    def make(mode, **environments):
        folder = tmp_path / str(len(stacks))
        folder.mkdir()
        stack = Stack(folder=folder, empty_database=empty_database, mode=mode)
        stacks.append(stack)
        return stack.start(**environments)

    yield make
    for stack in stacks:
        stack.stop()


@pytest.fixture(params=["secret", "jwks"])
def mode(request):
    """Both ways in which Better Auth can sign tokens."""
    return request.param


@pytest.fixture(scope="session")
def _stacks():
    return {}


@pytest.fixture
def stack(mode, make_stack, _stacks):
    """Servers that tests share. They tell people apart by name, so each test invents its own."""
    if mode not in _stacks:
        _stacks[mode] = make_stack(mode)
    return _stacks[mode]


@pytest.fixture
def make_person():
    def make(stack, name):
        return Person(stack, name).sign_up()

    return make


@pytest.fixture(scope="session")
def browser():
    path = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if path is None:
        give_up("Chromium is missing: install it (Debian: `apt-get install chromium`).")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def make_browser_of(browser):
    """A person's browser, with cookies of its own; called again it opens a further window of that browser."""
    contexts = []
    windows = []

    def make_browser(url):
        context = browser.new_context(locale="en-GB", timezone_id="Europe/Berlin")
        contexts.append(context)

        def open_window(prepare=None):
            page = context.new_page()
            if prepare:
                prepare(page)
            window = Window(page, url)
            windows.append(window)
            return window.open()

        return open_window

    yield make_browser
    for context in contexts:
        context.close()
    assert [error for window in windows for error in window.errors] == []
    assert [
        line for window in windows for line in window.console if "Content Security Policy" in line
    ] == []


@pytest.fixture
def make_two_windows(make_browser_of):
    """Opens two windows of one browser, for a person who has just signed up."""

    def make(stack, name):
        open_window = make_browser_of(stack.page_url)
        first = open_window()
        first.sign_up(name)
        first.expect_live()
        second = open_window()
        second.expect_live()
        return first, second

    return make


@pytest.fixture
def window(own_stack, make_browser_of, make_person, tmp_path):
    """Of Mia, who is signed in and has three tasks."""
    # Sessions have to outlive the Better Auth server, as with any database.
    stack = own_stack("secret", demo={"DATA_FILE": str(tmp_path / "people.json")})
    mia = make_person(stack, "Mia")
    for text in ("Third", "Second", "First"):
        assert mia.call("POST", "/tasks", {"text": text})[0] == 201
    window = make_browser_of(stack.page_url)()
    window.mia = mia
    window.sign_in("Mia")
    window.expect_live()
    window.expect_task("First")
    window.page.wait_for_function("navigator.serviceWorker.controller")
    return window
