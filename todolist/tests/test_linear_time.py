"""Nothing that strangers write is parsed in more than linear time."""

import socket
import time
from itertools import product

import pytest

from conftest import Server, sign
from todolist.logs import redaction
from todolist.logs.crash_pages import MOST, SecretsReporter
from todolist.logs.formatters import JSONFormatter, RedactingFormatter, on_one_line
from todolist.logs.redaction import LONGEST_LINE, cut_and_redact, redact
from todolist.tests.test_no_secret_leaks import record

SIZE = 60_000
SECONDS = 1.0  # what was found took 1.8 to 2.9
JWT = sign()

# What the patterns begin with, go on with and end with.
PIECES = [
    *('"token": ', "'token': [ ", "'token':\"", '"token":\'\\', '"token', "token=", "token%3D"),
    *("bearer ", "bearer,", "bearer'", "authorization: ", "authorization: a ", "cookie: "),
    *("eyJ", "eyJ.", "eyJhbGciOiJI.", "eyJhbGciOiJI%2E", "-", "_", ".", "%2E"),
    *(
        "://",
        "://a:",
        ":",
        "@",
        "/",
        '"',
        "'",
        "\\",
        " ",
        "\t",
        "\n",
        "[",
        "(",
        "b'",
        "%",
        "%41",
        "&",
    ),
]


def adversaries(size: int) -> dict[str, str]:
    """Each piece with each other one: in turn, by halves, and once before many."""
    found = {}
    for one, other in product(PIECES, repeat=2):
        found[f"{one!r} and {other!r}"] = (one + other) * (size // len(one + other))
        found[f"one {one!r}, then {other!r}"] = one + other * (size // len(other))
        halves = one * (size // 2 // len(one)), other * (size // 2 // len(other))
        found[f"{one!r}, then {other!r}"] = "".join(halves)
    return found


def seconds_for(text: str) -> float:
    begin = time.process_time()
    redact(text)
    return time.process_time() - begin


def test_redaction_takes_four_times_as_long_for_four_times_as_much():
    small, large = adversaries(2_000), adversaries(8_000)
    slow = []
    for name in small:
        if seconds_for(large[name]) > 0.01:  # of more than linear ones many are there long before
            # The best of some: whatever else the machine does makes it longer, and nothing shorter.
            few, many = (min(seconds_for(of[name]) for _ in range(5)) for of in (small, large))
            if many > 10 * few:  # a square would make it sixteen times
                slow.append((name, few, many))
    assert slow == []


@pytest.mark.parametrize("formatter", [RedactingFormatter("%(message)s"), JSONFormatter()])
def test_long_lines_are_cut_and_say_so(formatter):
    line = formatter.format(record("%s", "ab " * SIZE, whole="ab " * SIZE))
    assert "more characters]" in line
    assert len(line) < 3 * LONGEST_LINE


@pytest.mark.parametrize(
    "secret", [f"token={JWT}", f"Bearer {JWT}", JWT, f'"token": "{JWT}"', "redis://u:hidden-word@h"]
)
def test_no_half_of_a_secret_is_left_where_a_line_is_cut(settings, secret):
    settings.BETTER_AUTH_SECRET = known = "a-secret-that-is-configured-0123456789"
    parts = [*JWT.split(".")[1:], "hidden-word", known]
    for text in (secret, known, "token=a " * 50 + known):
        for place in range(len(text)):
            line = cut_and_redact("x " * ((LONGEST_LINE - place) // 2) + text + " y" * LONGEST_LINE)
            assert "more characters]" in line
            assert not any(part[:6] in line for part in parts), (place, line[-100:])


def test_percent_signs_hide_nothing():
    payload, signature = JWT.split(".")[1:]
    everywhere = "".join(f"%{ord(character):02x}" for character in JWT)
    for text in (f"?%74oken={JWT}", f"?x={everywhere}", f"?next=%2F%3Ftoken%3D{JWT}", everywhere):
        line = on_one_line(f"GET /{text} HTTP/1.1")
        assert "[redacted]" in line
        assert payload not in line and signature not in line and everywhere not in line


def test_a_request_with_thousands_of_credentials_gets_no_crash_page(rf):
    few, many = (
        rf.get("/", headers={"Cookie": "; ".join(f"a{n}=credential-{n}" for n in range(number))})
        for number in (MOST, 5 * MOST)
    )
    for request, shown in ((few, True), (many, False)):
        try:
            raise ValueError("credential-7")
        except ValueError as error:
            reporter = SecretsReporter(request, type(error), error, error.__traceback__)
        page = reporter.get_traceback_html()
        assert ("Traceback" in page) is shown
        assert "credential-7" not in page


def test_what_requests_bring_is_kept_in_no_cache(rf):
    before = redaction._pattern_of.cache_info().currsize
    for n in range(20):
        redact("x", [f"credential-{n}"])
    assert redaction._pattern_of.cache_info().currsize <= before + 1  # of this configuration


def ask(server: Server, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> int:
    """The status of a request of up to 64 KB, which has to be answered soon.

    The best of three counts, as others may be at work on this machine.
    """
    sent = {"Host": "127.0.0.1", "Connection": "close", "Content-Length": str(len(body)), **headers}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
            begin = time.monotonic()
            client.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
            status = int(client.makefile("rb").readline().split()[1])
        if time.monotonic() - begin < SECONDS:
            return status
    pytest.fail(f"{method} {path[:40]} {str(headers)[:80]} takes {time.monotonic() - begin} s")


VALUES = [
    *('a/b;a="' + ";" * SIZE, 'application/json;a="' + ';"' * (SIZE // 2), "a/b," * (SIZE // 4)),
    *('a="' + '\\"' * (SIZE // 2) + '"', 'a="' + "\\1" * (SIZE // 2) + '"', "a=b;" * (SIZE // 4)),
    *('"1",' * (SIZE // 4), 'W/"' * (SIZE // 3), "," * SIZE, '"' * SIZE, "bytes=" + "0-," * 20_000),
    *("Bearer " + "a." * (SIZE // 2), "a" + " " * SIZE + "b", "http://" * (SIZE // 7)),
    *("9" * SIZE, "*/*;q=0.1," * (SIZE // 10), "[" + ":" * SIZE, "eyJ" * (SIZE // 3)),
]
HEADERS = [
    *("Content-Type", "Accept", "Cookie", "Content-Disposition", "Authorization", "If-Match"),
    *("If-None-Match", "If-Modified-Since", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host"),
    *(
        "Accept-Language",
        "Accept-Encoding",
        "Range",
        "Idempotency-Key",
        "Host",
        "Origin",
        "Referer",
    ),
    *("Access-Control-Request-Headers", "Sec-WebSocket-Protocol", "X-CSRFToken"),
]


@pytest.mark.parametrize("name", HEADERS)
def test_no_header_holds_the_server_up(server, name):
    signed_in = {"Authorization": f"Bearer {sign('headers')}"}
    for value in VALUES:
        for method, path in (
            *(("GET", "/tasks"), ("POST", "/tasks"), ("GET", "/nothing"), ("GET", "/admin/login/")),
            *(
                ("GET", "/schema"),
                ("GET", "/static/admin/css/base.css"),
                ("GET", "/ws/notifications"),
            ),
        ):
            body = b"{}" if method == "POST" else b""
            json = {"Content-Type": "application/json"} if body else {}
            status = ask(server, method, path, {**signed_in, **json, name: value}, body)
            assert status < 500, (method, path, value[:20])


@pytest.mark.parametrize(
    "piece", ['"token":%20', "%41", "&", "a=1&", "eyJ", "/", "%", "bearer,", "%0A"]
)
def test_no_path_and_no_query_holds_the_server_up(server, piece):
    headers = {"Authorization": f"Bearer {sign('paths')}"}
    many = piece * (SIZE // len(piece))
    for before in (
        *("/", "/tasks/", "/tasks?", "/tasks?search=", "/tasks?cursor=", "/events?since="),
        *(
            "/admin/",
            "/admin/login/?next=",
            "/static/",
            "/%22token%22:%20",
            "/ws/notifications?token=",
        ),
    ):
        assert ask(server, "GET", before + many, headers) < 500


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; a*=zz''x",  # an encoding that is none
        "application/json; charset=no-such-charset",
        "application/json; charset=hex",
        "APPLICATION/JSON ;charset=utf-8;",
    ],
)
def test_parameters_of_json_are_not_looked_at(server, content_type):
    headers = {"Authorization": f"Bearer {sign('types')}", "Content-Type": content_type}
    assert ask(server, "POST", "/tasks", headers, b'{"text": "x"}') == 201


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("text/plain; charset=utf-8", 415),
        ("a" * SIZE, 415),
        ("application/json" + " " * SIZE, 415),
        ("multipart/form-data; boundary*=zz''x", 415),
        ("multipart/form-data; boundary=" + "x" * SIZE, 415),
    ],
)
def test_other_types_are_415(server, content_type, status):
    headers = {"Authorization": f"Bearer {sign('types')}", "Content-Type": content_type}
    assert ask(server, "POST", "/tasks", headers, b'{"text": "x"}') == status


@pytest.fixture(scope="module")
def developers_server(start_shared_server) -> Server:
    started: Server = start_shared_server(DEBUG="True")
    return started


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/tasks?" + "a&" * (SIZE // 2), {}),  # more parameters than Django reads
        ("/admin/login/?" + "a&" * (SIZE // 2), {}),
        ("/tasks", {"Host": "evil.example.com", "Cookie": 'a="' + '\\"' * (SIZE // 2) + '"'}),
        (
            "/tasks",
            {
                "Host": "evil.example.com",
                "Cookie": ";".join(f"a{n}=value-{n}" for n in range(3000)),
            },
        ),
        ("/tasks?" + "token=abcdefgh&" * 2000, {"Host": "evil.example.com"}),
        ("/tasks", {"Host": "evil.example.com", "X-Any": '"token": ' + " " * SIZE}),
        ("/tasks", {"Host": "evil.example.com", "X-Any": "eyJ" * (SIZE // 3)}),
    ],
)
def test_no_crash_page_holds_the_server_up(developers_server, path, headers):
    headers = {"Authorization": f"Bearer {sign('pages')}", **headers}
    assert ask(developers_server, "GET", path, headers) == 400
