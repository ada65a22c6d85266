"""Published keys: which are used, when they are fetched, and what an outage does (docs/api.md section 2)."""

import asyncio
import hmac
import json
import threading
from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from accounts.signin import download, keyset
from accounts.signin.errors import FetchError, InvalidToken, KeysUnavailable
from accounts.signin.keys import parse_keys
from accounts.signin.keyset import KeySet
from accounts.signin.known_tokens import verify, verify_async, verify_now
from accounts.tests.forging import forge, good_claims
from accounts.tests.keyserver import ALGORITHMS, BODIES, KeyServer, SigningKey, serving
from conftest import ALICE, SECRET, client_with, sign

HOUR = 3600


class Clock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def signing_keys() -> dict[str, SigningKey]:
    return {algorithm: SigningKey(algorithm) for algorithm in ALGORITHMS}


@pytest.fixture
def key_server(signing_keys, settings):
    """A server that publishes one key of each kind, and settings that trust it."""
    with serving(*signing_keys.values()) as server:
        settings.BETTER_AUTH_URL = server.origin
        yield server


@pytest.fixture
def clock(monkeypatch, key_server) -> Clock:
    """The clock of the process's own key set for this server; a cooldown that waits little for it."""
    monkeypatch.setattr(keyset, "COOLDOWN", 0.2)
    clock = Clock()
    monkeypatch.setattr(keyset.key_set(key_server.url), "_clock", clock)
    return clock


def finish(server: KeyServer) -> None:
    """Wait until no fetch is running."""
    for thread in threading.enumerate():
        if thread.name == "jwks":
            thread.join(10)


# Which keys, which tokens


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_of_the_jwt_plugin_is_accepted(key_server, signing_keys, algorithm):
    api = client_with(signing_keys[algorithm].sign(key_server.origin, "alice"))
    assert api.get("/me").json() == {"id": "alice", "email": "", "name": ""}


@pytest.mark.parametrize(("key", "name"), [("EdDSA", "Ed25519"), ("Ed25519", "EdDSA")])
def test_ed25519_is_accepted_under_either_name(key_server, signing_keys, key, name):
    token = signing_keys[key].sign(key_server.origin, headers={"alg": name})
    assert verify(token).user.id == "alice"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_without_alg_is_used_as_its_kind_allows(settings, algorithm):
    key = SigningKey(algorithm)
    del key.jwk["alg"]
    with serving(key) as server:
        settings.BETTER_AUTH_URL = server.origin
        assert verify(key.sign(server.origin)).user.id == "alice"


def test_a_token_without_kid_is_checked_with_the_keys_of_its_algorithm(key_server, signing_keys):
    key_server.keys.insert(0, SigningKey("ES256"))
    token = signing_keys["ES256"].sign(key_server.origin, headers={"kid": None})
    assert verify(token).user.id == "alice"
    with pytest.raises(InvalidToken, match="signature does not match"):
        verify(SigningKey("ES256").sign(key_server.origin, headers={"kid": None}))


def test_shared_secret_and_published_keys_side_by_side(key_server, signing_keys):
    assert verify(sign("by-secret")).user.id == "by-secret"
    assert verify(signing_keys["EdDSA"].sign(key_server.origin, "by-key")).user.id == "by-key"


def test_a_public_key_is_never_an_hmac_secret(key_server, signing_keys):
    def part(data: bytes) -> str:
        return urlsafe_b64encode(data).rstrip(b"=").decode()

    key = signing_keys["RS256"]
    pem = key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, pem.strip(), json.dumps(key.jwk).encode()):
        header = part(json.dumps({"alg": "HS256", "kid": key.kid}).encode())
        claims = part(
            json.dumps(
                {
                    "sub": "alice",
                    "exp": 4102444800,
                    "iss": key_server.origin,
                    "aud": key_server.origin,
                }
            ).encode()
        )
        signature = part(hmac.digest(secret, f"{header}.{claims}".encode(), "sha256"))
        with pytest.raises(InvalidToken, match="signature does not match"):
            verify(f"{header}.{claims}.{signature}")


def test_a_key_is_used_only_with_its_own_algorithm(key_server, signing_keys):
    token = signing_keys["RS256"].sign(key_server.origin)
    signing_keys["RS256"].algorithm = "PS256"
    try:
        other = signing_keys["RS256"].sign(key_server.origin)
    finally:
        signing_keys["RS256"].algorithm = "RS256"
    assert verify(token)
    with pytest.raises(InvalidToken, match="unknown key"):
        verify(other)


@pytest.mark.parametrize(
    ("spoiled", "reason"),
    [
        ({"iss": "https://evil.example.com"}, "wrong issuer"),
        ({"iss": None}, "missing iss"),
        ({"aud": "https://evil.example.com"}, "wrong audience"),
        ({"aud": None}, "missing aud"),
        ({"aud": "better-auth:session-cache"}, "wrong audience"),
        ({"aud": ["a", "b"]}, "wrong audience"),
        ({"headers": {"typ": "at+jwt"}}, "type not accepted"),
        ({"headers": {"typ": "better-auth.session-cache+jwt"}}, "type not accepted"),
        ({"headers": {"kid": "nobody's"}}, "unknown key"),
        ({"sub": ""}, "missing user ID"),
    ],
)
def test_issuer_audience_and_type_are_pinned(key_server, signing_keys, spoiled, reason):
    with pytest.raises(InvalidToken, match=reason):
        verify(signing_keys["EdDSA"].sign(key_server.origin, **spoiled))


def test_an_audience_among_others_is_fine(key_server, signing_keys):
    token = signing_keys["EdDSA"].sign(key_server.origin, aud=["x", key_server.origin])
    assert verify(token).user.id == "alice"


def test_a_host_header_does_not_move_the_origin(key_server, signing_keys, settings):
    settings.ALLOWED_HOSTS = ["*"]
    token = signing_keys["EdDSA"].sign("http://evil.example.com")
    answer = client_with(token).get("/me", HTTP_HOST="evil.example.com")
    assert answer.status_code == 401


def test_where_the_keys_are_and_whom_they_speak_for_can_be_set_apart(
    key_server, signing_keys, settings
):
    settings.BETTER_AUTH_URL = ""
    settings.BETTER_AUTH_JWKS_URL = f"{key_server.url}"
    token = signing_keys["EdDSA"].sign("https://auth.example.com", aud="todos")
    with pytest.raises(InvalidToken, match="no issuer and audience"):
        verify(token)
    settings.BETTER_AUTH_ISSUER = "https://auth.example.com"
    settings.BETTER_AUTH_AUDIENCE = "todos"
    assert verify(token).user.id == "alice"


@pytest.mark.parametrize("path", ["", "/", "/api/auth", "/api/auth/", "/auth", "/a/b//"])
def test_the_keys_are_below_the_path_of_the_url(key_server, signing_keys, settings, path):
    settings.BETTER_AUTH_URL = f"{key_server.origin}{path}"
    key_server.path = f"{path.rstrip('/') or '/api/auth'}/jwks"
    token = signing_keys["EdDSA"].sign(key_server.origin)  # the origin alone, all the same
    assert verify(token).user.id == "alice"
    with pytest.raises(InvalidToken, match="wrong issuer"):
        verify(signing_keys["EdDSA"].sign(f"{key_server.origin}/auth"))


@pytest.mark.parametrize("names", ["https://a,https://b", " https://b , https://a ", ",https://b,"])
def test_any_issuer_and_audience_of_a_list_will_do(key_server, signing_keys, settings, names):
    settings.BETTER_AUTH_ISSUER = settings.BETTER_AUTH_AUDIENCE = names
    key = signing_keys["EdDSA"]
    assert verify(key.sign("https://b")).user.id == "alice"
    assert verify(key.sign("https://b", aud=["x", "https://b"])).user.id == "alice"
    assert verify(sign(iss="https://b", aud="https://b")).user.id == ALICE
    for one in (key_server.origin, names, "", "https://", "https://b,", "https://c"):
        with pytest.raises(InvalidToken, match="issuer"):
            verify(key.sign("https://b", iss=one))
        with pytest.raises(InvalidToken, match="aud"):
            verify(key.sign("https://b", aud=one))
    for odd in (["https://b"], {"https://b": 1}, 7):
        with pytest.raises(InvalidToken, match="issuer"):
            verify(forge(good_claims(iss=odd, aud="https://b")))


def test_without_a_url_no_published_key_is_trusted(signing_keys):
    with pytest.raises(InvalidToken, match="no published keys"):
        verify(signing_keys["EdDSA"].sign("http://x"))


def test_useless_keys_are_skipped_and_the_good_one_is_used():
    good = SigningKey("ES256")
    weak = SigningKey("RS256", bits=1024)
    for_encryption = {**SigningKey("RS256").jwk, "use": "enc"}
    to_sign_only = {**SigningKey("ES256").jwk, "key_ops": ["sign"]}
    odd = {**SigningKey("ES256").jwk, "key_ops": 3}
    agreement = {**SigningKey("ES256").jwk, "alg": "ECDH-ES"}
    mislabelled = {**SigningKey("ES256").jwk, "alg": "ES384"}
    confused = {**SigningKey("ES256").jwk, "alg": "HS256"}
    broken = {**SigningKey("ES256").jwk, "x": "AAAA"}
    numbered = {**SigningKey("ES256").jwk, "kid": 7}
    secret = {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "s"}
    ed448 = {"kty": "OKP", "crv": "Ed448", "x": "AAAA", "alg": "EdDSA", "kid": "4"}
    mixed = {"kty": "EC", "crv": "Ed25519", "x": "AAAA", "y": "AAAA", "kid": "m"}
    others: list[Any] = [
        weak.jwk,
        for_encryption,
        to_sign_only,
        odd,
        agreement,
        mislabelled,
        confused,
    ]
    others += [broken, numbered, secret, ed448, mixed, None, 1, [], {}, {"kty": []}]
    keys = parse_keys(json.dumps({"keys": [*others, good.jwk]}).encode())
    assert [key.kid for key in keys] == [good.kid]


# When they are fetched


def test_warm_keys_cost_no_fetch(key_server, signing_keys):
    for _ in range(50):
        for key in signing_keys.values():
            verify(key.sign(key_server.origin))
    assert key_server.fetches == 1


def test_a_cold_start_under_load_is_one_fetch(key_server, signing_keys):
    token = signing_keys["EdDSA"].sign(key_server.origin)
    with ThreadPoolExecutor(16) as pool:
        people = {verified.user.id for verified in pool.map(verify, [token] * 64)}
    assert people == {"alice"} and key_server.fetches == 1


def test_a_new_key_is_accepted_on_its_first_request(key_server, signing_keys, clock):
    verify(signing_keys["EdDSA"].sign(key_server.origin))
    clock.now += keyset.COOLDOWN
    fresh = SigningKey("EdDSA")
    key_server.keys.append(fresh)
    assert verify(fresh.sign(key_server.origin)).user.id == "alice"
    assert key_server.fetches == 2


def test_without_any_keys_nobody_waits_for_the_end_of_the_cooldown(key_server, clock):
    key_server.mood = "failing"
    token = SigningKey("EdDSA").sign(key_server.origin)
    for _ in range(1000):
        with pytest.raises(KeysUnavailable):
            verify(token)
    assert key_server.fetches == 1


def test_old_keys_are_refreshed_without_anybody_waiting(key_server, signing_keys, clock):
    token = signing_keys["EdDSA"].sign(key_server.origin)
    verify(token)
    clock.now += keyset.REFRESH_AFTER
    key_server.asked.clear()
    key_server.may_answer.clear()  # the key server hangs: whoever waited for it would hang too
    for _ in range(10):
        assert verify(token).user.id == "alice"
    assert key_server.asked.wait(5)
    key_server.keys = [SigningKey("EdDSA")]
    key_server.may_answer.set()
    finish(key_server)
    assert key_server.fetches == 2
    with pytest.raises(InvalidToken, match="unknown key"):  # withdrawn by its server
        verify(token)


def test_keys_on_hand_are_all_that_counts_where_nobody_may_wait(key_server, signing_keys):
    token = signing_keys["EdDSA"].sign(key_server.origin)
    with pytest.raises(KeysUnavailable):
        verify_now(token)
    verify(token)
    assert verify_now(token).user.id == "alice"
    with pytest.raises(InvalidToken, match="unknown key"):
        verify_now(SigningKey("EdDSA").sign(key_server.origin))
    assert key_server.fetches == 1


# What an outage does


MISBEHAVIOUR = ["failing", "redirecting", "endless", *BODIES]


@pytest.mark.parametrize("mood", MISBEHAVIOUR)
def test_known_keys_go_on_for_a_day_and_unknown_ones_are_refused(
    key_server, signing_keys, clock, mood
):
    token = signing_keys["ES256"].sign(key_server.origin)
    verify(token)
    key_server.mood = mood
    for _ in range(5):
        clock.now += 5 * HOUR
        assert verify(token).user.id == "alice"
        finish(key_server)
        with pytest.raises(InvalidToken, match="unknown key"):
            verify(SigningKey("EdDSA").sign(key_server.origin))
    keys = keyset.key_set(key_server.url)
    assert keys.age is not None and keys.age >= 24 * HOUR
    key_server.mood = "well"
    clock.now += keyset.RETRY_REFRESH_AFTER
    verify(token)
    finish(key_server)
    assert keys.age == 0


def test_after_two_days_old_keys_count_no_more(key_server, signing_keys, clock):
    token = signing_keys["ES256"].sign(key_server.origin)
    verify(token)
    key_server.mood = "failing"
    clock.now += keyset.MAX_STALE + 1
    with pytest.raises(KeysUnavailable):
        verify(token)


def test_where_nothing_was_ever_fetched_the_answer_is_503(key_server, signing_keys):
    key_server.mood = "failing"
    api = client_with(signing_keys["EdDSA"].sign(key_server.origin))
    for _ in range(3):
        answer = api.get("/me")
        assert answer.status_code == 503
        assert answer.json()["detail"]
        assert 1 <= int(answer["Retry-After"]) <= 6
    assert key_server.fetches == 1
    assert client_with(sign(key=SECRET)).get("/me").status_code == 200  # needs no published key


@pytest.mark.parametrize("mood", ["dripping", "dripping headers"])
def test_a_server_that_answers_ever_so_slowly_is_given_up(key_server, monkeypatch, mood):
    monkeypatch.setattr(download, "FETCH_TIMEOUT", 0.3)
    key_server.mood = mood
    with pytest.raises(FetchError, match="no answer within"):
        KeySet(key_server.url).refresh()


def test_a_server_that_is_not_there(settings):
    with serving() as server:
        url = server.url
    with pytest.raises(FetchError, match="not reachable"):
        KeySet(url).refresh()


def test_what_went_wrong_is_logged_with_the_age_of_the_keys(
    key_server, signing_keys, clock, caplog
):
    caplog.set_level("INFO", "accounts.signin.keyset")
    verify(signing_keys["EdDSA"].sign(key_server.origin))
    key_server.mood = "failing"
    clock.now += 1000
    verify(signing_keys["EdDSA"].sign(key_server.origin))
    finish(key_server)
    assert "Fetched the published keys" in caplog.text
    assert "the answer was 500, not 200; those on hand are 1000 s old" in caplog.text


# Who waits


def made_up(key_server: KeyServer, kid: str | None = None) -> str:
    return SigningKey("EdDSA", kid=kid).sign(key_server.origin)


async def refusal_of(token: str) -> Exception | None:
    try:
        await verify_async(token)
    except (InvalidToken, KeysUnavailable) as error:
        return error
    return None


@pytest.mark.asyncio
async def test_those_who_wait_share_one_fetch_and_hold_no_thread(
    key_server, signing_keys, clock, monkeypatch
):
    monkeypatch.setattr(keyset, "COOLDOWN", 2)  # time for what follows, however busy the machine
    await verify_async(signing_keys["EdDSA"].sign(key_server.origin))
    threads = threading.active_count()
    waiting = [asyncio.create_task(refusal_of(made_up(key_server))) for _ in range(50)]
    fresh = SigningKey("EdDSA")
    good = asyncio.create_task(verify_async(fresh.sign(key_server.origin)))
    await asyncio.sleep(0.05)
    assert threading.active_count() < threads + 10  # one that fetches, and those of the key server
    key_server.keys.append(fresh)
    assert (await good).user.id == "alice"
    assert {str(error) for error in await asyncio.gather(*waiting)} == {
        "Invalid token: unknown key"
    }
    assert key_server.fetches == 2


@pytest.mark.asyncio
async def test_whoever_comes_during_a_fetch_is_not_refused_by_it(
    key_server, signing_keys, clock, monkeypatch
):
    """Its answer may be older than the key."""
    monkeypatch.setattr(keyset, "COOLDOWN", 2)
    await verify_async(signing_keys["EdDSA"].sign(key_server.origin))
    clock.now += keyset.COOLDOWN
    key_server.asked.clear()
    key_server.may_answer.clear()
    first = asyncio.create_task(refusal_of(made_up(key_server)))
    assert await asyncio.to_thread(key_server.asked.wait, 10)
    fresh = SigningKey("EdDSA")
    second = asyncio.create_task(verify_async(fresh.sign(key_server.origin)))
    await asyncio.sleep(0.05)
    key_server.may_answer.set()
    assert str(await first) == "Invalid token: unknown key"
    assert not second.done()
    key_server.keys.append(fresh)
    assert (await second).user.id == "alice"
    assert key_server.fetches == 3


@pytest.mark.asyncio
async def test_no_more_wait_than_there_is_room_for(key_server, signing_keys, clock, monkeypatch):
    await verify_async(signing_keys["EdDSA"].sign(key_server.origin))
    monkeypatch.setattr(keyset, "MAX_WAITING", 2)
    waiting = [asyncio.create_task(refusal_of(made_up(key_server))) for _ in range(5)]
    refusals = [type(error).__name__ for error in await asyncio.gather(*waiting)]
    assert sorted(refusals) == ["KeysUnavailable"] * 3 + ["NoKeyFits"] * 2
    # There is room again, also after those who gave up.
    for _ in range(5):
        gone = asyncio.create_task(refusal_of(made_up(key_server)))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait([gone])
    assert isinstance(await refusal_of(made_up(key_server)), InvalidToken)


@pytest.mark.asyncio
async def test_after_a_fetch_others_have_their_turn_between_those_who_waited(
    key_server, signing_keys, clock
):
    """And whose key has come goes first."""
    await verify_async(signing_keys["EdDSA"].sign(key_server.origin))
    ended: list[str] = []
    turns: list[int] = []

    async def note(name: str, token: str) -> None:
        await refusal_of(token)
        ended.append(name)

    async def others() -> None:
        while True:
            turns.append(len(ended))
            await asyncio.sleep(0)

    fresh = SigningKey("EdDSA")
    tokens = [("made up", made_up(key_server)) for _ in range(40)]
    tokens.append(("good", fresh.sign(key_server.origin)))
    waiting = [asyncio.create_task(note(*one)) for one in tokens]
    ticking = asyncio.create_task(others())
    key_server.keys.append(fresh)
    await asyncio.gather(*waiting)
    ticking.cancel()
    assert "good" in ended[: keyset.SLICE]
    assert max(after - before for before, after in pairwise(turns)) <= keyset.SLICE


@pytest.mark.asyncio
async def test_a_fetch_that_never_ends_keeps_nobody_for_ever(
    key_server, signing_keys, clock, monkeypatch
):
    token = signing_keys["EdDSA"].sign(key_server.origin)
    await verify_async(token)
    monkeypatch.setattr(keyset, "FETCH_TIMEOUT", 0.1)
    key_server.may_answer.clear()  # and nothing cuts it off before three seconds
    assert str(await refusal_of(made_up(key_server))) == "Invalid token: unknown key"
    keys = keyset.key_set(key_server.url)
    assert keys.started == keys.ended + 1  # it is still at it
    assert (await verify_async(token)).user.id == "alice"
    key_server.may_answer.set()
    await asyncio.to_thread(finish, key_server)


def test_threads_wait_as_well(key_server, signing_keys, clock):
    verify(signing_keys["EdDSA"].sign(key_server.origin))
    fresh = SigningKey("EdDSA")
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(verify, fresh.sign(key_server.origin)) for _ in range(8)]
        key_server.keys.append(fresh)
        assert {each.result().user.id for each in waiting} == {"alice"}
    assert key_server.fetches == 2
