"""auth's own callers: the port of common/authorizing.py without a network, for the doors of this very process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pyairtable_platform.common.authorizing import RememberingAuthorizer
from pyairtable_platform.common.errors import Unavailable
from pyairtable_platform.common.identity import Identity
from pyairtable_protos.auth.v1 import auth_service_pb2 as rpc

from .authorizing import Authorizing
from .revocations import RevocationFeed, Told
from .signers import Signers

ANSWER_SECONDS = 10.0

_KEPT = 2048
_RETRY_SECONDS = 0.2


class LocalAuthorizer(RememberingAuthorizer):
    """Implements common.authorizing.Authorizing."""

    def __init__(self, authorizing: Authorizing, signers: Signers, feed: RevocationFeed) -> None:
        super().__init__(answer_seconds=ANSWER_SECONDS, kept=_KEPT)
        self._authorizing = authorizing
        self._signers = signers
        self._feed = feed

    async def check(self) -> Mapping[str, Any] | None:
        await self._signers.check()
        return None

    async def follow(self) -> None:
        """Hear our own feed, for ever."""
        while True:
            try:
                async for told in self._feed.watch():
                    self._revocations.apply(told_message(told))
            except Unavailable:
                pass  # the table has not been read yet: readiness tells of it
            await asyncio.sleep(_RETRY_SECONDS)

    async def close(self) -> None:
        """Nothing was opened."""

    async def _verified(self, token: str) -> Identity:
        return await self._signers.verify_identity(token)

    async def _authorized(self, credential: str, workspace: str, *, enter: bool = False) -> Identity:
        authorized = await self._authorizing.authorize(credential, workspace, enter=enter)
        return await self._signers.verify_identity(authorized.token)


def told_message(told: Told) -> rpc.WatchRevocationsResponse:
    """A message of the feed as the contract's."""
    return rpc.WatchRevocationsResponse(
        is_snapshot=told.is_snapshot,
        registry=told.registry,
        revocations=[
            rpc.Revocation(
                session=each.session, workspace=each.workspace, principal=each.principal, revision=each.revision
            )
            for each in told.revocations
        ],
    )
