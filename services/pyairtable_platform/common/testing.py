"""Helpers for tests of services: start one on free ports, open a channel to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from .channels import ServiceChannel
from .server import Build, RunningService, running
from .settings import ServiceSettings

S = TypeVar("S", bound=ServiceSettings)


@asynccontextmanager
async def started(build: Build[S], settings: S) -> AsyncIterator[RunningService]:
    """A service that is ready, on free ports unless the settings name some. `.addresses` says where."""
    async with running(build, settings) as server:
        await server.ready()
        yield server


@asynccontextmanager
async def channel_to(server: RunningService) -> AsyncIterator[ServiceChannel]:
    """A channel to a running service."""
    async with ServiceChannel(server.addresses.grpc_target) as channel:
        yield channel
