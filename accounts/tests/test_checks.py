"""System checks: every way of getting the sign-in wrong is named, with a hint, and no secret shown."""

import re
import secrets
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning, run_checks

from accounts.signin.checks import is_weak
from conftest import OTHER_SECRET, SECRET

pytestmark = pytest.mark.usefixtures("no_check_of_routes")

PLACEHOLDERS = [
    "replace-this-with-the-secret-of-your-better-auth-server",
    "better-auth-secret-12345678901234567890",  # Better Auth's own default
]
SHORT = "sh0rt-and-easy-to-guess-secret.."[:31]


def found(id: str) -> list[CheckMessage]:
    """What the checks say under one id."""
    return [message for message in run_checks() if message.id == id]


def ids() -> set[str]:
    """Every complaint about the sign-in."""
    every = {message.id or "" for message in run_checks()}
    return {id for id in every if id.startswith("accounts.")}


def assert_complains(id: str, *, of: str, level: type[CheckMessage]) -> None:
    """Exactly one message has this id; it names the variable and says what to do."""
    (message,) = found(id)
    assert type(message) is level
    assert of in message.msg
    assert message.hint
    assert message.is_serious() == (level is Error)


def test_a_good_configuration_gives_no_cause_for_complaint():
    assert ids() == set()


# E001: nothing to verify tokens with


@pytest.mark.parametrize("debug", [False, True], ids=["DEBUG off", "DEBUG on"])
def test_no_way_to_verify_tokens(settings, debug):
    settings.DEBUG = debug
    settings.BETTER_AUTH_SECRET = ""
    assert_complains("accounts.E001", of="BETTER_AUTH_SECRET", level=Error)
    (message,) = found("accounts.E001")
    assert "BETTER_AUTH_URL" in message.msg


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BETTER_AUTH_SECRET", SECRET),
        ("BETTER_AUTH_SECRETS", f"1:{SECRET}"),
        ("BETTER_AUTH_URL", "https://auth.example.com"),
    ],
)
def test_any_one_way_is_enough(settings, variable, value):
    settings.BETTER_AUTH_SECRET = ""
    setattr(settings, variable, value)
    assert ids() == set()


# 002: a secret everybody can look up; 003: one that can be guessed


def configure(settings, variable: str, secret: str) -> None:
    setattr(settings, variable, f"2:{OTHER_SECRET},1:{secret}" if variable[-1] == "S" else secret)


BOTH_PLACES = pytest.mark.parametrize("variable", ["BETTER_AUTH_SECRET", "BETTER_AUTH_SECRETS"])


@BOTH_PLACES
@pytest.mark.parametrize("placeholder", [*PLACEHOLDERS, PLACEHOLDERS[0].upper()])
def test_a_placeholder_is_refused(settings, variable, placeholder):
    configure(settings, variable, placeholder)
    assert_complains("accounts.E002", of=f"{variable} ", level=Error)
    assert placeholder not in str(found("accounts.E002"))


@BOTH_PLACES
@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
def test_a_placeholder_is_a_warning_for_a_developer(settings, variable, placeholder):
    settings.DEBUG = True
    configure(settings, variable, placeholder)
    assert_complains("accounts.W002", of=f"{variable} ", level=Warning)
    assert ids() == {"accounts.W002"}


@BOTH_PLACES
@pytest.mark.parametrize(
    "secret", ["x", SHORT, "é" * 15 + "x"], ids=["1 byte", "31", "31 in UTF-8"]
)
def test_a_short_secret_is_refused(settings, variable, secret):
    configure(settings, variable, secret)
    assert_complains("accounts.E003", of=f"{variable} ", level=Error)
    assert ids() == {"accounts.E003"}


@BOTH_PLACES
def test_a_short_secret_is_a_warning_for_a_developer(settings, variable):
    settings.DEBUG = True
    configure(settings, variable, SHORT)
    assert_complains("accounts.W003", of=f"{variable} ", level=Warning)
    assert ids() == {"accounts.W003"}


@BOTH_PLACES
@pytest.mark.parametrize("debug", [False, True], ids=["DEBUG off", "DEBUG on"])
@pytest.mark.parametrize(
    "secret", [SHORT + "!", "äöüßéèêñçøåæœþðł"], ids=["32 characters", "32 in UTF-8"]
)
def test_a_secret_of_32_bytes_is_long_enough(settings, variable, debug, secret):
    settings.DEBUG = debug
    configure(settings, variable, secret)
    assert ids() == set()


def test_one_short_secret_does_not_hide_another(settings):
    settings.BETTER_AUTH_SECRET = SHORT
    settings.BETTER_AUTH_SECRETS = f"3:{SHORT}x,2:{SHORT}!,1:{SHORT}y"
    # 32, 32 and 32 bytes in the ring; only the single one is short.
    assert [message.msg.split()[0] for message in found("accounts.E003")] == ["BETTER_AUTH_SECRET"]
    settings.BETTER_AUTH_SECRETS = f"2:{SHORT[:-1]},1:{PLACEHOLDERS[0]}"
    assert ids() == {"accounts.E002", "accounts.E003"}
    assert len(found("accounts.E003")) == 2


# 009: one that is long, and easy to guess all the same

PATTERNS = [
    "a" * 32,
    "0" * 500,
    "é" * 16,
    "x" * 31 + "y",
    "ab" * 20,
    "abc" * 11,
    "1" * 16 + "2" * 16,
    "1234567890" * 4,
    "0123456789abcdef" * 2,
    "password" * 4 + "1",
    "secret-" * 5,
    "abcdefghijklmnopqrstuvwxyz123456",
    "zyxwvutsrqponmlkjihgfedcba987654",
    "aabbccddeeffgghhiijjkkllmmnnoopp",
]
RANDOM = [
    "5f1c0e8a9b7d4e2f6a3c8b1d0e9f7a24",  # openssl rand -hex 16
    "83920174659283746501470938561724",
    "xq3mTjL9V0mC2oYtq4cG1wq8r6f5cKJmJb0p0dWnq1E=",  # openssl rand -base64 32
    "correct-horse-battery-staple-2034",
]


def token_digits(size: int) -> str:
    """As `secrets.token_hex`, in decimal digits."""
    return str(secrets.randbits(8 * size)).zfill(39)


@BOTH_PLACES
@pytest.mark.parametrize("secret", PATTERNS)
def test_a_secret_that_follows_a_pattern_is_refused(settings, variable, secret):
    configure(settings, variable, secret)
    assert_complains("accounts.E009", of=f"{variable} ", level=Error)
    assert ids() == {"accounts.E009"} and secret not in str(found("accounts.E009"))


@BOTH_PLACES
def test_a_secret_that_follows_a_pattern_is_a_warning_for_a_developer(settings, variable):
    settings.DEBUG = True
    configure(settings, variable, PATTERNS[0])
    assert_complains("accounts.W009", of=f"{variable} ", level=Warning)
    assert ids() == {"accounts.W009"}


@BOTH_PLACES
@pytest.mark.parametrize("secret", RANDOM)
def test_a_random_secret_is_not_taken_for_a_pattern(settings, variable, secret):
    configure(settings, variable, secret)
    assert ids() == set()


@pytest.mark.parametrize("make", [secrets.token_hex, secrets.token_urlsafe, token_digits])
def test_a_key_of_128_random_bits_never_is(make):
    assert not any(is_weak(make(16)) for _ in range(5000))


@pytest.mark.parametrize("variable", ["BETTER_AUTH_ISSUER", "BETTER_AUTH_AUDIENCE"])
def test_a_list_without_an_entry_is_refused(settings, variable):
    setattr(settings, variable, " , ,")
    assert_complains("accounts.E010", of=variable, level=Error)
    setattr(settings, variable, "https://a.example.com, https://b.example.com")
    assert ids() == set()


# E004: a ring that is not of Better Auth's form

MALFORMED = {
    "no version": OTHER_SECRET,
    "a second without version": f"2:{OTHER_SECRET},{SECRET}",
    "a name for a version": f"new:{OTHER_SECRET}",
    "no secret": "2:",
    "no version before the colon": f":{OTHER_SECRET}",
    "a version twice": f"1:{OTHER_SECRET},1:{SECRET}",
    "a comma too many": f"2:{OTHER_SECRET},",
    "only commas": ",,",
    "a negative version": f"-1:{OTHER_SECRET}",
    "other digits": f"\u0662:{OTHER_SECRET}",
}


@pytest.mark.parametrize("debug", [False, True], ids=["DEBUG off", "DEBUG on"])
@pytest.mark.parametrize("ring", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_ring_is_refused(settings, debug, ring):
    settings.DEBUG = debug
    settings.BETTER_AUTH_SECRETS = ring
    messages = found("accounts.E004")
    assert messages
    for message in messages:
        assert type(message) is Error
        assert "BETTER_AUTH_SECRETS" in message.msg
        assert message.hint and "2:new,1:old" in message.hint
        assert "entry" in message.msg  # by its place, as its content is secret


@pytest.mark.parametrize(
    "ring", ["", "  ", f"1:{OTHER_SECRET}", f" 2 : {OTHER_SECRET} , 1:{SECRET} ", f"7:{SECRET}"]
)
def test_a_well_formed_ring_is_fine(settings, ring):
    settings.BETTER_AUTH_SECRETS = ring
    assert ids() == set()


# E005: no URL; W006: a URL that anybody in between can answer for

URLS = pytest.mark.parametrize("variable", ["BETTER_AUTH_URL", "BETTER_AUTH_JWKS_URL"])


@pytest.fixture
def pinned(settings):
    """With issuer and audience, so that only the URL under test can be wrong."""
    settings.BETTER_AUTH_ISSUER = settings.BETTER_AUTH_AUDIENCE = "https://auth.example.com"
    return settings


@URLS
@pytest.mark.parametrize(
    "url",
    [
        "auth.example.com",
        "ftp://auth.example.com",
        "file:///etc/passwd",
        "https://",
        "https:auth.example.com",
        "https://auth.example.com:port",
        "https://auth.example.com:99999",
        "http://[::1",
        "://auth.example.com",
        "javascript:alert(1)",
    ],
)
def test_what_is_no_http_url_is_refused(pinned, variable, url):
    setattr(pinned, variable, url)
    assert_complains("accounts.E005", of=f"{variable} ", level=Error)


@URLS
def test_plain_http_to_another_machine_is_a_warning(pinned, variable):
    setattr(pinned, variable, "http://auth.example.com")
    assert_complains("accounts.W006", of=f"{variable} ", level=Warning)
    assert ids() == {"accounts.W006"}


@URLS
@pytest.mark.parametrize("host", ["localhost.example.com", "127.0.0.1.example.com"])
def test_a_name_that_only_begins_like_this_machine_is_another_machine(pinned, variable, host):
    setattr(pinned, variable, f"http://{host}/api/auth/jwks")
    assert ids() == {"accounts.W006"}


@URLS
@pytest.mark.parametrize(
    "url",
    [
        "https://auth.example.com",
        "https://auth.example.com:8443/api/auth/jwks",
        "HTTPS://Auth.Example.com/",
        "http://localhost:3000",
        "http://127.0.0.1:3000",
        "http://[::1]:3000",
        "",
    ],
)
def test_https_and_this_machine_are_fine(pinned, variable, url):
    setattr(pinned, variable, url)
    assert ids() == set()


@URLS
def test_plain_http_is_fine_for_a_developer(pinned, variable):
    pinned.DEBUG = True
    setattr(pinned, variable, "http://auth.internal:3000")
    assert ids() == set()


# E007: published keys, but of whom and for whom?


@pytest.mark.parametrize("missing", ["BETTER_AUTH_ISSUER", "BETTER_AUTH_AUDIENCE", "both"])
def test_published_keys_need_an_issuer_and_an_audience(pinned, missing):
    pinned.BETTER_AUTH_JWKS_URL = "https://auth.example.com/api/auth/jwks"
    for variable in ("BETTER_AUTH_ISSUER", "BETTER_AUTH_AUDIENCE"):
        if missing in (variable, "both"):
            setattr(pinned, variable, "")
    assert_complains("accounts.E007", of="BETTER_AUTH_JWKS_URL", level=Error)


def test_the_base_url_names_issuer_and_audience(settings):
    settings.BETTER_AUTH_URL = "https://auth.example.com"
    settings.BETTER_AUTH_JWKS_URL = "https://cdn.example.com/jwks.json"
    assert ids() == set()


def test_issuer_and_audience_may_be_named_instead(pinned):
    pinned.BETTER_AUTH_JWKS_URL = "https://cdn.example.com/jwks.json"
    assert ids() == set()


def test_issuer_and_audience_need_no_published_keys(pinned):
    assert ids() == set()


# What is true of all of them

MISTAKES = [
    {"BETTER_AUTH_SECRET": ""},
    {"BETTER_AUTH_SECRET": SHORT},
    {"BETTER_AUTH_SECRET": PLACEHOLDERS[0]},
    {"BETTER_AUTH_SECRETS": f"2:{OTHER_SECRET},{SHORT}"},
    {"BETTER_AUTH_SECRETS": f"{OTHER_SECRET}:{SHORT},1:{SHORT}"},
    {"BETTER_AUTH_SECRETS": f"1:{OTHER_SECRET},1:{SECRET}"},
    {"BETTER_AUTH_URL": f"ftp://user:{SHORT}@auth.example.com"},
    {"BETTER_AUTH_URL": f"http://user:{SHORT}@auth.example.com"},
    {"BETTER_AUTH_JWKS_URL": f"https://auth.example.com/jwks?key={SHORT}"},
]


@pytest.mark.parametrize("debug", [False, True], ids=["DEBUG off", "DEBUG on"])
@pytest.mark.parametrize("mistake", MISTAKES, ids=range(len(MISTAKES)))
def test_no_message_shows_a_secret(settings, debug, mistake):
    settings.DEBUG = debug
    for variable, value in mistake.items():
        setattr(settings, variable, value)
    text = "\n".join(f"{message} {message.hint} {message.obj}" for message in run_checks())
    for secret in (SECRET, OTHER_SECRET, SHORT, *PLACEHOLDERS):
        assert secret not in text


def example_assignments() -> dict[str, str]:
    """What `.env.example` suggests, commented out or not."""
    text = (Path(django_settings.BASE_DIR) / ".env.example").read_text(encoding="utf-8")
    return dict(re.findall(r"^(?:# )?([A-Z_]+)=(.*)$", text, re.MULTILINE))


@pytest.mark.parametrize("variable", ["BETTER_AUTH_SECRET", "BETTER_AUTH_SECRETS", "SECRET_KEY"])
def test_every_secret_of_the_example_file_is_refused(settings, variable):
    """Whoever copies the file and forgets a line hears of it."""
    setattr(settings, variable, example_assignments()[variable])
    complaints = [message for message in run_checks() if f"{variable} " in message.msg]
    assert complaints
    assert all(type(message) is Error for message in complaints)


def test_the_example_file_is_right_about_everything_else(settings):
    example = example_assignments()
    for variable in ("URL", "JWKS_URL", "ISSUER", "AUDIENCE"):
        setattr(settings, f"BETTER_AUTH_{variable}", example[f"BETTER_AUTH_{variable}"])
    assert ids() == set()


PEM = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----"


@pytest.mark.parametrize("secret", [PEM, "\udcff" * 40], ids=["PEM", "no text"])
def test_what_cannot_be_a_shared_secret_is_refused(settings, secret):
    settings.BETTER_AUTH_SECRET = secret
    found = [message for message in run_checks() if message.id == "accounts.E008"]
    assert len(found) == 1 and "BETTER_AUTH_SECRET" in found[0].msg and found[0].hint
