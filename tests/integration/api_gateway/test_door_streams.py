"""Server-sent events through the door: live, resumable, ended when either side goes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx2
from google.api import httpbody_pb2
from integration.api_gateway.conftest import Door
from integration.api_gateway.upstream_fakes import FakeRun, until


async def events_of(response: httpx2.Response) -> AsyncIterator[dict[str, Any]]:
    """The events of a stream as {"id", "event", "data"}."""
    event: dict[str, Any] = {}
    async for line in response.aiter_lines():
        name, _, value = line.partition(":")
        if name:
            event[name] = value.strip()
        elif event:
            yield {**event, "data": json.loads(event["data"])}
            event = {}


async def test_events_arrive_while_the_run_goes_on(chat_door: Door) -> None:
    go_on = asyncio.Event()

    async def script(run: FakeRun) -> None:
        run.say("First, ")
        await go_on.wait()
        run.say("then.")
        run.done("First, then.")

    chat_door.behind.chat.scripts["hello"] = script
    async with chat_door.http.stream("POST", "/api/chat/stream", json={"message": "hello"}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = events_of(answer)
        assert [(await anext(events))["event"] for _ in range(2)] == ["started", "text"]
        go_on.set()  # not before the second event was read: nothing waits for the end of the answer
        rest = [event async for event in events]
    assert [event["event"] for event in rest] == ["text", "done"]
    assert [event["id"] for event in rest] == ["3", "4"]
    assert rest[-1]["data"]["done"]["response"] == "First, then."


async def test_a_reader_that_leaves_ends_its_stream_but_not_the_run(chat_door: Door) -> None:
    go_on = asyncio.Event()

    async def script(run: FakeRun) -> None:
        run.say("a")
        await go_on.wait()
        run.done("a")

    chat = chat_door.behind.chat
    chat.scripts["hello"] = script
    async with chat_door.http.stream("POST", "/api/chat/stream", json={"message": "hello"}) as answer:
        await anext(events_of(answer))
        assert chat.streams_open == 1
    await until(lambda: chat.streams_open == 0)
    go_on.set()
    await until(lambda: chat.runs["run-1"].ended)

    async with chat_door.http.stream("GET", "/api/runs/run-1/events", headers={"last-event-id": "1"}) as answer:
        rest = [event["event"] async for event in events_of(answer)]
    assert rest == ["text", "done"]


async def test_stop_goes_to_the_run(chat_door: Door) -> None:
    async def script(run: FakeRun) -> None:
        run.say("endless")
        await asyncio.Event().wait()

    chat_door.behind.chat.scripts["hello"] = script
    async with chat_door.http.stream("POST", "/api/chat/stream", json={"message": "hello"}) as answer:
        events = events_of(answer)
        run_id = (await anext(events))["data"]["run_id"]
        assert (await chat_door.http.post(f"/api/runs/{run_id}/cancel", json={})).status_code == 200
        assert [event["event"] async for event in events][-1] == "cancelled"


async def test_an_error_before_the_first_event_is_an_ordinary_problem(chat_door: Door) -> None:
    async def refuse(call: Any) -> None:
        await call.abort(grpc.StatusCode.ABORTED, "a run is in progress")

    chat_door.behind.chat.refuse = refuse
    answer = await chat_door.http.post("/api/chat/stream", json={"message": "hello"})
    assert answer.status_code == 409
    assert answer.json()["detail"] == "a run is in progress"


async def test_an_error_on_the_way_is_an_event_with_the_problem(chat_door: Door) -> None:
    async def script(run: FakeRun) -> None:
        run.say("so far")
        await asyncio.Event().wait()

    chat_door.behind.chat.scripts["hello"] = script
    async with chat_door.http.stream("POST", "/api/chat/stream", json={"message": "hello"}) as answer:
        events = events_of(answer)
        await anext(events)
        await anext(events)
        await chat_door.behind.server.stop(0)
        last = [event async for event in events][-1]
    assert last["event"] == "error"
    assert last["data"]["status"] == 503
    assert last["data"]["request_id"] == answer.headers["x-request-id"]


async def test_a_raw_body_streams_as_it_is(door: Door) -> None:
    async def csv(*_: Any) -> AsyncIterator[httpbody_pb2.HttpBody]:
        yield httpbody_pb2.HttpBody(content_type="text/csv; charset=utf-8", data="Name,Größe\r\n".encode())
        yield httpbody_pb2.HttpBody(data=b"Tile,3\r\n")

    door.behind.recorder.answers["ExportTableCsv"] = csv
    answer = await door.http.get("/api/bases/default/tables/Tiles/export.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.text == "Name,Größe\r\nTile,3\r\n"


async def test_a_wrong_last_event_id_is_refused(chat_door: Door) -> None:
    answer = await chat_door.http.get("/api/runs/run-1/events", headers={"last-event-id": "x"})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "Last-Event-ID"
