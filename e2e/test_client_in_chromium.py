"""The client's store in a real browser: IndexedDB, Web Locks, tabs, and a server that goes away."""

import contextlib
import functools
import http.server
import json
import signal
import subprocess
import threading
import time

import jwt
import pytest
from servers import ROOT, SECRET, free_port

PERSON = "somebody-in-chromium"
PATIENCE = 20_000  # milliseconds

PAGE = """<!doctype html>
<script type="module">
  import { createTodolist, openStore } from "./client.js";
  const { url, token, user } = await (await fetch("settings.json")).json();
  const store = (window.store = openStore(createTodolist({ url, token: () => token }), { user }));
  store.subscribe(() => (document.title = store.status().state));
</script>
"""
TEXTS = "store.tasks.all().map(({ text }) => text).join()"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def page_url(tmp_path):
    """Where the built client is served, on a page that does nothing but open a store."""
    folder = tmp_path / "page"
    folder.mkdir()
    (folder / "index.html").write_text(PAGE)
    command = [
        *("node_modules/.bin/esbuild", "src/index.ts", "--bundle", "--format=esm"),
        f"--outfile={folder / 'client.js'}",
    ]
    subprocess.run(command, cwd=ROOT / "client", check=True, capture_output=True)
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()


@pytest.fixture
def open_tab(page_url, own_stack, browser):
    """Opens tabs of one browser; each has the store of the same person, who may have one socket."""
    url, folder = page_url
    stack = own_stack("secret", backend={"CORS_ORIGINS": url, "SOCKETS_PER_USER": "1"})
    now = int(time.time())
    token = jwt.encode({"sub": PERSON, "iat": now, "exp": now + 3600}, SECRET, "HS256")
    settings = {"url": stack.api_url, "token": token, "user": PERSON}
    (folder / "settings.json").write_text(json.dumps(settings))
    with contextlib.closing(browser.new_context()) as context:
        context.set_default_timeout(PATIENCE)

        def open_tab():
            tab = context.new_page()
            tab.goto(url)
            tab.wait_for_function("window.store")
            return tab

        open_tab.stack = stack
        yield open_tab


def live(tab):
    tab.wait_for_function("store.status().loaded && store.status().state === 'live'")


def shows(tab, *texts):
    tab.wait_for_function(f"{TEXTS} === {json.dumps(','.join(texts))}")


def test_tabs_share_a_socket_and_work_goes_on_without_a_server(open_tab):
    one, two = open_tab(), open_tab()
    for tab in (one, two):
        live(tab)
    assert [tab.evaluate("store.status().leading") for tab in (one, two)] == [True, False]
    two.evaluate("void store.tasks.create({ text: 'from two' })")
    assert two.evaluate(TEXTS) == "from two"
    shows(one, "from two")

    open_tab.stack.backend.stop(signal.SIGKILL)
    one.wait_for_function("store.status().state === 'waiting'")
    two.evaluate("void store.tasks.create({ text: 'offline' })")
    shows(one, "offline", "from two")
    one.evaluate("store.saved()")

    # The tab that had the socket is loaded anew: the other one leads, and both have everything.
    one.reload()
    one.wait_for_function("window.store")
    for tab in (one, two):
        shows(tab, "offline", "from two")
    two.wait_for_function("store.status().leading")
    one.evaluate("void store.tasks.create({ text: 'after a reload' })")
    shows(two, "after a reload", "offline", "from two")

    open_tab.stack.start_backend(SOCKETS_PER_USER="1", CORS_ORIGINS=one.evaluate("location.origin"))
    for tab in (one, two):
        live(tab)
        tab.wait_for_function("store.status().pending === 0")
        tab.wait_for_function("store.tasks.all().every(({ version }) => version === 1)")
        shows(tab, "after a reload", "offline", "from two")

    two.close()
    one.wait_for_function("store.status().leading")
    live(one)
    one.evaluate("store.forget()")
    assert one.evaluate(TEXTS) == ""
    one.reload()
    one.wait_for_function("window.store")
    shows(one, "after a reload", "offline", "from two")  # from the server


def test_a_frozen_server_is_noticed_within_ten_seconds(open_tab):
    tab = open_tab()
    live(tab)
    open_tab.stack.backend.process.send_signal(signal.SIGSTOP)
    try:
        tab.wait_for_function(
            "store.status().state === 'waiting' && store.status().reason === 'silent'",
            timeout=10_000,
        )
    finally:
        open_tab.stack.backend.process.send_signal(signal.SIGCONT)
    live(tab)
