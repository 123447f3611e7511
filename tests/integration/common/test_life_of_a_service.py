"""Start, readiness, draining and stop of a service, and the calls between services."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import grpc
import httpx2
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from integration.common.conftest import CHECKS, FakeService, fake_service, quick

from pyairtable_platform.common import context, errors
from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.context import CallContext
from pyairtable_platform.common.server import PortTaken
from pyairtable_platform.common.settings import ServiceSettings
from pyairtable_protos.chat.v1 import chat_service_pb2 as chat
from pyairtable_protos.chat.v1 import chat_service_pb2_grpc as chat_grpc


def chat_stub(channel: ServiceChannel) -> Any:
    return chat_grpc.ChatServiceStub(channel.channel)


async def test_errors_come_back_as_themselves(service: FakeService) -> None:
    async with ServiceChannel(service.target) as channel:
        with pytest.raises(errors.RateLimited) as caught:
            await channel.call(chat_stub(channel).Chat, chat.ChatRequest(message="limited"))
        assert caught.value.retry_after == 7
        with pytest.raises(errors.Internal, match="finds it in the logs"):
            await channel.call(chat_stub(channel).Chat, chat.ChatRequest(message="crash"))
        with pytest.raises(errors.InvalidInput, match="session_id"):
            await channel.call(chat_stub(channel).Chat, chat.ChatRequest(session_id="x" * 200))


async def test_a_call_for_a_call_keeps_its_id_and_its_deadline(service: FakeService) -> None:
    loop_time = asyncio.get_running_loop().time
    async with ServiceChannel(service.target) as channel:
        with context.entered(CallContext("outer-1", "acme", loop_time() + 5)):
            await channel.call(chat_stub(channel).Chat, chat.ChatRequest(message="hi"), timeout=60)
        seen = service.chat.seen[-1]
        assert seen.request_id == "outer-1"
        assert seen.deadline is not None
        assert seen.deadline - loop_time() <= 5
        with context.entered(CallContext("outer-2", "", loop_time() + 0.2)), pytest.raises(errors.DeadlineExceeded):
            await channel.call(chat_stub(channel).Chat, chat.ChatRequest(message="wait"))


async def test_a_call_without_a_deadline_gets_ours() -> None:
    settings = quick(request_timeout_seconds=0.3)
    async with fake_service(settings) as service, ServiceChannel(service.target) as channel:
        call = chat_stub(channel).Chat(chat.ChatRequest(message="wait"))
        with pytest.raises(grpc.aio.AioRpcError, match="longer than this service allows"):
            await call


async def test_a_service_that_is_away_is_unavailable() -> None:
    async with ServiceChannel("127.0.0.1:1") as channel:
        with pytest.raises(errors.Unavailable):
            await channel.call(chat_stub(channel).Chat, chat.ChatRequest(message="hi"))


async def test_a_call_in_progress_ends_well_and_new_ones_go_elsewhere() -> None:
    settings = quick(shutdown_delay_seconds=0.3)
    async with fake_service(settings) as service, ServiceChannel(service.target) as channel:
        stub = chat_stub(channel)
        waiting = asyncio.create_task(channel.call(stub.Chat, chat.ChatRequest(message="wait"), timeout=30))
        await service.chat.entered.wait()
        async with httpx2.AsyncClient(base_url=service.url) as http:
            assert (await http.get("/ready")).status_code == 200
            stopping = asyncio.create_task(service.server.stop())
            await asyncio.sleep(0)
            assert (await http.get("/ready")).status_code == 503
        service.chat.release.set()
        assert (await waiting).response == "you said wait"
        await stopping
        with pytest.raises(errors.Unavailable):
            await channel.call(stub.Chat, chat.ChatRequest(message="hi"), timeout=5)


async def test_not_ready_before_what_it_needs_has_answered() -> None:
    answers = asyncio.Event()

    async def dependency() -> None:
        if not answers.is_set():
            raise errors.Unavailable("PostgreSQL cannot be reached")

    starting = asyncio.create_task(enter_later(quick(), {"postgres": dependency}))
    await asyncio.sleep(0.5)
    assert not starting.done()
    answers.set()
    assert await starting == "healthy"


async def enter_later(settings: ServiceSettings, checks: Any) -> str:
    async with fake_service(settings, checks=checks) as service, httpx2.AsyncClient(base_url=service.url) as http:
        return str((await http.get("/health")).json()["status"])


async def test_health_asks_and_tells() -> None:
    async with fake_service(quick(), optional_checks=CHECKS, notes=["a note"]) as service:
        async with httpx2.AsyncClient(base_url=service.url) as http:
            answer = await http.get("/health")
        report = answer.json()
        assert answer.status_code == 200
        assert report["status"] == "degraded"
        assert report["checks"]["good"]["status"] == "healthy"
        assert report["checks"]["failing"] == {"status": "unhealthy", "error": "it is away"}
        assert "a note" in report["notes"]
        assert any("development mode" in note for note in report["notes"])
        async with ServiceChannel(service.target) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel.channel)
            name = "pyairtable.chat.v1.ChatService"
            status = await stub.Check(health_pb2.HealthCheckRequest(service=name))
            assert status.status == health_pb2.HealthCheckResponse.SERVING


async def test_an_essential_dependency_that_goes_away_is_503_and_the_process_lives() -> None:
    down = asyncio.Event()

    async def dependency() -> None:
        if down.is_set():
            raise OSError("postgresql://user:secret@host")

    checks = {"postgres": dependency}
    async with fake_service(quick(), checks=checks) as service, httpx2.AsyncClient(base_url=service.url) as http:
        assert (await http.get("/health")).status_code == 200
        down.set()
        answer = await http.get("/health")
        assert answer.status_code == 503
        assert "secret" not in answer.text
        assert (await http.post("/chat", json={"message": "hi"})).status_code == 200


@pytest.mark.parametrize("which", ["http_port", "grpc_port"])
async def test_a_taken_port_is_named(which: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=f"{port} \\({which.upper()}\\)"):
            async with fake_service(quick(**{which: port})):
                pass
