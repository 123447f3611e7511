"""auth's own callers: the port of common/authorizer.py without a network, for the doors of this very process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from pyairtable_platform.common.authorizer import REFUSAL_SECONDS, Refusal, being_changed, copied
from pyairtable_platform.common.errors import Denied, InvalidInput, NotFound, Unauthenticated, Unavailable
from pyairtable_platform.common.identity import Identity
from pyairtable_platform.common.remembered import Remembered, Shared, fingerprint
from pyairtable_platform.common.revocations import Revocations, revoked
from pyairtable_protos.auth.v1 import auth_service_pb2 as rpc

from .authorizing import Authorized, Authorizing
from .revocations import RevocationFeed, Told
from .signers import Signers

ANSWER_SECONDS = 10.0

_KEPT = 2048
_RETRY_SECONDS = 0.2


class LocalAuthorizer:
    """Implements common.authorizer.Authorizing."""

    def __init__(self, authorizing: Authorizing, signers: Signers, feed: RevocationFeed) -> None:
        self._authorizing = authorizing
        self._signers = signers
        self._feed = feed
        self._revocations = Revocations()
        self._answers: Remembered[Identity] = Remembered(_KEPT)
        self._refusals: Remembered[Refusal] = Remembered(_KEPT)
        self._asked: Shared[Identity] = Shared()

    @property
    def revocations(self) -> Revocations:
        return self._revocations

    async def of_token(self, token: str) -> Identity:
        identity = replace(await self._signers.verify_identity(token), renew=self._renew)
        if self._revocations.has_ended(identity):
            raise revoked()
        return await self._renew(identity) if self._revocations.is_outdated(identity) else identity

    async def of_credential(self, credential: str, workspace: str = "") -> Identity:
        known = fingerprint(credential, *([workspace] if workspace else []))
        return await self._remembered(known, lambda: self._authorizing.authorize(credential, workspace))

    async def entered(self, identity: Identity, workspace: str) -> Identity:
        known = fingerprint("enter", identity.session, workspace)
        return await self._remembered(known, lambda: self._authorizing.authorize(identity.token, workspace, enter=True))

    def known(self, credential: str) -> Identity | None:
        return self._answers.get(fingerprint(credential))

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

    async def _renew(self, identity: Identity) -> Identity:
        return await self.of_credential(identity.token)

    async def _remembered(self, known: bytes, decide: Callable[[], Awaitable[Authorized]]) -> Identity:
        identity = self._answers.get(known)
        if identity is not None and not self._revocations.is_revoked(identity):
            return identity
        if (refusal := self._refusals.get(known)) is not None:
            raise copied(refusal)
        return await self._asked.ask(known, lambda: self._decided(known, decide))

    async def _decided(self, known: bytes, decide: Callable[[], Awaitable[Authorized]]) -> Identity:
        try:
            authorized = await decide()
        except (Unauthenticated, Denied, NotFound, InvalidInput) as refusal:
            self._refusals.put(known, refusal, REFUSAL_SECONDS)
            raise
        identity = replace(await self._signers.verify_identity(authorized.token), renew=self._renew)
        if self._revocations.has_ended(identity):
            raise revoked()  # it ended while we asked
        if self._revocations.is_outdated(identity):
            raise being_changed()
        self._answers.put(known, identity, min(ANSWER_SECONDS, identity.expires_at - time.time()))
        return identity


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
