"""The signing keys of this installation, opened: made at the first start, the same for all replicas."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from pyairtable_platform.common.errors import Unavailable
from pyairtable_platform.common.identity import Identity, identity_of, kid_of, refused
from pyairtable_platform.common.remembered import Shared

from .records import Store
from .signing import RENEWABLE_SECONDS, Seal, SigningKey, StoredSigningKey

log = logging.getLogger(__name__)

_REREAD_SECONDS = 30.0
_THE_KEYS = b"keys"


class Signers:
    """Signs and verifies with the keys in the store."""

    def __init__(self, store: Store, seal: Seal) -> None:
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
        if time.monotonic() - self._read_at > _REREAD_SECONDS:
            await self._asked.ask(_THE_KEYS, self._read)
        return self._stored

    async def _read(self) -> None:
        try:
            known = await self._store.signing_keys()
            self._stored = known or await self._store.first_signing_key(self._seal.new())
        except Unavailable:
            if not self._stored:
                raise
            log.warning("the signing keys could not be read again: those known go on counting")
        self._read_at = time.monotonic()

    async def current(self) -> SigningKey:
        """The key that signs."""
        newest = (await self.stored())[0]
        if self._opened is None or self._opened.kid != newest.kid:
            self._opened = self._seal.open(newest)
        return self._opened

    async def verify_for_renewal(self, token: str) -> Identity:
        """The identity in a token of ours that may have ended a while ago; raises Unauthenticated."""
        kid = kid_of(token)
        for key in await self.stored():
            if key.kid == kid:
                return identity_of(token, Ed25519PublicKey.from_public_bytes(key.public_key), RENEWABLE_SECONDS)
        raise refused("it is signed with a key that this installation does not have")
