"""Identity tokens: who a call is for, signed by the auth service and verified here, offline, with its public keys."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import jwt

from .errors import PyAirtableError, Unauthenticated
from .remembered import Remembered, Shared, fingerprint

log = logging.getLogger(__name__)

ISSUER = "pyairtable-auth"
AUDIENCE = "pyairtable"
ALGORITHM = "EdDSA"
TOKEN_TYPE = "JWT"  # noqa: S105 - the header typ of identity tokens
LOGIN_AUDIENCE = "pyairtable-login"
LOGIN_TOKEN_TYPE = "at+jwt"  # noqa: S105 - the header typ of people's access tokens (RFC 9068), never taken here
LOGIN_PREFIX = "login:"
ADMIN_SCOPE = "admin"
TOKEN_SECONDS = 60
"""How long an identity token counts. Doors ask for a new one every half minute."""

LEEWAY_SECONDS = 5.0
"""Clocks of machines differ that much."""

_REFRESH_FLOOR_SECONDS = 5.0
"""Tokens under keys that nobody knows must not make us ask for keys without end."""

_REFRESH_SECONDS = 300.0
"""A key that the auth service took back is forgotten after this time."""

_VERIFIED = 4096
_THE_KEYS = b"keys"
_RENEW_BEFORE_SECONDS = 15.0
_HEADER = frozenset({"alg", "kid", "typ"})
_TEXTS = ("sub", "sid", "workspace", "role", "scope")
_NUMBERS = ("rev", "iat", "exp")


@dataclass(frozen=True)
class Identity:
    """Whose call it is: a tenant's, limited to one workspace and to what the role may do, or a person's in none yet."""

    principal: str
    """access-key:<id>, user:<id> or service-account:<namespace>:<name>."""
    workspace: str
    """Empty for a person who is in none."""
    role: str
    """owner, admin, editor or viewer; empty in no workspace."""
    scope: frozenset[str]
    """What the role may do (roles.py); "admin" for an administrator in no workspace."""
    expires_at: float
    """Seconds since 1970."""
    token: str = field(repr=False)
    renew: Callable[[Identity], Awaitable[Identity]] | None = field(default=None, repr=False, compare=False)
    session: str = ""
    """The credential that it was made of: login:<id>, api-key:<id>, access-key:<id>, service-account:<...>."""
    revision: int = 0
    """State of the workspace registry that the auth service knew when it signed."""

    @property
    def user_id(self) -> str:
        """Id of the person; empty when it is none."""
        kind, _, user_id = self.principal.partition(":")
        return user_id if kind == "user" else ""

    @property
    def is_person(self) -> bool:
        """Whether a person who is signed in calls, by an access token and not by a key of theirs."""
        return bool(self.user_id) and self.session.startswith(LOGIN_PREFIX)

    @property
    def is_administrator(self) -> bool:
        """Whether a person calls who administers this installation."""
        return self.is_person and ADMIN_SCOPE in self.scope

    async def forwarded_token(self) -> str:
        """The token for the next service; a new one when this one is about to end, because calls may last longer."""
        if self.renew is None or self.expires_at - time.time() > _RENEW_BEFORE_SECONDS:
            return self.token
        try:
            return (await self.renew(self)).token
        except PyAirtableError:
            if self.expires_at <= time.time():
                raise
            return self.token


class KeySource(Protocol):
    """Where public keys come from."""

    async def signing_keys(self) -> Mapping[str, Any]:
        """Public keys by kid. Raises Unavailable."""
        ...


class Verifier:
    """Verifies identity tokens. Keys are asked for when they are needed first, when a token names one we have not
    heard of, and every few minutes; while the auth service is away those we have go on counting."""

    def __init__(self, source: KeySource) -> None:
        self._source = source
        self._keys: Mapping[str, Any] | None = None
        self._asked_at = float("-inf")
        self._asked: Shared[None] = Shared()
        self._verified: Remembered[Identity] = Remembered(_VERIFIED)

    async def verify(self, token: str) -> Identity:
        """The identity in a token; raises Unauthenticated for one that is not ours, and Unavailable without keys."""
        known = fingerprint(token)
        identity = self._verified.get(known)
        if identity is None:
            identity = identity_of(token, await self._key(kid_of(token)))
            self._verified.put(known, identity, identity.expires_at - time.time())
        return identity

    async def _key(self, kid: str) -> Any:
        if self._keys is None or time.monotonic() - self._asked_at > self._patience(kid):
            await self._asked.ask(_THE_KEYS, self._refresh)
        key = (self._keys or {}).get(kid)
        if key is None:
            raise refused("it is signed with a key that the auth service does not have")
        return key

    def _patience(self, kid: str) -> float:
        return _REFRESH_SECONDS if kid in (self._keys or {}) else _REFRESH_FLOOR_SECONDS

    async def _refresh(self) -> None:
        try:
            self._keys = await self._source.signing_keys()
        except PyAirtableError:
            if self._keys is None:
                raise
            log.warning("the signing keys could not be asked for: those known go on counting")
        self._asked_at = time.monotonic()


def kid_of(token: str) -> str:
    """The key id in a token's header, nothing of which is believed yet; raises Unauthenticated for another's header."""
    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError as error:
        raise refused("it is no identity token") from error
    # Ours say this and nothing else: no key, address of keys or extension that a library might follow.
    if header.keys() != _HEADER or header["alg"] != ALGORITHM or header["typ"] != TOKEN_TYPE:
        raise refused("it is no identity token")
    if not isinstance(header["kid"], str):
        raise refused("it is no identity token")
    return header["kid"]


def is_issued_here(token: str) -> bool:
    """Whether a JSON Web Token says that it is an identity token. Nothing is proved by it: it tells whom to ask."""
    return unproved(token, "iss") == ISSUER and not is_access_token(token)


def is_access_token(token: str) -> bool:
    """Whether a JSON Web Token says that it is a person's access token."""
    try:
        return jwt.get_unverified_header(token).get("typ") == LOGIN_TOKEN_TYPE
    except jwt.InvalidTokenError:
        return False


def unproved(token: str, claim: str) -> object:
    """What a token says, nothing of which is believed; None for what is no token."""
    try:
        return jwt.decode(token, options={"verify_signature": False}).get(claim)
    except jwt.InvalidTokenError:
        return None


def identity_of(token: str, key: Any, leeway: float = LEEWAY_SECONDS) -> Identity:
    """The identity in a token under a public key; raises Unauthenticated for anything that is not exactly ours."""
    kid_of(token)
    return identity_in(claims_of(token, key, AUDIENCE, [*_TEXTS, *_NUMBERS, "jti"], refused, leeway), token)


def claims_of(
    token: str,
    key: Any,
    audience: str,
    required: Sequence[str],
    refused: Callable[[str], Unauthenticated],
    leeway: float = LEEWAY_SECONDS,
) -> dict[str, Any]:
    """What a token of this installation says under a public key; raises what `refused` makes of the reason."""
    try:
        return jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=audience,
            issuer=ISSUER,
            leeway=leeway,
            options={"require": [*required, "iss", "aud"], "strict_aud": True},
        )
    except jwt.ExpiredSignatureError as error:
        raise refused("it has expired") from error
    except jwt.ImmatureSignatureError as error:
        raise refused("it was issued in the future: the clocks of the machines differ") from error
    except jwt.InvalidTokenError as error:
        raise refused("it was not signed by this installation, or not for it") from error


def identity_in(claims: Mapping[str, Any], token: str) -> Identity:
    """The identity in claims that were verified; raises Unauthenticated for ones that are not of our kinds."""
    texts, numbers = [claims[name] for name in _TEXTS], [claims[name] for name in _NUMBERS]
    if not all(isinstance(text, str) for text in texts) or not all(is_count(number) for number in numbers):
        raise refused("its claims are not ours")
    principal, session, workspace, role, scope = texts
    revision = claims["rev"]
    identity = Identity(
        principal, workspace, role, frozenset(scope.split()), float(claims["exp"]), token, None, session, revision
    )
    # Only a person is in no workspace, and nobody has a role in none.
    if not principal or not session or bool(workspace) != bool(role) or not (workspace or identity.is_person):
        raise refused("its claims are not ours")
    return identity


def is_count(value: object) -> bool:
    """Whether a claim is a whole number from 0 on; True is none, though Python counts with it."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_out_of_time(refusal: Unauthenticated) -> bool:
    """Whether a token that is ours was refused for its times only."""
    return isinstance(refusal.__cause__, jwt.ExpiredSignatureError | jwt.ImmatureSignatureError)


def refused(why: str) -> Unauthenticated:
    return Unauthenticated(f"the identity token is not accepted: {why}")
