"""Identity tokens: who a call is for, signed by the auth service and verified here, offline, with its public keys."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import jwt

from .errors import PyAirtableError, Unauthenticated
from .remembered import Remembered, Shared, fingerprint

log = logging.getLogger(__name__)

ISSUER = "pyairtable-auth"
AUDIENCE = "pyairtable"
ALGORITHM = "EdDSA"
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


@dataclass(frozen=True)
class Identity:
    """Whose call it is: a tenant's, limited to one workspace and to what the role may do."""

    principal: str
    workspace: str
    role: str
    scope: frozenset[str]
    expires_at: float
    """Seconds since 1970."""
    token: str = field(repr=False)
    renew: Callable[[Identity], Awaitable[Identity]] | None = field(default=None, repr=False, compare=False)

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
    """The key id in a token's header, nothing of which is believed yet."""
    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError as error:
        raise refused("it is no identity token") from error
    return str(header.get("kid", ""))


def identity_of(token: str, key: Any, leeway: float = LEEWAY_SECONDS) -> Identity:
    """The identity in a token under a public key; raises Unauthenticated for anything that is not exactly ours."""
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            leeway=leeway,
            options={"require": ["iss", "aud", "sub", "iat", "exp", "jti", "workspace", "role", "scope"]},
        )
    except jwt.ExpiredSignatureError as error:
        raise refused("it has expired") from error
    except jwt.ImmatureSignatureError as error:
        raise refused("it was issued in the future: the clocks of the machines differ") from error
    except jwt.InvalidTokenError as error:
        raise refused("it was not signed by this installation, or not for it") from error
    texts = [claims[name] for name in ("sub", "workspace", "role", "scope")]
    if not all(isinstance(text, str) for text in texts) or not claims["workspace"]:
        raise refused("its claims are not ours")
    principal, workspace, role, scope = texts
    return Identity(principal, workspace, role, frozenset(scope.split()), float(claims["exp"]), token)


def is_out_of_time(refusal: Unauthenticated) -> bool:
    """Whether a token that is ours was refused for its times only."""
    return isinstance(refusal.__cause__, jwt.ExpiredSignatureError | jwt.ImmatureSignatureError)


def refused(why: str) -> Unauthenticated:
    return Unauthenticated(f"the identity token is not accepted: {why}")
