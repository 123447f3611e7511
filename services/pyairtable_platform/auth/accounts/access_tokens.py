"""Access tokens of people: what a login shows for a quarter of an hour. The counterpart verifies them in auth."""

from __future__ import annotations

from datetime import datetime, timedelta

import jwt

from pyairtable_platform.auth.signing import SigningKey
from pyairtable_platform.common.identity import ALGORITHM, ISSUER

from .records import principal_of, session_of

AUDIENCE = "pyairtable-login"
TYPE = "at+jwt"
"""RFC 9068: no other token of ours can be taken for one."""

LIFETIME = timedelta(minutes=15)


def sign_access_token(signer: SigningKey, *, user_id: str, login_id: str, issued_at: datetime, jti: str) -> str:
    """The access token of a login. Equal arguments give an equal token: Ed25519 signs without chance."""
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": principal_of(user_id),
        "sid": session_of(login_id),
        "iat": int(issued_at.timestamp()),
        "exp": int((issued_at + LIFETIME).timestamp()),
        "jti": jti,
    }
    return jwt.encode(claims, signer.private_key, ALGORITHM, {"kid": signer.kid, "typ": TYPE})
