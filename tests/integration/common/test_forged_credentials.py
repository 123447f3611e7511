"""Credentials that somebody made up or changed: over gRPC and HTTP all of them are UNAUTHENTICATED."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import httpx2
import jwt
import orjson
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from integration.access_matrix.stand_in import (
    API_KEY,
    PEER,
    Caller,
    Installation,
    SigningPair,
    StandInAuth,
    bearer,
    classes_of,
    installation,
    method_named,
)

LIST = method_named("ChatService.ListSessions")
MINE = method_named("UserService.GetMyProfile")

Forge = Callable[[StandInAuth], str]


def good(auth: StandInAuth, **other: Any) -> dict[str, Any]:
    return auth.claims("user:ada", "login:ada", "acme", "owner", **other)


def raw(header: dict[str, Any], claims: Any, sign: Callable[[bytes], bytes]) -> str:
    """A token with any header, which no library would make."""
    parts = [base64.urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=") for part in (header, claims)]
    text = b".".join(parts)
    return (text + b"." + base64.urlsafe_b64encode(sign(text)).rstrip(b"=")).decode()


def ours(auth: StandInAuth) -> Callable[[bytes], bytes]:
    return auth.signing[0].private.sign


def by_public_key(auth: StandInAuth, encoding: str) -> Callable[[bytes], bytes]:
    """HMAC under the public key, as it lies in the key set: for verifiers that let the token choose."""
    pair = auth.signing[0]
    secret = {
        "raw": pair.public,
        "base64url": jwt.utils.base64url_encode(pair.public),
        "jwk": pair.message().SerializeToString(),
    }[encoding]
    return lambda text: hmac.new(secret, text, hashlib.sha256).digest()


def without(auth: StandInAuth, name: str) -> str:
    return auth.signed({key: value for key, value in good(auth).items() if key != name})


def with_own_key(auth: StandInAuth, **header: Any) -> str:
    return jwt.encode(good(auth), Ed25519PrivateKey.generate(), "EdDSA", {"kid": auth.signing[0].kid, **header})


def jwk_of(private: Ed25519PrivateKey) -> dict[str, str]:
    pair = SigningPair("mine", private)
    return {"kty": "OKP", "crv": "Ed25519", "x": jwt.utils.base64url_encode(pair.public).decode(), "kid": "mine"}


def with_embedded_key(auth: StandInAuth, **header: Any) -> str:
    private = Ed25519PrivateKey.generate()
    return jwt.encode(good(auth), private, "EdDSA", {"kid": "mine", "jwk": jwk_of(private), **header})


def changed_claims(auth: StandInAuth) -> str:
    """The owner's claims over a viewer's signature."""
    head, _, signature = auth.signed(auth.claims("user:ada", "login:ada", "acme", "viewer")).split(".")
    return f"{head}.{auth.signed(good(auth)).split('.')[1]}.{signature}"


def header(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in {"alg": "EdDSA", "kid": "kid-1", "typ": "JWT", **changes}.items() if value}


NOW = int(time.time())
RSA = rsa.generate_private_key(65537, 2048)

FORGED: dict[str, Forge] = {
    "no signature": lambda auth: raw(header(alg="none"), good(auth), lambda _: b""),
    "alg none, signed": lambda auth: raw(header(alg="none"), good(auth), ours(auth)),
    "alg None": lambda auth: raw(header(alg="None"), good(auth), lambda _: b""),
    "alg nOnE": lambda auth: raw(header(alg="nOnE"), good(auth), lambda _: b""),
    "no alg": lambda auth: raw(header(alg=None), good(auth), ours(auth)),
    "alg of another kind": lambda auth: raw(header(alg=["EdDSA"]), good(auth), ours(auth)),
    "HS256 by the public key": lambda auth: raw(header(alg="HS256"), good(auth), by_public_key(auth, "raw")),
    "HS256 by the key's text": lambda auth: raw(header(alg="HS256"), good(auth), by_public_key(auth, "base64url")),
    "HS256 by the key set": lambda auth: raw(header(alg="HS256"), good(auth), by_public_key(auth, "jwk")),
    "HS512 by nothing": lambda auth: jwt.encode(good(auth), "x" * 64, "HS512", {"kid": "kid-1"}),
    "EdDSA by HMAC": lambda auth: raw(header(), good(auth), by_public_key(auth, "raw")),
    "RS256": lambda auth: jwt.encode(good(auth), RSA, "RS256", {"kid": "kid-1"}),
    "Ed25519 as its own alg": lambda auth: raw(header(alg="Ed25519"), good(auth), ours(auth)),
    "another's key, our kid": lambda auth: with_own_key(auth),
    "a key in the header": lambda auth: with_embedded_key(auth),
    "a key in the header, our kid": lambda auth: with_embedded_key(auth, kid="kid-1"),
    "the address of a key set": lambda auth: with_own_key(auth, jku="https://example.com/jwks.json"),
    "the address of a certificate": lambda auth: with_own_key(auth, x5u="https://example.com/c.pem"),
    "a certificate": lambda auth: with_own_key(auth, x5c=["MIIB"]),
    "our signature with a jwk beside": lambda auth: auth.signed(good(auth), jwk=jwk_of(Ed25519PrivateKey.generate())),
    "our signature with a jku beside": lambda auth: auth.signed(good(auth), jku="https://example.com/"),
    "a critical extension": lambda auth: raw(header(crit=["exp"], exp=1), good(auth), ours(auth)),
    "a kid that is a path": lambda auth: auth.signed(good(auth), kid="../../../dev/null"),
    "a kid that is SQL": lambda auth: auth.signed(good(auth), kid="' OR 1=1 --"),
    "a kid that is a number": lambda auth: raw(header(kid=1), good(auth), ours(auth)),
    "no kid": lambda auth: raw(header(kid=None), good(auth), ours(auth)),
    "an unknown kid": lambda auth: auth.signed(good(auth), kid="kid-0"),
    "another audience": lambda auth: auth.signed(good(auth, aud="somebody-else")),
    "several audiences": lambda auth: auth.signed(good(auth, aud=["pyairtable", "somebody-else"])),
    "the audience of logins": lambda auth: auth.signed(good(auth, aud="pyairtable-login")),
    "no audience": lambda auth: without(auth, "aud"),
    "another issuer": lambda auth: auth.signed(good(auth, iss="https://accounts.example.com")),
    "no issuer": lambda auth: without(auth, "iss"),
    "an access token's type": lambda auth: auth.signed(good(auth), typ="at+jwt"),
    "an unknown type": lambda auth: auth.signed(good(auth), typ="logout+jwt"),
    "a type in small letters": lambda auth: auth.signed(good(auth), typ="jwt"),
    "an access token as identity token": lambda auth: auth.access_token("ada").replace(".", ".e30.", 1),
    "an access token under typ JWT": lambda auth: auth.signed(
        jwt.decode(auth.access_token("ada"), options={"verify_signature": False})
    ),
    "expired": lambda auth: auth.signed(good(auth, iat=NOW - 900, exp=NOW - 600)),
    "expired since ten seconds": lambda auth: auth.signed(good(auth, iat=int(time.time()) - 70, exp=time.time() - 10)),
    "not yet valid": lambda auth: auth.signed(good(auth, nbf=int(time.time()) + 600)),
    "issued in the future": lambda auth: auth.signed(good(auth, iat=int(time.time()) + 600, exp=NOW + 9000)),
    "no end": lambda auth: without(auth, "exp"),
    "an end that is no number": lambda auth: auth.signed(good(auth, exp="9999999999")),
    "an end in no time": lambda auth: raw(header(), good(auth) | {"exp": 1e30}, ours(auth)),
    "no session": lambda auth: without(auth, "sid"),
    "no revision": lambda auth: without(auth, "rev"),
    "a revision that is a text": lambda auth: auth.signed(good(auth, rev="99")),
    "a revision that is true": lambda auth: auth.signed(good(auth, rev=True)),
    "a revision below zero": lambda auth: auth.signed(good(auth, rev=-1)),
    "a workspace that is a list": lambda auth: auth.signed(good(auth, workspace=["acme", "beta"])),
    "a scope that is a list": lambda auth: auth.signed(good(auth, scope=["read"])),
    "a role in no workspace": lambda auth: auth.signed(good(auth, workspace="")),
    "a workspace without a role": lambda auth: auth.signed(good(auth, role="")),
    "a key in no workspace": lambda auth: auth.signed(auth.claims("access-key:k", "access-key:k")),
    "an empty subject": lambda auth: auth.signed(good(auth, sub="")),
    "changed claims": changed_claims,
    "a cut signature": lambda auth: auth.signed(good(auth))[:-8],
    "a doubled token": lambda auth: f"{auth.signed(good(auth))}, {auth.signed(good(auth))}",
    "five parts (JWE)": lambda auth: "a.b.c.d.e",
    "three empty parts": lambda auth: "..",
    "claims that are no object": lambda auth: raw(header(), ["iss", "pyairtable-auth"], ours(auth)),
    "claims that are no JSON": lambda auth: "eyJhbGciOiJFZERTQSJ9.bm8ganNvbg.AAAA",
    "too long": lambda auth: auth.signed(good(auth, padding="x" * 5000)),
    "an unknown access key": lambda auth: f"pya_{'a' * 12}_{'x' * 43}",
    "an unknown API key": lambda auth: f"pyu_{'a' * 12}_{'x' * 43}",
    "a refresh token": lambda auth: f"pyr_{'a' * 12}_{'x' * 43}",
    "the installation's key as a token": lambda auth: API_KEY,
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running() -> AsyncIterator[Installation]:
    async with installation() as found:
        found.auth.members["acme", "ada"] = "owner"
        yield found


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("forge", list(FORGED.values()), ids=list(FORGED))
async def test_what_was_forged_opens_nothing(running: Installation, forge: Forge) -> None:
    credential = forge(running.auth)
    running.calls.seen.clear()
    async with Caller(running.target) as caller, httpx2.AsyncClient(base_url=running.url, trust_env=False) as http:
        for shown in (bearer(credential), bearer(credential) | PEER):
            for method in (LIST, MINE):
                outcome = await caller.outcome(method, classes_of(method)[0](), shown)
                assert (outcome.code, outcome.reason) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
        answer = await http.get("/sessions", headers=bearer(credential))
        assert (answer.status_code, answer.json()["reason"]) == (401, "UNAUTHENTICATED")
        assert credential not in answer.text
    assert running.calls.seen == []


@pytest.mark.asyncio(loop_scope="module")
async def test_what_was_not_forged_opens(running: Installation) -> None:
    """Else the test above would prove nothing."""
    async with Caller(running.target) as caller:
        for credential in (running.auth.signed(good(running.auth)), running.auth.access_token("ada")):
            assert (await caller.outcome(LIST, classes_of(LIST)[0](), bearer(credential))).code is grpc.StatusCode.OK
            assert (await caller.outcome(MINE, classes_of(MINE)[0](), bearer(credential))).code is grpc.StatusCode.OK


async def test_a_new_signing_key_is_followed_and_the_old_one_forgotten_when_auth_forgets_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with installation() as running, Caller(running.target) as caller:
        auth = running.auth

        async def opens(credential: str) -> bool:
            return (await caller.outcome(LIST, classes_of(LIST)[0](), bearer(credential))).code is grpc.StatusCode.OK

        old = [auth.signed(good(auth)) for _ in range(3)]
        assert await opens(old[0])
        auth.signing.insert(0, SigningPair("kid-2"))
        clock = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: clock() + 6)  # keys may be asked for again
        assert await opens(auth.signed(good(auth)))
        assert await opens(old[1])
        auth.signing.pop()
        monkeypatch.setattr(time, "monotonic", lambda: clock() + 310)
        assert await opens(auth.signed(good(auth)))
        assert not await opens(old[2])


SPELLINGS = [
    *("x-user-id", "x-user", "x-user-email", "x-user-role", "x-role", "x-roles", "x-principal", "x-tenant-id"),
    *("x-workspace", "x-workspace-id", "x-tenant", "x-auth-user", "x-auth-request-user", "x-auth-request-email"),
    *("x-forwarded-user", "x-forwarded-email", "x-forwarded-groups", "x-remote-user", "remote-user", "x-webauth-user"),
    *("x-jwt-claims", "x-jwt-payload", "x-identity-token", "x-pyairtable-identity", "pyairtable-principal"),
    *("pyairtable-user", "pyairtable-scope", "pyairtable-session", "x-original-user", "x-internal", "x-admin"),
    *("x-authenticated", "x-authenticated-userid", "x-consumer-username", "x-ms-client-principal", "x-goog-iap-jwt"),
    *("pyairtable_workspace", "x-api-key-id", "proxy-authorization", "cookie"),
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", SPELLINGS)
async def test_no_header_is_an_identity(running: Installation, name: str) -> None:
    auth = running.auth
    viewer = auth.signed(auth.claims("access-key:v", "access-key:v", "acme", "viewer"))
    delete = method_named("WorkspaceService.DeleteWorkspace")
    request = classes_of(delete)[0](workspace="acme")
    async with Caller(running.target) as caller, httpx2.AsyncClient(base_url=running.url, trust_env=False) as http:
        for value in ("user:ada", "owner", "beta", "true", auth.signed(good(auth)), API_KEY):
            shown = {name: value}
            assert (await caller.outcome(LIST, classes_of(LIST)[0](), shown)).reason == "UNAUTHENTICATED"
            assert (await caller.outcome(delete, request, bearer(viewer) | shown)).reason == "DENIED"
            assert (await http.get("/sessions", headers=shown)).status_code == 401
        running.calls.seen.clear()
        assert (await http.get("/sessions", headers=bearer(viewer) | {name: "owner"})).status_code == 200
    identity = running.calls.seen[-1].identity
    assert identity is not None
    assert (identity.principal, identity.workspace, identity.role) == ("access-key:v", "acme", "viewer")
