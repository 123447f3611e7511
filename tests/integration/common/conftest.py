"""A service made of fakes over the whole kit: real gRPC and HTTP on free ports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from google.api import httpbody_pb2

from pyairtable_platform.common import context, errors
from pyairtable_platform.common.health import Check
from pyairtable_platform.common.server import RunningService, Service, Servicer
from pyairtable_platform.common.settings import ServiceSettings
from pyairtable_platform.common.testing import started
from pyairtable_protos.chat.v1 import chat_service_pb2 as chat
from pyairtable_protos.chat.v1 import chat_service_pb2_grpc as chat_grpc
from pyairtable_protos.chat.v1 import run_pb2
from pyairtable_protos.tools.v1 import tool_service_pb2 as tools
from pyairtable_protos.tools.v1 import tool_service_pb2_grpc as tools_grpc


class FakeChat(chat_grpc.ChatServiceServicer):
    """Answers by what the message says; remembers what it saw of the call."""

    def __init__(self) -> None:
        self.seen: list[context.CallContext] = []
        self.entered = asyncio.Event()
        self.left = asyncio.Event()
        self.release = asyncio.Event()

    async def Chat(self, request: chat.ChatRequest, call: Any) -> chat.ChatResponse:
        self.seen.append(context.current())
        if request.message == "crash":
            raise ZeroDivisionError("secret contents")
        if request.message == "limited":
            raise errors.RateLimited("slow down", retry_after=7)
        if request.message == "wait":
            self.entered.set()
            await self.release.wait()
        return chat.ChatResponse(response=f"you said {request.message}")

    async def WatchRun(self, request: chat.WatchRunRequest, call: Any) -> AsyncIterator[chat.WatchRunResponse]:
        if request.run_id == "nope":
            raise errors.NotFound('there is no run "nope"', reason=errors.Reason.RUN_NOT_FOUND, run="nope")
        try:
            for number in range(request.after_event_id + 1, 4):
                text = run_pb2.RunText(text=f"piece {number}")
                yield chat.WatchRunResponse(event=run_pb2.RunEvent(id=number, run_id=request.run_id, text=text))
            if request.run_id == "breaks":
                raise errors.Unavailable("the log went away")
            if request.run_id == "endless":
                await asyncio.Event().wait()
        finally:
            self.left.set()


class FakeTools(tools_grpc.ToolServiceServicer):
    """Exports a file that may break in the middle."""

    async def ExportTableCsv(
        self, request: tools.ExportTableCsvRequest, call: Any
    ) -> AsyncIterator[httpbody_pb2.HttpBody]:
        yield httpbody_pb2.HttpBody(content_type="text/csv; charset=utf-8", data=b"a,b\r\n")
        if request.table_id == "breaks":
            raise errors.Unavailable("Airtable went away")
        yield httpbody_pb2.HttpBody(data=f"{request.table_id},2\r\n".encode())


class FakeService:
    """A running service and what was seen inside it."""

    def __init__(self, server: RunningService, servicer: FakeChat) -> None:
        self.server = server
        self.chat = servicer
        self.url = server.addresses.http_url
        self.target = server.addresses.grpc_target


@asynccontextmanager
async def fake_service(settings: ServiceSettings, **parts: Any) -> AsyncIterator[FakeService]:
    servicer = FakeChat()  # type: ignore[abstract] # the rest answers UNIMPLEMENTED

    @asynccontextmanager
    async def build(settings: ServiceSettings) -> AsyncIterator[Service]:
        yield Service(
            name="fake",
            title="Fake",
            servicers=[
                Servicer(
                    servicer,
                    chat_grpc.add_ChatServiceServicer_to_server,
                    chat.DESCRIPTOR.services_by_name["ChatService"],
                ),
                Servicer(
                    FakeTools(),  # type: ignore[abstract] # the rest answers UNIMPLEMENTED
                    tools_grpc.add_ToolServiceServicer_to_server,
                    tools.DESCRIPTOR.services_by_name["ToolService"],
                ),
            ],
            **parts,
        )

    async with started(build, settings) as server:
        yield FakeService(server, servicer)


def quick(**fields: Any) -> ServiceSettings:
    """Settings whose shutdown does not wait longer than a test wants to."""
    return ServiceSettings(**{"shutdown_delay_seconds": 0, "shutdown_grace_seconds": 5, **fields})


@pytest.fixture
async def service() -> AsyncIterator[FakeService]:
    async with fake_service(quick()) as running:
        yield running


@pytest.fixture
async def http(service: FakeService) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=service.url, timeout=30) as client:
        yield client


async def failing_check() -> None:
    raise errors.Unavailable("it is away")


async def good_check() -> None:
    return None


CHECKS: dict[str, Check] = {"good": good_check, "failing": failing_check}
