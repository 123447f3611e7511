"""Identity tokens: what is not exactly ours is refused, whoever made it and however."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from pyairtable_platform.auth.signing import Seal, SigningKey
from pyairtable_platform.common.errors import PyAirtableError, Unauthenticated, Unavailable
from pyairtable_platform.common.identity import Identity, Verifier, identity_of

SEAL = Seal("a secret of this test")
STORED = SEAL.new()
OURS = SEAL.open(STORED)
PUBLIC = Ed25519PublicKey.from_public_bytes(STORED.public_key)
STRANGER = Ed25519PrivateKey.generate()


class FakeSource:
    """The auth service's public keys."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {OURS.kid: PUBLIC}
        self.asked = 0
        self.is_away = False

    async def signing_keys(self) -> Mapping[str, Any]:
        self.asked += 1
        if self.is_away:
            raise Unavailable("away")
        return dict(self.keys)


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    whole = {
        "iss": "pyairtable-auth",
        "aud": "pyairtable",
        "sub": "access-key:abc",
        "sid": "access-key:abcdefghijkl",
        "workspace": "acme",
        "rev": 1,
        "role": "editor",
        "scope": "read write",
        "iat": now,
        "exp": now + 60,
        "jti": "1",
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def signed(body: dict[str, Any] | None = None, key: Any = None, algorithm: str = "EdDSA", **headers: Any) -> str:
    return jwt.encode(body or claims(), key or OURS.private_key, algorithm, {"kid": OURS.kid} | headers)


def encoded(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def by_hand(header: dict[str, Any], signature: bytes = b"", body: dict[str, Any] | None = None) -> str:
    return f"{encoded(header)}.{encoded(body or claims())}.{encoded(signature)}"


def hmac_over_public_key(public: bytes) -> str:
    """The classic confusion: our public key taken for a shared secret."""
    start = f"{encoded({'alg': 'HS256', 'typ': 'JWT', 'kid': OURS.kid})}.{encoded(claims())}"
    return f"{start}.{encoded(hmac.new(public, start.encode(), hashlib.sha256).digest())}"


def with_payload(token: str, **changes: Any) -> str:
    """Another payload under the signature of the first."""
    head, _, signature = token.split(".")
    return f"{head}.{encoded(claims(**changes))}.{signature}"


NOW = int(time.time())
LATER = NOW + 86_400  # still to come when a long run of the suite gets here
PEM = OURS.private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
STRANGERS_JWK = {
    "kty": "OKP",
    "crv": "Ed25519",
    "x": encoded(STRANGER.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)),
}
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
FORGED: dict[str, Callable[[], str]] = {
    "nothing": lambda: "",
    "dots": lambda: "..",
    "no jwt": lambda: "not.a.token",
    "alg none": lambda: by_hand({"alg": "none", "kid": OURS.kid}),
    "alg None": lambda: by_hand({"alg": "None", "kid": OURS.kid}),
    "alg nOnE with a signature": lambda: by_hand({"alg": "nOnE", "kid": OURS.kid}, b"x" * 64),
    "no alg": lambda: by_hand({"kid": OURS.kid}, b"x" * 64),
    "alg none by the library": lambda: jwt.encode(claims(), "", "none", {"kid": OURS.kid}),
    "hs256 over the raw public key": lambda: hmac_over_public_key(STORED.public_key),
    "hs256 over the public key as pem": lambda: hmac_over_public_key(PEM),
    "rs256": lambda: signed(key=RSA, algorithm="RS256"),
    "es256": lambda: signed(key=ec.generate_private_key(ec.SECP256R1()), algorithm="ES256"),
    "another key under our kid": lambda: signed(key=STRANGER),
    "another key under its own kid": lambda: signed(key=STRANGER, kid="theirs"),
    "no kid": lambda: jwt.encode(claims(), OURS.private_key, "EdDSA"),
    "a kid that is a path": lambda: signed(kid="../../dev/null"),
    "a kid that is sql": lambda: signed(kid="' OR 1=1 --"),
    "own key in the header": lambda: signed(key=STRANGER, jwk=STRANGERS_JWK),
    "own key in the header under its own kid": lambda: signed(key=STRANGER, kid="theirs", jwk=STRANGERS_JWK),
    "key set address": lambda: signed(key=STRANGER, jku="https://evil.example/jwks.json"),
    "certificate address": lambda: signed(key=STRANGER, x5u="https://evil.example/x.pem"),
    "critical extension": lambda: signed(crit=["exp"], exp=1),
    "wrong audience": lambda: signed(claims(aud="somebody-else")),
    "list of audiences without ours": lambda: signed(claims(aud=["a", "b"])),
    "no audience": lambda: signed(claims(aud=None)),
    "wrong issuer": lambda: signed(claims(iss="evil")),
    "no issuer": lambda: signed(claims(iss=None)),
    "expired": lambda: signed(claims(iat=NOW - 100, exp=NOW - 40)),
    "no end": lambda: signed(claims(exp=None)),
    "an end that is a word": lambda: signed(claims(exp="tomorrow")),
    "not yet": lambda: signed(claims(nbf=LATER)),
    "issued in the future": lambda: signed(claims(iat=LATER, exp=LATER + 60)),
    "no subject": lambda: signed(claims(sub=None)),
    "no workspace": lambda: signed(claims(workspace=None)),
    "empty workspace": lambda: signed(claims(workspace="")),
    "workspace that is a list": lambda: signed(claims(workspace=["acme", "beta"])),
    "role that is a number": lambda: signed(claims(role=5)),
    "scope that is a list": lambda: signed(claims(scope=["read"])),
    "no scope": lambda: signed(claims(scope=None)),
    "no id": lambda: signed(claims(jti=None)),
    "payload exchanged": lambda: with_payload(signed(), workspace="beta"),
    "signature of another token": lambda: ".".join([*signed(claims(jti="2")).split(".")[:2], signed().split(".")[2]]),
    "signature cut": lambda: signed()[:-2],
    "signature empty": lambda: signed().rpartition(".")[0] + ".",
    "first part cut": lambda: signed()[1:],
    "trailing part": lambda: signed() + ".x",
}


@pytest.mark.parametrize("name", FORGED)
async def test_a_forged_token_is_refused(name: str) -> None:
    with pytest.raises(Unauthenticated):
        await Verifier(FakeSource()).verify(FORGED[name]())


async def test_ours_is_taken() -> None:
    token, ends = OURS.sign(principal="access-key:abc", workspace="acme", role="viewer", ends=None)
    identity = await Verifier(FakeSource()).verify(token)
    assert (identity.principal, identity.workspace, identity.role) == ("access-key:abc", "acme", "viewer")
    assert identity.scope == {"read"}
    assert 50 < identity.expires_at - time.time() <= 60
    assert ends == identity.expires_at
    assert (await Verifier(FakeSource()).verify(signed())).workspace == "acme"


def test_a_token_never_outlives_its_key() -> None:
    ends = datetime.now(UTC) + timedelta(seconds=20)
    token, told = OURS.sign(principal="p", workspace="acme", role="editor", ends=ends)
    assert identity_of(token, PUBLIC).expires_at == told <= ends.timestamp()


@given(position=st.integers(min_value=0, max_value=10_000), bit=st.integers(min_value=0, max_value=6))
def test_no_bit_can_be_turned(position: int, bit: int) -> None:
    token = FIXED
    at = position % len(token)
    turned = token[:at] + chr(ord(token[at]) ^ (1 << bit)) + token[at + 1 :]
    if same_bytes(turned, token):
        return  # the last character of base64 holds bits that mean nothing
    with pytest.raises(Unauthenticated):
        identity_of(turned, PUBLIC)


FIXED = signed(claims(exp=NOW + 10_000))


def same_bytes(one: str, other: str) -> bool:
    try:
        parts = [[base64.urlsafe_b64decode(part + "==") for part in token.split(".")] for token in (one, other)]
    except ValueError:
        return False
    return parts[0] == parts[1]


async def test_keys_are_asked_for_once_and_forgeries_do_not_change_that() -> None:
    source = FakeSource()
    verifier = Verifier(source)
    for _ in range(3):
        await verifier.verify(signed())
    for number in range(100):
        with pytest.raises(Unauthenticated):
            await verifier.verify(signed(key=STRANGER, kid=f"theirs-{number}"))
    assert source.asked == 1


async def test_a_new_key_is_found_after_the_floor_and_an_old_one_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    source = FakeSource()
    verifier = Verifier(source)
    await verifier.verify(signed())
    stored = SEAL.new()
    source.keys = {stored.kid: Ed25519PublicKey.from_public_bytes(stored.public_key)}
    new = SEAL.open(stored)
    clock = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: clock + 6)
    token, _ = new.sign(principal="p", workspace="acme", role="editor", ends=None)
    assert (await verifier.verify(token)).workspace == "acme"
    with pytest.raises(Unauthenticated):
        await verifier.verify(signed(claims(jti="another")))
    assert source.asked == 2


async def test_while_auth_is_away_known_keys_go_on_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    source = FakeSource()
    source.is_away = True
    verifier = Verifier(source)
    with pytest.raises(Unavailable):
        await verifier.verify(signed())
    source.is_away = False
    await verifier.verify(signed())
    source.is_away = True
    clock = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: clock + 1000)
    assert (await verifier.verify(signed(claims(jti="another")))).workspace == "acme"


def test_a_sealed_key_opens_only_under_its_secret_and_its_own_id() -> None:
    with pytest.raises(PyAirtableError, match="JWT_SECRET"):
        Seal("another secret").open(STORED)
    with pytest.raises(PyAirtableError, match="JWT_SECRET"):
        SEAL.open(replace(STORED, kid="other"))
    raw = OURS.private_key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    assert raw not in STORED.sealed_private_key
    assert SEAL.open(STORED).kid == OURS.kid


async def test_a_token_that_ends_is_renewed_and_used_on_when_that_fails() -> None:
    asked = []

    async def renew(identity: Identity) -> Identity:
        asked.append(identity.token)
        if len(asked) > 1:
            raise Unavailable("away")
        return replace(identity, token="renewed")

    fresh = Identity("p", "acme", "editor", frozenset(), time.time() + 40, "first", renew)
    assert await fresh.forwarded_token() == "first"
    ending = replace(fresh, expires_at=time.time() + 10)
    assert await ending.forwarded_token() == "renewed"
    assert await ending.forwarded_token() == "first"
    with pytest.raises(Unavailable):
        await replace(fresh, expires_at=time.time() - 1).forwarded_token()
    assert asked == ["first"] * 3


def test_a_signing_key_does_not_show() -> None:
    assert "Ed25519PrivateKey" in repr(SigningKey(OURS.kid, OURS.private_key))
