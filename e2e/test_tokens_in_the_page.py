"""Tokens run out while a page is open, and sometimes the backend wants none of them."""

import base64
import hashlib
import hmac
import json
import re
import time

from playwright.sync_api import expect
from servers import OTHER_SECRET, SECRET

SHORT = 6  # seconds that a token lives
TOKEN_ROUTE = re.compile(r"/api(/auth)?/token$")


def test_the_page_outlives_its_token(mode, own_stack, make_browser_of):
    stack = own_stack(mode, demo={"TOKEN_SECONDS": str(SHORT)})
    renewals = []
    open_window = make_browser_of(stack.page_url)
    first = open_window()
    first.page.on(
        "request", lambda request: TOKEN_ROUTE.search(request.url) and renewals.append(request)
    )
    first.sign_up("Hanna")
    first.expect_live()
    second = open_window()
    second.expect_live()

    first.page.wait_for_timeout(2.5 * SHORT * 1000)
    first.add("After the first token")

    second.expect_task("After the first token", timeout=1000)
    first.expect_task("After the first token")
    assert len(renewals) >= 3


def test_a_new_token_keeps_the_socket_open(mode, own_stack, make_browser_of):
    stack = own_stack(mode, demo={"TOKEN_SECONDS": str(SHORT)})
    window = make_browser_of(stack.page_url)()
    window.sign_up("Greta")
    window.expect_live()

    window.page.wait_for_timeout(2.5 * SHORT * 1000)

    assert window.socket_closings() == []
    window.expect_live()


def test_an_expired_token_is_replaced_by_the_socket(own_stack, make_browser_of):
    """As after a night's sleep of the machine: the page believes its token to be good, and it is not."""
    stack = own_stack("secret")
    open_window = make_browser_of(stack.page_url)
    before = open_window()
    before.sign_up("Ida")
    before.expect_live()
    before.page.close()

    # What was known then is known still, so the socket is the first to show a token.
    window = open_window(prepare=first_token_is_expired)

    window.expect_live()
    assert window.socket_closings() == [4001]
    window.add("Awake again")
    window.expect_task("Awake again")
    window.expect_live()


def test_an_expired_token_is_replaced_by_a_call(own_stack, make_browser_of):
    stack = own_stack("secret")
    statuses = []

    def prepare(page):
        first_token_is_expired(page)
        page.route_web_socket(re.compile("/ws/"), lambda _: None)  # the socket stays silent
        page.on(
            "response",
            lambda answer: answer.url.endswith("/tasks") and statuses.append(answer.status),
        )

    window = make_browser_of(stack.page_url)(prepare=prepare)

    window.sign_up("Jana")

    expect(window.page.get_by_text("No tasks yet")).to_be_visible()
    assert statuses == [401, 200]


def test_a_wrong_secret_shows_sign_in_again(own_stack, make_browser_of):
    stack = own_stack("secret", backend={"BETTER_AUTH_SECRET": OTHER_SECRET})
    statuses = []
    window = make_browser_of(stack.page_url)()
    window.page.on(
        "response", lambda answer: answer.url.endswith("/tasks") and statuses.append(answer.status)
    )

    window.sign_up("Kim")

    window.expect_sign_in_again()
    # A new token was tried once, and then no more.
    assert statuses == [401, 401]
    assert window.socket_closings() == []


def test_a_secret_that_becomes_wrong_shows_sign_in_again(own_stack, make_browser_of):
    stack = own_stack("secret")
    window = make_browser_of(stack.page_url)()
    window.sign_up("Lara")
    window.expect_live()

    stack.backend.stop()
    stack.start_backend(BETTER_AUTH_SECRET=OTHER_SECRET)

    window.expect_sign_in_again()
    assert window.socket_closings()[-2:] == [4001, 4001]


def test_after_the_secret_is_put_right_signing_in_again_works(own_stack, make_browser_of):
    stack = own_stack("secret", backend={"BETTER_AUTH_SECRET": OTHER_SECRET})
    window = make_browser_of(stack.page_url)()
    window.sign_up("Lena")
    window.expect_sign_in_again()

    stack.backend.stop()
    stack.start_backend()
    window.sign_in("Lena")

    window.expect_live()


def first_token_is_expired(page):
    """Replaces the first token by one that the shared secret signed and whose time is over."""
    seen = []

    def answer(route):
        response = route.fetch()
        if response.status != 200 or seen:
            return route.fulfill(response=response)
        seen.append(response)
        claims = json.loads(decode(response.json()["token"].split(".")[1]))
        now = int(time.time())
        return route.fulfill(json={"token": sign({**claims, "iat": now - 1000, "exp": now - 100})})

    page.route(TOKEN_ROUTE, answer)


def sign(claims):
    content = f"{encode(json.dumps({'alg': 'HS256'}))}.{encode(json.dumps(claims))}"
    signature = hmac.new(SECRET.encode(), content.encode(), hashlib.sha256).digest()
    return f"{content}.{encode(signature)}"


def encode(content):
    content = content.encode() if isinstance(content, str) else content
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
