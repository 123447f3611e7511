"""A turn that another worker began: at whatever write it stopped, the end is the same and nothing is done twice."""

from __future__ import annotations

from typing import Any

import pytest
from unit.llm_orchestrator.chat_fakes import Bench, FakeToolServer, ScriptedModel, bench, calls, says

from pyairtable_platform.llm_orchestrator.ports import LeaseLost, ToolCall

SCRIPT = [
    says("Looking.", calls("look", q="1"), calls("look", q="2")),
    says("", calls("change", q="3")),
    says("Done."),
]
EXPECTED = "Looking.\n\nDone."


class Effects:
    """A tool server that keeps its promise about keys."""

    def __init__(self) -> None:
        self.by_key: dict[str, dict[str, Any]] = {}
        self.effects: list[str] = []

    async def __call__(self, call: ToolCall) -> dict[str, Any]:
        if call.idempotency_key not in self.by_key:
            self.effects.append(f"{call.name} {call.arguments['q']}")
            self.by_key[call.idempotency_key] = {"id": f"rec{len(self.effects)}"}
        return self.by_key[call.idempotency_key]


class ByStep(ScriptedModel):
    """Answers by how far the conversation is, as a model does, not by how often it was asked."""

    async def stream(self, request: Any) -> Any:
        step = sum(content["role"] == "model" for content in request.contents)
        self.requests.append(request)
        answer = self.script[step]
        async for piece in ScriptedModel([answer]).stream(request):
            yield piece


async def _writes_of_a_whole_turn() -> int:
    it = _bench(Effects())
    await it.run()
    return len(it.journal.entries)


def _bench(effects: Effects) -> Bench:
    it = bench(*SCRIPT, tools=FakeToolServer(effects))
    it.model = ByStep(list(SCRIPT))
    return it


@pytest.mark.parametrize("stop_at", range(10))
async def test_taken_over_at_any_write_it_ends_the_same(stop_at: int) -> None:
    effects = Effects()
    first = _bench(effects)
    assert stop_at < await _writes_of_a_whole_turn()
    first.journal.fail_at, first.journal.failure = stop_at, LeaseLost("run")
    with pytest.raises(LeaseLost):
        await first.run()
    first.journal.fail_at = None

    second = _bench(effects)
    second.journal = first.journal
    second.turn = first.journal.resumed(second.turn)
    ended = await second.run()

    assert ended.error is None
    assert second.journal.text == EXPECTED
    assert sorted(effects.effects) == ["change 3", "look 1", "look 2"]
    assert [step.content for step in second.journal.steps] == [answer.content for answer in SCRIPT]
    started = [call for kind, ids in second.journal.entries if kind == "started" for call in ids]
    assert sorted(started) == ["1.1", "1.2", "2.1"]


async def test_no_kill_point_is_left_out() -> None:
    assert await _writes_of_a_whole_turn() == 10


async def test_a_turn_whose_answer_is_complete_is_not_asked_again() -> None:
    first = bench(says("Done."))
    await first.run()
    second = bench(says("Something else."))
    second.journal = first.journal
    second.turn = first.journal.resumed(second.turn)
    assert (await second.run()).error is None
    assert second.journal.text == "Done." and not second.model.requests
