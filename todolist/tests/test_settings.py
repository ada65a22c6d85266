"""Settings that refuse to be wrong (docs/api.md section 1)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.checks import run_checks

from conftest import (
    BLANK_ENVIRONMENT,
    ROOT,
    SECRET,
    call,
    environment_for,
    manage,
    running_server,
    sign,
)
from todolist.checks import refuse_to_start_while_wrong
from todolist.config import Environment, name_in_redis
from todolist.settings import BASE_DIR

EVERYTHING_WRONG = {
    "DEBUG": "maybe",
    "BETTER_AUTH_LEEWAY": "soon",
    "CORS_ORIGINS": "*, app.example.com",
    "DATABASE_URL": "mysql://somewhere/x",
    "REDIS_URL": "http://somewhere",
    "SECRET_KEY": "",
    "BETTER_AUTH_SECRET": "",
    "BETTER_AUTH_SECRETS": "only-one",
    "BETTER_AUTH_URL": "auth.example.com",
}
ALL_IDS = [f"todolist.E00{number}" for number in range(1, 8)] + ["accounts.E004", "accounts.E005"]


def test_all_mistakes_are_reported_at_once():
    done = manage("check", environment=environment_for("", **EVERYTHING_WRONG))
    assert done.returncode == 1
    for id in ALL_IDS:
        assert f"({id})" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "command",
    [["-m", "daphne", "todolist.asgi:application"], ["manage.py", "runserver", "--noreload"]],
)
def test_without_any_way_to_verify_tokens_no_server_starts(command):
    done = subprocess.run(  # noqa: S603
        [sys.executable, *command],
        cwd=ROOT,
        env=environment_for("", BETTER_AUTH_SECRET=""),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode != 0
    for variable in ("BETTER_AUTH_SECRET", "BETTER_AUTH_SECRETS", "BETTER_AUTH_URL"):
        assert variable in done.stderr


def test_a_server_loads_nothing_that_it_has_no_use_for():
    """Each of these takes memory, of every process."""
    unused = [
        "django.core.management.commands.migrate",
        "daphne.server",
        "twisted",
        "drf_spectacular.plumbing",
        "rest_framework.test",
        "django.test",
        "unittest",
    ]
    code = f"import sys, todolist.asgi; print([name for name in {unused} if name in sys.modules])"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment_for(""),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize(
    ("debug", "outcome"), [("False", "accounts.E003"), ("True", "accounts.W003")]
)
def test_a_short_secret_is_refused_but_for_trying_out(debug, outcome):
    short = "short-and-secret"
    environment = environment_for("", BETTER_AUTH_SECRET=short, DEBUG=debug)
    done = manage("check", environment=environment)
    assert f"({outcome})" in done.stderr
    assert done.returncode == (outcome[9] == "E")
    assert short not in done.stderr


def test_the_example_file_is_refused_as_it_is():
    example = values_in(ROOT / ".env.example")
    done = manage("check", environment=environment_for("", **example))
    assert "(accounts.E002)" in done.stderr and "(todolist.E008)" in done.stderr


def values_in(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
    return dict(line.split("=", 1) for line in lines)


def test_every_variable_of_the_settings_is_in_the_example_file():
    read = set(
        re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', (BASE_DIR / "todolist/settings.py").read_text())
    )
    assert read == set(BLANK_ENVIRONMENT)


def test_a_deployment_passes_the_deployment_check():
    done = manage(
        *("check", "--deploy", "--fail-level", "WARNING"),
        environment=environment_for(
            "postgresql://todolist@db.example.com/todolist",
            BETTER_AUTH_URL="https://auth.example.com",
            REDIS_URL="redis://redis.example.com:6379/0",
            ALLOWED_HOSTS="api.example.com",
            SECRET_KEY="kX3-vN8_qT5zR1mW7bL9sD4gH6jP2yC0fA-uE_iO3rY5tK8wQ1nZ7xV",
        ),
    )
    assert done.returncode == 0, done.stderr


class TestEnvironment:
    """The reader of the environment, one value at a time."""

    @pytest.fixture
    def read(self, monkeypatch, tmp_path):
        def read(value: str | None) -> Environment:
            if value is None:
                monkeypatch.delenv("X", raising=False)
            else:
                monkeypatch.setenv("X", value)
            return Environment(tmp_path / ".env")

        return read

    @pytest.mark.parametrize("word", ["True", "true", " 1", "YES", "on"])
    def test_true(self, read, word):
        assert read(word).flag("X", default=False) is True

    @pytest.mark.parametrize("word", ["False", "0", "no", "OFF"])
    def test_false(self, read, word):
        assert read(word).flag("X", default=True) is False

    def test_neither(self, read):
        env = read("banana")
        assert env.flag("X", default=False) is False
        assert [mistake.id for mistake in env.mistakes] == ["todolist.E001"]

    @pytest.mark.parametrize("text", ["-1", "1.5", "ten", "301", "٣", "9" * 5000])
    def test_not_a_number(self, read, text):
        env = read(text)
        assert env.whole_number("X", 10, at_most=300) == 10
        assert [mistake.id for mistake in env.mistakes] == ["todolist.E002"]

    @pytest.mark.parametrize("text", ["0", " 30 ", "300"])
    def test_number(self, read, text):
        assert read(text).whole_number("X", 10, at_most=300) == int(text)

    def test_origins(self, read):
        text = " https://App.example.com/ ,http://localhost:3000,https://x.example:443 ,, "
        env = read(text)
        assert env.origins("X", "") == (
            "https://app.example.com",
            "http://localhost:3000",
            "https://x.example",
        )
        assert env.mistakes == []

    @pytest.mark.parametrize(
        ("text", "id"),
        [
            ("*", "todolist.E003"),
            ("app.example.com", "todolist.E004"),
            ("https://app.example.com/path", "todolist.E004"),
            ("http://[", "todolist.E004"),
            ("http://x:port", "todolist.E004"),
            ("null", "todolist.E004"),
            ("http://a b", "todolist.E004"),
            ("http://*.a.com", "todolist.E004"),
            ("http://u:p@a.com", "todolist.E004"),
            ("http://a.com?x", "todolist.E004"),
        ],
    )
    def test_not_an_origin(self, read, text, id):
        env = read(f"http://good.example,{text}")
        assert env.origins("X", "") == ("http://good.example",)
        assert [mistake.id for mistake in env.mistakes] == [id]

    @pytest.mark.parametrize(
        "scheme", ["postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg2"]
    )
    def test_postgresql(self, read, scheme):
        config = read(f"{scheme}://u%40x:p%2Fw@db.example:6543/name?ssl=require").database("X", "")
        assert config["ENGINE"] == "django.db.backends.postgresql"
        assert (config["USER"], config["PASSWORD"]) == ("u@x", "p/w")
        assert (config["HOST"], config["PORT"], config["NAME"]) == ("db.example", 6543, "name")
        assert config["OPTIONS"] == {"sslmode": "require"}

    @pytest.mark.parametrize("scheme", ["sqlite", "sqlite+aiosqlite"])
    def test_sqlite(self, read, scheme):
        config = read(f"{scheme}:////var/lib/x.sqlite3").database("X", "")
        assert config["ENGINE"] == "django.db.backends.sqlite3"
        assert config["NAME"] == "/var/lib/x.sqlite3"

    @pytest.mark.parametrize(
        "url",
        ["mysql://x/y", "nonsense", "postgres://", "postgresql://h:port/x", "://", "postgres://["],
    )
    def test_not_a_database(self, read, url):
        env = read(url)
        assert env.database("X", "")["ENGINE"] == "django.db.backends.dummy"
        assert [mistake.id for mistake in env.mistakes] == ["todolist.E005"]

    @pytest.mark.parametrize(
        ("query", "options"),
        [
            ("ssl=true", {"sslmode": "require"}),
            ("ssl=verify-full&sslrootcert=system", {"sslmode": "verify-full"}),
            ("ssl=disable&timeout=9", {"sslmode": "disable", "connect_timeout": 9}),
            ("prepared_statement_cache_size=0&statement_cache_size=0", {}),
            ("application_name=a%20b", {"application_name": "a b"}),
            ("options=-c%20search_path%3Dx", {"options": "-c search_path=x"}),
            ("host=/run/postgresql", {"host": "/run/postgresql"}),
        ],
    )
    def test_options_of_other_drivers_are_translated(self, read, query, options):
        env = read(f"postgresql+asyncpg://u:p@db.example/name?{query}")
        assert env.database("X", "").get("OPTIONS", {}).items() >= options.items()
        assert env.mistakes == []

    @pytest.mark.parametrize(
        ("query", "named"),
        [
            ("password=hidden-in-here", ["password"]),
            ("autocommit=false", ["autocommit"]),
            (
                "sslmode=require&conn_health_checks=False&atomic_requests=True",
                ["atomic_requests", "conn_health_checks"],
            ),
        ],
    )
    def test_options_that_have_no_business_in_the_url_are_refused_by_name(self, read, query, named):
        env = read(f"postgresql://u:p@db.example/name?{query}")
        env.database("X", "")
        assert [mistake.id for mistake in env.mistakes] == ["todolist.E021"]
        assert env.mistakes[0].problem.endswith(f"used: {', '.join(map(repr, named))}")
        assert "hidden" not in str(env.mistakes)

    def test_sqlite_takes_no_options(self, read):
        env = read("sqlite:////var/lib/x.sqlite3?mode=ro")
        assert env.database("X", "")["ENGINE"] == "django.db.backends.dummy"
        assert [mistake.id for mistake in env.mistakes] == ["todolist.E021"]

    @pytest.mark.parametrize(
        "url",
        [
            *("redis://h", "redis://h:1/2", "redis://u:p@h/0?health_check_interval=3&db=1"),
            *("rediss://h?ssl_cert_reqs=none", "redis://h?socket_timeout=1.5", " redis://h/ "),
        ],
    )
    def test_redis(self, read, url):
        env = read(url)
        assert (env.redis_url("X"), env.mistakes) == (url.strip(), [])

    @pytest.mark.parametrize(
        ("url", "named"),
        [
            ("redis://h/0?foo=bar", "foo"),
            ("redis://h?host=other", "host"),
            ("redis://h?decode_responses=1", "decode_responses"),
            ("redis://h?ssl_cert_reqs=none", "ssl_cert_reqs"),
        ],
    )
    def test_unknown_options_of_redis_are_refused_by_name(self, read, url, named):
        env = read(url)
        assert env.redis_url("X") == ""
        assert [mistake.id for mistake in env.mistakes] == ["todolist.E022"]
        assert repr(named) in env.mistakes[0].problem

    @pytest.mark.parametrize(("text", "format"), [("", "text"), (" JSON ", "json")])
    def test_choice(self, read, text, format):
        env = read(text)
        assert (env.choice("X", ("text", "json")), env.mistakes) == (format, [])

    def test_no_choice_of_ours(self, read):
        env = read("xml")
        assert env.choice("X", ("text", "json")) == "text"
        assert [mistake.id for mistake in env.mistakes] == ["todolist.E020"]

    @pytest.mark.parametrize(
        "url",
        [
            *("http://x", "localhost:6379", "redis://x:port", "redis://[", "redis://x:0"),
            *("redis://", "redis://x/first", "redis://x/0#1"),
        ],
    )
    def test_not_redis(self, read, url):
        env = read(url)
        assert env.redis_url("X") == ""
        assert [mistake.id for mistake in env.mistakes] == ["todolist.E006"]

    def test_deployments_that_share_a_redis_have_names_of_their_own_in_it(self):
        ours = name_in_redis("redis://host:6379/0", "todolist")
        assert ours == name_in_redis("rediss://user:secret@other-name", "todolist")
        assert ours != name_in_redis("redis://host:6379/1", "todolist")
        assert ours != name_in_redis("redis://host:6379/0", "staging")
        assert "secret" not in ours and re.fullmatch("[a-z0-9-]{1,40}", ours)

    def test_a_secret_is_taken_as_it_is(self, read):
        assert read("$not-a-variable #x").text("X") == "$not-a-variable #x"

    def test_the_environment_wins_over_the_file(self, monkeypatch, tmp_path):
        (tmp_path / ".env").write_text("X=file\nY_FROM_FILE=file\n")
        monkeypatch.setenv("X", "environment")
        monkeypatch.setenv("Y_FROM_FILE", "")
        monkeypatch.delenv("Y_FROM_FILE")
        env = Environment(tmp_path / ".env")
        assert (env.text("X"), env.text("Y_FROM_FILE")) == ("environment", "file")

    @pytest.mark.parametrize(
        "content",
        [
            b"OTHER=x\nspaces-around it\n",
            b"NAME:spaces-around\n",
            b"=spaces-around",
            b"no equals sign\n",
            "NAME=caf\u00e9\n".encode("latin-1"),
        ],
    )
    def test_a_file_that_cannot_be_understood_is_a_mistake_that_prints_nothing(
        self, tmp_path, capfd, content
    ):
        (tmp_path / ".env").write_bytes(content)
        env = Environment(tmp_path / ".env")
        assert [mistake.id for mistake in env.mistakes] == ["todolist.E011"]
        assert "spaces-around" not in "".join(capfd.readouterr()) + str(env.mistakes)

    # What dotenv 16.6 and @next/env 15 make of these lines.
    @pytest.mark.parametrize(
        ("content", "values"),
        [
            ("A=abc # comment", {"A": "abc"}),
            ("A=abc\t# comment", {"A": "abc"}),
            ("A= # comment", {"A": ""}),
            ("A='abc # x' # comment", {"A": "abc # x"}),
            ('A="abc # x" # comment', {"A": "abc # x"}),
            ("A=`abc # x`# comment", {"A": "abc # x"}),
            ("# A=x", {}),
            ("export A=x", {"A": "x"}),
            ("  export   A = x  ", {"A": "x"}),
            ("A: x", {"A": "x"}),
            ('A="one\ntwo"\nB=x', {"A": "one\ntwo", "B": "x"}),
            ("A='one\ntwo'", {"A": "one\ntwo"}),
            ("A=`one\ntwo`", {"A": "one\ntwo"}),
            (r'A="one\ntwo"', {"A": "one\ntwo"}),
            (r"A='one\ntwo'", {"A": r"one\ntwo"}),
            (r"A=one\ntwo", {"A": r"one\ntwo"}),
            (r'A="a\"b"', {"A": r"a\"b"}),
            ("A=\nB=x", {"A": "", "B": "x"}),
            ("A=''\nB=\"\"", {"A": "", "B": ""}),
            ("A=$HOME/x", {"A": "$HOME/x"}),  # @next/env alone puts a variable there
            ("A='$HOME'", {"A": "$HOME"}),
            ("A=a=b==", {"A": "a=b=="}),
            ("A='a\"b'", {"A": 'a"b'}),
            ('A="a\'b"', {"A": "a'b"}),
            ("A=a b c  ", {"A": "a b c"}),
            ('A="abc', {"A": '"abc'}),
            ("A='a' b", {"A": "'a' b"}),
            ("A=x\nA=y", {"A": "y"}),
            ("A=x\r\nB=y\rC=z", {"A": "x", "B": "y", "C": "z"}),
        ],
    )
    def test_lines_mean_what_they_mean_to_dotenv(self, monkeypatch, tmp_path, content, values):
        read: dict[str, str] = {}
        monkeypatch.setattr("environ.Env.ENVIRON", read)
        (tmp_path / ".env").write_bytes(content.encode())
        env = Environment(tmp_path / ".env")
        assert read == values
        assert env.mistakes == []

    def test_a_value_that_ends_at_a_sharp_sign_is_pointed_out(self, monkeypatch, tmp_path):
        read: dict[str, str] = {}
        monkeypatch.setattr("environ.Env.ENVIRON", read)
        (tmp_path / ".env").write_text("A=x\n\nSECRET=hidden#in-here\nB='x#y'#z\nnonsense\n")
        env = Environment(tmp_path / ".env")
        assert read == {"A": "x", "SECRET": "hidden", "B": "x#y"}
        assert [mistake.id for mistake in env.mistakes] == ["todolist.W025", "todolist.E011"]
        assert "line 3" in env.mistakes[0].problem and "line 5" in env.mistakes[1].problem
        assert "in-here" not in str(env.mistakes)

    def test_a_byte_order_mark_and_windows_line_ends_do_not_matter(self, monkeypatch, tmp_path):
        monkeypatch.setenv("Z_FROM_FILE", "")
        monkeypatch.delenv("Z_FROM_FILE")
        (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfZ_FROM_FILE=x\r\n# comment\r\n\r\n")
        env = Environment(tmp_path / ".env")
        assert (env.text("Z_FROM_FILE"), env.mistakes) == ("x", [])


def ids() -> set[str | None]:
    return {message.id for message in run_checks() if not message.is_silenced()}


def test_the_configuration_of_the_tests_is_sound(settings):
    assert ids() <= {"todolist.W010"}


def test_no_secret_key(settings, no_check_of_routes):
    settings.SECRET_KEY = ""
    assert "todolist.E007" in ids()


@pytest.mark.parametrize("name", ["SECRET_KEY", "BETTER_AUTH_SECRET"])
@pytest.mark.parametrize("blank", [" ", "\t", "\r\n"])
def test_blanks_around_a_secret_are_pointed_out(settings, name, blank, no_check_of_routes):
    assert "todolist.W023" not in ids()
    setattr(settings, name, getattr(settings, name) + blank)
    assert "todolist.W023" in ids()


def test_blanks_at_the_end_of_a_line_do_not_matter_elsewhere(tmp_path):
    values = {
        "DEBUG": "True ",
        "BETTER_AUTH_URL": "https://auth.example.com \t",
        "REDIS_URL": "redis://h:1/0  ",
        "ALLOWED_HOSTS": "a.example.com ",
        "LOG_FORMAT": "json ",
    }
    done = manage("check", environment=environment_for(f"sqlite:///{tmp_path}/x ", **values))
    assert (done.returncode, "todolist.E" in done.stderr) == (0, False), done.stderr


@pytest.mark.parametrize(("debug", "id"), [(False, "todolist.E008"), (True, "todolist.W008")])
def test_the_example_secret_key(settings, debug, id, no_check_of_routes):
    settings.DEBUG = debug
    settings.SECRET_KEY = "replace-this-with-a-long-random-string"
    assert id in ids()


@pytest.mark.parametrize(("debug", "level"), [(False, "E"), (True, "W")])
@pytest.mark.parametrize(
    "key", ["a", "short", "x" * 31, "a" * 64, "ab" * 40, "1234567890" * 6, "0123456789abcdef" * 4]
)
def test_a_secret_key_that_can_be_guessed(settings, debug, level, key, no_check_of_routes):
    settings.DEBUG, settings.SECRET_KEY = debug, key
    assert f"todolist.{level}009" in ids()


@pytest.mark.parametrize(("debug", "level"), [(False, "E"), (True, "W")])
@pytest.mark.parametrize(
    ("key", "number"), [("replace-this-with-a-long-random-string", 8), ("short", 9), ("ab" * 40, 9)]
)
def test_a_fallback_of_the_secret_key_is_judged_as_the_key_is(
    settings, debug, level, key, number, no_check_of_routes
):
    good = "kX3-vN8_qT5zR1mW7bL9sD4gH6jP2yC0fA-uE_iO3rY5tK8wQ1nZ7xV"
    settings.DEBUG, settings.SECRET_KEY_FALLBACKS = debug, [good]
    assert ids() <= {"todolist.W010"}
    settings.SECRET_KEY_FALLBACKS = [good, key]
    (said,) = [each for each in run_checks() if each.id == f"todolist.{level}00{number}"]
    assert said.msg.startswith("Entry 2 of SECRET_KEY_FALLBACKS ") and key not in str(said)


def test_fallbacks_of_the_secret_key_come_with_commas_in_between():
    code = "import todolist.settings as s; print(s.SECRET_KEY_FALLBACKS)"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment_for("", SECRET_KEY_FALLBACKS="older-one, oldest-one,"),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stdout == "['older-one', 'oldest-one']\n", done.stderr


@pytest.mark.parametrize("hosts", [["*"], ["api.example.com", "*"]])
def test_every_host_name(settings, hosts, no_check_of_routes):
    settings.ALLOWED_HOSTS = hosts
    settings.DEBUG = True
    assert "todolist.E012" not in ids()
    settings.DEBUG = False
    assert "todolist.E012" in ids()


@pytest.mark.parametrize(
    ("host", "fits"),
    [
        *(("api.example.com", True), (".example.com", True), ("LOCALHOST", True), ("[::1]", True)),
        *(("10.0.0.5", True), ("*.example.com", False), ("https://api.example.com", False)),
        *(("api.example.com:8000", False), ("api.example.com/", False), ("a b", False)),
    ],
)
def test_hosts_that_fit_nothing_are_pointed_out(settings, host, fits, no_check_of_routes):
    settings.ALLOWED_HOSTS = ["127.0.0.1", host]
    assert ("todolist.W013" not in ids()) is fits


@pytest.mark.parametrize(
    "weak", [{"SECRET_KEY": "a"}, {"SECRET_KEY": "k" * 60}, {"ALLOWED_HOSTS": "*"}]
)
def test_no_server_starts_with_them(weak):
    done = subprocess.run(
        [sys.executable, "manage.py", "serve", "127.0.0.1:1"],
        cwd=ROOT,
        env=environment_for("", **weak),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode != 0
    assert "does not start" in done.stderr and next(iter(weak)) in done.stderr
    assert "HINT" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="has other permissions")
def test_nobody_else_may_read_the_sqlite_file(tmp_path):
    file = tmp_path / "db.sqlite3"
    environment = environment_for(f"sqlite:///{file}")
    before = os.umask(0)
    try:
        assert manage("migrate", environment=environment).returncode == 0
        with running_server(tmp_path, environment) as server:
            call(server, sign(), "POST", "/tasks", {"text": "x"})
            modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob("db.*")}
    finally:
        os.umask(before)
    assert modes == {"db.sqlite3": 0o600, "db.sqlite3-wal": 0o600, "db.sqlite3-shm": 0o600}
    assert "todolist.W015" not in manage("check", environment=environment).stderr
    file.chmod(0o644)
    assert "todolist.W015" in manage("check", environment=environment).stderr


@pytest.mark.parametrize(("debug", "warned"), [(False, True), (True, False)])
def test_events_that_stay_in_one_process(settings, debug, warned, no_check_of_routes):
    settings.DEBUG = debug
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    assert ("todolist.W010" in ids()) is warned


@pytest.mark.django_db  # asked for its role
def test_a_sound_configuration_starts():
    refuse_to_start_while_wrong()


@pytest.mark.django_db
def test_a_wrong_one_names_every_mistake(settings):
    settings.BETTER_AUTH_SECRET = ""
    settings.SECRET_KEY = ""
    with pytest.raises(SystemExit) as refused:
        refuse_to_start_while_wrong()
    assert "accounts.E001" in str(refused.value) and "todolist.E007" in str(refused.value)
    assert SECRET not in str(refused.value)
