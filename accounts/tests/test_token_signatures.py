"""Header, signature and form of a token: everything that is wrong before a claim is believed."""

import hmac
import json
from base64 import b64encode, urlsafe_b64encode

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from accounts.signin.errors import InvalidToken
from accounts.signin.known_tokens import verify
from accounts.tests.forging import (
    NO_SIGNATURE,
    base64url,
    forge,
    good_claims,
    hs_signature,
    segment,
)
from accounts.users import CurrentUser
from conftest import ALICE, OTHER_SECRET, SECRET, sign


def refusal(token: str) -> str:
    """What the caller reads about a token that is wrong."""
    with pytest.raises(InvalidToken) as caught:
        verify(token)
    return str(caught.value)


def assert_refused(token: str) -> None:
    assert refusal(token).startswith("Invalid token: ")


def test_the_tokens_put_together_here_are_good_until_they_are_spoilt():
    """Otherwise every refusal below would prove nothing."""
    assert verify(forge()).user == CurrentUser(ALICE)
    assert verify(forge(header={"alg": "HS256"})).user == CurrentUser(ALICE)


# The algorithm


@pytest.mark.parametrize("signature", [NO_SIGNATURE, None, "AA"], ids=["empty", "HS256", "short"])
@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", "null", "none "])
def test_a_token_that_asks_for_no_algorithm_is_refused(alg, signature):
    assert_refused(forge(header={"alg": alg, "typ": "JWT"}, signature=signature))


@pytest.mark.parametrize("digest", ["sha384", "sha512"])
def test_a_longer_hash_of_the_same_secret_is_refused(digest):
    header = {"alg": digest.replace("sha", "HS"), "typ": "JWT"}
    assert refusal(forge(header=header, digest=digest)) == "Invalid token: algorithm not accepted"


@pytest.mark.parametrize(
    "alg",
    ["hs256", "HS256 ", "HS256\x00", "HMAC", "dir", None, 256, True, ["HS256"], {"alg": "HS256"}],
    ids=repr,
)
def test_another_name_for_the_algorithm_is_refused(alg):
    assert_refused(forge(header={"alg": alg, "typ": "JWT"}))


def test_a_header_without_an_algorithm_is_refused():
    assert_refused(forge(header={"typ": "JWT"}))


@pytest.fixture(scope="module")
def private_keys():
    """Keys of nobody we know, made once."""
    return {
        "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "PS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "ES384": ec.generate_private_key(ec.SECP384R1()),
        "ES512": ec.generate_private_key(ec.SECP521R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    }


KEY_PAIR_ALGORITHMS = ["RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"]


@pytest.mark.parametrize("algorithm", KEY_PAIR_ALGORITHMS)
def test_a_key_pair_means_nothing_where_only_a_secret_is_configured(private_keys, algorithm):
    token = jwt.encode(good_claims(), private_keys[algorithm], algorithm=algorithm)
    assert_refused(token)


@pytest.mark.parametrize("algorithm", KEY_PAIR_ALGORITHMS)
def test_a_key_pairs_token_is_not_good_under_the_secrets_algorithm(private_keys, algorithm):
    """The signature of one algorithm under the name of another."""
    token = jwt.encode(good_claims(), private_keys[algorithm], algorithm=algorithm)
    _, payload, signature = token.split(".")
    assert_refused(f"{segment({'alg': 'HS256', 'typ': 'JWT'})}.{payload}.{signature}")


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER], ids=["PEM", "DER"])
@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_public_key_is_no_secret(private_keys, algorithm, encoding):
    """Algorithm confusion: HS256 with what everybody may read."""
    public_key = private_keys[algorithm].public_key()
    key = public_key.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    assert_refused(forge(key=key))
    assert_refused(forge(key=key, header={"alg": algorithm, "typ": "JWT"}))


@pytest.mark.parametrize("algorithm", KEY_PAIR_ALGORITHMS)
def test_the_secret_does_not_sign_under_another_algorithms_name(algorithm):
    assert_refused(forge(header={"alg": algorithm, "typ": "JWT"}))


# The signature


@pytest.mark.parametrize(
    "key",
    [
        OTHER_SECRET,
        "",
        SECRET[:-1],
        SECRET + " ",
        SECRET + "\n",
        SECRET.upper(),
        b64encode(SECRET.encode()),
    ],
    ids=["another", "none", "cut", "blank", "newline", "upper case", "base64"],
)
def test_another_secret_is_refused(key):
    assert refusal(forge(key=key)) == "Invalid token: signature does not match"


def test_a_secret_padded_with_nul_is_refused():
    """HMAC itself pads short keys with zeros, so only the length in bytes tells them apart."""
    settings_secret = SECRET.encode()
    longer_than_a_block = settings_secret + b"\x00" * 64
    assert refusal(forge(key=longer_than_a_block)) == "Invalid token: signature does not match"


def other_letter(letter: str) -> str:
    return "B" if letter == "A" else "A"


def spoilt(token: str, part: int, place: int) -> str:
    """The token with one letter of one part changed."""
    parts = token.split(".")
    letters = list(parts[part])
    letters[place] = other_letter(letters[place])
    parts[part] = "".join(letters)
    return ".".join(parts)


@pytest.mark.parametrize("place", [0, 1, 21, 41])
def test_a_changed_signature_is_refused(place):
    assert refusal(spoilt(sign(), part=2, place=place)) == "Invalid token: signature does not match"


@pytest.mark.parametrize("place", [4, 10, 20])
def test_a_changed_payload_is_refused(place):
    assert_refused(spoilt(sign(), part=1, place=place))


def test_a_payload_exchanged_for_another_is_refused():
    header, _, signature = sign(ALICE).split(".")
    _, others_payload, _ = sign("somebody-else").split(".")
    assert (
        refusal(f"{header}.{others_payload}.{signature}")
        == "Invalid token: signature does not match"
    )


def test_a_header_exchanged_for_another_is_refused():
    _, payload, signature = forge().split(".")
    assert_refused(f"{segment({'typ': 'JWT', 'alg': 'HS256'})}.{payload}.{signature}")


@pytest.mark.parametrize("letters", [1, 2, 20, 42, 43])
def test_a_signature_cut_short_is_refused(letters):
    assert_refused(sign()[:-letters])


@pytest.mark.parametrize("tail", ["A", "AA", "AAAA", "="])
def test_a_signature_with_a_tail_is_refused(tail):
    assert_refused(sign() + tail)


def test_a_token_can_be_written_in_one_way_only():
    """The last letter of an HS256 signature has two bits to spare; they must be zero."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = sign()
    last = alphabet.index(token[-1])
    for spare_bits in (1, 2, 3):
        assert_refused(token[:-1] + alphabet[last | spare_bits])


def test_a_signature_over_another_text_is_refused():
    """Signed: the decoded text rather than the encoded one."""
    claims = good_claims()
    wrong = hs_signature(json.dumps({"alg": "HS256"}) + "." + json.dumps(claims))
    assert_refused(forge(claims, header={"alg": "HS256"}, signature=wrong))


def test_a_signature_in_hexadecimal_is_refused():
    signing_input = f"{segment({'alg': 'HS256'})}.{segment(good_claims())}"
    digest = hmac.digest(SECRET.encode(), signing_input.encode(), "sha256")
    assert_refused(f"{signing_input}.{digest.hex()}")


# The header


@pytest.mark.parametrize(
    "crit",
    [["b64"], ["exp"], ["alg"], ["something"], [], None, "b64", "", 0, False, {}, ["b64", "b64"]],
    ids=repr,
)
def test_critical_extensions_are_refused_whatever_they_are(crit):
    """RFC 7515 section 4.1.11: what is critical and not understood must be refused."""
    assert_refused(forge(header={"alg": "HS256", "typ": "JWT", "crit": crit}))
    assert_refused(forge(header={"alg": "HS256", "typ": "JWT", "crit": crit, "b64": True}))


@pytest.mark.parametrize("crit", [{}, {"crit": ["b64"]}], ids=["not critical", "critical"])
def test_an_unencoded_payload_is_refused(crit):
    """RFC 7797: `b64` false, with the payload as it is, and left out."""
    header = segment({"alg": "HS256", "b64": False, **crit})
    payload = json.dumps(good_claims())
    signature = hs_signature(f"{header}.{payload}")
    assert_refused(f"{header}..{signature}")
    assert_refused(f"{header}.{payload}.{signature}")
    assert_refused(forge(header={"alg": "HS256", "b64": False, **crit}))


@pytest.mark.parametrize(
    "typ",
    [
        "at+jwt",
        "application/at+jwt",
        "better-auth.session-cache+jwt",
        "logout+jwt",
        "dpop+jwt",
        "application/jwt",
        "JWT ",
        "\u0134WT",
        "JWE",
        "",
        None,
        7,
        True,
        ["JWT"],
        {},
    ],
    ids=repr,
)
def test_a_token_of_another_type_is_refused(typ):
    """RFC 8725 section 3.11: what was signed for another use names another type."""
    header = {"alg": "HS256", "typ": typ}
    assert refusal(forge(header=header)) == "Invalid token: type not accepted"


@pytest.mark.parametrize("typ", ["JWT", "jwt", "Jwt", "jWT"])
def test_the_type_is_written_in_any_case(typ):
    """RFC 7519 section 5.1: upper case is only recommended."""
    assert verify(forge(header={"alg": "HS256", "typ": typ})).user.id == ALICE


@pytest.fixture
def no_network(monkeypatch):
    """Fail where anything tries to reach another machine."""

    def refuse(*args, **kwargs):
        pytest.fail("A token's header was followed.")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.create_connection", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)


ATTACKERS_KEY = "a-key-of-the-attacker-0123456789-0123456789"
OWN_KEY = {"kty": "oct", "k": base64url(ATTACKERS_KEY.encode()), "alg": "HS256", "kid": "mine"}
POINTERS_TO_A_KEY = {
    "jwk": {"jwk": OWN_KEY},
    "jku": {"jku": "https://attacker.example/jwks.json", "kid": "mine"},
    "x5u": {"x5u": "https://attacker.example/chain.pem"},
    "x5c": {"x5c": [b64encode(b"certificate").decode()]},
    "kid that is a path": {"kid": "../../../../dev/null"},
    "kid that is a query": {"kid": "x' UNION SELECT 'key' --"},
    "kid that is a key": {"kid": ATTACKERS_KEY},
    "empty kid": {"kid": ""},
    "file URL": {"jku": "file:///etc/hostname"},
    "all at once": {"jwk": OWN_KEY, "jku": "https://attacker.example", "kid": "mine", "x5c": []},
}


@pytest.mark.parametrize("pointer", POINTERS_TO_A_KEY.values(), ids=POINTERS_TO_A_KEY.keys())
@pytest.mark.parametrize("key", [ATTACKERS_KEY, ""], ids=["attacker's key", "empty key"])
def test_a_token_does_not_bring_its_own_key(no_network, pointer, key):
    header = {"alg": "HS256", "typ": "JWT", **pointer}
    assert refusal(forge(header=header, key=key)) == "Invalid token: signature does not match"


@pytest.mark.parametrize("pointer", POINTERS_TO_A_KEY.values(), ids=POINTERS_TO_A_KEY.keys())
def test_pointers_to_a_key_are_not_even_looked_at(no_network, pointer):
    """Signed with the secret, they change nothing; nothing is fetched or read."""
    assert verify(forge(header={"alg": "HS256", **pointer})).user == CurrentUser(ALICE)


HEADERS = {
    "empty object": {},
    "list": ["alg", "HS256"],
    "text": "HS256",
    "number": 256,
    "null": b"null",
    "no JSON": b"alg=HS256",
    "invalid UTF-8": b'{"alg": "HS256", "typ": "\xff"}',
    "nested as deep as fits": b'{"alg": "HS256", "x": ' + b"[" * 5000,
    "nested and closed again": b'{"alg": "HS256", "x": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "more digits than Python reads": b'{"alg": "HS256", "x": ' + b"9" * 5000 + b"}",
    "kid that is a number": {"alg": "HS256", "kid": 7},
    "kid that is a list": {"alg": "HS256", "kid": ["a"]},
    "kid that is null": {"alg": "HS256", "kid": None},
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS.keys())
def test_a_header_that_makes_no_sense_is_refused(header):
    assert_refused(forge(header=header))


# The form


@pytest.mark.parametrize(
    "around", [" ", "\t", "\n", "\r\n", "\x00", "\xa0", "\ufeff", '"', "=", "."]
)
def test_nothing_may_stand_around_a_token(around):
    assert_refused(around + sign())
    assert_refused(sign() + around)


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("stray", [" ", "\n", "=", "+", "/", "%", "é", "\x00", "\u0661", "\ud83e"])
def test_nothing_outside_the_alphabet_may_stand_in_a_token(part, stray):
    parts = sign().split(".")
    parts[part] = parts[part][:5] + stray + parts[part][5:]
    assert_refused(".".join(parts))


def test_padding_is_refused_even_where_it_is_right():
    signing_input = ".".join(
        urlsafe_b64encode(json.dumps(part).encode()).decode()
        for part in ({"alg": "HS256", "p": ""}, good_claims(p=""))
    )
    digest = hmac.digest(SECRET.encode(), signing_input.encode(), "sha256")
    assert_refused(f"{signing_input}.{urlsafe_b64encode(digest).decode()}")


def test_the_standard_alphabet_is_refused():
    """Base64 with `+` and `/` instead of base64url."""
    claims = good_claims(name="\U0001f9ff" * 9, pad="\xff\xfe\xfb")
    payload = b64encode(json.dumps(claims, ensure_ascii=False).encode()).decode().rstrip("=")
    assert set(payload) & set("+/")  # otherwise both alphabets spell it alike
    signing_input = f"{segment({'alg': 'HS256'})}.{payload}"
    assert_refused(f"{signing_input}.{hs_signature(signing_input)}")


SHAPES = {
    "nothing": "",
    "dots": "..",
    "many dots": "." * 10_000,
    "no dot": "abc",
    "one dot": "abc.def",
    "a token without its signature": sign().rpartition(".")[0],
    "a token with an empty signature": sign().rpartition(".")[0] + ".",
    "a token without a header": "." + sign().partition(".")[2],
    "an empty payload": f"{segment({'alg': 'HS256'})}..{hs_signature('x')}",
    "two tokens in one": f"{sign()}.{sign()}",
    "two tokens with a comma": f"{sign()},{sign()}",
    "Better Auth's session token": "YCh51RZTUuoCEqAsOThxGJxVUAmekacs",
    "Better Auth's signed session cookie": (
        "YCh51RZTUuoCEqAsOThxGJxVUAmekacs.8mQ2WJ0bqvUuQn3yXlq7N2m0pM9m8g0u3bQ3s1V7a0w%3D"
    ),
    "a token in five parts (JWE)": ".".join(
        [
            segment({"alg": "dir", "enc": "A256CBC-HS512", "kid": "thumbprint"}),
            "",
            base64url(b"i" * 16),
            base64url(b"c" * 200),
            base64url(b"t" * 32),
        ]
    ),
    "five full parts": ".".join([segment({"alg": "HS256"})] * 5),
    "the JSON form": json.dumps({"payload": "e30", "signatures": []}),
    "a scheme before it": f"Bearer {sign()}",
    "a megabyte": "a" * 2**20,
    "a megabyte in three parts": ".".join(["a" * 2**19, "b" * 2**18, "c" * 2**18]),
    "other digits": "\u0661\u0662.\u0663\u0664.\u0665\u0666",
    "NUL": "\x00",
    "a lone surrogate": "\ud83e.\ud83e.\ud83e",
}


@pytest.mark.parametrize("raw", SHAPES.values(), ids=SHAPES.keys())
def test_what_is_no_signed_token_is_refused(raw):
    assert_refused(raw)


def test_a_reason_never_repeats_the_token():
    for raw in SHAPES.values():
        assert len(raw) < 8 or raw not in refusal(raw)
