"""The threats and practices of RFC 8725 (JSON Web Token Best Current Practices), section by section.

Each attack is really made and sent over HTTP. What other tests go through in full, value by value,
is here by its most telling cases, so that nothing of the document is left out.
"""

import json
import zlib
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.checks import Error, run_checks

from accounts.signin import keyset
from accounts.tests.forging import (
    NO_SIGNATURE,
    base64url,
    forge,
    forge_with_claim,
    good_claims,
    hs_signature,
    segment,
)
from accounts.tests.keyserver import SigningKey, serving
from conftest import ALICE, BOB, OTHER_SECRET, SECRET, client_with, sign

ORIGIN = "https://auth.example.com"


def caller(token: str) -> str | None:
    """Whom the server takes the token's bearer for; `None` when it refuses with 401."""
    response = client_with(token).get("/me")
    if response.status_code == 401:
        assert response["WWW-Authenticate"].startswith('Bearer error="invalid_token"')
        return None
    assert response.status_code == 200, response.content
    return str(response.json()["id"])


@pytest.fixture(scope="module")
def keys():
    return {name: SigningKey(name) for name in ("EdDSA", "ES256", "RS256")}


@pytest.fixture
def key_server(keys, settings, monkeypatch):
    """Published keys and a shared secret, both trusted: where the most could be confused."""
    monkeypatch.setattr(keyset, "COOLDOWN", 0.05)  # that bad signatures wait for
    with serving(*keys.values()) as server:
        settings.BETTER_AUTH_URL = server.origin
        yield server


@pytest.fixture(autouse=True)
def good_tokens_are_let_in(key_server, keys):
    """Otherwise every refusal below would prove nothing."""
    assert caller(forge()) == ALICE
    for key in keys.values():
        assert caller(key.sign(key_server.origin, ALICE)) == ALICE


def public_texts(key: SigningKey) -> list[bytes]:
    """What everybody can read of a key, in every form that has been taken for a secret."""
    public = key.private.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return [pem, pem.strip(), der, b64encode(der), json.dumps(key.jwk).encode()]


# Section 2: threats


def test_2_1_weak_signatures_and_insufficient_signature_validation(keys):
    """`none`, and a public key as the secret of an HMAC."""
    for alg in ("none", "None", "nOnE", ""):
        assert caller(forge(header={"alg": alg}, signature=NO_SIGNATURE)) is None
    for name, key in keys.items():
        for text in public_texts(key):
            for header in ({"alg": "HS256"}, {"alg": "HS256", "kid": key.kid}, {"alg": name}):
                assert caller(forge(header=header, key=text)) is None


@pytest.mark.parametrize("guess", ["", "secret", "password", "better-auth-secret", "\x00" * 32])
def test_2_2_weak_symmetric_keys(guess, settings, no_check_of_routes):
    """A guessed key signs nobody in, and a guessable one is not configured."""
    assert caller(forge(key=guess)) is None

    settings.BETTER_AUTH_SECRET = "short-enough-to-be-found-out"
    assert any(
        isinstance(found, Error) and "BETTER_AUTH_SECRET" in found.msg for found in run_checks()
    )


def encrypted(plaintext: bytes, header: Mapping[str, object]) -> str:
    """A JWE in compact form, truly encrypted (`dir`, AES-256-GCM) with the first half of the secret."""
    protected = segment(header)
    nonce = b"n" * 12
    sealed = AESGCM(SECRET.encode()[:32]).encrypt(nonce, plaintext, protected.encode())
    parts = [protected, "", base64url(nonce), base64url(sealed[:-16]), base64url(sealed[-16:])]
    return ".".join(parts)


JWE = {"alg": "dir", "enc": "A256GCM"}


def test_2_3_incorrect_composition_of_encryption_and_signature():
    """Encrypted is not signed: neither claims nor a good token inside a JWE count."""
    assert caller(encrypted(json.dumps(good_claims()).encode(), JWE)) is None
    assert caller(encrypted(forge().encode(), {**JWE, "cty": "JWT"})) is None
    # A signed token around a token: the payload is no claims, whoever signed what is inside.
    assert caller(forge(forge().encode(), header={"alg": "HS256", "cty": "JWT"})) is None


def test_2_4_plaintext_leakage_through_analysis_of_ciphertext_length():
    """Nothing here is encrypted, so compression is refused with all of JWE."""
    squeezed = zlib.compress(json.dumps(good_claims()).encode(), wbits=-15)
    assert caller(encrypted(squeezed, {**JWE, "zip": "DEF"})) is None
    assert caller(forge(squeezed, header={"alg": "HS256", "zip": "DEF"})) is None


def test_2_5_insecure_use_of_elliptic_curve_encryption(keys):
    """No key agreement takes place with a point that a token brings, on the curve or off it."""
    off_curve = {"kty": "EC", "crv": "P-256", "x": base64url(b"\x01" * 32), "y": base64url(b"\x02")}
    for point in (keys["ES256"].jwk, off_curve):
        for alg in ("ECDH-ES", "ECDH-ES+A128KW"):
            header = {"alg": alg, "enc": "A256GCM", "epk": point}
            assert caller(encrypted(json.dumps(good_claims()).encode(), header)) is None
            assert caller(forge(header=header)) is None


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_2_6_multiplicity_of_json_encodings(encoding):
    """UTF-8 alone, in the claims and in the header; Python's reader would guess the others."""
    assert caller(forge(json.dumps(good_claims()).encode(encoding))) is None
    assert caller(forge(header=json.dumps({"alg": "HS256"}).encode(encoding))) is None


def test_2_7_substitution_attacks(key_server, keys):
    """A token that was made for another recipient, by the very same signer."""
    key = keys["EdDSA"]
    others: list[Any] = ["https://another-api.example.com", f"{key_server.origin}/", "", [], None]
    for aud in others:
        assert caller(key.sign(key_server.origin, ALICE, aud=aud)) is None


def test_2_8_cross_jwt_confusion(key_server, keys):
    """What the same keys sign for another use: e-mail links, session caches, log-out, access."""
    link = good_claims(email="alice@example.com", userId=ALICE)
    del link["sub"]
    assert caller(forge(link)) is None
    cache = good_claims(session={"userId": ALICE}, user={"id": ALICE})
    del cache["sub"]
    assert caller(forge(cache)) is None
    for typ in ("at+jwt", "logout+jwt", "secevent+jwt", "dpop+jwt", "session-cache+jwt"):
        assert caller(forge(header={"alg": "HS256", "typ": typ})) is None
        token = keys["EdDSA"].sign(key_server.origin, ALICE, headers={"typ": typ})
        assert caller(token) is None


def test_2_9_indirect_attacks_on_the_server():
    """Header values are followed nowhere: no URL is fetched, no file read, no query made of them."""
    asked: list[str] = []

    class Attacker(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            pass

    attacker = ThreadingHTTPServer(("127.0.0.1", 0), Attacker)
    thread = Thread(target=attacker.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{attacker.server_address[1]}/keys"
    try:
        for pointer in ({"jku": url}, {"x5u": url}, {"kid": url}, {"kid": "file:///dev/null"}):
            for alg in ("HS256", "EdDSA", "RS256"):
                header = {"alg": alg, "kid": "unknown", **pointer}
                assert caller(forge(header=header, key="")) is None
        for kid in ("../../../../dev/null", "x' UNION SELECT 'key' --", "| id", "\r\nX: y"):
            assert caller(forge(header={"alg": "EdDSA", "kid": kid}, key="")) is None
    finally:
        attacker.shutdown()
        attacker.server_close()
        thread.join()
    assert asked == []


# Section 3: practices


def test_3_1_perform_algorithm_verification(key_server, keys):
    """A key is used with its one algorithm, whatever the header says, and never by another name."""
    for name, key in keys.items():
        for other in {*keys, "PS256", "ES384", "HS256"} - {name}:
            header, payload, signature = key.sign(key_server.origin, ALICE).split(".")
            swapped = segment({"alg": other, "kid": key.kid})
            assert header != swapped
            assert caller(f"{swapped}.{payload}.{signature}") is None
    # Truly signed by the same RSA key with another algorithm than the one it is published for.
    claims = good_claims(iss=key_server.origin, aud=key_server.origin)
    rsa = keys["RS256"]
    token = jwt.encode(claims, rsa.private, algorithm="PS256", headers={"kid": rsa.kid})
    assert caller(token) is None


def test_3_2_use_appropriate_algorithms(key_server, keys):
    """Of what is not on the list, nothing is taken, though the signature be good."""
    for digest in ("sha384", "sha512"):
        header = {"alg": digest.replace("sha", "HS")}
        assert caller(forge(header=header, digest=digest)) is None
    for alg in ("RSA1_5", "RS1", "HS1", "ES256K"):
        assert caller(forge(header={"alg": alg, "kid": keys["RS256"].kid})) is None


def test_3_3_validate_all_cryptographic_operations(key_server, keys):
    """Each byte of every part is covered by the signature."""
    tokens = [forge(), *(key.sign(key_server.origin, ALICE) for key in keys.values())]
    for token in tokens:
        header, payload, signature = token.split(".")
        assert caller(f"{header}.{payload}.") is None
        assert caller(f"{header}.{payload}.{base64url(bytes(64))}") is None
        assert caller(f"{header}.{segment(good_claims(sub=BOB))}.{signature}") is None
        for place in (0, len(signature) // 2):
            letter = "B" if signature[place] == "A" else "A"
            spoilt = signature[:place] + letter + signature[place + 1 :]
            assert caller(f"{header}.{payload}.{spoilt}") is None
    # Psychic signatures: r and s zero.
    es256 = segment({"alg": "ES256", "kid": keys["ES256"].kid})
    claims = segment(good_claims(iss=key_server.origin, aud=key_server.origin))
    for zeros in (bytes(64), b"\x30\x06\x02\x01\x00\x02\x01\x00"):
        assert caller(f"{es256}.{claims}.{base64url(zeros)}") is None


def test_3_4_validate_cryptographic_inputs(settings):
    """A published point that is not on its curve is no key, and does not spoil the others."""
    good, bad = SigningKey("ES256"), SigningKey("ES256")
    bad.jwk = {**bad.jwk, "y": bad.jwk["x"]}
    with serving(bad, good) as server:
        settings.BETTER_AUTH_URL = server.origin
        assert caller(bad.sign(server.origin, ALICE)) is None
        assert caller(good.sign(server.origin, ALICE)) == ALICE


def test_3_5_ensure_cryptographic_keys_have_sufficient_entropy(settings, no_check_of_routes):
    """Neither a short secret, nor one out of an example, nor an RSA key of 1,024 bits."""
    for secret in ("0123456789abcdef0123456789abcde", "better-auth-secret-12345678901234567890"):
        settings.BETTER_AUTH_SECRET = secret
        assert any(
            isinstance(found, Error) and "BETTER_AUTH_SECRET" in found.msg for found in run_checks()
        )
    settings.BETTER_AUTH_SECRET = SECRET
    small, good = SigningKey("RS256", bits=1024), SigningKey("RS256")
    with serving(small, good) as server:
        settings.BETTER_AUTH_URL = server.origin
        with pytest.warns(jwt.InsecureKeyLengthWarning):
            token = small.sign(server.origin, ALICE)
        assert caller(token) is None
        assert caller(good.sign(server.origin, ALICE)) == ALICE


def test_3_6_avoid_compression_of_encryption_inputs():
    """There is no decompressing: a token that would be a hundred megabytes is refused at once."""
    bomb = zlib.compress(b" " * 10**8, level=9, wbits=-15)[:12_000]
    assert caller(encrypted(bomb, {**JWE, "zip": "DEF"})) is None
    assert caller(forge(bomb[:6_000], header={"alg": "HS256", "zip": "DEF"})) is None


def test_3_7_use_utf_8():
    """Bytes that are no UTF-8 are no claims; what UTF-8 can say arrives as it was said."""
    for raw in (b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\xbe", "é".encode("latin-1")):
        claims = json.dumps(good_claims(sub="@")).encode().replace(b"@", raw)
        assert caller(forge(claims)) is None
    assert caller(sign("Amélie-\U0001f98a")) == "Amélie-\U0001f98a"


def test_3_8_validate_issuer_and_subject(key_server, keys):
    """The issuer must be the one whose keys these are, to the letter; the subject must be somebody."""
    key = keys["EdDSA"]
    for iss in (ORIGIN, f"{key_server.origin}/", key_server.origin.upper(), "", None):
        assert caller(key.sign(key_server.origin, ALICE, iss=iss)) is None
    for sub in ("null", '""', '" "', "7", "true", "[]", "{}", f'"{"a" * 256}"', '"a\\u0000"'):
        assert caller(forge_with_claim("sub", sub)) is None


def test_3_9_use_and_validate_audience(key_server, keys):
    """An audience that is missing, or names us only among what is no audience, is refused."""
    key = keys["EdDSA"]
    assert caller(key.sign(key_server.origin, ALICE, aud=["other", key_server.origin])) == ALICE
    for aud in (None, [], [7, key_server.origin], {key_server.origin: 1}, key_server.origin[:-1]):
        assert caller(key.sign(key_server.origin, ALICE, aud=aud)) is None


def test_3_10_do_not_trust_received_claims():
    """Neither a key that comes with the token, nor a claim that would make somebody else of it."""
    mine = SigningKey("EdDSA")
    token = mine.sign(ORIGIN, ALICE, headers={"jwk": mine.jwk})
    assert caller(token) is None
    own = {"kty": "oct", "k": base64url(OTHER_SECRET.encode())}
    assert caller(forge(header={"alg": "HS256", "jwk": own}, key=OTHER_SECRET)) is None
    claims: dict[str, Any] = {
        "id": BOB,
        "userId": BOB,
        "email": BOB,
        "is_staff": True,
        "role": "admin",
    }
    assert caller(sign(ALICE, **claims)) == ALICE


def test_3_11_use_explicit_typing():
    """A type that is named must be ours."""
    assert caller(forge(header={"alg": "HS256"})) == ALICE
    assert caller(forge(header={"alg": "HS256", "typ": "JWT"})) == ALICE
    for typ in ("at+jwt", "application/at+jwt", "JWE", "", None, 7, ["JWT"]):
        assert caller(forge(header={"alg": "HS256", "typ": typ})) is None


def test_3_12_use_mutually_exclusive_validation_rules_for_different_kinds_of_jwts(
    key_server, keys, settings
):
    """Secret and published keys each have their algorithms; neither opens the other's door."""
    key = keys["EdDSA"]
    header = segment({"alg": "EdDSA", "kid": key.kid})
    payload = segment(good_claims(iss=key_server.origin, aud=key_server.origin))
    signature = hs_signature(f"{header}.{payload}")
    assert caller(f"{header}.{payload}.{signature}") is None

    secret_token, published_token = forge(), key.sign(key_server.origin, ALICE)
    settings.BETTER_AUTH_URL = ""
    assert (caller(secret_token), caller(published_token)) == (ALICE, None)
    settings.BETTER_AUTH_URL, settings.BETTER_AUTH_SECRET = key_server.origin, ""
    assert (caller(secret_token), caller(published_token)) == (None, ALICE)


def test_padding_of_base64_is_not_another_way_to_write_a_token():
    """Outside the sections, but of 2.6's kind: one token has one spelling."""
    header = urlsafe_b64encode(b'{"alg": "HS256"}').decode()
    assert header.endswith("=")
    payload = segment(good_claims())
    assert caller(f"{header}.{payload}.{hs_signature(f'{header}.{payload}')}") is None
