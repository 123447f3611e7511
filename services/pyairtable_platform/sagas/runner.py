"""Carries one saga out: its steps in order, and when one fails for good, what was done undone in reverse.

Everything between two checkpoints (`Durable.step`) may happen twice after a crash, so each attempt is written to the
journal under the claim of the process that makes it, and calls carry the same key every time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from pyairtable_platform.common import context
from pyairtable_platform.common.errors import (
    Cancelled,
    DeadlineExceeded,
    Internal,
    PyAirtableError,
    Reason,
    Unavailable,
)
from pyairtable_platform.common.tasks import end

from .definition import Catalog, Done, SagaType, Step, StepCall
from .model import Json, Saga, SagaState, StepRecord, StepState
from .ports import Cancellations, Claim, Durable, Interrupted, Journal, Outcome, Platform
from .retries import UNDO_ATTEMPTS, Backoff, is_worth_another

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 0.5
"""Between two tries to write the journal while its database is away: nothing goes on without it."""

UNTOUCHED = (StepState.PENDING, StepState.SKIPPED, StepState.COMPENSATED)
"""States of steps that left nothing to undo."""

T = TypeVar("T")


@dataclass(frozen=True)
class Course:
    """One run of a saga in this process."""

    claim: Claim
    type: SagaType
    durable: Durable


class Runner:
    """Carries sagas out."""

    def __init__(
        self,
        catalog: Catalog,
        journal: Journal,
        platform: Platform,
        cancellations: Cancellations,
        backoff: Backoff | None = None,
    ) -> None:
        self._catalog = catalog
        self._journal = journal
        self._platform = platform
        self._cancellations = cancellations
        self._backoff = backoff or Backoff()

    async def run(self, saga_id: str, durable: Durable) -> str:
        """Carry a saga out to its end and return its state. Raises Fenced when another process has it now."""
        claim = await patiently(partial(self._journal.claim, saga_id))
        begun = await durable.step("begin", partial(self._begin, claim))
        if "ended" in begun:
            return str(begun["ended"])
        course = Course(claim, self._catalog.get(begun["type"]), durable)
        if begun["back"]:
            return await self._back(course, begun["undo"])
        return await self._forward(course, begun["todo"])

    async def _begin(self, claim: Claim) -> Json:
        saga = await patiently(partial(self._journal.begin, claim))
        if saga.state.has_ended:
            return {"ended": str(saga.state)}
        try:
            definition = self._catalog.get(saga.type)
            known = [definition.step(record.name) for record in saga.steps]
        except PyAirtableError as error:
            outcome = Outcome(SagaState.FAILED, error=error.message, error_reason=error.reason)
            await patiently(partial(self._journal.end, claim, outcome))
            return {"ended": str(SagaState.FAILED)}
        todo = [step.name for step, record in zip(known, saga.steps, strict=True) if not record.state.is_done]
        return {"type": saga.type, "back": saga.is_going_back, "todo": todo, "undo": _to_undo(saga, definition)}

    async def _forward(self, course: Course, todo: list[str]) -> str:
        for name in todo:
            verdict = await self._drive(course, course.type.step(name), going_back=False)
            if verdict["kind"] == "done":
                continue
            if verdict["kind"] == "failed" and not course.type.can_go_back_from(name):
                return await self._end(course, SagaState.FAILED, verdict)
            turned = await course.durable.step("turn back", partial(self._turn_back, course, verdict))
            return await self._back(course, turned["undo"])
        return await self._end(course, SagaState.COMPLETED, {})

    async def _back(self, course: Course, undo: list[str]) -> str:
        for name in undo:
            verdict = await self._drive(course, course.type.step(name), going_back=True)
            if verdict["kind"] == "failed":
                return await self._end(course, SagaState.FAILED, verdict)
        return await self._end(course, SagaState.COMPENSATED, {})

    async def _turn_back(self, course: Course, verdict: Json) -> Json:
        saga = await patiently(
            partial(self._journal.turn_back, course.claim, verdict.get("error", ""), verdict.get("reason", ""))
        )
        return {"undo": _to_undo(saga, course.type)}

    async def _end(self, course: Course, state: SagaState, verdict: Json) -> str:
        async def write() -> Json:
            output, is_completed = None, state is SagaState.COMPLETED
            if is_completed:
                saga = await patiently(partial(self._journal.load, course.claim.saga_id))
                output = course.type.output(saga.input, saga.results())
            is_nobodys = is_completed and course.type.forgets_whom
            outcome = Outcome(state, output, verdict.get("error", ""), verdict.get("reason", ""), is_nobodys)
            await patiently(partial(self._journal.end, course.claim, outcome))
            return {}

        await course.durable.step("end", write)
        return state

    async def _drive(self, course: Course, step: Step, *, going_back: bool) -> Json:
        """Try a step, or to undo it, until it is done or given up."""
        number = 0
        while True:
            number += 1
            name = f"{'undo ' if going_back else ''}{step.name} {number}"
            attempt = _Attempt(
                self._journal, self._platform, self._cancellations, self._backoff, course, step, going_back, number
            )
            verdict = await course.durable.step(name, attempt.make)
            if verdict["kind"] != "retry":
                return verdict
            await self._pause(course, verdict["seconds"], going_back)

    async def _pause(self, course: Course, seconds: float, going_back: bool) -> None:
        """Wait before the next attempt, which finds out by itself why it was not for so long."""
        pause = course.durable.sleep(seconds)
        if going_back:
            await pause
            return
        with suppress(Interrupted):
            await unless_cancelled(pause, self._cancellations.asked(course.claim.saga_id))


@dataclass(frozen=True)
class _Attempt:
    """One attempt of a step. `number` counts those of this run and this direction, from 1."""

    journal: Journal
    platform: Platform
    cancellations: Cancellations
    backoff: Backoff
    course: Course
    step: Step
    going_back: bool
    number: int

    async def make(self) -> Json:
        """Make the attempt and say how it ended: done, retry, failed or cancelled."""
        working = StepState.COMPENSATING if self.going_back else StepState.RUNNING
        saga = await patiently(partial(self.journal.begin_attempt, self.course.claim, self.step.name, working))
        record = saga.step(self.step.name)
        if record.state.has_ended:
            return _verdict_of(record)
        if saga.cancel_asked and not self.going_back:
            return await self._cancelled(record)
        try:
            done = await self._call(self._step_call(saga, record))
        except Interrupted:
            return await self._cancelled(record)
        except PyAirtableError as error:
            return await self._failed(error)
        state = StepState.SKIPPED if done.skipped else StepState.COMPLETED
        await self._write(StepState.COMPENSATED if self.going_back else state, output=done.output, memo=done.memo)
        return {"kind": "done"}

    async def _call(self, call: StepCall) -> Done:
        """What the step does; whatever goes wrong is an error of ours."""
        work = context.CallContext(request_id=f"saga-{call.saga_id}", tenant=call.tenant)
        try:
            with context.entered(work):
                async with asyncio.timeout(self.step.seconds):
                    if not self.going_back:
                        doing = self.step.do(self.platform, call)
                        if not self.step.can_stop:
                            return await doing
                        return await unless_cancelled(doing, self.cancellations.asked(call.saga_id))
                    assert self.step.undo is not None, "only steps with an undo are undone"
                    await self.step.undo(self.platform, call)
                    return Done()
        except (PyAirtableError, Interrupted):
            raise
        except TimeoutError as error:
            raise DeadlineExceeded(f"there was no answer within {self.step.seconds:.0f} s") from error
        except Exception as error:
            log.exception("a step of a saga met a fault of ours", extra={"saga": call.saga_id, "step": call.step})
            raise Internal(f"the step met a fault of ours; saga {call.saga_id} finds it in the logs") from error

    def _step_call(self, saga: Saga, record: StepRecord) -> StepCall:
        return StepCall(
            saga_id=saga.saga_id,
            step=record.name,
            input=saga.input,
            results=saga.results(),
            principal=saga.principal,
            tenant=saga.tenant,
            memos={step.name: step.memo for step in saga.steps if step.memo is not None},
            note=partial(self.journal.note, self.course.claim, record.name),
            stop_here=partial(self._stop_here, saga.saga_id),
        )

    async def _stop_here(self, saga_id: str) -> None:
        if not self.going_back and await self.cancellations.is_asked(saga_id):
            raise Interrupted

    async def _cancelled(self, record: StepRecord) -> Json:
        """Begin no attempt, or none again. A step that was tried may have had an effect: it counts as given up."""
        cancelled = Cancelled("it was cancelled", reason=Reason.RUN_CANCELLED)
        if record.state is not StepState.PENDING:
            await self._write(StepState.FAILED, cancelled)
        return {"kind": "cancelled", "error": cancelled.message, "reason": str(cancelled.reason)}

    async def _failed(self, error: PyAirtableError) -> Json:
        attempts = UNDO_ATTEMPTS if self.going_back else self.step.attempts
        text = f"{'undoing ' if self.going_back else ''}{self.step.name}: {error.message}"
        if is_worth_another(error, self.number, attempts, self.step.retried_reasons):
            await self._write(StepState.COMPENSATING if self.going_back else StepState.RUNNING, error)
            return {"kind": "retry", "seconds": self.backoff.seconds(self.number, error)}
        await self._write(StepState.COMPENSATION_FAILED if self.going_back else StepState.FAILED, error)
        return {"kind": "failed", "error": text, "reason": str(error.reason)}

    async def _write(
        self,
        state: StepState,
        error: PyAirtableError | None = None,
        output: Json | None = None,
        memo: Json | None = None,
    ) -> None:
        reason = str(error.reason) if error else ""
        write = partial(self.journal.end_attempt, self.course.claim, self.step.name, state)
        text = error.message if error else ""
        await patiently(partial(write, output=output, memo=memo, error=text, error_reason=reason))


def _to_undo(saga: Saga, definition: SagaType) -> list[str]:
    """The steps that may have had an effect, the last first; also those of which nobody knows whether they had."""
    touched = [record.name for record in saga.steps if record.state not in UNTOUCHED]
    return [name for name in reversed(touched) if definition.step(name).undo is not None]


def _verdict_of(record: StepRecord) -> Json:
    """How a step ended whose end was written, but not remembered, before a crash."""
    if record.state in (StepState.FAILED, StepState.COMPENSATION_FAILED):
        return {"kind": "failed", "error": f"{record.name}: {record.error}", "reason": record.error_reason}
    return {"kind": "done"}


async def unless_cancelled(work: Awaitable[T], asked: Awaitable[None]) -> T:
    """What comes of `work`; raises Interrupted, and stops it, when somebody asks to cancel the saga first."""
    tasks: tuple[asyncio.Future[T], asyncio.Future[None]] = asyncio.ensure_future(work), asyncio.ensure_future(asked)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tasks[0].done():
            return tasks[0].result()
        raise Interrupted
    finally:
        await end(*tasks)


async def patiently(write: Callable[[], Awaitable[T]]) -> T:
    """Ask the journal until its database answers."""
    while True:
        try:
            return await write()
        except Unavailable as error:
            log.warning("the journal of sagas is away: waiting", extra={"error": error.message})
            await asyncio.sleep(PATIENCE_SECONDS)
