"""What happens when the model, the database, a worker or the client fails in the middle of a turn."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest

from pyairtable_devkit.databases import Postgres
from pyairtable_platform.common.errors import DeadlineExceeded, PyAirtableError, Reason, Unavailable
from pyairtable_protos.chat.v1 import chat_service_pb2 as rpc
from pyairtable_protos.chat.v1 import run_pb2

LONG = "one two three four five six seven eight nine ten eleven twelve " * 8
CREATE = {"calls": [{"name": "create_record", "args": {"fields": {"Name": "Tiles"}}}]}


def kinds_of(events: list[Any]) -> list[str]:
    return [event.WhichOneof("kind") for event in events]


def text_of(events: list[Any]) -> str:
    """The answer as a reader puts it together."""
    text = ""
    for event in events:
        kind = event.WhichOneof("kind")
        if kind == "text":
            text += event.text.text
        elif kind == "rewound":
            text = event.rewound.response
    return text


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_model_that_is_away_for_a_moment_is_asked_again(chats: Any, gemini: Any, status: int) -> None:
    gemini.fault("status", status=status, times=2, retry_seconds=0.1)
    answer = await chats.chat("hello")
    assert answer.response
    assert gemini.counters()["statuses"][str(status)] == 2


async def test_a_model_that_stays_away_is_said(start_chats: Any, gemini: Any) -> None:
    async with start_chats(model_attempts=2) as chats:
        gemini.fault("status", status=503, times=None)
        with pytest.raises(Unavailable) as caught:
            await chats.chat("hello")
        assert caught.value.reason is Reason.MODEL_UNAVAILABLE
        gemini.clear_faults()
        assert (await chats.chat("hello")).response


async def test_a_wait_beyond_the_turn_is_not_waited(start_chats: Any, gemini: Any) -> None:
    async with start_chats(turn_seconds=5) as chats:
        gemini.fault("status", status=429, times=None, retry_seconds=3600)
        with pytest.raises(Unavailable) as caught:
            await chats.chat("hello")
        assert caught.value.reason is Reason.MODEL_UNAVAILABLE


@pytest.mark.parametrize("fault", ["reset", "cut"])
async def test_a_broken_connection_to_the_model_is_repeated(chats: Any, gemini: Any, fault: str) -> None:
    gemini.fault(fault, times=1)
    assert (await chats.chat("hello")).response


async def test_text_of_a_cut_answer_is_taken_back(chats: Any, gemini: Any) -> None:
    usage = {"prompt": 100, "candidates": 50, "thoughts": 0}
    cut = {"text": LONG, "cut_after": 4, "chunk_delay": 0.15, "usage": usage}
    gemini.script([{"replies": [cut, {"text": "All of it.", "usage": usage}]}])
    events = [response.event async for response in chats.stream("hello")]
    assert "rewound" in kinds_of(events)
    assert text_of(events) == events[-1].done.response == "All of it."
    cost = events[-1].done.cost_info
    assert cost.model_calls == 2 and cost.input_tokens == 200  # the broken call is paid for, too


async def test_a_malformed_call_is_asked_for_once_more(chats: Any, gemini: Any) -> None:
    gemini.script([{"replies": [{"finish": "MALFORMED_FUNCTION_CALL"}, {"text": "Now."}]}])
    assert (await chats.chat("hello")).response == "Now."
    gemini.script([{"finish": "MALFORMED_FUNCTION_CALL", "repeat": True}])
    with pytest.raises(PyAirtableError) as caught:
        await chats.chat("hello")
    assert caught.value.metadata["finish_reason"] == "MALFORMED_FUNCTION_CALL"


async def test_an_answer_at_the_token_limit_is_kept_and_said(chats: Any, gemini: Any) -> None:
    gemini.script([{"text": "Half of", "finish": "MAX_TOKENS"}])
    answer = await chats.chat("hello")
    assert answer.response.startswith("Half of") and "limit of output tokens" in answer.response


async def test_a_slow_turn_ends_at_its_limit(start_chats: Any, gemini: Any) -> None:
    gemini.script([{"text": "late", "delay": 30}])
    async with start_chats(turn_seconds=1) as chats:
        with pytest.raises(PyAirtableError) as caught:
            await chats.chat("hello")
    assert caught.value.reason is Reason.TURN_LIMIT and caught.value.metadata["limit"] == "time"


async def test_a_caller_whose_time_is_up_is_told_where_the_run_is(chats: Any, gemini: Any) -> None:
    gemini.script([{"text": "at last", "delay": 3}])
    with pytest.raises(DeadlineExceeded) as caught:
        await chats.channel.call(chats.stub.Chat, rpc.ChatRequest(workspace="acme", message="hello"), timeout=1.5)
    events = await chats.events(caught.value.metadata["run"])
    assert events[-1].done.response == "at last"


async def test_a_client_that_leaves_stops_nothing_and_misses_nothing(chats: Any, gemini: Any) -> None:
    gemini.script([{"text": LONG, "chunk_delay": 0.05}])
    seen = []
    stream = chats.stream("hello")
    async for response in stream:
        seen.append(response.event)
        if len(seen) == 3:
            break
    await stream.aclose()
    rest = await chats.events(seen[0].run_id, after=seen[-1].id)
    assert [event.id for event in seen + rest] == list(range(1, len(seen + rest) + 1))
    assert text_of(seen + rest) == rest[-1].done.response == LONG


async def test_a_run_is_read_and_stopped_at_another_replica(start_chats: Any, gemini: Any) -> None:
    gemini.script([{"text": LONG, "chunk_delay": 0.2}])
    async with start_chats() as here, start_chats() as there:
        run_id = await here.begin("hello")
        reading = asyncio.create_task(there.events(run_id))
        await there.call("CancelRun", rpc.CancelRunRequest(workspace="acme", run_id=run_id))
        events = await reading
        assert events[-1].WhichOneof("kind") == "cancelled"
        assert (await here.run(run_id)).state == run_pb2.RUN_STATE_CANCELLED


async def test_an_orderly_stop_hands_the_run_over(start_chats: Any, gemini: Any, tools: Any) -> None:
    gemini.script([{"replies": [CREATE, {"text": LONG, "chunk_delay": 0.2}, {"text": "Created."}]}])
    async with start_chats(lease_seconds=60) as there:
        async with start_chats(lease_seconds=60) as here:
            run_id = await here.begin("create it")
            await _until_text(there, run_id)
        events = await there.events(run_id)  # long before the lease is over
    assert text_of(events) == events[-1].done.response == "Created."
    assert kinds_of(events).count("tool_started") == 1
    assert len(tools.calls) == 1


@pytest.mark.slow
async def test_a_killed_workers_run_is_taken_over(start_chats: Any, spawn_chats: Any, gemini: Any, tools: Any) -> None:
    """The worker dies while a write is under way: the tool server has done it, nobody has heard of it."""
    arrived = asyncio.Event()

    async def write_and_hang(arguments: dict[str, Any]) -> dict[str, Any]:
        if not arrived.is_set():
            tools.written[tools.calls[-1].idempotency_key] = {"id": "rec1"}
            arrived.set()
            await asyncio.sleep(60)
        return {"id": "rec2"}

    tools.handlers["create_record"] = write_and_hang
    gemini.script([{"replies": [CREATE, {"text": "Created."}]}])
    async with spawn_chats(lease_seconds=1) as here:
        run_id = await here.begin("create it")
        await arrived.wait()
        here.process.kill()
        async with start_chats(lease_seconds=1) as there:
            events = await there.events(run_id)
    assert events[-1].done.response == "Created."
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert len(tools.calls) == 2 and len({call.idempotency_key for call in tools.calls}) == 1
    assert len(tools.written) == 1
    assert kinds_of(events).count("tool_started") == kinds_of(events).count("tool_ended") == 1
    assert len(gemini.log()) == 2  # the answer with the call was not asked for again


@pytest.mark.slow
async def test_a_worker_that_was_paused_cannot_write(start_chats: Any, spawn_chats: Any, gemini: Any) -> None:
    """Its lease ends while it sleeps; when it wakes, the fence keeps it out."""
    gemini.script([{"replies": [{"text": LONG, "chunk_delay": 0.3}, {"text": "Again."}]}])
    async with spawn_chats(lease_seconds=1) as here:
        run_id = await here.begin("hello")
        await _until_text(here, run_id)
        here.process.send_signal(signal.SIGSTOP)
        async with start_chats(lease_seconds=1) as there:
            events = await there.events(run_id)
            here.process.send_signal(signal.SIGCONT)
            assert text_of(events) == events[-1].done.response == "Again."
            assert (await here.run(run_id)).state == run_pb2.RUN_STATE_COMPLETED  # awake again
            await asyncio.sleep(1)
            assert len(await there.events(run_id)) == len(events)


async def test_postgresql_killed_and_back_in_the_middle_of_a_turn(
    postgres: Postgres, start_chats: Any, gemini: Any, tools: Any
) -> None:
    gemini.script([{"replies": [CREATE, {"text": LONG, "chunk_delay": 0.2}, {"text": "Created."}]}])
    async with start_chats(lease_seconds=5) as chats:
        run_id = await chats.begin("create it", session_id="s")
        reading = asyncio.create_task(chats.events(run_id))
        await _until_text(chats, run_id)
        postgres.kill()
        await asyncio.sleep(2)  # long enough that everybody has noticed
        postgres.restart()  # not in a thread: the server dies with the thread that started it
        events = await reading
        assert [event.id for event in events] == list(range(1, len(events) + 1))
        assert events[-1].WhichOneof("kind") == "done"
        assert text_of(events) == events[-1].done.response
        assert len(tools.written) == 1
        assert [event.id for event in await chats.events(run_id)] == [event.id for event in events]
        page = await chats.call("ListMessages", rpc.ListMessagesRequest(workspace="acme", session_id="s"))
        assert [message.role for message in page.messages] == ["user", "assistant"]
        gemini.script([])
        assert (await chats.chat("hello", session_id="s")).response


async def _until_text(chats: Any, run_id: str) -> None:
    async for response in chats.watch(run_id):
        if response.event.WhichOneof("kind") == "text":
            return
