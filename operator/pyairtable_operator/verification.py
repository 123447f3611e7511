"""When Airtable is asked about a workspace's token and bases, and what it said last. Nobody waits for it for long."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pyairtable_operator.credentials import BaseCheck, Verification
from pyairtable_operator.drift import Table
from pyairtable_operator.platform import Platform, PlatformError
from pyairtable_operator.spec import SecretRef, Workspace
from pyairtable_operator.usage import Usage
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as airtable_pb2
from pyairtable_protos.common.v1 import error_reason_pb2
from pyairtable_protos.workspaces.v1 import workspace_pb2

log = logging.getLogger(__name__)

AT_ONCE = 16
"""Verifications at the same time: each is some calls to Airtable, which the gateway paces."""

_RETRY_SECONDS = 10.0
_NOT_OUR_PEER = ("UNAUTHENTICATED", "DENIED", "")
"""Reasons of a refused call that speak of this operator, not of the token."""

Question = tuple[str, str, str, tuple[str, ...]]


@dataclass(slots=True)
class _State:
    question: Question | None = None
    answer: Verification | None = None
    usage: Usage | None = None
    due: float = 0.0
    task: asyncio.Task[None] | None = field(default=None, repr=False)


class Verifier:
    """Verifications of all workspaces, in memory: after a restart the status tells what was verified."""

    def __init__(self, platform: Platform, interval: float) -> None:
        """`interval`: seconds between verifications when nothing changes."""
        self._platform = platform
        self._interval = interval
        self._states: dict[str, _State] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)

    def latest(self, name: str) -> Verification | None:
        """The last answer, if there is one."""
        state = self._states.get(name)
        return state.answer if state else None

    def usage(self, name: str) -> Usage | None:
        """This month's calls as of the last verification."""
        state = self._states.get(name)
        return state.usage if state else None

    def next_in(self, name: str) -> float | None:
        """Seconds until the next verification; None when none is planned."""
        state = self._states.get(name)
        if state is None or state.question is None or state.task is not None:
            return None
        return max(0.0, state.due - time.monotonic())

    def ask(
        self, workspace: Workspace, reference: SecretRef | None, version: str, base_ids: Iterable[str], *, known: bool
    ) -> asyncio.Task[None] | None:
        """Asks when the question is new or its time has come, and returns the task in which that happens.

        `reference`: None is the installation's own token.
        `known`: the status says that just this was verified, so after a restart it has time.
        """
        state = self._states.setdefault(workspace.name, _State())
        place = (reference.name, reference.key) if reference is not None else ("", "")
        question = (*place, version, tuple(base_ids))
        if question != state.question:
            if state.task is not None:
                state.task.cancel()
                state.task = None
            first = state.question is None
            state.question = question
            state.due = time.monotonic() + (self._jitter() if known and first else 0.0)
        elif state.answer is None and not known:
            state.due = 0.0  # the spec moved on from what the status confirms
        if state.task is None and time.monotonic() >= state.due:
            state.task = asyncio.create_task(self._verify(workspace, state, question))
        return state.task

    def forget(self, name: str) -> None:
        """The workspace is gone, or has nothing to verify."""
        state = self._states.pop(name, None)
        if state is not None and state.task is not None:
            state.task.cancel()

    def _jitter(self) -> float:
        return self._interval * random.random()  # noqa: S311 - spreads load, guards nothing

    async def _verify(self, workspace: Workspace, state: _State, question: Question) -> None:
        state.due = time.monotonic() + _RETRY_SECONDS  # if it fails in a way that nobody foresaw
        try:
            async with self._slots:
                answer = await self._call(workspace.name, question)
                usage = await self._usage(workspace)
        except Exception:
            log.exception("workspace %s: a fault of ours in its verification", workspace.name)
            return
        finally:
            if state.question == question:
                state.task = None
        state.answer, state.usage = answer, usage or state.usage
        pause = _RETRY_SECONDS if _temporary(answer) else self._interval * random.uniform(0.9, 1.1)  # noqa: S311
        state.due = time.monotonic() + pause

    async def _call(self, name: str, question: Question) -> Verification:
        secret, key, version, base_ids = question
        reference = workspace_pb2.SecretRef(name=secret, key=key, version=version)
        try:
            answer = await self._platform.verify(name, reference, base_ids)
        except PlatformError as error:
            reason = "GATEWAY_UNAVAILABLE" if error.reason in _NOT_OUR_PEER else error.reason
            return Verification(version=version, at=datetime.now(UTC), problem=reason, message=str(error))
        return _verification(version, answer)

    async def _usage(self, workspace: Workspace) -> Usage | None:
        try:
            answer = await self._platform.usage(workspace.name)
        except PlatformError as error:
            log.debug("no usage of workspace %s: %s", workspace.name, error)
            return None
        return Usage(answer.month, answer.calls, workspace.spec.airtable.monthly_call_budget)


def _temporary(answer: Verification) -> bool:
    return bool(answer.problem) and answer.problem not in ("AIRTABLE_TOKEN_REJECTED",)


def _verification(version: str, answer: airtable_pb2.VerifyBindingsResponse) -> Verification:
    return Verification(
        version=version,
        at=datetime.now(UTC),
        user_id=answer.user_id,
        scopes=tuple(answer.scopes),
        bases={base.base_id: _check(base) for base in answer.bases},
    )


def _reason(number: int) -> str:
    """A gateway newer than this operator may know reasons that have no name here."""
    known = error_reason_pb2.ErrorReason.DESCRIPTOR.values_by_number.get(number)
    return known.name.removeprefix("ERROR_REASON_") if known is not None else f"REASON_{number}"


def _check(base: airtable_pb2.VerifiedBase) -> BaseCheck:
    problem = ""
    if base.reason != error_reason_pb2.ERROR_REASON_UNSPECIFIED:
        problem = _reason(base.reason)
    return BaseCheck(
        base_id=base.base_id,
        problem=problem,
        message=base.problem,
        name=base.name,
        permission_level=base.permission_level,
        tables=tuple(Table(table.id, table.name, table.fingerprint) for table in base.tables),
        fingerprint=base.fingerprint,
    )
