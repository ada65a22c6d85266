"""The page and the API are of different origins, and only the page's may call."""

TRY_TO_READ = """async (url) => {
    try { return (await fetch(url)).status; } catch { return "kept out"; }
}"""

# As a page that caches and traces would; resolves to the status and what the page can read of the headers.
SEND_HEADERS = """async ([url, token, headers, names]) => {
    headers = { ...headers, Authorization: `Bearer ${token}` };
    const response = await fetch(url, { headers });
    return [response.status, names.filter((name) => response.headers.has(name))];
}"""

TRY_TO_LISTEN = """(url) => new Promise((resolve) => {
    const socket = new WebSocket(url, ["bearer", "token"]);
    socket.onopen = () => resolve("let in");
    socket.onerror = () => resolve("kept out");
})"""


def test_the_page_may_call_across_origins(stack, make_browser_of):
    window = make_browser_of(stack.page_url)()
    window.sign_up("Grace")
    window.expect_live()

    def is_the_call(response):
        return response.url == f"{stack.api_url}/tasks" and response.request.method == "POST"

    with window.page.expect_response(is_the_call) as answer:
        window.add("Across origins")

    assert not stack.page_url.startswith(stack.api_url)
    assert answer.value.status == 201
    assert answer.value.headers["access-control-allow-origin"] == stack.page_url
    window.expect_task("Across origins")


def test_a_refusal_can_be_read_across_origins(stack, make_browser_of):
    window = make_browser_of(stack.page_url)()

    assert window.page.evaluate(TRY_TO_READ, f"{stack.api_url}/tasks") == 401


def test_the_page_may_send_the_headers_of_caches_and_traces(stack, make_browser_of):
    window = make_browser_of(stack.page_url)()
    window.sign_up("Ada")
    window.expect_live()

    def is_the_call(response):
        return response.url == f"{stack.api_url}/tasks" and response.request.method == "POST"

    with window.page.expect_response(is_the_call) as answer:
        window.add("Traced")
    token = answer.value.request.headers["authorization"].removeprefix("Bearer ")
    created = answer.value.json()
    one = f"{stack.api_url}/tasks/{created['id']}"
    headers = {
        "Idempotency-Key": "a",
        "If-Match": '"1"',
        "Cache-Control": "no-cache",
        "X-Request-ID": "a-1",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "a=1",
        "sentry-trace": "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
        "baggage": "a=1",
    }

    def call(url, headers, *names):
        return window.page.evaluate(SEND_HEADERS, [url, token, headers, names])

    assert call(one, headers, "ETag") == [200, ["ETag"]]
    assert call(one, {"If-None-Match": f'"{created["version"]}"'}, "ETag") == [304, ["ETag"]]
    position = ("X-Events-Seq", "X-Events-Epoch")
    assert call(f"{stack.api_url}/tasks", {"X-Request-ID": "a-2"}, *position) == [200, [*position]]


def test_a_page_of_another_origin_is_kept_out(stack, make_browser_of):
    window = make_browser_of(stack.start_second_demo())()
    socket_url = stack.api_url.replace("http", "ws") + "/ws/notifications"

    assert window.page.evaluate(TRY_TO_READ, f"{stack.api_url}/tasks") == "kept out"
    assert window.page.evaluate(TRY_TO_LISTEN, socket_url) == "kept out"
