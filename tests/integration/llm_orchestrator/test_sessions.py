"""Sessions: listed, read, deleted, kept apart; one run at a time; idempotency keys."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pyairtable_platform.common.errors import Cancelled, Conflict, FailedPrecondition, InvalidInput, NotFound, Reason
from pyairtable_protos.chat.v1 import chat_service_pb2 as rpc


async def test_sessions_are_listed_the_last_used_first(chats: Any) -> None:
    for name in ("a", "b", "c"):
        await chats.chat(f"hello from {name}", session_id=name)
    await chats.chat("hello again", session_id="a")
    first = await chats.call("ListSessions", rpc.ListSessionsRequest(workspace="acme", page_size=2))
    assert [session.id for session in first.sessions] == ["a", "c"]
    assert first.sessions[0].title == "hello from a" and first.sessions[0].message_count == 4
    rest = await chats.call(
        "ListSessions", rpc.ListSessionsRequest(workspace="acme", page_size=2, page_token=first.next_page_token)
    )
    assert [session.id for session in rest.sessions] == ["b"] and not rest.next_page_token


async def test_history_is_paged(chats: Any) -> None:
    for number in range(3):
        await chats.chat(f"hello {number}", session_id="s")
    texts, token = [], ""
    while True:
        request = rpc.ListMessagesRequest(workspace="acme", session_id="s", page_size=4, page_token=token)
        page = await chats.call("ListMessages", request)
        texts += [message.content for message in page.messages if message.role == "user"]
        token = page.next_page_token
        if not token:
            break
    assert texts == ["hello 0", "hello 1", "hello 2"]


@pytest.mark.parametrize("token", ["nonsense", "bnVsbA==", "WzFd", "W251bGwsIDJd", "é"])
async def test_a_page_token_that_is_not_ours_is_refused(chats: Any, token: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await chats.call("ListSessions", rpc.ListSessionsRequest(workspace="acme", page_token=token))
    assert caught.value.reason is Reason.PAGE_TOKEN_INVALID


@pytest.mark.parametrize("method", ["GetSession", "ListMessages", "DeleteSession", "GetSessionCost"])
@pytest.mark.parametrize("session_id", ["nobody", "nul\x00"])
async def test_an_unknown_session_is_not_found(chats: Any, method: str, session_id: str) -> None:
    request = getattr(rpc, f"{method}Request")(workspace="acme", session_id=session_id)
    with pytest.raises(NotFound) as caught:
        await chats.call(method, request)
    assert caught.value.reason is Reason.SESSION_NOT_FOUND


async def test_sessions_and_runs_belong_to_their_workspace(chats: Any) -> None:
    answer = await chats.chat("hello", session_id="s")
    with pytest.raises(NotFound):
        await chats.call("GetSession", rpc.GetSessionRequest(workspace="other", session_id="s"))
    for method in ("GetRun", "CancelRun"):
        with pytest.raises(NotFound) as caught:
            await chats.call(method, getattr(rpc, f"{method}Request")(workspace="other", run_id=answer.run_id))
        assert caught.value.reason is Reason.RUN_NOT_FOUND
    with pytest.raises(NotFound):
        await chats.run("not-a-run")
    await chats.chat("hello", session_id="s", workspace="other")
    mine = await chats.call("GetSession", rpc.GetSessionRequest(workspace="acme", session_id="s"))
    assert mine.session.message_count == 2


async def test_one_run_at_a_time(chats: Any, gemini: Any) -> None:
    gemini.script([{"text": "slowly", "delay": 5}])
    run_id = await chats.begin("hello", session_id="s")
    with pytest.raises(Conflict) as caught:
        await chats.chat("hello", session_id="s")
    assert caught.value.reason is Reason.SESSION_BUSY and caught.value.metadata["run"] == run_id
    await chats.call("CancelRun", rpc.CancelRunRequest(workspace="acme", run_id=run_id))
    await chats.events(run_id)
    await chats.chat("hello", session_id="s")


async def test_many_at_once_in_one_session_are_one_run(chats: Any, gemini: Any) -> None:
    gemini.script([{"text": "once", "delay": 1}])
    results = await asyncio.gather(*(chats.chat("hello", session_id="s") for _ in range(8)), return_exceptions=True)
    busy = [result for result in results if isinstance(result, Conflict)]
    assert len(busy) == 7
    page = await chats.call("ListMessages", rpc.ListMessagesRequest(workspace="acme", session_id="s"))
    assert len(page.messages) == 2


async def test_a_repeat_with_the_same_key_is_the_same_run(chats: Any, gemini: Any) -> None:
    gemini.script([{"text": "Hello."}])
    answers = await asyncio.gather(*(chats.chat("hello", idempotency_key="k") for _ in range(4)))
    assert len({answer.run_id for answer in answers}) == 1
    assert len(gemini.log()) == 1
    with pytest.raises(FailedPrecondition) as caught:
        await chats.chat("something else", idempotency_key="k")
    assert caught.value.reason is Reason.IDEMPOTENCY_KEY_REUSED


async def test_cancel_stops_the_run_and_keeps_what_was_said(chats: Any, gemini: Any, until: Any) -> None:
    gemini.script([{"text": "one two three four five six seven eight nine ten " * 20, "chunk_delay": 0.2}])
    run_id = await chats.begin("count", session_id="s")

    async def has_text() -> bool:
        return bool((await chats.run(run_id)).response)

    await until(has_text)
    await chats.call("CancelRun", rpc.CancelRunRequest(workspace="acme", run_id=run_id))
    events = await chats.events(run_id)
    assert events[-1].WhichOneof("kind") == "cancelled"
    assert events[-1].cancelled.response == "".join(event.text.text for event in events)
    assert (await chats.run(run_id)).ended_at.seconds > 0
    await chats.call("CancelRun", rpc.CancelRunRequest(workspace="acme", run_id=run_id))  # nothing more to do


async def test_whoever_waits_for_a_cancelled_run_is_told(chats: Any, gemini: Any) -> None:
    gemini.script([{"text": "slowly", "delay": 10}])
    run_id = await chats.begin("hello", idempotency_key="k", session_id="s")
    waiting = asyncio.create_task(chats.chat("hello", idempotency_key="k", session_id="s"))
    await chats.call("CancelRun", rpc.CancelRunRequest(workspace="acme", run_id=run_id))
    with pytest.raises(Cancelled):
        await waiting


async def test_deleting_a_session_stops_its_run(chats: Any, gemini: Any) -> None:
    gemini.script([{"text": "slowly", "delay": 20}])
    run_id = await chats.begin("hello", session_id="s")
    await chats.call("DeleteSession", rpc.DeleteSessionRequest(workspace="acme", session_id="s"))
    with pytest.raises(NotFound):
        await chats.events(run_id)
    with pytest.raises(NotFound):
        await chats.call("GetSession", rpc.GetSessionRequest(workspace="acme", session_id="s"))
    gemini.script([])
    await chats.chat("hello", session_id="s")
