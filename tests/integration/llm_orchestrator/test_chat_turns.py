"""Turns of a chat over gRPC and REST: answers, tools, history, thinking, cost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx2
import pytest

from pyairtable_platform.common.errors import FailedPrecondition, InvalidInput, NotFound, PyAirtableError, Reason
from pyairtable_protos.chat.v1 import chat_service_pb2 as rpc
from pyairtable_protos.chat.v1 import run_pb2

QUESTION = "List all tables in my Airtable base"


async def test_an_answer_comes_from_tools(chats: Any, tools: Any) -> None:
    answer = await chats.chat(QUESTION, session_id="demo-user")
    assert "Projects" in answer.response and "Tasks" in answer.response
    assert list(answer.tools_used) == ["list_tables"]
    assert answer.session_id == "demo-user"
    assert answer.cost_info.model_calls == 2
    assert tools.calls[0].workspace == "acme"
    assert tools.calls[0].idempotency_key == f"{answer.run_id}:1.1"


async def test_chat_over_rest(chats: Any) -> None:
    async with httpx2.AsyncClient(base_url=chats.url) as http:
        body = {"message": QUESTION, "session_id": "demo-user", "workspace": "acme"}
        response = await http.post("/chat", json=body)
        assert response.status_code == 200, response.text
        answer = response.json()
        assert "Projects" in answer["response"]
        assert answer["tools_used"] == ["list_tables"]
        assert Decimal(answer["cost_info"]["total_cost_usd"]) > 0
        history = (await http.get("/sessions/demo-user/history?workspace=acme")).json()
        assert [message["role"] for message in history["messages"]] == ["user", "assistant"]
        unknown = await http.get("/sessions/nobody/history?workspace=acme")
        assert (unknown.status_code, unknown.json()["reason"]) == (404, "SESSION_NOT_FOUND")
        empty = await http.post("/chat", json={"workspace": "acme"})
        assert (empty.status_code, empty.json()["reason"]) == (400, "INVALID_INPUT")


async def test_events_over_rest_resume_by_last_event_id(chats: Any) -> None:
    async with httpx2.AsyncClient(base_url=chats.url) as http:
        stream = await http.post("/chat/stream", json={"message": QUESTION, "workspace": "acme"})
        ids, kinds = _read_sse(stream.text)
        assert ids == list(range(1, len(ids) + 1))
        assert kinds[0] == "started" and kinds[-1] == "done"
        run_id = stream.text.split('"run_id":"')[1].split('"')[0]
        rest = await http.get(
            f"/runs/{run_id}/events", params={"workspace": "acme"}, headers={"Last-Event-ID": str(ids[-3])}
        )
        assert _read_sse(rest.text)[0] == ids[-2:]


async def test_events_tell_the_whole_turn(chats: Any) -> None:
    events = [response.event async for response in chats.stream(QUESTION)]
    kinds = [event.WhichOneof("kind") for event in events]
    assert kinds[0] == "started" and kinds[-1] == "done"
    assert kinds.index("tool_started") < kinds.index("tool_ended") < kinds.index("text")
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    started, ended = events[kinds.index("tool_started")].tool_started, events[kinds.index("tool_ended")].tool_ended
    assert started.call_id == ended.call_id and ended.summary == "2 tables" and not ended.is_error
    done = events[-1].done
    assert done.response == "".join(event.text.text for event in events)
    assert done.cost_info.model_calls == 2
    assert done.cost_info.total_cost_usd


async def test_the_model_gets_the_conversation_with_its_signatures(chats: Any, gemini: Any) -> None:
    await chats.chat(QUESTION, session_id="s")
    await chats.chat("Thank you", session_id="s")
    sent = gemini.log()[-1]["body"]["contents"]
    assert [content["role"] for content in sent] == ["user", "model", "user", "model", "user"]
    assert sent[0]["parts"][0]["text"] == QUESTION
    assert any("thoughtSignature" in part for part in sent[1]["parts"])
    assert sent[2]["parts"][0]["functionResponse"]["name"] == "list_tables"
    assert gemini.log()[-1]["status"] == 200


async def test_brought_messages_seed_a_new_session_only(chats: Any, gemini: Any) -> None:
    messages = [("user", "My name is Ada"), ("assistant", "Hello Ada"), ("user", "hello")]
    asked = [rpc.ChatMessage(role=role, content=text) for role, text in messages]
    await chats.chat("", messages=asked, session_id="s")
    assert [content["parts"][0]["text"] for content in gemini.log()[-1]["body"]["contents"]] == [
        text for _, text in messages
    ]
    await chats.chat("", messages=asked, session_id="s")
    page = await chats.call("ListMessages", rpc.ListMessagesRequest(workspace="acme", session_id="s"))
    assert [item.content for item in page.messages if item.role == "user"] == ["My name is Ada", "hello", "hello"]


async def test_the_base_of_the_request_is_the_tools_default(chats: Any, tools: Any) -> None:
    await chats.chat(QUESTION, base_id="crm")
    assert tools.calls[-1].arguments["base_id"] == "appEmulatorCrm001"
    with pytest.raises(NotFound) as caught:
        await chats.chat(QUESTION, base_id="appOfSomebodyElse")
    assert caught.value.reason is Reason.BASE_NOT_FOUND


@pytest.mark.parametrize(
    ("budget", "knob"),
    [(None, {"include_thoughts": True}), (0, {"thinking_level": "LOW"}), (50_000, {"thinking_level": "HIGH"})],
)
async def test_the_thinking_budget_reaches_the_model(
    chats: Any, gemini: Any, budget: int | None, knob: dict[str, Any]
) -> None:
    await chats.chat("hello", thinking_budget=budget)
    sent = gemini.log()[-1]["body"]["generationConfig"]["thinkingConfig"]
    assert knob.items() <= sent.items()


async def test_cost_is_the_sum_of_the_providers_numbers(chats: Any, gemini: Any) -> None:
    usage = {"prompt": 1000, "candidates": 100, "thoughts": 50, "cached": 400}
    call = {"calls": [{"name": "list_tables"}], "usage": usage}
    gemini.script([{"replies": [call, {"text": "Two.", "thoughts": "Counting.", "usage": usage}]}])
    answer = await chats.chat("How many tables?", session_id="s")
    cost = answer.cost_info
    assert (cost.input_tokens, cost.output_tokens, cost.thinking_tokens, cost.cached_tokens) == (2000, 200, 100, 800)
    # (1200 * 0.75 + 800 * 0.075 + 300 * 3.75) / 1,000,000
    assert cost.total_cost_usd == "0.002085"
    assert answer.thinking_process == "Counting."
    await chats.chat("hello", session_id="s")
    summary = await chats.call("GetSessionCost", rpc.GetSessionCostRequest(workspace="acme", session_id="s"))
    assert summary.runs == 2 and summary.cost_info.model_calls == 3
    assert Decimal(summary.cost_info.total_cost_usd) > Decimal("0.002085")


async def test_an_unknown_model_has_no_price(start_chats: Any, gemini: Any) -> None:
    async with start_chats(gemini_model="gemini-flash-latest") as chats:
        with pytest.raises(PyAirtableError) as caught:  # the emulator does not know the alias on v1
            await chats.chat("hello")
        assert caught.value.reason is Reason.MODEL_UNAVAILABLE
        async with httpx2.AsyncClient(base_url=chats.url) as http:
            notes = (await http.get("/health")).json()["notes"]
        assert any("no price is known" in note for note in notes)


async def test_without_tools_it_is_a_plain_chat(start_chats: Any, gemini: Any) -> None:
    async with start_chats(mcp_tools_enabled=False) as chats:
        answer = await chats.chat(QUESTION)
        assert list(answer.tools_used) == []
        assert "tools" not in gemini.log()[-1]["body"]


async def test_without_a_key_chat_says_so(start_chats: Any) -> None:
    async with start_chats(gemini_api_key=None) as chats:
        with pytest.raises(FailedPrecondition) as caught:
            await chats.chat("hello")
        assert caught.value.reason is Reason.CREDENTIAL_MISSING
        async with httpx2.AsyncClient(base_url=chats.url) as http:
            health = (await http.get("/health")).json()
        assert health["status"] == "healthy"
        assert any("GEMINI_API_KEY" in note for note in health["notes"])


async def test_a_wrong_key_is_told_apart_and_never_shown(start_chats: Any) -> None:
    async with start_chats(gemini_api_key="not-the-right-key") as chats:
        with pytest.raises(FailedPrecondition) as caught:
            await chats.chat("hello")
        assert caught.value.reason is Reason.MODEL_KEY_REJECTED
        assert "GEMINI_API_KEY" in caught.value.message and "not-the-right-key" not in caught.value.message


@pytest.mark.parametrize(
    ("reply", "finish_reason"),
    [({"finish": "SAFETY"}, "SAFETY"), ({"block": "PROHIBITED_CONTENT"}, "PROHIBITED_CONTENT")],
)
async def test_a_refusal_names_its_reason(chats: Any, gemini: Any, reply: dict[str, str], finish_reason: str) -> None:
    gemini.script([reply])
    with pytest.raises(FailedPrecondition) as caught:
        await chats.chat("hello")
    assert caught.value.reason is Reason.MODEL_REFUSED
    assert caught.value.metadata["finish_reason"] == finish_reason
    run = await chats.run(caught.value.metadata["run"])
    assert run.state == run_pb2.RUN_STATE_FAILED and run.error.reason == "MODEL_REFUSED"


async def test_a_model_that_loops_is_stopped(chats: Any, gemini: Any, tools: Any) -> None:
    gemini.script([{"calls": [{"name": "list_tables"}], "repeat": True}])
    with pytest.raises(PyAirtableError) as caught:
        await chats.chat("hello")
    assert caught.value.reason is Reason.TURN_LIMIT
    assert len(tools.calls) == 3


async def test_rounds_are_bounded(start_chats: Any, gemini: Any, tools: Any) -> None:
    replies = [{"calls": [{"name": "list_tables", "args": {"base_id": f"app{n}"}}]} for n in range(10)]
    gemini.script([{"replies": replies}])
    async with start_chats(max_tool_rounds=4) as chats:
        with pytest.raises(PyAirtableError) as caught:
            await chats.chat("hello")
    assert caught.value.metadata["limit"] == "rounds"
    assert len(tools.calls) == 4


async def test_a_tool_error_goes_to_the_model(chats: Any, gemini: Any, tools: Any) -> None:
    async def refuse(arguments: dict[str, Any]) -> dict[str, Any]:
        raise RuntimeError("boom")

    tools.handlers["list_tables"] = refuse
    events = [response.event async for response in chats.stream(QUESTION)]
    ended = next(event.tool_ended for event in events if event.WhichOneof("kind") == "tool_ended")
    assert ended.is_error and ended.error
    told = gemini.log()[-1]["body"]["contents"][-1]["parts"][0]["functionResponse"]["response"]
    assert told["error"]["message"]
    assert "Projects" not in events[-1].done.response


@pytest.mark.parametrize(
    "fields",
    [
        {"message": ""},
        {"message": "   "},
        {"message": "nul \x00"},
        {"message": "hi", "session_id": "a\x00b"},
        {"message": "", "messages": [rpc.ChatMessage(role="assistant", content="hi")]},
        {"message": "hi", "messages": [rpc.ChatMessage(role="user", content="hi")]},
        {"message": "hi", "thinking_budget": -7},
    ],
)
async def test_bad_input_is_the_callers_fault(chats: Any, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        await chats.chat(**fields)


async def test_an_unknown_workspace_is_not_found(chats: Any) -> None:
    with pytest.raises(NotFound) as caught:
        await chats.chat("hello", workspace="nowhere")
    assert caught.value.reason is Reason.WORKSPACE_NOT_FOUND


def _read_sse(text: str) -> tuple[list[int], list[str]]:
    lines = text.splitlines()
    ids = [int(line.removeprefix("id: ")) for line in lines if line.startswith("id: ")]
    return ids, [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
