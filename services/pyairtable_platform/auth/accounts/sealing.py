"""What JWT_SECRET opens and makes besides signing keys: letters that wait, and refresh tokens that follow others."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import string
from dataclasses import dataclass

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from pyairtable_platform.common.errors import FailedPrecondition

VERIFY_PREFIX = "pyv_"
RESET_PREFIX = "pyp_"
REFRESH_PREFIX = "pyr_"

_ALPHABET = string.ascii_lowercase + string.digits
_LOGIN_ID_LENGTH = 16
_NONCE_BYTES = 12
_SALT_BYTES = 32


@dataclass(frozen=True)
class RefreshToken:
    """A refresh token as somebody shows it."""

    login_id: str
    text: str

    def __repr__(self) -> str:
        return f"RefreshToken({self.login_id})"

    def sha256(self) -> bytes:
        return sha256(self.text)


class Secrets:
    """Keys of their own for each purpose, made of JWT_SECRET."""

    def __init__(self, secret: str) -> None:
        self._letters = AESGCM(_key(secret, b"pyairtable letters"))
        self._refresh = _key(secret, b"pyairtable refresh tokens")

    def seal(self, key: str, letter: dict[str, str]) -> bytes:
        """The contents of a letter, bound to its key."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._letters.encrypt(nonce, orjson.dumps(letter), key.encode())

    def open(self, key: str, sealed: bytes) -> dict[str, str]:
        """What `seal` sealed; raises FailedPrecondition when another JWT_SECRET did."""
        try:
            plain = self._letters.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], key.encode())
        except InvalidTag as error:
            raise FailedPrecondition("JWT_SECRET does not open a letter: set the secret it was sealed with") from error
        return dict(orjson.loads(plain))

    def successor(self, token: RefreshToken, salt: bytes) -> RefreshToken:
        """The refresh token that follows a shown one. Who shows it twice gets the same: the answer may have been lost.

        Nobody finds it without the token before (kept nowhere), the salt of the rotation and JWT_SECRET.
        """
        secret = hmac.digest(self._refresh, salt + token.text.encode(), "sha256")
        return _refresh_token(token.login_id, base64.urlsafe_b64encode(secret).rstrip(b"=").decode())


def first_refresh_token() -> RefreshToken:
    """A refresh token of a new login."""
    login_id = "".join(secrets.choice(_ALPHABET) for _ in range(_LOGIN_ID_LENGTH))
    return _refresh_token(login_id, secrets.token_urlsafe(32))


def shown_refresh_token(text: str) -> RefreshToken | None:
    """What somebody shows, if it can be a refresh token."""
    if not text.startswith(REFRESH_PREFIX):
        return None
    login_id = text.removeprefix(REFRESH_PREFIX).partition("_")[0]
    return RefreshToken(login_id, text) if login_id.isascii() and login_id.isalnum() else None


def new_letter_token(prefix: str) -> str:
    """A token that counts once."""
    return prefix + secrets.token_urlsafe(32)


def new_salt() -> bytes:
    return secrets.token_bytes(_SALT_BYTES)


def sha256(text: str) -> bytes:
    """What is kept of a token. A fast hash is right: there are 256 random bits to guess."""
    return hashlib.sha256(text.encode()).digest()


def _refresh_token(login_id: str, secret: str) -> RefreshToken:
    return RefreshToken(login_id, f"{REFRESH_PREFIX}{login_id}_{secret}")


def _key(secret: str, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret.encode())
