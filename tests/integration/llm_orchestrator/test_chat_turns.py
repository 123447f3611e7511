"""Turns of a chat: answers, tools, history, cost, sessions."""

from __future__ import annotations

from typing import Any

from pyairtable_protos.chat.v1 import run_pb2


async def test_chat_answers_from_tools(chats: Any, tools: Any) -> None:
    answer = await chats.chat("List all tables in my Airtable base", session_id="demo-user")
    assert "Projects" in answer.response and "Tasks" in answer.response
    assert list(answer.tools_used) == ["list_tables"]
    assert answer.session_id == "demo-user"
    assert answer.cost_info.model_calls == 2
    assert answer.cost_info.model == "gemini-3.8-flash"
    assert tools.calls[0].workspace == "acme"
    assert tools.calls[0].idempotency_key == f"{answer.run_id}:1.1"
    run = (await chats.call("GetRun", _get_run(answer.run_id))).run
    assert run.state == run_pb2.RUN_STATE_COMPLETED


def _get_run(run_id: str) -> Any:
    from pyairtable_protos.chat.v1 import chat_service_pb2 as rpc

    return rpc.GetRunRequest(workspace="acme", run_id=run_id)
