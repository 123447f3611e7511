"""The interpreter of sagas, against a journal in memory and crashes at every checkpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from pyairtable_platform.common.errors import Denied, PyAirtableError, RateLimited, Unavailable
from pyairtable_platform.sagas.definition import Catalog, Done, Input, SagaType, Step, StepCall, Who
from pyairtable_platform.sagas.model import Json, Saga, SagaState, StepRecord, StepState
from pyairtable_platform.sagas.ports import Claim, Outcome, Platform
from pyairtable_platform.sagas.retries import Backoff
from pyairtable_platform.sagas.runner import Runner

ENDS = {
    StepState.RUNNING: (StepState.COMPLETED, StepState.SKIPPED, StepState.FAILED),
    StepState.COMPENSATING: (StepState.COMPENSATED, StepState.COMPENSATION_FAILED),
}


class Crash(BaseException):
    """The process dies here."""


class MemoryJournal:
    """ports.Journal for one saga."""

    def __init__(self, saga: Saga) -> None:
        self.saga = saga

    async def claim(self, saga_id: str) -> Claim:
        return Claim(saga_id, "one/1", 1)

    async def load(self, saga_id: str) -> Saga:
        return self.saga

    async def begin(self, claim: Claim) -> Saga:
        if not self.saga.state.has_ended:
            state = SagaState.COMPENSATING if self.saga.is_going_back else SagaState.RUNNING
            self.saga = replace(self.saga, state=state)
        return self.saga

    async def begin_attempt(self, claim: Claim, step: str, state: StepState) -> Saga:
        record = self.saga.step(step)
        is_cancelled = self.saga.cancel_asked and state is StepState.RUNNING
        if record.state not in ENDS[state] and not is_cancelled:
            self._set(step, state=state, attempts=record.attempts + 1)
        return self.saga

    async def note(self, claim: Claim, step: str, memo: Json) -> None:
        self._set(step, memo=memo)

    async def end_attempt(self, claim: Claim, step: str, state: StepState, **more: Any) -> None:
        self._set(step, state=state, **{key: value for key, value in more.items() if value})

    async def turn_back(self, claim: Claim, error: str, error_reason: str) -> Saga:
        self.saga = replace(self.saga, state=SagaState.COMPENSATING, is_going_back=True, error=error)
        return self.saga

    async def end(self, claim: Claim, outcome: Outcome) -> None:
        error = outcome.error or self.saga.error
        self.saga = replace(self.saga, state=SagaState(outcome.state), output=outcome.output, error=error)

    def _set(self, step: str, **changes: Any) -> None:
        steps = tuple(replace(item, **changes) if item.name == step else item for item in self.saga.steps)
        self.saga = replace(self.saga, steps=steps)


class MemoryDurable:
    """ports.Durable: remembers what was done; dies before or after the checkpoint that it is told."""

    def __init__(self, dies_at: int = 0, *, after_work: bool = True) -> None:
        self.remembered: list[Json] = []
        self.slept: list[float] = []
        self._dies_at = dies_at
        self._after_work = after_work
        self._at = 0

    def again(self) -> None:
        """Another life: what is remembered is not done again."""
        self._at = self._dies_at = 0

    async def step(self, name: str, work: Callable[[], Awaitable[Json]]) -> Json:
        self._at += 1
        if self._at <= len(self.remembered):
            return self.remembered[self._at - 1]
        if self._at == self._dies_at and not self._after_work:
            raise Crash
        result = await work()
        if self._at == self._dies_at:
            raise Crash  # done, and not remembered
        self.remembered.append(result)
        return result

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class World:
    """Receivers: effects by key, as `common/effects.py` keeps them; and what fails how often."""

    def __init__(self, **failures: list[PyAirtableError]) -> None:
        self.effects: dict[str, int] = {}
        self.undone: list[str] = []
        self.failures = failures

    def step(self, name: str, **more: Any) -> Step:
        async def do(platform: Platform, call: StepCall) -> Done:
            self._fail(name)
            self.effects.setdefault(call.key, len(self.effects))
            return Done({"n": name})

        async def undo(platform: Platform, call: StepCall) -> None:
            self._fail(f"undo_{name}")
            if call.key not in self.undone:
                self.undone.append(call.key)

        return Step(name, do, undo, **more)

    def _fail(self, name: str) -> None:
        if self.failures.get(name):
            raise self.failures[name].pop(0)


class Nobody:
    """ports.Cancellations: nobody asks."""

    async def asked(self, saga_id: str) -> None:
        await asyncio.Event().wait()

    async def is_asked(self, saga_id: str) -> bool:
        return False


def saga_type(world: World, **more: Any) -> SagaType:
    steps = tuple(world.step(name) for name in ("a", "b", "c"))
    return SagaType("t", "A test.", Input, lambda _: "k", steps, Who.PEER, **more)


def new_saga() -> Saga:
    now = datetime.now(UTC)
    steps = tuple(StepRecord(name) for name in ("a", "b", "c"))
    return Saga("s", "t", SagaState.PENDING, "k", "", "", {}, now, now, steps=steps)


async def carried_out(
    definition: SagaType, durable: MemoryDurable | None = None, saga: Saga | None = None
) -> MemoryJournal:
    """Run a saga to its end, in a second life after a crash."""
    journal = MemoryJournal(saga or new_saga())
    durable = durable or MemoryDurable()
    runner = Runner(Catalog((definition,)), journal, cast(Platform, None), Nobody(), Backoff(first=0.01))
    try:
        await runner.run("s", durable)
    except Crash:
        durable.again()
        await runner.run("s", durable)
    return journal


async def test_steps_are_done_in_order() -> None:
    world = World()
    journal = await carried_out(saga_type(world, output=lambda given, results: {"steps": list(results)}))
    assert journal.saga.state is SagaState.COMPLETED
    assert list(world.effects) == ["s:a", "s:b", "s:c"]
    assert journal.saga.output == {"steps": ["a", "b", "c"]}


@pytest.mark.parametrize("after_work", [True, False])
@pytest.mark.parametrize("at", range(1, 7))
@pytest.mark.parametrize("fails", [False, True])
async def test_a_crash_at_any_checkpoint_changes_nothing(at: int, after_work: bool, fails: bool) -> None:
    world = World(c=[Denied("no")] if fails else [])
    journal = await carried_out(saga_type(world), MemoryDurable(at, after_work=after_work))
    assert journal.saga.state is (SagaState.COMPENSATED if fails else SagaState.COMPLETED)
    assert list(world.effects) == (["s:a", "s:b"] if fails else ["s:a", "s:b", "s:c"])
    assert world.undone == (["s:c", "s:b", "s:a"] if fails else [])


async def test_what_passes_is_tried_again_and_a_receiver_may_ask_for_patience() -> None:
    world, durable = World(b=[Unavailable("away"), RateLimited("slow", retry_after=3.0)]), MemoryDurable()
    journal = await carried_out(saga_type(world), durable)
    assert journal.saga.state is SagaState.COMPLETED
    assert journal.saga.step("b").attempts == 3
    assert durable.slept == [0.01, 3.0]


async def test_what_does_not_pass_is_final_at_once_and_undone_in_reverse() -> None:
    world = World(b=[Denied("no")])
    journal = await carried_out(saga_type(world))
    assert journal.saga.state is SagaState.COMPENSATED
    assert journal.saga.step("b").attempts == 2, "once to do it, once to undo what it may have done"
    assert world.undone == ["s:b", "s:a"], "b too: nobody knows what a refusal left behind"
    assert journal.saga.error == "b: no"
    assert journal.saga.step("c").state is StepState.PENDING


async def test_undoing_that_fails_is_never_told_as_undone_and_goes_on_where_it_stopped() -> None:
    world = World(c=[Denied("no")], undo_b=[Denied("neither")])
    definition = saga_type(world)
    journal = await carried_out(definition)
    assert journal.saga.state is SagaState.FAILED
    assert journal.saga.step("b").state is StepState.COMPENSATION_FAILED
    assert world.undone == ["s:c"]

    resumed = replace(journal.saga, state=SagaState.COMPENSATING, run=2)
    steps = [replace(item, state=StepState.COMPENSATING) if item.name == "b" else item for item in resumed.steps]
    journal = await carried_out(definition, saga=replace(resumed, steps=tuple(steps)))
    assert journal.saga.state is SagaState.COMPENSATED
    assert world.undone == ["s:c", "s:b", "s:a"]


async def test_nothing_is_undone_from_where_there_is_no_way_back() -> None:
    world = World(b=[Denied("no")])
    journal = await carried_out(saga_type(world, no_way_back="b"))
    assert journal.saga.state is SagaState.FAILED and not world.undone
    world = World(a=[Denied("no")])
    journal = await carried_out(saga_type(world, no_way_back="b"))
    assert journal.saga.state is SagaState.COMPENSATED


async def test_no_step_begins_after_a_cancellation() -> None:
    world = World()
    done = tuple(replace(item, state=StepState.COMPLETED) if item.name == "a" else item for item in new_saga().steps)
    journal = await carried_out(saga_type(world), saga=replace(new_saga(), cancel_asked=True, steps=done))
    assert journal.saga.state is SagaState.COMPENSATED
    assert not world.effects and world.undone == ["s:a"]
    assert journal.saga.step("b").state is StepState.PENDING


class Asked:
    """ports.Cancellations: somebody asks as soon as `when` is set; the journal knows it then."""

    def __init__(self) -> None:
        self.when = asyncio.Event()
        self.journal: MemoryJournal | None = None

    async def asked(self, saga_id: str) -> None:
        await self.when.wait()
        assert self.journal is not None
        self.journal.saga = replace(self.journal.saga, cancel_asked=True)

    async def is_asked(self, saga_id: str) -> bool:
        return self.when.is_set()


class Sleeper(MemoryDurable):
    """Sleeps for so long that only a cancellation ends it."""

    def __init__(self, began: asyncio.Event) -> None:
        super().__init__()
        self._began = began

    async def sleep(self, seconds: float) -> None:
        self._began.set()
        await asyncio.sleep(3600)


async def cancelled(definition: SagaType, asked: Asked, durable: MemoryDurable) -> Saga:
    """Carry a saga out that somebody cancels meanwhile."""
    asked.journal = MemoryJournal(new_saga())
    runner = Runner(Catalog((definition,)), asked.journal, cast(Platform, None), asked, Backoff(first=0.01))
    async with asyncio.timeout(30):
        await runner.run("s", durable)
    return asked.journal.saga


async def test_a_cancellation_ends_the_pause_before_the_next_attempt() -> None:
    world, asked = World(b=[Unavailable("away")]), Asked()
    saga = await cancelled(saga_type(world), asked, Sleeper(asked.when))
    assert saga.state is SagaState.COMPENSATED
    assert list(world.effects) == ["s:a"], "b was not tried again"
    assert world.undone == ["s:b", "s:a"]
    assert saga.error == "it was cancelled"


async def test_a_cancellation_stops_a_step_that_only_reads_and_no_other() -> None:
    async def reads(platform: Platform, call: StepCall) -> Done:
        asked.when.set()
        await asyncio.sleep(3600)
        raise AssertionError("it was not stopped")

    async def writes(platform: Platform, call: StepCall) -> Done:
        asked.when.set()
        await asyncio.sleep(0.05)
        return Done()

    world, asked = World(), Asked()
    definition = saga_type(world)
    reading = replace(definition, steps=(definition.steps[0], Step("b", reads, can_stop=True), definition.steps[2]))
    saga = await cancelled(reading, asked, MemoryDurable())
    assert (saga.state, saga.step("b").state) == (SagaState.COMPENSATED, StepState.FAILED)
    assert world.undone == ["s:a"]

    world, asked = World(), Asked()
    definition = saga_type(world)
    writing = replace(definition, steps=(definition.steps[0], Step("b", writes), definition.steps[2]))
    saga = await cancelled(writing, asked, MemoryDurable())
    assert saga.step("b").state is StepState.COMPLETED


async def test_a_fault_of_ours_is_an_error_that_tells_nothing() -> None:
    async def broken(platform: Platform, call: StepCall) -> Done:
        raise KeyError("secret")

    definition = replace(saga_type(World()), steps=(Step("a", broken), *saga_type(World()).steps[1:]))
    journal = await carried_out(definition)
    assert journal.saga.state is SagaState.COMPENSATED
    assert "secret" not in journal.saga.error and "s finds it in the logs" in journal.saga.error


async def test_a_step_that_does_not_answer_is_given_up_after_its_attempts() -> None:
    async def silent(platform: Platform, call: StepCall) -> Done:
        await asyncio.sleep(60)
        return Done()

    world = World()
    slow = Step("a", silent, attempts=3, seconds=0.01)
    definition = replace(saga_type(world), steps=(slow, *saga_type(world).steps[1:]))
    journal = await carried_out(definition)
    assert journal.saga.state is SagaState.COMPENSATED
    assert journal.saga.step("a").attempts == 3


async def test_a_version_that_does_not_know_a_step_leaves_the_saga_to_be_resumed() -> None:
    world = World()
    saga = replace(new_saga(), steps=(StepRecord("a"), StepRecord("later")))
    journal = await carried_out(saga_type(world), saga=saga)
    assert journal.saga.state is SagaState.FAILED and not world.effects
    assert "later" in journal.saga.error
