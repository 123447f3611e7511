"""A running tool server over a gateway in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from unit.mcp_server.fake_gateway import FakeGateway, text_field

from pyairtable_platform.common.server import RunningService, Service
from pyairtable_platform.common.testing import started
from pyairtable_platform.mcp_server.main import Settings, wire


@pytest.fixture
def gateway() -> FakeGateway:
    """One table with a few rows."""
    fake = FakeGateway()
    fields = [text_field("Name"), text_field("Hours", "number", precision=1), text_field("Notes", "multilineText")]
    rows = [{"Name": f"Task {number}", "Hours": number + 0.5} for number in range(12)]
    fake.add_table("Tasks", fields, [*rows, {"Name": 'Löwe "gross"', "Notes": "=SUM(A1)\nsecond line"}])
    return fake


@asynccontextmanager
async def serving(gateway: FakeGateway, settings: Settings) -> AsyncIterator[RunningService]:
    @asynccontextmanager
    async def build(settings: Settings) -> AsyncIterator[Service]:
        yield wire(settings, gateway, {})

    async with started(build, settings) as server:
        yield server


def fast_settings(**changes: object) -> Settings:
    return Settings.model_validate(
        {"http_port": 0, "grpc_port": 0, "shutdown_delay_seconds": 0, "shutdown_grace_seconds": 1, **changes}
    )


@pytest.fixture
async def server(gateway: FakeGateway) -> AsyncIterator[RunningService]:
    async with serving(gateway, fast_settings()) as running:
        yield running


@pytest.fixture
async def http(server: RunningService) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=server.addresses.http_url, trust_env=False, timeout=30) as client:
        yield client
