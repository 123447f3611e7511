"""REST over the whole kit: answers, errors, streams and limits as a caller sees them."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest
from integration.common.conftest import FakeService, fake_service, quick
from pydantic import SecretStr


async def test_a_call_and_its_request_id(http: httpx2.AsyncClient, service: FakeService) -> None:
    answer = await http.post("/chat", json={"message": "hi", "workspace": "acme"}, headers={"x-request-id": "req-7"})
    assert answer.status_code == 200
    assert answer.json()["response"] == "you said hi"
    assert answer.json()["tools_used"] == []
    assert answer.headers["x-request-id"] == "req-7"
    assert service.chat.seen[-1].request_id == "req-7"
    assert service.chat.seen[-1].workspace == "acme"


@pytest.mark.parametrize("hostile", ["a b", "x" * 200, 'id"<b>', ""])
async def test_a_request_id_that_could_harm_is_replaced(http: httpx2.AsyncClient, hostile: str) -> None:
    answer = await http.get("/health", headers={"x-request-id": hostile})
    assert answer.headers["x-request-id"] != hostile
    assert len(answer.headers["x-request-id"]) == 32


@pytest.mark.parametrize(
    ("request_parts", "status", "reason", "mentions"),
    [
        (
            {"url": "/chat", "content": b"{", "headers": {"content-type": "application/json"}},
            400,
            "INVALID_INPUT",
            "JSON",
        ),
        ({"url": "/chat", "json": {"mesage": "x"}}, 400, "INVALID_INPUT", "mesage"),
        ({"url": "/chat", "json": {"session_id": "x" * 200}}, 400, "INVALID_INPUT", "session_id"),
        ({"url": "/chat", "content": b"message=x"}, 400, "INVALID_INPUT", "Content-Type"),
        ({"url": "/chat", "json": {"message": "limited"}}, 429, "RATE_LIMITED", "slow down"),
        ({"url": "/runs/nope/events", "method": "GET"}, 404, "RUN_NOT_FOUND", "nope"),
        ({"url": "/nowhere"}, 404, "ROUTE_NOT_FOUND", "openapi"),
        ({"url": "/chat", "method": "PUT"}, 405, "ROUTE_NOT_FOUND", "method"),
        ({"url": "/health", "method": "POST"}, 405, "ROUTE_NOT_FOUND", "method"),
        ({"url": "/chat", "json": {"message": "crash"}}, 500, "INTERNAL", "finds it in the logs"),
    ],
)
async def test_every_error_is_a_problem(
    http: httpx2.AsyncClient, request_parts: dict[str, Any], status: int, reason: str, mentions: str
) -> None:
    answer = await http.request(**{"method": "POST", **request_parts})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["reason"] == reason
    assert body["status"] == status
    assert mentions in body["detail"]
    assert body["request_id"] == answer.headers["x-request-id"]
    assert "secret" not in answer.text


async def test_a_wait_is_told_twice(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/chat", json={"message": "limited"})
    assert answer.headers["retry-after"] == "7"
    assert answer.json()["retry_after_seconds"] == 7


async def test_events_have_ids_and_names_and_go_on_after_one(http: httpx2.AsyncClient) -> None:
    whole = await http.get("/runs/r1/events")
    assert whole.headers["content-type"].startswith("text/event-stream")
    assert [line for line in whole.text.splitlines() if line.startswith("id: ")] == ["id: 1", "id: 2", "id: 3"]
    assert whole.text.count("event: text\n") == 3
    rest = await http.get("/runs/r1/events", headers={"Last-Event-ID": "2"})
    assert [line for line in rest.text.splitlines() if line.startswith("id: ")] == ["id: 3"]
    wrong = await http.get("/runs/r1/events", headers={"Last-Event-ID": "two"})
    assert wrong.status_code == 400


async def test_an_error_in_a_stream_is_its_last_event(http: httpx2.AsyncClient) -> None:
    answer = await http.get("/runs/breaks/events")
    assert answer.status_code == 200
    assert "event: error\n" in answer.text.rpartition("id: 3")[2]
    assert "DEPENDENCY_UNAVAILABLE" in answer.text


async def test_a_reader_who_leaves_ends_the_call(http: httpx2.AsyncClient, service: FakeService) -> None:
    async with http.stream("GET", "/runs/endless/events") as answer:
        assert "id: 1" in await anext(answer.aiter_text())
    async with asyncio.timeout(30):
        await service.chat.left.wait()


async def test_a_file_is_its_bytes_and_never_looks_whole_when_it_is_not(http: httpx2.AsyncClient) -> None:
    answer = await http.get("/bases/b/tables/Caf%C3%A9%2Fx/export.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.text == "a,b\r\nCafé/x,2\r\n"
    with pytest.raises(httpx2.RemoteProtocolError):
        await http.get("/bases/b/tables/breaks/export.csv")


async def test_a_body_has_a_limit(service: FakeService) -> None:
    async with fake_service(quick(max_request_bytes=2000)) as small, httpx2.AsyncClient(base_url=small.url) as http:
        answer = await http.post("/chat", json={"message": "x" * 3000})
        assert (answer.status_code, answer.json()["reason"]) == (413, "TOO_LARGE")

        async def chunks() -> Any:
            for _ in range(30):
                yield b" " * 100

        chunked = await http.post("/chat", content=chunks(), headers={"content-type": "application/json"})
        assert (chunked.status_code, chunked.json()["reason"]) == (413, "TOO_LARGE")


async def test_a_caller_may_bound_its_own_time(http: httpx2.AsyncClient) -> None:
    late = await http.post("/chat", json={"message": "wait"}, headers={"Request-Timeout": "0.3"})
    assert (late.status_code, late.json()["reason"]) == (504, "DEADLINE")
    for wrong in ("soon", "-1", "nan", "99999"):
        answer = await http.post("/chat", json={"message": "hi"}, headers={"Request-Timeout": wrong})
        assert (answer.status_code, answer.json()["reason"]) == (400, "INVALID_INPUT")


async def test_an_api_key_is_wanted_when_one_is_set() -> None:
    async with (
        fake_service(quick(api_key=SecretStr("canary-key"))) as closed,
        httpx2.AsyncClient(base_url=closed.url) as http,
    ):
        assert (await http.post("/chat", json={"message": "hi"})).status_code == 401
        answer = await http.post("/chat", json={"message": "hi"}, headers={"x-api-key": "canary-key"})
        assert answer.status_code == 200
        assert (await http.get("/health")).status_code == 200


async def test_the_description_is_there(http: httpx2.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    assert document["openapi"] == "3.1.0"
    chat = document["paths"]["/chat"]["post"]
    assert chat["summary"].startswith("Sends a message and waits")
    assert chat["requestBody"]["content"]["application/json"]["schema"]["properties"]["message"]["maxLength"] == 100000


async def test_calls_are_measured(http: httpx2.AsyncClient) -> None:
    await http.post("/chat", json={"message": "hi"})
    metrics = (await http.get("/metrics")).text
    assert 'rpc_method="pyairtable.chat.v1.ChatService/Chat"' in metrics
    assert 'http_route="/chat"' in metrics


async def test_metrics_can_be_switched_off() -> None:
    async with fake_service(quick(enable_metrics=False)) as quiet, httpx2.AsyncClient(base_url=quiet.url) as http:
        assert (await http.get("/metrics")).status_code == 404


async def test_a_body_that_never_comes_does_not_hold_the_connection() -> None:
    async with fake_service(quick(request_timeout_seconds=0.5)) as service:
        host, _, port = service.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = (
            b"POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
        )
        writer.write(head)
        await writer.drain()
        async with asyncio.timeout(30):
            answer = await reader.readuntil(b"\r\n")
        assert b" 504 " in answer
        writer.close()


async def test_only_json_is_taken_as_json(http: httpx2.AsyncClient) -> None:
    for kind, status in (("application/json; charset=utf-8", 200), ("application/jsonfoo", 400)):
        answer = await http.post("/chat", content=b'{"message": "hi"}', headers={"content-type": kind})
        assert answer.status_code == status
