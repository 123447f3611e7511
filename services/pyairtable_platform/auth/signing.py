"""The keys that sign identity tokens: made, sealed for the database, opened, and used."""

from __future__ import annotations

import base64
import secrets
import time
import uuid
from dataclasses import dataclass
from datetime import datetime

import jwt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from pyairtable_platform.common.errors import FailedPrecondition
from pyairtable_platform.common.identity import (
    ADMIN_SCOPE,
    ALGORITHM,
    AUDIENCE,
    ISSUER,
    TOKEN_SECONDS,
    TOKEN_TYPE,
)
from pyairtable_platform.common.roles import scope_of

RENEWABLE_SECONDS = 3600.0
"""So long after its end an identity token can still be renewed by a peer: the longest that a call may take."""

PUBLISHED_SECONDS = 45.0
"""So long a new key is shown before it signs: every replica has read it by then (Signers, 30 s), and every verifier
may ask again for a key that it does not know (5 s)."""

OUTLIVED_SECONDS = RENEWABLE_SECONDS + TOKEN_SECONDS + 240.0
"""So long a key is kept after its successor began to sign: what it signed last may be renewed until then."""

_NONCE_BYTES = 12


@dataclass(frozen=True)
class StoredSigningKey:
    """A signing key as it lies in the database."""

    kid: str
    public_key: bytes
    sealed_private_key: bytes
    signs_in: float = 0.0
    """Seconds from the moment it was read until it signs; negative for one that does."""


@dataclass(frozen=True)
class SigningKey:
    """A key that can sign."""

    kid: str
    private_key: Ed25519PrivateKey

    def sign(
        self,
        *,
        principal: str,
        workspace: str,
        role: str,
        ends: datetime | None,
        session: str = "",
        revision: int = 0,
        is_admin: bool = False,
    ) -> tuple[str, float]:
        """An identity token and the time (seconds since 1970) when it ends: never later than `ends`.

        `session` is the credential it is made of (empty: the principal is one itself), `revision` the state of the
        registry that the role was read from.
        """
        now = time.time()
        expires = now + TOKEN_SECONDS if ends is None else min(now + TOKEN_SECONDS, ends.timestamp())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": principal,
            "sid": session or principal,
            "workspace": workspace,
            "rev": revision,
            "role": role,
            "scope": " ".join([scope_of(role)] * bool(role) + [ADMIN_SCOPE] * is_admin),
            "iat": int(now),
            "exp": int(expires),
            "jti": uuid.uuid4().hex,
        }
        return jwt.encode(claims, self.private_key, ALGORITHM, {"kid": self.kid, "typ": TOKEN_TYPE}), float(
            int(expires)
        )


class Seal:
    """Encrypts private keys under JWT_SECRET, each bound to its id."""

    def __init__(self, secret: str) -> None:
        key = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"pyairtable signing keys").derive(secret.encode())
        self._cipher = AESGCM(key)

    def new(self) -> StoredSigningKey:
        """A new key, sealed."""
        private = Ed25519PrivateKey.generate()
        kid = secrets.token_hex(8)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        raw = private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        sealed = nonce + self._cipher.encrypt(nonce, raw, kid.encode())
        return StoredSigningKey(kid, private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw), sealed)

    def open(self, stored: StoredSigningKey) -> SigningKey:
        """The key behind a seal; raises FailedPrecondition when another JWT_SECRET made it."""
        nonce, sealed = stored.sealed_private_key[:_NONCE_BYTES], stored.sealed_private_key[_NONCE_BYTES:]
        try:
            raw = self._cipher.decrypt(nonce, sealed, stored.kid.encode())
        except InvalidTag as error:
            raise FailedPrecondition(
                "JWT_SECRET does not open the signing key in PostgreSQL: set the secret it was made with"
            ) from error
        return SigningKey(stored.kid, Ed25519PrivateKey.from_private_bytes(raw))


def base64url(raw: bytes) -> str:
    """As in JSON Web Keys: without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
