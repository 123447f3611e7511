"""One call to Airtable with all that belongs to it: budget, credential, turn, repeats, counting.

This is the one place between the rules of the service and the scheduler: whatever answers a call without Airtable, or
joins several into one, belongs here.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from pyairtable_platform.common.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    OutcomeUnknown,
    PyAirtableError,
    QuotaExhausted,
    RateLimited,
    Reason,
    Unavailable,
)
from pyairtable_platform.common.registry import Workspace, made_anew
from pyairtable_platform.common.secrets import Credential
from pyairtable_platform.common.tracing import span

from . import metrics
from .answers import NoAnswer, Refusal
from .credentials import Credentials
from .limiter import Clock, Limiter, Paused, Permit
from .scheduler import Scheduler, Turn
from .usage import Usage
from .wire import AirtableCall, Effect, Json

ATTEMPTS = 4
"""How often a call that may be repeated is sent at most, 429 answers aside."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 4.0


class Wire(Protocol):
    """What sends calls: airtable.AirtableClient."""

    async def send(self, call: AirtableCall, token: str, gate: Permit, *, timeout: float | None = None) -> Json: ...


class Doubtful(Exception):
    """A write that must not be done twice was sent, and its end is not known."""

    def __init__(self, text: str, *, answered: bool, since: datetime | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.since = since or datetime.now(UTC)
        """When it was sent, at the earliest."""
        self.answered = answered
        """True: Airtable is done with it (it answered with an error), so that it cannot still happen."""


@dataclass(slots=True)
class Doubt:
    """Filled by a call that was repeated although its first attempt may have been carried out."""

    since: datetime | None = None
    """When that attempt began."""


@dataclass(frozen=True, slots=True)
class Errand:
    """On whose behalf calls are made, and until when."""

    workspace: Workspace
    deadline: float | None = None
    """A time of the clock."""
    bulk: bool = False
    is_candidate: bool = False
    """True: the workspace is one that is to be checked; it need not be in force, nor its credential."""

    def in_bulk(self) -> Errand:
        """The further calls of something large."""
        return replace(self, bulk=True)


class AirtableCalls:
    """Makes calls to Airtable."""

    def __init__(
        self,
        *,
        wire: Wire,
        scheduler: Scheduler,
        limiter: Limiter,
        credentials: Credentials,
        usage: Usage,
        resolve: Callable[[str], Workspace],
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._wire = wire
        self._scheduler = scheduler
        self._limiter = limiter
        self._credentials = credentials
        self._usage = usage
        self._resolve = resolve
        self._clock = clock
        self._sleep = sleep

    def time_left(self, errand: Errand) -> float | None:
        """Seconds until the deadline, never negative; None without one."""
        return None if errand.deadline is None else max(0.0, errand.deadline - self._clock())

    async def make(self, call: AirtableCall, errand: Errand, doubt: Doubt | None = None) -> Json:
        """Make a call and return Airtable's JSON.

        Raises Refusal when Airtable says that the request is wrong (the service explains it), Doubtful for a write of
        Effect.ONCE whose end is not known, OutcomeUnknown for another write that ends without an answer after an
        attempt that may have been carried out, and typed errors for all that has nothing to do with the request.
        """
        doubt = doubt or Doubt()
        try:
            return await self._make(call, errand, doubt)
        except PyAirtableError as error:
            if doubt.since is None or call.effect is Effect.READ:
                raise
            # Whatever ended the repeats (attempts, deadline, budget, token) says nothing about the first attempt.
            raise OutcomeUnknown(
                f"{call.operation} was sent and may have been carried out, and a repeat did not settle it: "
                f"{error.message}"
            ) from error

    async def _make(self, call: AirtableCall, errand: Errand, doubt: Doubt) -> Json:
        attempt = 0
        while True:
            attempt += 1
            began = datetime.now(UTC)
            try:
                return await self._attempt(call, errand)
            except Refusal as refusal:
                if not refusal.is_trouble:
                    raise
                answer: Refusal | None = refusal
                trouble, may_be_done = refusal.text, True
            except NoAnswer as failure:
                answer = None
                trouble, may_be_done = failure.text, failure.sent
            if may_be_done and call.effect is Effect.ONCE:
                raise Doubtful(trouble, answered=answer is not None, since=began)
            if may_be_done:
                doubt.since = doubt.since or began
            pause = pause_before(attempt, answer)
            if attempt >= ATTEMPTS or not self._has_time_for(pause, errand):
                raise self._gave_up(call, errand, trouble, attempt)
            await self._sleep(pause)

    async def _attempt(self, call: AirtableCall, errand: Errand) -> Json:
        """Send the call once; a 429 waits and asks for another turn, for Airtable did nothing."""
        while True:
            workspace = self._in_force(call, errand)
            await self._usage.check_budget(workspace)
            credential = await self._credentials.of(workspace, candidate=errand.is_candidate)
            permit = await self._scheduler.permit(self._turn(call, errand, credential))
            try:
                return await self._send(call, errand, credential, permit)
            except Paused:
                continue  # another call of this base met a 429 while ours was being prepared: queue again
            except Refusal as answer:
                if not answer.is_rate_limit:
                    raise translated(answer, errand, credential) or answer from None
                metrics.PENALTIES.inc()
                seconds = await self._limiter.refused(permit, answer.retry_after)
                if not self._has_time_for(seconds, errand):
                    raise RateLimited(
                        f"Airtable refuses calls for the next {seconds:.0f} s because its rate limit was exceeded",
                        retry_after=seconds,
                    ) from None

    def _in_force(self, call: AirtableCall, errand: Errand) -> Workspace:
        """The workspace as it is now: what runs in one that was suspended, removed or unbound meanwhile ends here."""
        if errand.is_candidate:
            return errand.workspace
        workspace = self._resolve(errand.workspace.name)
        if workspace.tenant != errand.workspace.tenant:
            raise made_anew(workspace)
        if call.base_id:
            workspace.base(call.base_id)
        return workspace

    async def _send(self, call: AirtableCall, errand: Errand, credential: Credential, permit: Permit) -> Json:
        outcome = "no answer"
        started = self._clock()
        with span(f"airtable {call.operation}", http__request__method=call.method, airtable__base=call.base_id):
            try:
                result = await self._wire.send(call, credential.value, permit, timeout=self.time_left(errand))
                outcome = "ok"
                return result
            except Refusal as answer:
                outcome = "billing" if answer.is_billing_limit else str(answer.status)
                raise
            except NoAnswer as failure:
                if not failure.sent:
                    permit.release()
                    outcome = "not sent"
                raise
            except Paused:
                outcome = "not sent"
                raise
            finally:
                metrics.CALLS.labels(call.operation, outcome).inc()
                if outcome not in ("not sent", "429"):
                    self._usage.count(errand.workspace.tenant, call.base_id)
                    metrics.CALL_SECONDS.labels(call.operation).observe(self._clock() - started)

    def _turn(self, call: AirtableCall, errand: Errand, credential: Credential) -> Turn:
        return Turn(call.base_id, credential.key, errand.workspace.tenant, errand.bulk, errand.deadline)

    def _has_time_for(self, seconds: float, errand: Errand) -> bool:
        left = self.time_left(errand)
        return left is None or seconds < left

    def _gave_up(self, call: AirtableCall, errand: Errand, trouble: str, attempts: int) -> PyAirtableError:
        if self.time_left(errand) == 0.0:
            return DeadlineExceeded(f"Airtable did not complete {call.operation} before the deadline: {trouble}")
        return Unavailable(f"{trouble} (tried {attempts} times)", reason=Reason.AIRTABLE_UNAVAILABLE)


def pause_before(attempt: int, answer: Refusal | None) -> float:
    """Seconds before the next attempt: doubling, with jitter so that callers do not come back together."""
    if answer is not None and answer.retry_after is not None:
        return min(answer.retry_after, 30.0)
    doubled: float = _FIRST_PAUSE * 2 ** (attempt - 1)
    return min(_LONGEST_PAUSE, doubled) * random.uniform(0.5, 1.0)  # noqa: S311


def translated(answer: Refusal, errand: Errand, credential: Credential) -> PyAirtableError | None:
    """The error for a refusal that has nothing to do with the request."""
    if answer.status == 401:
        return FailedPrecondition(
            f'Airtable refuses the token of workspace "{errand.workspace.name}": replace it in {credential.origin}',
            reason=Reason.AIRTABLE_TOKEN_REJECTED,
            workspace=errand.workspace.name,
            credential=credential.origin,
        )
    if answer.is_billing_limit:
        return QuotaExhausted(
            "the monthly API calls of the Airtable plan are used up; they begin anew on the 1st, or with a larger plan",
            reason=Reason.QUOTA_EXHAUSTED,
            workspace=errand.workspace.name,
        )
    return None


def unknown_outcome(call: str, doubt: Doubtful) -> OutcomeUnknown:
    """The error of a single write whose end is not known."""
    return OutcomeUnknown(f"{call} was sent and {doubt.text}: look whether it happened before repeating it")
