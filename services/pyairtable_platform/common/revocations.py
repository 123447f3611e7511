"""What ended before its time: credentials that were taken back, rights that were changed.

The auth service tells (WatchRevocations); what it told last goes on counting while it is away. Identities are looked up
here before they are let in, and streams that stay open end when theirs is revoked.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from pyairtable_protos.auth.v1 import auth_service_pb2, auth_service_pb2_grpc

from .channels import ServiceChannel
from .errors import PyAirtableError, Unauthenticated, Unavailable
from .identity import Identity

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.5
STALE_SECONDS = 5.0
"""So long the auth service may be silent before /health tells of it."""

KEPT_SECONDS = 2 * 3600.0
"""Longer than any token can be shown or renewed; only memory is saved by it, nothing is decided by time."""

_SENDING_SECONDS = 1.0
_STREAM_SECONDS = 24 * 3600.0


class Revocations:
    """What is known. `apply` takes in what the auth service tells."""

    def __init__(self) -> None:
        self._sessions: dict[str, float] = {}
        self._rights: dict[tuple[str, str], tuple[int, float]] = {}
        self._registry = ""
        self._standing: set[Standing] = set()
        self._stands = False
        self._heard_at: float | None = None

    def apply(self, update: auth_service_pb2.WatchRevocationsResponse) -> None:
        """Take in one message; ends the streams that it concerns."""
        now = time.monotonic()
        self._heard_at, self._stands = now, True
        if update.is_snapshot:
            self._sessions = {}
            if update.registry not in ("", self._registry):
                # Revisions of another registry mean nothing here. Of the same one the later state of each counts: who
                # tells may lie behind whoever told before.
                self._registry, self._rights = update.registry, {}
        for revocation in update.revocations:
            self._add(revocation, now)
        self._forget(now - KEPT_SECONDS)
        for standing in [each for each in self._standing if self.is_revoked(each.identity)]:
            standing.end()

    def is_revoked(self, identity: Identity) -> bool:
        """Whether an identity does not count any more."""
        return self.has_ended(identity) or self.is_outdated(identity)

    def has_ended(self, identity: Identity) -> bool:
        """Whether the credential behind an identity has ended for good."""
        return identity.session in self._sessions

    def is_outdated(self, identity: Identity) -> bool:
        """Whether the rights in the workspace changed since the identity was signed: another one may be had."""
        if not identity.workspace:
            return False
        of_all = self._rights.get((identity.workspace, ""), (0, 0.0))[0]
        own = self._rights.get((identity.workspace, identity.principal), (0, 0.0))[0]
        return identity.revision < max(of_all, own)

    def standing(self, identity: Identity | None, *, later: bool = False) -> Standing:
        """An async context manager that lasts as long as the identity counts (None: for ever).

        When it is revoked the block is cancelled and raises Unauthenticated, as `asyncio.timeout` does with its error.
        `later` leaves the block alone until `begin` is called in it.
        """
        return Standing(self, identity, later=later)

    def lost(self) -> None:
        """The auth service is away: what is known grows old from now on."""
        if self._stands:
            self._heard_at, self._stands = time.monotonic(), False

    def age_seconds(self) -> float | None:
        """How old what is known may be: 0 while the auth service is heard; None when it never was."""
        if self._heard_at is None:
            return None
        return 0.0 if self._stands else time.monotonic() - self._heard_at

    def check(self) -> dict[str, Any]:
        """For /health: the age; raises Unavailable when the auth service has not been heard for a while."""
        age = self.age_seconds()
        if age is None:
            raise Unavailable("the auth service has not told yet which credentials were revoked", dependency="auth")
        if age > STALE_SECONDS:
            raise Unavailable(f"revocations were last heard {age:.0f} s ago: those known go on counting")
        return {"revocations_age_seconds": round(age, 1)}

    def _add(self, revocation: auth_service_pb2.Revocation, now: float) -> None:
        if revocation.session:
            self._sessions[revocation.session] = now
        if revocation.workspace:
            key = (revocation.workspace, revocation.principal)
            self._rights[key] = (max(revocation.revision, self._rights.get(key, (0, 0.0))[0]), now)

    def _forget(self, before: float) -> None:
        self._sessions = {key: at for key, at in self._sessions.items() if at > before}
        self._rights = {key: value for key, value in self._rights.items() if value[1] > before}

    def _enter(self, standing: Standing) -> None:
        self._standing.add(standing)

    def _leave(self, standing: Standing) -> None:
        self._standing.discard(standing)


class Standing:
    """A block that lasts as long as an identity counts (Revocations.standing)."""

    def __init__(self, revocations: Revocations, identity: Identity | None, *, later: bool) -> None:
        self._revocations = revocations
        self._identity = identity
        self._later = later
        self._task: asyncio.Task[Any] | None = None
        self._cancelling = 0
        self._ended = False
        self._cancelled = False
        self._is_sending = False

    @property
    def identity(self) -> Identity:
        assert self._identity is not None, "nobody's call is watched"
        return self._identity

    async def __aenter__(self) -> Standing:
        self._task = asyncio.current_task()
        self._cancelling = self._task.cancelling() if self._task else 0
        if not self._later:
            self.begin()
        return self

    def begin(self) -> None:
        """From here on the block lasts no longer than the identity counts."""
        if self._identity is not None:
            if self._revocations.is_revoked(self._identity):
                raise revoked()
            self._revocations._enter(self)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._revocations._leave(self)
        if not self._cancelled or self._task is None:
            return
        is_ours_alone = self._task.uncancel() <= self._cancelling
        if kind is None or (kind is asyncio.CancelledError and is_ours_alone):
            raise revoked() from error

    @contextmanager
    def sending(self) -> Iterator[None]:
        """While a message is on its way nothing of ours is cancelled, so that the reader is told why the stream ends;
        who does not read is cut off a moment later."""
        self._is_sending = True
        try:
            yield
        finally:
            self._is_sending = False
        if self._ended:
            raise revoked()

    def end(self) -> None:
        """The identity was revoked."""
        if self._ended:
            return
        self._ended = True
        if self._is_sending:
            asyncio.get_running_loop().call_later(_SENDING_SECONDS, self._cut_off)
        else:
            self._cancel()

    def _cut_off(self) -> None:
        if self._is_sending:
            self._cancel()

    def _cancel(self) -> None:
        if self._task is not None and not self._cancelled:
            self._cancelled = True
            self._task.cancel()


async def follow(channel: ServiceChannel, revocations: Revocations) -> None:
    """Hear the auth service, for ever; when it is away, go on with what is known and try again."""
    stub: Any = auth_service_pb2_grpc.AuthServiceStub(channel.channel)
    request = auth_service_pb2.WatchRevocationsRequest()
    told = False
    while True:
        try:
            async for update in channel.stream(stub.WatchRevocations, request, timeout=_STREAM_SECONDS):
                revocations.apply(update)
                told = False
        except PyAirtableError as error:
            if not told:
                log.warning("revocations cannot be heard", extra={"reason": str(error.reason)})
            told = True
        revocations.lost()
        await asyncio.sleep(RETRY_SECONDS)


def revoked() -> Unauthenticated:
    """The error for whoever shows what was taken back."""
    return Unauthenticated("this credential was revoked, or its rights were changed: log in, or show another one")
