"""ValidateToken: what a token says, if it counts now."""

from __future__ import annotations

from datetime import UTC, datetime

from pyairtable_platform.common.errors import Denied, NotFound, Unauthenticated
from pyairtable_platform.common.identity import is_access_token, is_issued_here
from pyairtable_platform.common.roles import scope_of

from . import keys
from .accounts.servicer import Validated
from .authorizing import Authorizing
from .signers import Signers

NOT_ACCEPTED = "the token is not accepted: it is none of this installation's, has ended, or its workspace is closed"


class TokenChecks:
    """Implements accounts.servicer.TokenChecks. Everybody may ask, so that nobody is told why one does not count."""

    def __init__(self, authorizing: Authorizing, signers: Signers) -> None:
        self._authorizing = authorizing
        self._signers = signers

    async def validate(self, token: str) -> Validated:
        """What a key or token of ours says; raises Unauthenticated for whatever does not count now."""
        try:
            return await self._validated(token)
        except (Unauthenticated, Denied, NotFound) as refusal:
            raise Unauthenticated(NOT_ACCEPTED) from refusal

    async def _validated(self, token: str) -> Validated:
        ends: datetime | None = None
        if is_issued_here(token):
            # It could still be renewed when it does not count any more.
            ends = datetime.fromtimestamp((await self._signers.verify_identity(token)).expires_at, UTC)
        elif not token.startswith((keys.PREFIX, keys.PERSONS_PREFIX)) and not is_access_token(token):
            raise Unauthenticated(NOT_ACCEPTED)
        found = await self._authorizing.authorize(token)
        return Validated(found.principal, found.workspace, found.role, scope_of(found.role).split(), ends or found.ends)
