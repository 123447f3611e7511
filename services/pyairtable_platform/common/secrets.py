"""Credentials of workspaces, and what is remembered of them. Where they lie is secret_sources.py's business.

A reference with a version means a value that somebody has checked: it is read once and then served from memory, also
while its place holds another value already, which is used only when the reference names it. No value shows in an error,
a log or a repr.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from .errors import FailedPrecondition, PyAirtableError, Reason, Unavailable
from .workspace import SecretRef, name_of

MOST_REMEMBERED = 10_000
"""References; the least recently used is forgotten first."""
FIRST_PAUSE = 0.5
"""Seconds until one looks again at a place where nothing usable was found; doubled each time."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret value, and where it comes from in words. The value shows in no repr."""

    value: str = field(repr=False)
    origin: str

    @property
    def key(self) -> str:
        """Tells values apart in stores and queues without being one."""
        return version_of(self.value.encode())


class NotUsable(Exception):
    """Nothing that can be used lies there; `remedy` says why and what to do, without the value."""

    def __init__(self, remedy: str) -> None:
        super().__init__(remedy)
        self.remedy = remedy


class SecretSource(Protocol):
    """A place where credentials lie."""

    keep_seconds: float
    """How long a value without a version may be used before one looks again."""
    longest_pause: float
    """How long nobody looks, at most, where nothing usable was found."""

    async def read(self, workspace: str, secret: SecretRef) -> bytes:
        """The bytes that lie there for this workspace. Raises NotUsable, or Unavailable when one cannot look."""


@dataclass(frozen=True, slots=True)
class _Value:
    credential: Credential
    version: str
    read_at: float


@dataclass(slots=True)
class _Pause:
    """After a failure: the same answer until it is time to look again."""

    error: PyAirtableError
    version: str
    until: float
    seconds: float


@dataclass(eq=False, slots=True)
class _Known:
    """What is remembered of one reference of one tenant."""

    in_force: _Value | None = None
    candidate: _Value | None = None
    pause: _Pause | None = None
    reading: asyncio.Task[_Value] | None = None


class Secrets:
    """Reads credentials. `what` names them in errors, for example "Airtable token"."""

    def __init__(self, source: SecretSource, what: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._what = what
        self._clock = clock
        # By tenant too: what one may read says nothing about another that names the same Secret.
        self._known: OrderedDict[tuple[str, str, str], _Known] = OrderedDict()

    async def read(self, tenant: str, secret: SecretRef, *, candidate: bool = False) -> Credential:
        """The credential that a reference of a tenant (`Workspace.tenant`) means.

        A candidate is a value that is to be checked: it is looked for at once, whatever failed before, and does not
        displace the value in force. Raises FailedPrecondition (CREDENTIAL_MISSING) or Unavailable.
        """
        known = self._entry(tenant, secret)
        remembered = self._remembered(known, secret.version, candidate)
        if remembered is not None:
            return remembered.credential
        if not candidate:
            self._raise_while_paused(known, secret.version)
        try:
            value = await self._read(known, name_of(tenant), secret)
            self._require_version(value, name_of(tenant), secret)
        except (FailedPrecondition, Unavailable) as error:
            if isinstance(error, Unavailable) and not secret.version and known.in_force is not None:
                return known.in_force.credential
            if not candidate:
                self._pause(known, secret.version, error)
            raise
        known.pause = None
        if candidate:
            known.candidate = value
        else:
            known.in_force = value
        return value.credential

    def look_anew(self, workspace: str = "") -> None:
        """What was found, or missing, for a workspace (by its name; empty: any) is looked for again before it is used.

        While the source is away, what was found goes on counting, as ever.
        """
        for (tenant, _, _), known in self._known.items():
            if workspace in ("", name_of(tenant)):
                known.pause = None
                if known.in_force is not None:
                    known.in_force = replace(known.in_force, read_at=float("-inf"))

    def _entry(self, tenant: str, secret: SecretRef) -> _Known:
        key = (tenant, secret.name, secret.key)
        known = self._known.setdefault(key, _Known())
        self._known.move_to_end(key)
        while len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)
        return known

    def _remembered(self, known: _Known, version: str, candidate: bool) -> _Value | None:
        if not version:
            value = known.in_force
            fresh = value is not None and self._clock() - value.read_at < self._source.keep_seconds
            return value if fresh else None
        if known.in_force is not None and known.in_force.version == version:
            return known.in_force
        if known.candidate is not None and known.candidate.version == version:
            if not candidate:
                known.in_force, known.candidate, known.pause = known.candidate, None, None
                return known.in_force
            return known.candidate
        return None

    async def _read(self, known: _Known, workspace: str, secret: SecretRef) -> _Value:
        """Look; callers that come together share one look, and one that leaves does not end it for the others."""
        if known.reading is None:
            task = asyncio.create_task(self._look(workspace, secret))
            known.reading = task

            def done(ended: asyncio.Task[_Value]) -> None:
                known.reading = None
                if not ended.cancelled():
                    ended.exception()  # all who asked may have left

            task.add_done_callback(done)
        return await asyncio.shield(known.reading)

    async def _look(self, workspace: str, secret: SecretRef) -> _Value:
        origin = f"secret {secret.name}, key {secret.key}"
        try:
            content = await self._source.read(workspace, secret)
            return _Value(Credential(usable(content), origin), version_of(content), self._clock())
        except NotUsable as problem:
            raise missing(workspace, self._what, origin, problem.remedy) from None

    def _require_version(self, value: _Value, workspace: str, secret: SecretRef) -> None:
        if secret.version and value.version != secret.version:
            raise missing(
                workspace,
                self._what,
                value.credential.origin,
                "it holds a new value that has not been checked yet; the operator checks it and then puts it in force",
            )

    def _raise_while_paused(self, known: _Known, version: str) -> None:
        pause = known.pause
        if pause is not None and pause.version == version and self._clock() < pause.until:
            again = type(pause.error)(
                pause.error.message, reason=pause.error.reason, retry_after=pause.until - self._clock()
            )
            again.metadata.update(pause.error.metadata)
            raise again

    def _pause(self, known: _Known, version: str, error: PyAirtableError) -> None:
        before = known.pause if known.pause is not None and known.pause.version == version else None
        seconds = min(self._source.longest_pause, before.seconds * 2 if before else FIRST_PAUSE)
        known.pause = _Pause(error, version, self._clock() + seconds, seconds)


def version_of(content: bytes) -> str:
    """Tells values apart without being one: the begin of the SHA-256, 16 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()[:16]


def usable(content: bytes) -> str:
    """The value as it goes into a header. Raises NotUsable."""
    try:
        value = content.decode("ascii").strip()
    except UnicodeDecodeError:
        value = ""
    if not value or not value.isprintable():
        raise NotUsable("it is empty or holds something else: put the bare value there")
    return value


def missing(workspace: str, what: str, credential: str, remedy: str) -> FailedPrecondition:
    """The error for a credential that is not there or cannot be used."""
    return FailedPrecondition(
        f'workspace "{workspace}" has no {what} ({credential}): {remedy}',
        reason=Reason.CREDENTIAL_MISSING,
        workspace=workspace,
        credential=credential,
    )
