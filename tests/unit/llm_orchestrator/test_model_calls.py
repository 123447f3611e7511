"""Calls to the model: repeated when that can help, their text taken back when they break off, always counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from unit.llm_orchestrator.chat_fakes import USAGE, BreaksOff, MemoryJournal, bench, calls, says

from pyairtable_platform.common.errors import FailedPrecondition, Reason, Unavailable
from pyairtable_platform.llm_orchestrator.answer import Answer
from pyairtable_platform.llm_orchestrator.ports import LogUnavailable, Usage

NESTED = orjson.loads(b"[" * 60 + b"]" * 60)
AWAY = Unavailable("overloaded", reason=Reason.MODEL_UNAVAILABLE)


async def test_a_model_that_is_away_is_asked_again_with_growing_waits() -> None:
    it = bench(AWAY, AWAY, says("Here."))
    assert (await it.run()).error is None
    assert it.waits == [0.5, 1.0]


async def test_the_providers_wait_is_respected() -> None:
    it = bench(Unavailable("limited", reason=Reason.MODEL_UNAVAILABLE, retry_after=7), says("Here."))
    await it.run()
    assert it.waits == [7]


async def test_a_wait_that_does_not_fit_into_the_turn_is_not_waited() -> None:
    it = bench(Unavailable("limited", reason=Reason.MODEL_UNAVAILABLE, retry_after=3600))
    ended = await it.run()
    assert ended.error is not None and ended.error.reason is Reason.MODEL_UNAVAILABLE
    assert it.waits == []


@pytest.mark.parametrize("bad", [NESTED, 10**350, 2**70, float("inf"), "half \ud83d"], ids=range(5))
async def test_calls_whose_arguments_cannot_be_kept_are_asked_for_once_more(bad: Any) -> None:
    it = bench(says("", calls(q=bad)), says("", calls(q="x")), says("Done."))
    assert (await it.run()).error is None
    assert [call.arguments for call in it.tools.calls] == [{"q": "x"}]
    it = bench(says("", calls(q=bad)))
    ended = await it.run()
    assert ended.error is not None and ended.error.reason is Reason.MODEL_REFUSED
    assert "look" in ended.error.message and "q" in ended.error.message
    assert len(it.model.requests) == 2 and not it.journal.steps


async def test_attempts_are_bounded() -> None:
    it = bench(AWAY)
    ended = await it.run()
    assert ended.error is AWAY
    assert len(it.model.requests) == 3


async def test_a_rejected_key_is_not_tried_again() -> None:
    it = bench(FailedPrecondition("refused the key", reason=Reason.MODEL_KEY_REJECTED))
    ended = await it.run()
    assert ended.error is not None and ended.error.reason is Reason.MODEL_KEY_REJECTED
    assert len(it.model.requests) == 1


async def test_text_of_a_broken_answer_is_taken_back_and_its_tokens_are_paid() -> None:
    broken = BreaksOff("half an ans", AWAY, Usage(500, 20, 0, 0, 520))
    it = bench(says("First.", calls()), broken, says("Second."))
    ended = await it.run()
    assert ("rewound", "First.") in it.journal.entries
    assert it.journal.text == "First.\n\nSecond."
    assert ended.cost.usage == USAGE + USAGE + Usage(500, 20, 0, 0, 520)
    assert ended.cost.model_calls == 3


async def test_text_is_written_in_pieces_while_the_model_goes_on() -> None:
    written = asyncio.Event()

    class Journal(MemoryJournal):
        async def add_text(self, text: str) -> None:
            await super().add_text(text)
            written.set()

    journal = Journal()
    answer = Answer(journal, text="", settled="")

    async def pieces() -> AsyncIterator[str]:
        yield "one"
        await written.wait()  # the log is written while the model is silent
        for _ in range(100):
            yield " more"

    await answer.follow(pieces())
    assert journal.text == answer.text == "one" + " more" * 100
    assert len(journal.entries) < 10


async def test_a_log_that_fails_stops_the_model_call() -> None:
    journal = MemoryJournal(fail_at=1, failure=LogUnavailable("away"))
    answer = Answer(journal, text="", settled="")
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[str]:
        try:
            while True:
                yield "word "
                await asyncio.sleep(0.01)
        finally:
            closed.set()

    with pytest.raises(LogUnavailable):
        await answer.follow(endless())
    async with asyncio.timeout(5):
        await closed.wait()
