"""Keys as texts: `pya_<id>_<secret>` of workspaces, `pyu_<id>_<secret>` of people. Pure, but for the random bits."""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from dataclasses import dataclass

PREFIX = "pya_"
"""Of the access key of a workspace."""
PERSONS_PREFIX = "pyu_"
"""Of the API key of a person."""
ID_LENGTH = 12
SECRET_BYTES = 32

_ALPHABET = string.ascii_lowercase + string.digits
_SHAPE = re.compile(r"py[au]_([a-z0-9]{8,32})_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class NewKey:
    """A key that nobody has seen yet."""

    key_id: str
    text: str

    def __repr__(self) -> str:
        return f"NewKey({self.key_id})"


def new_key(prefix: str = PREFIX) -> NewKey:
    """256 random bits under a random id."""
    key_id = "".join(secrets.choice(_ALPHABET) for _ in range(ID_LENGTH))
    return NewKey(key_id, f"{prefix}{key_id}_{secrets.token_urlsafe(SECRET_BYTES)}")


def id_of(text: str) -> str | None:
    """The id in a key; None for what is no key."""
    found = _SHAPE.fullmatch(text)
    return found[1] if found else None


def digest(text: str) -> bytes:
    """What is kept of a key. A fast hash is right here: there are 256 random bits to guess, not a password."""
    return hashlib.sha256(text.encode()).digest()
