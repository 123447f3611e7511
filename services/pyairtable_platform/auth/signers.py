"""The signing keys of this installation, opened: made at the first start and the same for all replicas."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy.exc import SQLAlchemyError

from pyairtable_platform.common.errors import Unauthenticated, Unavailable
from pyairtable_platform.common.identity import (
    ALGORITHM,
    LOGIN_AUDIENCE,
    LOGIN_PREFIX,
    LOGIN_TOKEN_TYPE,
    Identity,
    claims_of,
    identity_of,
    kid_of,
    refused,
)
from pyairtable_platform.common.remembered import Shared

from .signing import RENEWABLE_SECONDS, Seal, SigningKey, StoredSigningKey

log = logging.getLogger(__name__)

_REREAD_SECONDS = 30.0
_UNKNOWN_SECONDS = 5.0
"""Tokens under keys that nobody knows must not make us read without end."""
_TIDY_SECONDS = 60.0
_THE_KEYS = b"keys"


class SigningKeyStore(Protocol):
    """Where signing keys lie, the newest first."""

    async def signing_keys(self) -> list[StoredSigningKey]: ...

    async def first_signing_key(self, made: StoredSigningKey) -> list[StoredSigningKey]:
        """All keys; `made` is kept when there is none."""
        ...

    async def next_signing_key(self, made: StoredSigningKey) -> StoredSigningKey:
        """The key that will sign: `made`, unless one waits already."""
        ...

    async def drop_signing_keys(self) -> None:
        """Delete keys whose tokens count no more."""
        ...


@dataclass(frozen=True)
class LoginToken:
    """What a person's access token says; that the login is open is not said by it."""

    user_id: str
    login_id: str
    ends: datetime


class Signers:
    """Signs and verifies with the keys in the store."""

    def __init__(self, store: SigningKeyStore, seal: Seal) -> None:
        self._store = store
        self._seal = seal
        self._stored: Sequence[StoredSigningKey] = ()
        self._read_at = float("-inf")
        self._opened: SigningKey | None = None
        self._asked: Shared[None] = Shared()

    async def check(self) -> None:
        """For readiness: there is a key, and JWT_SECRET opens it."""
        await self.current()

    async def stored(self) -> Sequence[StoredSigningKey]:
        """All keys, the newest first; made when there is none. While PostgreSQL is away those known go on counting."""
        await self._read_if_older_than(_REREAD_SECONDS)
        return self._stored

    async def current(self) -> SigningKey:
        """The key that signs: the newest one that was shown long enough."""
        stored = await self.stored()
        elapsed = time.monotonic() - self._read_at
        signs = next((key for key in stored if key.signs_in <= elapsed), stored[-1])
        if self._opened is None or self._opened.kid != signs.kid:
            self._opened = self._seal.open(signs)
        return self._opened

    async def rotate(self) -> StoredSigningKey:
        """A new key, which is shown at once and signs in a while; asked again meanwhile, the same."""
        made = await self._store.next_signing_key(self._seal.new())
        await self._asked.ask(_THE_KEYS, self._read)
        log.info("signing key rotated", extra={"kid": made.kid, "signs_in_seconds": round(made.signs_in)})
        return made

    async def keep_tidy(self) -> None:
        """Forget keys whose tokens count no more, for ever. Run it in the background."""
        while True:
            await asyncio.sleep(_TIDY_SECONDS)
            try:
                await self._store.drop_signing_keys()
                await self.stored()
            except (Unavailable, SQLAlchemyError) as error:
                log.warning("old signing keys were not dropped", extra={"cause": type(error).__name__})

    async def verify_for_renewal(self, token: str) -> Identity:
        """The identity in a token of ours that may have ended a while ago; raises Unauthenticated."""
        return identity_of(token, await self._public_key(kid_of(token)), RENEWABLE_SECONDS)

    async def verify_identity(self, token: str) -> Identity:
        """The identity in a token that counts now; raises Unauthenticated."""
        return identity_of(token, await self._public_key(kid_of(token)))

    async def verify_login(self, token: str) -> LoginToken:
        """What a person's access token says; raises Unauthenticated."""
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError as error:
            raise not_accepted("it is none") from error
        if header.get("typ") != LOGIN_TOKEN_TYPE or header.get("alg") != ALGORITHM:
            raise not_accepted("it is none")
        return login_in(token, await self._public_key(str(header.get("kid", ""))))

    async def _public_key(self, kid: str) -> Ed25519PublicKey:
        for patience in (_REREAD_SECONDS, _UNKNOWN_SECONDS):
            await self._read_if_older_than(patience)
            for key in self._stored:
                if key.kid == kid:
                    return Ed25519PublicKey.from_public_bytes(key.public_key)
        raise refused("it is signed with a key that this installation does not have")

    async def _read_if_older_than(self, seconds: float) -> None:
        if time.monotonic() - self._read_at > seconds:
            await self._asked.ask(_THE_KEYS, self._read)

    async def _read(self) -> None:
        try:
            known = await self._store.signing_keys()
            self._stored = known or await self._store.first_signing_key(self._seal.new())
        except Unavailable:
            if not self._stored:
                raise
            # They are as old as they were: what was to sign by now does.
            self._stored = [aged(key, time.monotonic() - self._read_at) for key in self._stored]
            log.warning("the signing keys could not be read again: those known go on counting")
        self._read_at = time.monotonic()


def aged(key: StoredSigningKey, seconds: float) -> StoredSigningKey:
    """A key as it would be read some seconds later."""
    return StoredSigningKey(key.kid, key.public_key, key.sealed_private_key, key.signs_in - seconds)


def login_in(token: str, key: Ed25519PublicKey) -> LoginToken:
    """What an access token under a public key says; raises Unauthenticated for anything that is not exactly ours."""
    claims = claims_of(token, key, LOGIN_AUDIENCE, ["sub", "sid", "iat", "exp"], not_accepted)
    person, session = str(claims["sub"]), str(claims["sid"])
    if not person.startswith("user:") or not session.startswith(LOGIN_PREFIX):
        raise not_accepted("its claims are not ours")
    ends = datetime.fromtimestamp(float(claims["exp"]), UTC)
    return LoginToken(person.removeprefix("user:"), session.removeprefix(LOGIN_PREFIX), ends)


def not_accepted(why: str) -> Unauthenticated:
    return Unauthenticated(f"the access token is not accepted: {why}")
