"""Tokens that stand in letters: opaque, kept as a hash only."""

from __future__ import annotations

import hashlib
import secrets

PREFIX = "pyi_"


def new_token() -> str:
    """A token for an invitation: pyi_ and 43 letters, digits, hyphens and underscores (256 bits)."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(token: str) -> bytes:
    """What is kept of a token. It is random enough to need no salt."""
    return hashlib.sha256(token.encode()).digest()
