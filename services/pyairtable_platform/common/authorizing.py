"""Who turns credentials into identities: the port that `Access` asks, and what both of those behind it do alike.

Answers are kept for a moment, and no longer than until the auth service takes back what they stand for.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from .errors import Denied, InvalidInput, NotFound, Unauthenticated, Unavailable
from .identity import Identity
from .remembered import Remembered, Shared, fingerprint
from .revocations import Revocations, revoked

REFUSAL_SECONDS = 3.0
"""So long a key that was just made may be refused, if it was shown before."""

Refusal = Unauthenticated | Denied | NotFound | InvalidInput


class Authorizing(Protocol):
    """What `Access` asks. The auth service has one of its own (no network); the others `Authorizer`.

    All methods raise Unauthenticated for what is not accepted (never telling why in a way that helps to guess), Denied
    for what is known and may not, Unavailable when it cannot be told now. They are asked for every call: keep answers.
    """

    @property
    def revocations(self) -> Revocations:
        """What ended before its time. `Access` holds every identity against it and ends open streams by it; whoever
        implements this keeps it current (`Revocations.apply`), and gives no identity that is revoked."""
        ...

    async def of_token(self, token: str) -> Identity:
        """The identity in an identity token (aud pyairtable), verified with the public keys. One whose rights are
        outdated is exchanged for a new one, or refused."""
        ...

    async def of_credential(self, credential: str, workspace: str) -> Identity:
        """The identity behind anything else: an access key (pya_), an API key of a person (pyu_), a person's access
        token, a ServiceAccount's token; shape and length were looked at. As `Authorize` without `enter`: a person's
        access token gives an identity in no workspace. `workspace` is empty but for ServiceAccounts, whose call named
        it."""
        ...

    async def entered(self, identity: Identity, workspace: str) -> Identity:
        """The identity of a person, who is in no workspace, in the one named; as `Authorize` with `enter`: empty is the
        only one or the preferred one, else InvalidInput (WORKSPACE_REQUIRED). Denied, the same for a workspace that
        there is not, for who is no member."""
        ...

    def known(self, credential: str) -> Identity | None:
        """What is known of a credential without asking: for counting calls, never for letting one in."""
        ...

    async def check(self) -> Mapping[str, Any] | None:
        """For /health: raises when credentials cannot be checked; returns what else there is to tell."""
        ...

    async def follow(self) -> None:
        """Keep `revocations` current, for ever: a background task of every process."""
        ...

    async def close(self) -> None:
        """Close what was opened."""
        ...


class RememberingAuthorizer(ABC):
    """Holds identities against what was revoked, and asks once in a while for a credential.

    `answer_seconds` is how long an answer is kept, `kept` how many are.
    """

    def __init__(self, *, answer_seconds: float, kept: int) -> None:
        self._answer_seconds = answer_seconds
        self._revocations = Revocations()
        self._answers: Remembered[Identity] = Remembered(kept)
        self._refusals: Remembered[Refusal] = Remembered(kept)
        self._asked: Shared[Identity] = Shared()

    @abstractmethod
    async def _verified(self, token: str) -> Identity:
        """The identity in an identity token."""

    @abstractmethod
    async def _authorized(self, credential: str, workspace: str, *, enter: bool = False) -> Identity:
        """The identity that `Authorize` gives."""

    @property
    def revocations(self) -> Revocations:
        """What the auth service took back."""
        return self._revocations

    async def of_token(self, token: str) -> Identity:
        """The identity in an identity token, verified here."""
        identity = replace(await self._verified(token), renew=self._renew)
        if self._revocations.has_ended(identity):
            raise revoked()
        return await self._renew(identity) if self._revocations.is_outdated(identity) else identity

    async def of_credential(self, credential: str, workspace: str = "") -> Identity:
        """The identity that a credential stands for."""
        known = fingerprint(credential, *([workspace] if workspace else []))
        return await self._remembered(known, credential, workspace)

    async def entered(self, identity: Identity, workspace: str) -> Identity:
        """A person's identity in a workspace."""
        known = fingerprint("enter", identity.session, workspace)
        return await self._remembered(known, identity.token, workspace, enter=True)

    def known(self, credential: str) -> Identity | None:
        """What is known of a credential without asking."""
        return self._answers.get(fingerprint(credential))

    async def _renew(self, identity: Identity) -> Identity:
        return await self.of_credential(identity.token)

    async def _remembered(self, known: bytes, credential: str, workspace: str, *, enter: bool = False) -> Identity:
        identity = self._answers.get(known)
        if identity is not None and not self._revocations.is_revoked(identity):
            return identity
        if (refusal := self._refusals.get(known)) is not None:
            raise copied(refusal)
        return await self._asked.ask(known, partial(self._ask, known, credential, workspace, enter=enter))

    async def _ask(self, known: bytes, credential: str, workspace: str, *, enter: bool) -> Identity:
        try:
            authorized = await self._authorized(credential, workspace, enter=enter)
        except (Unauthenticated, Denied, NotFound, InvalidInput) as refusal:
            self._refusals.put(known, refusal, REFUSAL_SECONDS)
            raise
        identity = replace(authorized, renew=self._renew)
        if self._revocations.has_ended(identity):
            raise revoked()  # taken back while we asked
        if self._revocations.is_outdated(identity):
            raise being_changed()
        self._answers.put(known, identity, min(self._answer_seconds, identity.expires_at - time.time()))
        return identity


def copied(refusal: Refusal) -> Refusal:
    """The same refusal anew: an exception that is raised twice would carry both callers' traces."""
    again = type(refusal)(refusal.message, reason=refusal.reason)
    again.metadata, again.violations = dict(refusal.metadata), refusal.violations
    return again


def being_changed() -> Unavailable:
    """The answer is older than what was heard: a replica of the auth service lies behind for a moment."""
    return Unavailable("the rights in this workspace are being changed: try again in a moment", dependency="auth")
