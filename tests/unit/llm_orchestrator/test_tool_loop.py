"""The tool loop: rounds, parallel calls, repetition, errors, limits."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from unit.llm_orchestrator.chat_fakes import LIMITS, FakeToolServer, bench, calls, says

from pyairtable_platform.common.errors import (
    Cancelled,
    FailedPrecondition,
    InvalidInput,
    PyAirtableError,
    Reason,
    Unavailable,
)
from pyairtable_platform.llm_orchestrator.ports import FunctionCall, LeaseLost, ToolCall, Usage


async def test_results_go_back_with_the_models_content_untouched() -> None:
    asked = says("Looking.", calls(q="x"))
    it = bench(asked, says("Done."))
    ended = await it.run()
    assert ended.error is None
    assert it.journal.text == "Looking.\n\nDone."
    user, model, results = it.told()
    assert user == {"role": "user", "parts": [{"text": "hello"}]}
    assert model is asked.content  # thought signatures and all
    (part,) = results["parts"]
    assert part["functionResponse"] == {
        "name": "look",
        "id": "id-look",
        "response": {"records": [{"id": "rec1"}]},
    }
    assert it.journal.kinds() == ["text", "step", "started", "ended", "text", "step"]


async def test_a_call_stands_in_the_log_before_it_is_made() -> None:
    it = bench(says("", calls("change")), says("Done."))
    seen: list[list[str]] = []

    async def handler(call: ToolCall) -> dict[str, Any]:
        seen.append(it.journal.kinds())
        return {}

    it.tools.handler = handler
    await it.run()
    assert seen == [["step", "started"]]
    assert it.tools.calls[0].idempotency_key == "run:1.1"


async def test_calls_that_read_run_side_by_side_within_the_bound() -> None:
    it = bench(says("", *(calls(q=str(n)) for n in range(8))), says("Done."))
    await it.run()
    assert it.tools.most_at_once == 3
    responses = it.told()[-1]["parts"]
    assert len(responses) == 8


async def test_calls_that_write_run_alone_and_in_their_place() -> None:
    order: list[str] = []

    async def handler(call: ToolCall) -> dict[str, Any]:
        order.append(str(call.arguments["q"]))
        await asyncio.sleep(0)
        return {}

    plan = [calls("look", q="1"), calls("change", q="2"), calls("change", q="3"), calls("look", q="4")]
    it = bench(says("", *plan), says("Done."), tools=FakeToolServer(handler))
    await it.run()
    assert order == ["1", "2", "3", "4"]
    assert it.tools.most_at_once == 1


async def test_calls_beyond_the_bound_of_a_round_are_refused_not_dropped() -> None:
    it = bench(says("", *(calls(q=str(n)) for n in range(10))), says("Done."))
    await it.run()
    assert len(it.tools.calls) == 8
    told = [part["functionResponse"]["response"] for part in it.told()[-1]["parts"]]
    assert len(told) == 10
    assert "only the first 8" in told[-1]["error"]["message"]


async def test_rounds_are_bounded() -> None:
    script = [says("", calls(q=str(n))) for n in range(20)]
    it = bench(*script)
    ended = await it.run()
    assert ended.error is not None and ended.error.reason is Reason.TURN_LIMIT
    assert ended.error.metadata == {"limit": "rounds"}
    assert len(it.tools.calls) == 5


async def test_the_same_call_is_not_made_for_ever() -> None:
    it = bench(says("", calls(q="same")), limits=replace(LIMITS, rounds=50))
    ended = await it.run()
    assert ended.error is not None and ended.error.metadata == {"limit": "repetition"}
    assert len(it.tools.calls) == 3


async def test_a_repeated_call_is_answered_with_a_reason_before_the_turn_fails() -> None:
    same = says("", calls(q="same"))
    it = bench(same, same, same, same, says("Enough."))
    ended = await it.run()
    assert ended.error is None
    assert "3 times" in it.told()[-1]["parts"][0]["functionResponse"]["response"]["error"]["message"]


async def test_looking_again_after_a_change_is_no_repetition() -> None:
    look = calls(q="same")
    script = []
    for number in range(4):
        script += [says("", look), says("", calls("change", q=str(number)))]
    it = bench(*script, says("Done."), limits=replace(LIMITS, rounds=10))
    ended = await it.run()
    assert ended.error is None
    assert len(it.tools.calls) == 8


async def test_a_tool_that_fails_is_told_to_the_model() -> None:
    async def handler(call: ToolCall) -> dict[str, Any]:
        raise InvalidInput.at("q", "is not a formula")

    it = bench(says("", calls()), says("It failed."), tools=FakeToolServer(handler))
    ended = await it.run()
    assert ended.error is None
    error = it.told()[-1]["parts"][0]["functionResponse"]["response"]["error"]
    assert error == {
        "reason": "INVALID_INPUT",
        "message": "q: is not a formula",
        "fields": [{"field": "q", "problem": "is not a formula"}],
    }
    assert it.journal.outcomes["1.1"].is_error


async def test_an_unknown_tool_is_refused_with_the_known_ones() -> None:
    it = bench(says("", calls("invented")), says("Sorry."))
    await it.run()
    error = it.told()[-1]["parts"][0]["functionResponse"]["response"]["error"]
    assert error["reason"] == "TOOL_NOT_FOUND" and "change, look" in error["message"]
    assert not it.tools.calls


async def test_a_tool_server_that_is_away_for_a_moment_gets_the_same_key_again() -> None:
    failures = [Unavailable("away"), Unavailable("away")]

    async def handler(call: ToolCall) -> dict[str, Any]:
        if failures:
            raise failures.pop()
        return {}

    it = bench(says("", calls("change")), says("Done."), tools=FakeToolServer(handler))
    ended = await it.run()
    assert ended.error is None and not it.journal.outcomes["1.1"].is_error
    assert {call.idempotency_key for call in it.tools.calls} == {"run:1.1"}
    assert len(it.tools.calls) == 3


BRIEF = replace(LIMITS, tools=replace(LIMITS.tools, write_patience=1.0))


@pytest.mark.parametrize("error", [Unavailable("cannot be reached"), Cancelled("shutting down")], ids=type)
async def test_a_write_whose_server_stays_away_may_have_happened(error: PyAirtableError) -> None:
    async def handler(call: ToolCall) -> dict[str, Any]:
        raise error

    it = bench(says("", calls("change")), says("I looked."), tools=FakeToolServer(handler), limits=BRIEF)
    ended = await it.run()
    told = it.told()[-1]["parts"][0]["functionResponse"]["response"]["error"]
    assert ended.error is None and told["reason"] == "WRITE_OUTCOME_UNKNOWN"
    assert "change may or may not have happened" in told["message"] and "look before" in told["message"]
    assert len(it.tools.calls) > 1 and {call.idempotency_key for call in it.tools.calls} == {"run:1.1"}


async def test_a_write_is_tried_longer_than_a_look() -> None:
    async def handler(call: ToolCall) -> dict[str, Any]:
        if call.name == "look" or len(it.tools.calls) < 4:
            raise Unavailable("cannot be reached")
        return {}

    it = bench(says("", calls("change")), says("Done."), tools=FakeToolServer(handler))
    await it.run()
    assert not it.journal.outcomes["1.1"].is_error and len(it.tools.calls) == 4
    it = bench(says("", calls("look")), says("Sorry."), tools=FakeToolServer(handler))
    await it.run()
    told = it.told()[-1]["parts"][0]["functionResponse"]["response"]["error"]
    assert told["reason"] == "DEPENDENCY_UNAVAILABLE" and len(it.tools.calls) == 3


async def test_a_lost_answer_stays_unknown_when_airtable_is_away_then() -> None:
    failures = [Unavailable("Airtable is away", reason=Reason.AIRTABLE_UNAVAILABLE), Unavailable("lost")]

    async def handler(call: ToolCall) -> dict[str, Any]:
        raise failures.pop()

    it = bench(says("", calls("change")), says("I looked."), tools=FakeToolServer(handler))
    await it.run()
    told = it.told()[-1]["parts"][0]["functionResponse"]["response"]["error"]
    assert told["reason"] == "WRITE_OUTCOME_UNKNOWN" and not failures


async def test_a_slow_write_may_have_happened() -> None:
    async def handler(call: ToolCall) -> dict[str, Any]:
        await asyncio.sleep(60)
        return {}

    quick = replace(LIMITS, tools=replace(LIMITS.tools, seconds=0.05))
    it = bench(says("", calls("change")), says("I looked."), tools=FakeToolServer(handler), limits=quick)
    await it.run()
    told = it.told()[-1]["parts"][0]["functionResponse"]["response"]["error"]
    assert told["reason"] == "WRITE_OUTCOME_UNKNOWN" and len(it.tools.calls) == 1


async def test_what_airtable_cannot_do_is_not_repeated_by_us() -> None:
    async def handler(call: ToolCall) -> dict[str, Any]:
        raise Unavailable("Airtable is away", reason=Reason.AIRTABLE_UNAVAILABLE)

    it = bench(says("", calls("change")), says("Done."), tools=FakeToolServer(handler))
    await it.run()
    assert len(it.tools.calls) == 1


async def test_a_slow_tool_ends_as_an_error() -> None:
    async def handler(call: ToolCall) -> dict[str, Any]:
        await asyncio.sleep(60)
        return {}

    quick = replace(LIMITS, tools=replace(LIMITS.tools, seconds=0.05))
    it = bench(says("", calls()), says("Done."), tools=FakeToolServer(handler), limits=quick)
    await it.run()
    assert "did not answer within" in it.journal.outcomes["1.1"].error


async def test_a_turn_ends_at_its_time() -> None:
    async def handler(call: ToolCall) -> dict[str, Any]:
        await asyncio.sleep(60)
        return {}

    it = bench(says("", calls()), tools=FakeToolServer(handler), limits=LIMITS)
    ended = await it.run(seconds=0.05)
    assert ended.error is not None and ended.error.metadata == {"limit": "time"}


@pytest.mark.parametrize(
    ("given", "sent"),
    [({"q": "x"}, "app1"), ({"q": "x", "base_id": ""}, "app1"), ({"base_id": "app2"}, "app2")],
)
async def test_the_base_of_the_request_is_the_default(given: dict[str, str], sent: str) -> None:
    it = bench(says("", FunctionCall("look", given)), says("Done."))
    it.turn = replace(it.turn, base_id="app1")
    await it.run()
    assert it.tools.calls[0].arguments["base_id"] == sent


async def test_large_results_are_shortened_and_say_so() -> None:
    async def handler(call: ToolCall) -> dict[str, Any]:
        return {"records": [{"id": f"rec{n}", "text": "x" * 50} for n in range(1000)], "count": 1000}

    it = bench(says("", calls()), says("Done."), tools=FakeToolServer(handler))
    await it.run()
    response = it.told()[-1]["parts"][0]["functionResponse"]["response"]
    assert response["count"] == 1000
    assert f"{len(response['records'])} of 1000 records" in response["_shortened"]
    assert it.journal.outcomes["1.1"].summary == "1000 records"


async def test_cost_is_summed_over_all_calls() -> None:
    usage = Usage(1000, 100, 10, 200, 1110)
    it = bench(says("", calls(), usage=usage), says("Done.", usage=usage))
    ended = await it.run()
    assert ended.cost.usage == usage + usage
    assert ended.cost.model_calls == 2
    # per call: (800 * 0.75 + 200 * 0.075 + 110 * 3.75) / 1,000,000
    assert ended.cost.usd == 2 * Decimal("0.0010275")


async def test_an_unknown_price_makes_the_sum_unknown() -> None:
    it = bench(says("Done."))
    it.turn = replace(it.turn, model="somebody-elses-model")
    ended = await it.run()
    assert ended.cost.usd is None and ended.cost.usage.input_tokens == 1000


async def test_an_answer_cut_at_the_token_limit_is_kept_and_its_calls_are_not_trusted() -> None:
    it = bench(says("Half", calls("change"), finish="MAX_TOKENS"))
    ended = await it.run()
    assert ended.error is None
    assert it.journal.text.startswith("Half") and "limit of output tokens" in it.journal.text
    assert not it.tools.calls


@pytest.mark.parametrize("finish", ["SAFETY", "RECITATION", "OTHER", "PROHIBITED_CONTENT"])
async def test_a_refusal_is_not_asked_again(finish: str) -> None:
    it = bench(says(finish=finish))
    ended = await it.run()
    assert isinstance(ended.error, FailedPrecondition) and ended.error.metadata == {"finish_reason": finish}
    assert len(it.model.requests) == 1
    assert ended.cost.model_calls == 1  # refused, and paid for


@pytest.mark.parametrize("bad", [says(), says(finish="MALFORMED_FUNCTION_CALL"), says("   ")])
async def test_an_unusable_answer_is_asked_for_once_more(bad: Any) -> None:
    it = bench(bad, says("Done."))
    assert (await it.run()).error is None
    it = bench(bad, bad)
    ended = await it.run()
    assert ended.error is not None and ended.error.reason is Reason.MODEL_REFUSED
    assert len(it.model.requests) == 2


async def test_a_lost_lease_ends_everything_at_once() -> None:
    it = bench(says("", calls(q="1"), calls(q="2")), says("Done."))
    it.journal.fail_at, it.journal.failure = 2, LeaseLost("run")
    with pytest.raises(LeaseLost):
        await it.run()


async def test_without_the_list_of_tools_the_turn_fails_as_it_is() -> None:
    class Away(FakeToolServer):
        async def list_tools(self) -> Any:
            raise Unavailable("the tool server cannot be reached", dependency="mcp-server")

    it = bench(says("I would invent something."), tools=Away())
    ended = await it.run()
    assert isinstance(ended.error, PyAirtableError)
    assert ended.error.reason is Reason.DEPENDENCY_UNAVAILABLE
    assert not it.model.requests
