"""A door on free ports before fake services, and a Valkey."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from integration.api_gateway.upstream_fakes import Behind, fakes_behind

from pyairtable_devkit.databases import Valkey
from pyairtable_platform.api_gateway.main import Settings, build
from pyairtable_platform.common.testing import started


@dataclass
class Door:
    """A running door."""

    http: httpx2.AsyncClient
    url: str
    grpc_target: str
    behind: Behind


OpenDoor = Callable[..., AbstractAsyncContextManager[Door]]


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    with Valkey.start() as server:
        yield server


def door_settings(target: str, **changes: Any) -> Settings:
    """Settings that know all services at one address, and no limit."""
    values: dict[str, Any] = {
        "http_port": 0,
        "grpc_port": 0,
        "shutdown_delay_seconds": 0,
        "shutdown_grace_seconds": 1,
        "rate_limit_rpm": 0,
        "llm_orchestrator_target": target,
        "mcp_server_target": target,
        "airtable_gateway_target": target,
        "workspaces_target": target,
        "users_target": target,
        "sagas_target": target,
    }
    return Settings(**(values | changes))


@pytest.fixture
def open_door(valkey: Valkey) -> OpenDoor:
    """Opens a door: `async with open_door(behind, rate_limit_rpm=5) as door`."""

    @asynccontextmanager
    async def opened(behind: Behind, **changes: Any) -> AsyncIterator[Door]:
        settings = door_settings(behind.target, **({"redis_url": valkey.url} | changes))
        async with started(build, settings) as server:
            addresses = server.addresses
            async with httpx2.AsyncClient(base_url=addresses.http_url, timeout=30) as http:
                yield Door(http, addresses.http_url, addresses.grpc_target, behind)

    return opened


@pytest.fixture
async def behind() -> AsyncIterator[Behind]:
    """Services that record every call."""
    async with fakes_behind() as fakes:
        yield fakes


@pytest.fixture
async def chat_behind() -> AsyncIterator[Behind]:
    """The same, with chat played by scripts."""
    async with fakes_behind(chat_by_script=True) as fakes:
        yield fakes


@pytest.fixture
async def door(open_door: OpenDoor, behind: Behind) -> AsyncIterator[Door]:
    """A door before recording services."""
    async with open_door(behind) as opened:
        yield opened


@pytest.fixture
async def chat_door(open_door: OpenDoor, chat_behind: Behind) -> AsyncIterator[Door]:
    """A door before scripted chats."""
    async with open_door(chat_behind) as opened:
        yield opened
